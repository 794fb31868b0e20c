"""Saving a transcript's text where a person says."""

from __future__ import annotations

import asyncio
import os
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from speakeasy_tui.core.text import printable
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.completion import complete
from speakeasy_tui.tui.field import Field
from speakeasy_tui.tui.ink import Lines
from speakeasy_tui.tui.rows import Line, Span
from speakeasy_tui.tui.saving import ThereAlready, explain, resolved, save
from speakeasy_tui.tui.screens.confirm import Confirm
from speakeasy_tui.tui.screens.dialog import Dialog, fitted, key_lines

LISTED = 6

ABOVE = 3
"""Lines above the ones that tell where it goes: the title, a blank one, the field."""

KEYS = (("⏎", "save"), ("tab", "complete"), ("esc", "close"))


class SaveScreen(Dialog[str]):
    """Asks for a path and writes there; the result is the path of what was written."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="back", tooltip="Save nothing"),
        Binding("tab", "complete", "Complete", id="complete", priority=True,
                tooltip="Complete the path"),
    ]  # fmt: skip

    def __init__(self, file: str, data: bytes) -> None:
        """`file` is the file's name where only a folder is given."""
        super().__init__()
        self._file = file
        self._data = data
        self._found: list[str] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide -low"):
            yield Lines(lambda width: [(Span("Save the text as", "title"),), ()])
            field = Field(self._file, id="path", select_on_focus=False)
            field.cursor_blink = False
            yield field
            yield Lines(self._lines, id="told")

    def on_mount(self) -> None:
        field = self.query_one(Field)
        field.focus()
        field.cursor_position = len(field.value)

    def _lines(self, width: int) -> list[Line]:
        typed = self.query_one(Field).value
        path = os.path.abspath(os.path.expanduser(typed))
        path = path if path != typed else ""
        lines: list[Line] = [(), (Span(shown.cut_middle(printable(path), width), "quiet"),)]
        lines += [
            (Span(f"  {shown.cut_middle(printable(found), width - 2)}", "quiet"),)
            for found in self._found[:LISTED]
        ]
        if len(self._found) > LISTED:
            lines.append((Span(f"  and {len(self._found) - LISTED:,} more", "quiet"),))
        return fitted(lines, key_lines(KEYS, width), self.rows - ABOVE)

    def _show(self) -> None:
        self.query_one("#told", Lines).show()

    @on(Input.Changed)
    def _typed(self) -> None:
        self._found = []
        self._show()

    def action_complete(self) -> None:
        """Complete as far as it is clear."""
        self.run_worker(self._complete(), group="complete", exclusive=True)

    async def _complete(self) -> None:
        found = await complete(self.query_one(Field))
        self._found = found if len(found) > 1 else []
        self._show()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.run_worker(self._write(event.value), exclusive=True)

    async def _write(self, text: str, *, replace: bool = False) -> None:
        path = text
        try:
            path = await asyncio.to_thread(resolved, text, self._file)
            await asyncio.to_thread(save, path, self._data, replace=replace)
        except ThereAlready as there:
            self._ask(path, there.size)
        except (OSError, ValueError) as error:
            self._complain(error, path)
        else:
            self.app.clear_notifications()
            self.dismiss(path)

    def _ask(self, path: str, size: int) -> None:
        def answer(agreed: bool | None) -> None:
            if agreed:
                self.run_worker(self._write(path, replace=True), exclusive=True)

        self.app.clear_notifications()
        folder, name = os.path.split(path)
        detail = f"There is one of {shown.size(size)} in {folder}."
        self.app.push_screen(Confirm(f"Replace {name}?", detail, "replace"), answer)

    def _complain(self, error: OSError | ValueError, path: str) -> None:
        text = explain(error, path) if isinstance(error, OSError) else f"{path}: {error}"
        self.notify(printable(text), title="Not saved", severity="error", markup=False, timeout=8)
