"""The table: any number of rows, of which only those in sight are drawn.

Which rows there are and in which order is the view's business (`tui.view`), where the cursor is
that of `tui.row_cursor`. What was last
drawn on each line is kept; a change refreshes the cells that differ.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import ClassVar

from msgspec import structs
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.strip import Strip

from speakeasy_tui.core.job import Job, State
from speakeasy_tui.tui.format import wrap
from speakeasy_tui.tui.ink import changed, strip_of
from speakeasy_tui.tui.query import Test
from speakeasy_tui.tui.row_cursor import MOVES, RowCursor
from speakeasy_tui.tui.rows import GUTTER, Line, Span, folder_line, heading, line_of
from speakeasy_tui.tui.view import Folder

STEADY = 1.0
"""Seconds that a running row's speed and time left stand: they would flicker otherwise."""

ALIKE = 0.04
"""Speeds that differ by less are shown as the same."""

CACHED = 512
"""Lines kept; a screen shows fewer."""


class BatchTable(RowCursor, can_focus=True, inherit_bindings=False):
    """All jobs of the queue, in its order."""

    DEFAULT_CSS = """
    BatchTable { height: 1fr; overflow-x: hidden; overflow-y: auto;
                 scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    """
    BINDINGS: ClassVar[list[BindingType]] = MOVES

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.empty_text = ""
        self._lines: dict[tuple[int, int], tuple[Job, Line]] = {}
        self._strips: dict[tuple[int, int, bool, bool], tuple[Job, Strip]] = {}
        self._drawn: dict[int, Line] = {}
        self._stands: dict[int, tuple[Job | None, bool, bool]] = {}
        """Job, mark and cursor on each line of the screen as drawn: a short cut."""
        self._base: Style | None = None
        self._steady: dict[int, tuple[float, float | None, float | None]] = {}

    # ------------------------------------------------------------------ changes

    def apply(self, jobs: dict[int, Job], gone: Iterable[int] = ()) -> None:
        """Take in rows that are new or changed, and drop those that are gone."""
        before = self.cursor_row
        count = len(self.jobs)
        gone = list(gone)
        moved, self._cursor = self.view.apply(jobs, gone, self._cursor)
        self.marks.difference_update(gone)
        self._marked_before.difference_update(gone)
        self.hidden.difference_update(gone)
        self.find_hidden(jobs)
        if moved:
            self._resized(before)
        elif len(self.jobs) != count:  # rows that the filter hides
            self.post_message(self.Moved())
        if self.following:
            self._follow()
        self._draw_changes()

    def filter(self, test: Test | None) -> None:
        """Show the rows that pass `test`; None: all. The cursor keeps its job if that passes."""
        self.view.test = test
        self.find_hidden(self.marks)
        self._rebuilt()

    def sort(self, column: str, *, reverse: bool) -> None:
        """Sort by a column, or by `queue`; the cursor stays on its job."""
        self.view.column, self.view.reversed = column, reverse
        self._rebuilt()

    def group(self, on: bool) -> None:
        """Put each folder's rows below a line with its totals."""
        self.view.grouped = on
        self._rebuilt()

    def follow(self, on: bool) -> None:
        """Keep the cursor on the row that runs."""
        self.following = on
        if on:
            self._follow()
            self._draw_changes()

    def _follow(self) -> None:
        job = self.cursor_job
        if job is not None and job.state is State.RUNNING:
            return
        running = [one for one in self.jobs.values() if one.state is State.RUNNING]
        shown = [self.view.key_of(one) for one in running if self.view.shows(one)]
        if shown:
            self._cursor = min(shown)
            # Where it would be the last in sight, what runs next could not be seen, and each
            # step would scroll: it goes up to a third of the height, and down from there.
            top, rows = self.scroll_offset.y, self._rows_in_sight
            if not top <= self.cursor_row < top + rows - 1:
                target = max(0, self.cursor_row - rows // 3)
                self.scroll_to(y=target, animate=False, immediate=True, force=True)
            self._show_cursor()
            self.post_message(self.Moved())

    def _rebuilt(self) -> None:
        before = self.cursor_row
        job = self.cursor_job
        self.view.rebuild()
        if job is not None:
            self._cursor = self.view.key_of(job)
        elif len(self.view):
            self._cursor = self.view.key_at(0)
        self._anchor = None
        self._drawn.pop(0, None)
        self.refresh(Region(0, 0, self.size.width, 1))
        self._resized(before)
        self._draw_changes()

    def _resized(self, before: int) -> None:
        """After the view changed: keep the cursor on its job and on its line of the screen."""
        if len(self.view):
            if self._cursor is None:
                self._cursor = self.view.key_at(0)
            after = self.cursor_row
            self._cursor = self.view.key_at(after)
            # With the rows above it growing, the row in sight would run away under the eyes;
            # at the top of the table, and while it first fills, the top stays.
            top = self.scroll_offset.y
            in_sight = top <= before < top + self._rows_in_sight
            target = max(0, top + after - before) if in_sight and top and before >= 0 else top
        else:
            self._cursor = None
            target = 0
        self.virtual_size = Size(self.size.width, len(self.view) + 1)
        if target != self.scroll_offset.y:
            self.scroll_to(y=target, animate=False, immediate=True, force=True)
        self._show_cursor()
        self.post_message(self.Moved())

    # ------------------------------------------------------------------ drawing

    def on_resize(self, event: events.Resize) -> None:
        self._forget()
        self.virtual_size = Size(self.size.width, len(self.view) + 1)
        self._show_cursor()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._forget()

    def _forget(self) -> None:
        self._lines.clear()
        self._strips.clear()
        self._drawn.clear()
        self._stands.clear()
        self._base = None

    def _line(self, job: Job, width: int) -> Line:
        cached = self._lines.get((job.id, width))
        if cached is not None and cached[0] is job:
            return cached[1]
        if len(self._lines) > CACHED:
            self._lines.clear()
        line = line_of(self._steadied(job), width)
        self._lines[job.id, width] = (job, line)
        return line

    def _steadied(self, job: Job) -> Job:
        """A running job with the speed and time left that it showed within the last second."""
        if job.state is not State.RUNNING:
            self._steady.pop(job.id, None)
            return job
        now = time.monotonic()
        at, speed, eta = self._steady.get(job.id, (0.0, None, None))
        if now - at >= STEADY:
            if not (speed and job.speed and abs(job.speed / speed - 1) < ALIKE):
                speed = job.speed
            self._steady[job.id] = now, speed, job.eta_s
            eta = job.eta_s
        return structs.replace(job, speed=speed, eta_s=eta)

    def _content(self, y: int, cursor_row: int) -> tuple[Line, Job | None, bool, bool]:
        """Line `y` of the screen: its spans, job, whether marked and under the cursor."""
        width = self.size.width - 1  # a column is left to the scroll bar, there or not
        if y == 0:
            view = self.view
            return heading(width, view.column, view.reversed), None, False, False
        row = self.scroll_offset.y + y - 1
        if row >= len(self.view):
            return self._blank(y, width), None, False, False
        item = self.view.at(row)
        cursor = row == cursor_row
        if isinstance(item, Folder):
            marked = bool(self.marks) and self.marks.issuperset(item.ids)
            line, job = folder_line(item, width), None
        else:
            marked = item.id in self.marks
            line, job = self._line(item, width), item
        gutter = Span("▌" if cursor else " ", "accent"), Span("+" if marked else " ", "accent")
        return (*gutter, *line), job, marked, cursor

    def _blank(self, y: int, width: int) -> Line:
        if len(self.view) or not self.empty_text:
            return ()
        texts = [part for text in self.empty_text.split("\n") for part in wrap(text, width - 4)]
        number = y - 3
        if not 0 <= number < len(texts):
            return ()
        return Span(" " * GUTTER), Span(texts[number], "" if number == 0 else "quiet")

    def _draw_changes(self) -> None:
        """Refresh the cells in sight that differ from what was drawn."""
        cursor_row = self.cursor_row
        top, count = self.scroll_offset.y - 1, len(self.view)
        width, height = self.size
        for y in range(1, height):
            row = top + y
            item = self.view.at(row) if row < count else None
            stands = self._stands.get(y)
            if isinstance(item, Job) and stands is not None:
                now = item, item.id in self.marks, row == cursor_row
                if stands[0] is item and stands == now:
                    continue
            line, _, _, cursor = self._content(y, cursor_row)
            line = (*line, Span("", "cursor" if cursor else ""))
            old = self._drawn.get(y)
            if old == line:
                continue
            if old is None or old[-1:] != line[-1:]:
                self.refresh(Region(0, y, width, 1))
            elif difference := changed(old, line):
                self.refresh(Region(difference[0], y, difference[1], 1))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        line, job, marked, cursor = self._content(y, self.cursor_row)
        self._stands[y] = job, marked, cursor
        self._drawn[y] = (*line, Span("", "cursor" if cursor else ""))
        if self._base is None:
            self._base = self.rich_style
        base = self._base
        if job is None:
            if cursor:
                base += self.style_of("cursor")
            return strip_of(self, line, width, base)
        key = (job.id, width, marked, cursor)
        cached = self._strips.get(key)
        if cached is not None and cached[0] is job:
            return cached[1]
        if len(self._strips) > CACHED:
            self._strips.clear()
        if cursor:
            base += self.style_of("cursor")
        strip = strip_of(self, line, width, base)
        self._strips[key] = (job, strip)
        return strip
