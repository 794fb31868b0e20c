"""Other options for files that run again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from speakeasy_tui.core.protocol import AnyMessage, Ok
from speakeasy_tui.core.settings import JOB_FIELDS, JobOptions
from speakeasy_tui.core.text import printable
from speakeasy_tui.tui.gpu_worker import Then
from speakeasy_tui.tui.overview import justified
from speakeasy_tui.tui.rows import Line, Span
from speakeasy_tui.tui.screens.form import Form


class OptionsScreen(Form[None]):
    """The options of one or many files; it stays until they run again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "run", "Run", id="run_with", tooltip="Run again with these options"),
    ]
    NAMES: ClassVar[Sequence[str]] = JOB_FIELDS

    def __init__(
        self,
        files: str,
        options: Sequence[JobOptions],
        run: Callable[[dict[str, Any], Then], None],
    ) -> None:
        """`options` are all that the files have, each once; `run` gets those that were changed,
        by name, and what to do with the answer.
        """
        super().__init__()
        self._files = printable(files)
        self._before = options[0]
        self._differing = {
            name
            for name in JOB_FIELDS
            if any(getattr(one, name) != getattr(options[0], name) for one in options)
        }
        self._changed: dict[str, Any] = {}
        self._run = run
        self._waits = False

    def title_line(self, width: int) -> Line:
        left = [Span(" run again with  ", "title"), Span(self._files, "quiet")]
        return justified(left, [Span(" ")], width)

    def value(self, name: str) -> object:
        return self._changed.get(name, getattr(self._before, name))

    def text(self, name: str) -> str:
        return "the files differ" if self._differs(name) else super().text(name)

    def note(self, name: str) -> Span:
        if self._differs(name):
            return Span("each keeps its own", "quiet")
        return Span("changed" if name in self._changed else "", "accent")

    def change(self, name: str, value: object) -> str:
        if name not in self._differing and value == getattr(self._before, name):
            self._changed.pop(name, None)
        else:
            self._changed[name] = value
        return ""

    def _differs(self, name: str) -> bool:
        return name in self._differing and name not in self._changed

    def entries(self) -> list[tuple[str, str]]:
        return [(self.speakeasy.key_of("run_with"), "run again"), *super().entries()]

    def action_run(self) -> None:
        """Run the files with what was changed, and close when that is done."""
        if not self._waits:
            self._waits = True
            self._run(self._changed, self._answered)

    def _answered(self, answer: AnyMessage) -> None:
        self._waits = False
        if isinstance(answer, Ok) and self.is_current:
            self.dismiss()
