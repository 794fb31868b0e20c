"""A short menu: a letter for each choice, or the cursor and Enter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from speakeasy_tui.core.text import printable
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.ink import Lines
from speakeasy_tui.tui.listing import Listing
from speakeasy_tui.tui.rows import Line, Span
from speakeasy_tui.tui.screens.dialog import Dialog


class Choice(NamedTuple):
    """A line of a menu."""

    name: str
    """What the menu's result is when it is chosen."""
    text: str
    note: str = ""


LETTERS = "1234567890abcdefhimnopqrstuvwxyz"
"""Those that move the cursor are left out."""


class Pick(Dialog[str]):
    """Asks for one of a few things; the result is its name, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close", id="back", tooltip="Choose nothing"),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], chosen: str = "") -> None:
        super().__init__()
        self._title = printable(title)
        self._choices = list(choices)[: len(LETTERS)]
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Lines(lambda width: [(Span(self._title, "title"),), ()])
            listing = Listing(self._lines)
            listing.index = next(
                (n for n, one in enumerate(self._choices) if one.name == self._chosen), 0
            )
            yield listing

    def on_mount(self) -> None:
        self.query_one(Listing).styles.height = max(1, min(len(self._choices), self.rows - 2))

    def _lines(self, width: int) -> list[Line]:
        widest = max((len(one.text) for one in self._choices), default=0)
        room = min(widest, max(10, width - 4))
        return [
            (
                Span(f" {letter} ", "key"),
                Span(shown.fit(shown.cut_middle(printable(one.text), room), room)),
                Span(f"  {one.note}", "quiet"),
            )
            for letter, one in zip(LETTERS, self._choices, strict=False)
        ]

    def on_key(self, event: events.Key) -> None:
        if event.character and event.character in LETTERS:
            number = LETTERS.index(event.character)
            if number < len(self._choices):
                event.stop()
                self.dismiss(self._choices[number].name)

    @on(Listing.Chosen)
    def _pick(self, event: Listing.Chosen) -> None:
        self.dismiss(self._choices[event.index].name)
