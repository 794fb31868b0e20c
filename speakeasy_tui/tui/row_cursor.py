"""A cursor and marks over rows: what moves them, and what an action applies to.

The cursor and the marks hold on to jobs, not to lines, so that they stay where they belong as
rows come, go and change places.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.scroll_view import ScrollView

from speakeasy_tui.core.job import Job
from speakeasy_tui.tui.ink import Inked
from speakeasy_tui.tui.view import Folder, Key, View

MOVES: list[BindingType] = [
    Binding("down,j", "move(1)", "Down", id="down", show=False, tooltip="To the next row"),
    Binding("up,k", "move(-1)", "Up", id="up", show=False, tooltip="To the row before"),
    Binding("pagedown,ctrl+f", "page(1)", "Page down", id="page_down", show=False,
            tooltip="A screenful of rows down"),
    Binding("pageup,ctrl+b", "page(-1)", "Page up", id="page_up", show=False,
            tooltip="A screenful of rows up"),
    Binding("ctrl+d", "half_page(1)", "Half a page down", id="half_page_down", show=False,
            tooltip="Half a screenful of rows down"),
    Binding("ctrl+u", "half_page(-1)", "Half a page up", id="half_page_up", show=False,
            tooltip="Half a screenful of rows up"),
    Binding("g,home", "go(0)", "First", id="first", show=False, tooltip="To the first row"),
    Binding("G,end", "go(-1)", "Last", id="last", show=False, tooltip="To the last row"),
    Binding("v", "range", "Range", id="range", show=False,
            tooltip="Mark the rows from here to where the cursor goes; again: end"),
    Binding("shift+down", "extend(1)", "Mark down", id="extend_down", show=False,
            tooltip="Mark the row and the next"),
    Binding("shift+up", "extend(-1)", "Mark up", id="extend_up", show=False,
            tooltip="Mark the row and the one before"),
]  # fmt: skip


class RowCursor(Inked, ScrollView, inherit_bindings=False):
    """Base of the table: rows of a view, a cursor on one, marks on some."""

    @dataclass
    class Moved(Message):
        """The cursor or the number of rows in view changed."""

    @dataclass
    class Empty(Message):
        """There is no row to be marked."""

    @dataclass
    class Opened(Message):
        """The row under the cursor was clicked again."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.view = View()
        self.marks: set[int] = set()
        self.hidden: set[int] = set()
        """Those of the marks that do not pass the filter."""
        self.following = False
        self._cursor: Key | None = None
        self._anchor: tuple[Key, Job | Folder | None] | None = None
        """Where a range of marks began, and on what."""
        self._marked_before: set[int] = set()

    def _draw_changes(self) -> None:
        """Draw what differs from what was drawn."""
        raise NotImplementedError

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

    def action_half_page(self, by: int) -> None:
        """Move the cursor by half a screenful."""
        self._go(self.cursor_row + by * max(1, self._rows_in_sight // 2))

    def action_go(self, row: int) -> None:
        """Move the cursor to a row; -1 is the last."""
        self._go(len(self.view) - 1 if row < 0 else row)

    def go_to(self, job_id: int) -> None:
        """Move the cursor to a job in view."""
        self._go(self.view.place(self.view.key_of(self.jobs[job_id])))

    def beside(self, job: Job, by: int) -> Job | None:
        """The job in view above (-1) or below (1) another, which need not be in view any more."""
        if not len(self.view):
            return None
        key = self.view.key_of(job)
        row = self.view.place(key)
        here = self.view.key_at(row)
        where = (here > key) - (here < key)
        if where * (-1 if self.view.reversed else 1) != by:  # else it took its place
            row += by
        while 0 <= row < len(self.view):
            item = self.view.at(row)
            if isinstance(item, Job):
                return item
            row += by
        return None

    def action_range(self) -> None:
        """Begin or end a range of marks."""
        if self._anchor is not None:
            self._anchor = None
            self.post_message(self.Moved())
        elif self._cursor is not None:
            self._anchor, self._marked_before = (self._cursor, self.cursor_item), set(self.marks)
            self._go(self.cursor_row)
        else:
            self.post_message(self.Empty())

    def action_extend(self, by: int) -> None:
        """Move the cursor and mark on the way."""
        if self._cursor is None:
            self.post_message(self.Empty())
        if self._anchor is None and self._cursor is not None:
            self._anchor, self._marked_before = (self._cursor, self.cursor_item), set(self.marks)
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
            between = self.view.ids_between(self._anchor_row(), self.cursor_row)
            self.marks = self._marked_before | between
        self._show_cursor()
        self._draw_changes()
        self.post_message(self.Moved())

    def _anchor_row(self) -> int:
        """Where the row now stands on which the range began, or that which took its place."""
        assert self._anchor is not None
        key, item = self._anchor
        job = self.jobs.get(item.id) if isinstance(item, Job) else None
        if job is not None and self.view.shows(job):
            key = self.view.key_of(job)
        return self.view.place(key)

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
        ids = list(ids)
        if on:
            self.marks.update(ids)
            self.find_hidden(ids)
        else:
            self.marks.difference_update(ids)
            self.hidden &= self.marks
        self._draw_changes()
        self.post_message(self.Moved())

    def find_hidden(self, ids: Iterable[int]) -> None:
        """Look which of `ids`, as far as they are marked, are not in view."""
        for job_id in self.marks.intersection(ids):
            if self.view.shows(self.jobs[job_id]):
                self.hidden.discard(job_id)
            else:
                self.hidden.add(job_id)

    def on_click(self, event: events.Click) -> None:
        row = self.scroll_offset.y + event.y - 1
        if event.y < 1 or row >= len(self.view):
            return
        if row == self.cursor_row:
            self.post_message(self.Opened())
        else:
            self._go(row)
