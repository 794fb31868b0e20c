"""Other options for files that run again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from msgspec import structs
from textual.binding import Binding, BindingType

from speakeasy_tui.core.settings import JOB_FIELDS, JobOptions
from speakeasy_tui.core.text import printable
from speakeasy_tui.tui.overview import justified
from speakeasy_tui.tui.rows import Line, Span
from speakeasy_tui.tui.screens.form import Form


class OptionsScreen(Form[JobOptions]):
    """The options of one or many files; the result is what they are to run with."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "run", "Run", id="run_with", tooltip="Run again with these options"),
    ]
    NAMES: ClassVar[Sequence[str]] = JOB_FIELDS

    def __init__(self, files: str, options: JobOptions) -> None:
        super().__init__()
        self._files = printable(files)
        self._before = self._options = options

    def title_line(self, width: int) -> Line:
        left = [Span(" run again with  ", "title"), Span(self._files, "quiet")]
        return justified(left, [Span(" ")], width)

    def value(self, name: str) -> object:
        return getattr(self._options, name)

    def note(self, name: str) -> Span:
        changed = self.value(name) != getattr(self._before, name)
        return Span("changed" if changed else "", "accent")

    def change(self, name: str, value: object) -> str:
        self._options = structs.replace(self._options, **{name: value})
        return ""

    def entries(self) -> list[tuple[str, str]]:
        return [("r", "run again"), *super().entries()]

    def action_run(self) -> None:
        """Close with the options."""
        self.dismiss(self._options)
