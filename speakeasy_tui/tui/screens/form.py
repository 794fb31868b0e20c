"""A form: values by name, each with its help, changed in a line below and checked at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from speakeasy_tui.core.settings import DEFAULTS, help_of
from speakeasy_tui.core.text import printable
from speakeasy_tui.core.values import SettingsError, choices_of, convert
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.field import FieldBar
from speakeasy_tui.tui.ink import Lines
from speakeasy_tui.tui.listing import Listing
from speakeasy_tui.tui.overview import keys_line
from speakeasy_tui.tui.rows import Line, Span
from speakeasy_tui.tui.screens.screen import Result, SpeakeasyScreen
from speakeasy_tui.tui.typed import unescaped

NOTHING = "–"
"""Stands where a value is empty."""


def text_of(value: object) -> str:
    """A setting's value as it is typed."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ",".join(str(part) for part in value)
        case dict():
            return ", ".join(f"{key} = {bound}" for key, bound in value.items())
        case _:
            return str(value)


class Form(SpeakeasyScreen[Result]):
    """Base of the screens on which settings are changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "Back", id="back", tooltip="Back; first out of the field"),
        Binding("ctrl+r", "default", "Default", id="default",
                tooltip="The value that it has by itself"),
    ]  # fmt: skip
    NAMES: ClassVar[Sequence[str]] = ()

    def __init__(self) -> None:
        super().__init__()
        self._said = ""
        self._wrong = False

    # What a form is about.

    def title_line(self, width: int) -> Line:
        """The head."""
        raise NotImplementedError

    def value(self, name: str) -> object:
        """The present value."""
        raise NotImplementedError

    def text(self, name: str) -> str:
        """How the present value is shown."""
        return text_of(self.value(name)) or NOTHING

    def note(self, name: str) -> Span:
        """What stands behind the value: where it comes from."""
        raise NotImplementedError

    def change(self, name: str, value: object) -> str:
        """Take a checked value; returns what to say.

        Raises:
            SettingsError, OSError: it cannot be taken.
        """
        raise NotImplementedError

    def entries(self) -> list[tuple[str, str]]:
        """Keys and words of the footer."""
        return [
            (self.speakeasy.key_of("choose"), "change"),
            (self.speakeasy.key_of("default"), "default"),
            ("esc", "back"),
        ]

    # ------------------------------------------------------------------ looks

    def compose(self) -> ComposeResult:
        yield Lines(lambda width: [self.title_line(width)], id="head")
        yield Listing(self._lines, id="form")
        yield Lines(self._help, id="form-help")
        yield FieldBar("=")
        yield Lines(self._footer, id="footer")

    def on_mount(self) -> None:
        self.query_one(Listing).focus()

    @property
    def name_now(self) -> str:
        """The setting under the cursor."""
        return self.NAMES[self.query_one(Listing).index]

    def _lines(self, width: int) -> list[Line]:
        room = max(len(name) for name in self.NAMES) + 3
        wide = max(12, (width - room) // 2)
        lines: list[Line] = []
        for name in self.NAMES:
            text = printable(self.text(name))
            plain = text == (printable(text_of(getattr(DEFAULTS, name))) or NOTHING)
            lines.append(
                (
                    Span(shown.fit(f" {name}", room), "quiet" if plain else ""),
                    Span(shown.fit(shown.cut_middle(text, wide), wide), "quiet" if plain else ""),
                    Span("  "),
                    self.note(name),
                )
            )
        return lines

    def _help(self, width: int) -> list[Line]:
        if not self.is_mounted:
            return [(), ()]
        name = self.name_now
        text = self._said or help_of(name)
        ink = "failed" if self._wrong else "quiet"
        parts = [
            part for line in text.split("\n") for part in shown.wrap(printable(line), width - 2)
        ]
        if not self._said and (choices := choices_of(name)):
            parts += shown.wrap(f"One of: {', '.join(choices)}", width - 2)
        return [(), *((Span(f" {part}", ink),) for part in parts[:4])]

    def _footer(self, width: int) -> list[Line]:
        return [keys_line(self.entries(), width)]

    def _show(self) -> None:
        self.query_one(Listing).show()
        for lines in self.query(Lines):
            lines.show()

    @on(Listing.Moved)
    def _moved(self) -> None:
        self._said, self._wrong = "", False
        self.query_one("#form-help", Lines).show()

    # ------------------------------------------------------------------ changing

    @on(Listing.Chosen)
    def _open(self) -> None:
        name = self.name_now
        value = self.value(name)
        choices = choices_of(name) if name != "format" else ()
        if isinstance(value, bool):
            self._take(name, not value)
        elif choices:
            after = (choices.index(str(value)) + 1) % len(choices)
            self._take(name, choices[after])
        else:
            bar = self.query_one(FieldBar)
            bar.field.value = text_of(value)
            bar.open()

    @on(Input.Submitted, "#filter")
    def _typed(self, event: Input.Submitted) -> None:
        before = text_of(self.value(self.name_now))
        if self._take(self.name_now, unescaped(event.value, before)):
            self._close()

    def _close(self) -> None:
        self.query_one(FieldBar).close(self.query_one(Listing))

    def _take(self, name: str, given: object) -> bool:
        try:
            self._said = self.change(name, convert(name, given, name))
            self._wrong = False
        except (SettingsError, OSError) as error:
            self._said, self._wrong = str(error).removeprefix(f"{name}: "), True
        self._show()
        return not self._wrong

    def action_default(self) -> None:
        """The default value."""
        self._take(self.name_now, getattr(DEFAULTS, self.name_now))

    def action_back(self) -> None:
        """Out of the field, or close."""
        if self.query_one(FieldBar).display:
            self._said, self._wrong = "", False
            self._close()
            self._show()
        else:
            self.dismiss(None)
