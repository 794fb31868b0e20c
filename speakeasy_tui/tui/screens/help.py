"""All keys, as they are bound now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.ink import LineView
from speakeasy_tui.tui.rows import STATE_LOOK, Line, Span

FILTER_HELP = (
    ("word", "in the path, the message, a warning or the error"),
    ("state:failed", "rows in a state"),
    ("lang:de", "rows in a language"),
    ("kind:oom", "rows with an error of a kind"),
    ("has:warning", "rows with a warning"),
    ("audio>1h", "rows longer than that; < shorter, s and min too"),
    ("!word", "rows without it"),
)

Topic = tuple[str, list[tuple[str, str]]]
"""A heading and its lines: keys, and what they do."""


class Help(ModalScreen[None]):
    """The keys; any of the keys that opened it closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Close", id="back", tooltip="Close the help"),
    ]

    def __init__(self, topics: Iterable[Topic]) -> None:
        super().__init__()
        self._topics = list(topics)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield LineView(self._lines)

    def _lines(self, width: int) -> list[Line]:
        lines: list[Line] = []
        topics = [*self._topics, ("filter", list(FILTER_HELP))]
        for title, entries in topics:
            lines.append((Span(title, "title"),))
            for keys, text in entries:
                parts = shown.wrap(text, max(10, width - 18))
                lines.append((Span(shown.fit(f"  {keys}", 18), "key"), Span(parts[0])))
                lines += [(Span(" " * 18), Span(part)) for part in parts[1:]]
            lines.append(())
        lines.append((Span("states", "title"),))
        for state, (glyph, ink) in STATE_LOOK.items():
            lines.append((Span(f"  {glyph} {state.value}", ink),))
        return lines
