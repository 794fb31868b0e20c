"""Other options for files that run again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from speakeasy_tui.core.settings import JOB_FIELDS, JobOptions
from speakeasy_tui.core.text import printable
from speakeasy_tui.tui.overview import justified
from speakeasy_tui.tui.rows import Line, Span
from speakeasy_tui.tui.screens.form import Form


class OptionsScreen(Form[dict[str, Any]]):
    """The options of one or many files; the result is those that were changed, by name."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "run", "Run", id="run_with", tooltip="Run again with these options"),
    ]
    NAMES: ClassVar[Sequence[str]] = JOB_FIELDS

    def __init__(self, files: str, options: Sequence[JobOptions]) -> None:
        """`options` are all that the files have, each once."""
        super().__init__()
        self._files = printable(files)
        self._before = options[0]
        self._differing = {
            name
            for name in JOB_FIELDS
            if any(getattr(one, name) != getattr(options[0], name) for one in options)
        }
        self._changed: dict[str, Any] = {}

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
        return [("r", "run again"), *super().entries()]

    def action_run(self) -> None:
        """Close with what was changed."""
        self.dismiss(self._changed)
