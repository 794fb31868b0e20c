"""The table: any number of rows, of which only those in sight are drawn.

Which rows there are and in which order is the view's business (`tui.view`). What was last
drawn on each line is kept; a change refreshes the cells that differ.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from msgspec import structs
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from speakeasy_tui.core.job import Job, State
from speakeasy_tui.tui.format import wrap
from speakeasy_tui.tui.ink import Inked, changed, strip_of
from speakeasy_tui.tui.query import Test
from speakeasy_tui.tui.rows import GUTTER, Line, Span, folder_line, heading, line_of
from speakeasy_tui.tui.view import Folder, Key, View

STEADY = 1.0
"""Seconds that a running row's speed and time left stand: they would flicker otherwise."""

ALIKE = 0.04
"""Speeds that differ by less are shown as the same."""

CACHED = 512
"""Lines kept; a screen shows fewer."""


class BatchTable(Inked, ScrollView, can_focus=True, inherit_bindings=False):
    """All jobs of the queue, in its order."""

    DEFAULT_CSS = """
    BatchTable { height: 1fr; overflow-x: hidden; overflow-y: auto;
                 scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", id="down", show=False, tooltip="To the next row"),
        Binding("up,k", "move(-1)", "Up", id="up", show=False, tooltip="To the row before"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", id="page_down", show=False,
                tooltip="A screenful of rows down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", id="page_up", show=False,
                tooltip="A screenful of rows up"),
        Binding("g,home", "go(0)", "First", id="first", show=False, tooltip="To the first row"),
        Binding("G,end", "go(-1)", "Last", id="last", show=False, tooltip="To the last row"),
        Binding("v", "range", "Range", id="range", show=False,
                tooltip="Mark the rows from here to where the cursor goes; again: end"),
        Binding("shift+down", "extend(1)", "Mark down", id="extend_down", show=False,
                tooltip="Mark the row and the next"),
        Binding("shift+up", "extend(-1)", "Mark up", id="extend_up", show=False,
                tooltip="Mark the row and the one before"),
    ]  # fmt: skip

    @dataclass
    class Moved(Message):
        """The cursor or the number of rows in view changed."""

    @dataclass
    class Opened(Message):
        """The row under the cursor was clicked again."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.view = View()
        self.marks: set[int] = set()
        self.empty_text = ""
        self.following = False
        self._cursor: Key | None = None
        self._anchor: Key | None = None
        """Where a range of marks began."""
        self._marked_before: set[int] = set()
        self._lines: dict[tuple[int, int], tuple[Job, Line]] = {}
        self._strips: dict[tuple[int, int, bool, bool], tuple[Job, Strip]] = {}
        self._drawn: dict[int, Line] = {}
        self._stands: dict[int, tuple[Job | None, bool, bool]] = {}
        """Job, mark and cursor on each line of the screen as drawn: a short cut."""
        self._base: Style | None = None
        self._steady: dict[int, tuple[float, float | None, float | None]] = {}

    # ------------------------------------------------------------------ what there is

    @property
    def jobs(self) -> dict[int, Job]:
        """All jobs by id, shown or not."""
        return self.view.jobs

    @property
    def row_count(self) -> int:
        """Jobs that pass the filter."""
        return self.view.job_count

    @property
    def cursor_row(self) -> int:
        """Number of the cursor's row in the view, from 0; -1 when the view is empty."""
        if not len(self.view) or self._cursor is None:
            return -1
        return self.view.place(self._cursor)

    @property
    def cursor_item(self) -> Job | Folder | None:
        """What the cursor stands on."""
        row = self.cursor_row
        return self.view.at(row) if row >= 0 else None

    @property
    def cursor_job(self) -> Job | None:
        """The job under the cursor."""
        item = self.cursor_item
        return item if isinstance(item, Job) else None

    @property
    def ranging(self) -> bool:
        """Whether moving the cursor marks."""
        return self._anchor is not None

    def chosen(self) -> list[Job]:
        """What an action applies to: the marked jobs in queue order, else the cursor's."""
        item = self.cursor_item
        ids: Iterable[int] = self.marks
        if not self.marks and isinstance(item, Folder):
            ids = item.ids
        if ids:
            found = [self.jobs[i] for i in ids if i in self.jobs]
            return sorted(found, key=lambda job: (job.position, job.id))
        return [item] if isinstance(item, Job) else []

    def ids_in_view(self) -> list[int]:
        """Ids of the jobs that pass the filter, in order."""
        return self.view.ids()

    # ------------------------------------------------------------------ changes

    def apply(self, jobs: dict[int, Job], gone: Iterable[int] = ()) -> None:
        """Take in rows that are new or changed, and drop those that are gone."""
        before = self.cursor_row
        gone = list(gone)
        moved, self._cursor = self.view.apply(jobs, gone, self._cursor)
        self.marks.difference_update(gone)
        if moved:
            self._resized(before)
        if self.following:
            self._follow()
        self._draw_changes()

    def filter(self, test: Test | None) -> None:
        """Show the rows that pass `test`; None: all. The cursor keeps its job if that passes."""
        self.view.test = test
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

    # ------------------------------------------------------------------ cursor and marks

    @property
    def _rows_in_sight(self) -> int:
        return max(1, self.size.height - 1)

    def action_move(self, by: int) -> None:
        """Move the cursor by rows."""
        self._go(self.cursor_row + by)

    def action_page(self, pages: int) -> None:
        """Move the cursor by screenfuls."""
        self._go(self.cursor_row + pages * max(1, self._rows_in_sight - 1))

    def action_go(self, row: int) -> None:
        """Move the cursor to a row; -1 is the last."""
        self._go(len(self.view) - 1 if row < 0 else row)

    def go_to(self, job_id: int) -> None:
        """Move the cursor to a job in view."""
        self._go(self.view.place(self.view.key_of(self.jobs[job_id])))

    def action_range(self) -> None:
        """Begin or end a range of marks."""
        if self._anchor is not None:
            self._anchor = None
            self.post_message(self.Moved())
        elif self._cursor is not None:
            self._anchor, self._marked_before = self._cursor, set(self.marks)
            self._go(self.cursor_row)

    def action_extend(self, by: int) -> None:
        """Move the cursor and mark on the way."""
        if self._anchor is None and self._cursor is not None:
            self._anchor, self._marked_before = self._cursor, set(self.marks)
        self._go(self.cursor_row + by)
        self._anchor = None

    def end_range(self) -> None:
        """Moving the cursor marks no more."""
        self._anchor = None

    def _go(self, row: int) -> None:
        if not len(self.view):
            return
        self.following = False
        self._cursor = self.view.key_at(min(max(row, 0), len(self.view) - 1))
        if self._anchor is not None:
            between = self.view.ids_between(self.view.place(self._anchor), self.cursor_row)
            self.marks = self._marked_before | between
        self._show_cursor()
        self._draw_changes()
        self.post_message(self.Moved())

    def _show_cursor(self) -> None:
        row = self.cursor_row
        if row < 0 or not self.size.height:
            return
        top = self.scroll_offset.y
        if row < top:
            self.scroll_to(y=row, animate=False, immediate=True, force=True)
        elif row >= top + self._rows_in_sight:
            self.scroll_to(
                y=row - self._rows_in_sight + 1, animate=False, immediate=True, force=True
            )

    def mark(self, ids: Iterable[int], on: bool) -> None:
        """Mark or unmark jobs."""
        if on:
            self.marks.update(ids)
        else:
            self.marks.difference_update(ids)
        self._draw_changes()
        self.post_message(self.Moved())

    def on_click(self, event: events.Click) -> None:
        row = self.scroll_offset.y + event.y - 1
        if event.y < 1 or row >= len(self.view):
            return
        if row == self.cursor_row:
            self.post_message(self.Opened())
        else:
            self._go(row)

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
