"""The table: any number of rows, of which only those in sight are drawn.

The view is a sorted list of keys (position, id): a row's place is found by bisection, so a
change costs what it changes, not what the table holds. What was last drawn on each line is
kept; a change refreshes the cells that differ.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from speakeasy_tui.core.job import Job
from speakeasy_tui.tui.format import wrap
from speakeasy_tui.tui.ink import COMPONENTS, changed, strip_of
from speakeasy_tui.tui.query import Test
from speakeasy_tui.tui.rows import GUTTER, Line, Span, heading, line_of

Key = tuple[int, int]
"""(position, id): the order of the queue."""

CACHED = 512
"""Lines kept; a screen shows fewer."""

BULK = 256
"""Of so many new keys sorting is cheaper than inserting one by one."""


class BatchTable(ScrollView, can_focus=True, inherit_bindings=False):
    """All jobs of the queue, in its order."""

    COMPONENT_CLASSES = COMPONENTS
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
    ]  # fmt: skip

    @dataclass
    class Moved(Message):
        """The cursor or the number of rows in view changed."""

    @dataclass
    class Opened(Message):
        """The row under the cursor was clicked again."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.jobs: dict[int, Job] = {}
        self.marks: set[int] = set()
        self.empty_text = ""
        self._view: list[Key] = []
        self._test: Test | None = None
        self._cursor: Key | None = None
        self._lines: dict[tuple[int, int], tuple[Job, Line]] = {}
        self._strips: dict[tuple[int, int, bool, bool], tuple[Job, Strip]] = {}
        self._drawn: dict[int, Line] = {}
        self._base: Style | None = None

    # ------------------------------------------------------------------ what there is

    @property
    def row_count(self) -> int:
        """Rows that pass the filter."""
        return len(self._view)

    @property
    def cursor_row(self) -> int:
        """Number of the cursor's row in the view, from 0; -1 when the view is empty."""
        if not self._view or self._cursor is None:
            return -1
        return min(bisect_left(self._view, self._cursor), len(self._view) - 1)

    @property
    def cursor_job(self) -> Job | None:
        """The job under the cursor."""
        row = self.cursor_row
        return self.jobs[self._view[row][1]] if row >= 0 else None

    def chosen(self) -> list[Job]:
        """What an action applies to: the marked jobs in queue order, else the cursor's."""
        if self.marks:
            marked = [self.jobs[i] for i in self.marks if i in self.jobs]
            return sorted(marked, key=_key)
        job = self.cursor_job
        return [] if job is None else [job]

    def ids_in_view(self) -> list[int]:
        """Ids of the rows that pass the filter, in order."""
        return [job_id for _, job_id in self._view]

    # ------------------------------------------------------------------ changes

    def apply(self, jobs: dict[int, Job], gone: Iterable[int] = ()) -> None:
        """Take in rows that are new or changed, and drop those that are gone."""
        added: list[Key] = []
        removed: list[Key] = []
        test = self._test
        cursor = self._cursor
        before = self.cursor_row
        for job_id, job in jobs.items():
            old = self.jobs.get(job_id)
            self.jobs[job_id] = job
            key = _key(job)
            old_key = None if old is None else _key(old)
            was_in = old is not None and (test is None or test(old))
            is_in = test is None or test(job)
            if old_key is not None and was_in and (not is_in or old_key != key):
                removed.append(old_key)
            if is_in and (not was_in or old_key != key):
                added.append(key)
            if cursor is not None and cursor == old_key:
                self._cursor = key
        for job_id in gone:
            old = self.jobs.pop(job_id, None)
            self.marks.discard(job_id)
            if old is not None and (test is None or test(old)):
                removed.append(_key(old))
        if added or removed:
            self._rearrange(added, removed, before)
        self._draw_changes()

    def filter(self, test: Test | None) -> None:
        """Show the rows that pass `test`; None: all. The cursor keeps its job if that passes."""
        before = self.cursor_row
        self._test = test
        self._view = sorted(
            [(job.position, i) for i, job in self.jobs.items() if test is None or test(job)]
        )
        self._resized(before)
        self._draw_changes()

    def _rearrange(self, added: list[Key], removed: list[Key], before: int) -> None:
        view = self._view
        if len(added) + len(removed) > BULK:
            if removed:
                lost = set(removed)
                view = [key for key in view if key not in lost]
            view.extend(added)
            view.sort()
            self._view = view
        else:
            for key in removed:
                place = bisect_left(view, key)
                if place < len(view) and view[place] == key:
                    del view[place]
            for key in added:
                insort(view, key)
        self._resized(before)

    def _resized(self, before: int) -> None:
        """After the view changed: keep the cursor on its job and on its line of the screen."""
        if self._view:
            if self._cursor is None:
                self._cursor = self._view[0]
            after = self.cursor_row
            self._cursor = self._view[after]
            # With the rows above it growing, the row in sight would run away under the eyes;
            # at the top of the table, and while it first fills, the top stays.
            top = self.scroll_offset.y
            in_sight = top <= before < top + self._rows_in_sight
            target = max(0, top + after - before) if in_sight and top and before >= 0 else top
        else:
            self._cursor = None
            target = 0
        self.virtual_size = Size(self.size.width, len(self._view) + 1)
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
        self._go(len(self._view) - 1 if row < 0 else row)

    def _go(self, row: int) -> None:
        if not self._view:
            return
        self._cursor = self._view[min(max(row, 0), len(self._view) - 1)]
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
        if event.y < 1 or row >= len(self._view):
            return
        if row == self.cursor_row:
            self.post_message(self.Opened())
        else:
            self._go(row)

    # ------------------------------------------------------------------ drawing

    def on_resize(self, event: events.Resize) -> None:
        self._forget()
        self.virtual_size = Size(self.size.width, len(self._view) + 1)
        self._show_cursor()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._forget()

    def _forget(self) -> None:
        self._lines.clear()
        self._strips.clear()
        self._drawn.clear()
        self._base = None

    def _line(self, job: Job, width: int) -> Line:
        cached = self._lines.get((job.id, width))
        if cached is not None and cached[0] is job:
            return cached[1]
        if len(self._lines) > CACHED:
            self._lines.clear()
        line = line_of(job, width)
        self._lines[job.id, width] = (job, line)
        return line

    def _content(self, y: int) -> tuple[Line, Job | None, bool, bool]:
        """Line `y` of the screen: its spans, job, whether marked and under the cursor."""
        width = self.size.width - 1  # a column is left to the scroll bar, there or not
        if y == 0:
            return heading(width), None, False, False
        row = self.scroll_offset.y + y - 1
        if row >= len(self._view):
            return self._blank(y, width), None, False, False
        job = self.jobs[self._view[row][1]]
        marked = job.id in self.marks
        cursor = row == self.cursor_row
        gutter = Span("▌" if cursor else " ", "accent"), Span("+" if marked else " ", "accent")
        return (*gutter, *self._line(job, width)), job, marked, cursor

    def _blank(self, y: int, width: int) -> Line:
        if self._view or not self.empty_text:
            return ()
        texts = [part for text in self.empty_text.split("\n") for part in wrap(text, width - 4)]
        number = y - 3
        if not 0 <= number < len(texts):
            return ()
        return Span(" " * GUTTER), Span(texts[number], "" if number == 0 else "quiet")

    def _draw_changes(self) -> None:
        """Refresh the cells in sight that differ from what was drawn."""
        for y in range(1, self.size.height):
            line, _, _, cursor = self._content(y)
            line = (*line, Span("", "cursor" if cursor else ""))
            old = self._drawn.get(y)
            if old == line:
                continue
            if old is None or old[-1:] != line[-1:]:
                self.refresh(Region(0, y, self.size.width, 1))
            elif difference := changed(old, line):
                self.refresh(Region(difference[0], y, difference[1], 1))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        line, job, marked, cursor = self._content(y)
        self._drawn[y] = (*line, Span("", "cursor" if cursor else ""))
        if self._base is None:
            self._base = self.rich_style
        base = self._base
        if job is None:
            return strip_of(self, line, width, base)
        key = (job.id, width, marked, cursor)
        cached = self._strips.get(key)
        if cached is not None and cached[0] is job:
            return cached[1]
        if len(self._strips) > CACHED:
            self._strips.clear()
        if cursor:
            base += self.get_component_rich_style("ink--cursor", partial=True)
        strip = strip_of(self, line, width, base)
        self._strips[key] = (job, strip)
        return strip


def _key(job: Job) -> Key:
    return job.position, job.id
