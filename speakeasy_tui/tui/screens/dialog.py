"""What lies on top of a screen: a box that keeps its line of keys in sight however low it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from textual.screen import ModalScreen

from speakeasy_tui.tui.format import ELLIPSIS
from speakeasy_tui.tui.ink import Lines
from speakeasy_tui.tui.rows import Line, Span, width_of

Result = TypeVar("Result")

LOW = 16
"""Lines of the terminal below which a box takes them all and has no margin inside."""

GAP = 4
"""Cells between two keys."""


def key_lines(keys: Sequence[tuple[str, str]], width: int) -> list[Line]:
    """Keys and what they do, in as many lines as they need."""
    lines: list[Line] = []
    for key, text in keys:
        entry = (Span(key, "key"), Span(f" {text}"))
        if lines and width_of(lines[-1]) + GAP + width_of(entry) <= width:
            lines[-1] = (*lines[-1], Span(" " * GAP), *entry)
        else:
            lines.append(entry)
    return lines


def fitted(text: Sequence[Line], keys: Sequence[Line], rows: int) -> list[Line]:
    """`text` with `keys` below it in at most `rows` lines; what is too much of the text goes."""
    if len(text) + 1 + len(keys) <= rows:
        return [*text, (), *keys]
    room = max(0, rows - len(keys))
    dense = [line for line in text if line]
    if len(dense) > room:
        dense = [*dense[: max(0, room - 1)], (Span(ELLIPSIS, "quiet"),)][:room]
    return [*dense, *keys]


class Dialog(ModalScreen[Result]):
    """Base of the boxes that ask for something."""

    VERTICAL_BREAKPOINTS = [(0, "-short"), (LOW, "-tall")]  # noqa: RUF012

    @property
    def rows(self) -> int:
        """Lines that the box has room for: what `.dialog` in `tui.style` leaves of the screen."""
        height = self.app.size.height
        return height - 2 if height < LOW else height * 9 // 10 - 4

    def on_resize(self) -> None:
        """Another height leaves other room."""
        for lines in self.query(Lines):
            lines.show()
