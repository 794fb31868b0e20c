"""A question before something that is not easily undone: y does it, Enter does not."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from speakeasy_tui.core.text import printable
from speakeasy_tui.tui.format import wrap
from speakeasy_tui.tui.ink import Lines
from speakeasy_tui.tui.rows import Line, Span


class Confirm(ModalScreen[bool]):
    """Asks; the result is True for yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="yes", tooltip="Do it"),
        Binding("n,escape,q", "answer(False)", "No", id="no", tooltip="Leave everything as it is"),
    ]

    def __init__(self, question: str, detail: str = "", yes: str = "do it") -> None:
        super().__init__()
        self._question = printable(question)
        self._detail = printable(detail)
        self._yes = yes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Lines(self._lines)

    def action_answer(self, yes: bool) -> None:
        """Close with the answer."""
        self.dismiss(yes)

    def _lines(self, width: int) -> list[Line]:
        lines: list[Line] = [(Span(text, "title"),) for text in wrap(self._question, width)]
        if self._detail:
            lines += [(), *((Span(text, "quiet"),) for text in wrap(self._detail, width))]
        keys = (Span("y", "key"), Span(f" {self._yes}    "), Span("n", "key"), Span(" leave it"))
        return [*lines, (), keys]
