"""Questions before something that is not easily undone: y does it, Enter does not."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from speakeasy_tui.core.text import printable
from speakeasy_tui.tui.format import wrap
from speakeasy_tui.tui.ink import Lines
from speakeasy_tui.tui.rows import Line, Span
from speakeasy_tui.tui.screens.dialog import Dialog, fitted, key_lines

Answer = TypeVar("Answer")


class Question(Dialog[Answer]):
    """A question, what is to be known of it, and the keys that answer it."""

    KEYS: ClassVar[tuple[tuple[str, str], ...]] = ()
    """The keys, and what they do."""

    def __init__(self, question: str, detail: str = "") -> None:
        super().__init__()
        self._question = printable(question)
        self._detail = printable(detail)
        self._keys = self.KEYS

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Lines(self._lines)

    def _lines(self, width: int) -> list[Line]:
        lines: list[Line] = [(Span(text, "title"),) for text in wrap(self._question, width)]
        if self._detail:
            lines += [(), *((Span(text, "quiet"),) for text in wrap(self._detail, width))]
        return fitted(lines, key_lines(self._keys, width), self.rows)


class Confirm(Question[bool]):
    """Asks; the result is True for yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="yes", tooltip="Do it"),
        Binding("n,escape,q", "answer(False)", "No", id="no", tooltip="Leave everything as it is"),
    ]

    def __init__(self, question: str, detail: str = "", yes: str = "do it") -> None:
        super().__init__(question, detail)
        self._keys = (("y", yes), ("n", "leave it"))

    def action_answer(self, yes: bool) -> None:
        """Close with the answer."""
        self.dismiss(yes)


class Outputs(Enum):
    """What becomes of outputs that are there when a file runs again."""

    REPLACE = "replace"
    KEEP = "keep"


class Again(Question[Outputs]):
    """Asks of finished files what becomes of their outputs; no result: they do not run again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer('replace')", "Replace", id="yes", tooltip="Replace the outputs"),
        Binding("s", "answer('keep')", "Skip", id="skip",
                tooltip="Run only files whose outputs are not there"),
        Binding("n,escape,q", "dismiss(None)", "No", id="no", tooltip="Leave everything as it is"),
    ]  # fmt: skip
    KEYS = (("y", "replace outputs"), ("s", "skip what is there"), ("n", "leave it"))

    def action_answer(self, what: str) -> None:
        """Close with the answer."""
        self.dismiss(Outputs(what))
