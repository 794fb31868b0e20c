"""How the table is arranged: sorted, grouped, followed, filtered, marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.binding import Binding
from textual.widgets import Input

from speakeasy_tui.core.job import State
from speakeasy_tui.tui.field import FieldBar
from speakeasy_tui.tui.ink import Lines
from speakeasy_tui.tui.query import compile_filter
from speakeasy_tui.tui.rows import COLUMNS
from speakeasy_tui.tui.screens.deeds import Deeds
from speakeasy_tui.tui.screens.pick import Choice, Pick
from speakeasy_tui.tui.view import QUEUE, SORTS

if TYPE_CHECKING:
    from speakeasy_tui.tui.batch_table import BatchTable

ARRANGE = [
    Binding("space", "mark", "Mark", id="mark", tooltip="Mark the row and go to the next"),
    Binding("V", "mark_all", "Mark all", id="mark_all",
            tooltip="Mark every row that passes the filter, or unmark them"),
    Binding("i", "invert_marks", "Invert marks", id="invert_marks",
            tooltip="Mark what is not marked of the rows shown, and the other way round"),
    Binding("slash", "filter", "Filter", id="filter",
            tooltip="Show only rows that match, as you type"),
    Binding("n", "match(1)", "Next match", id="next_match",
            tooltip="To the next row that matches the last filter"),
    Binding("N", "match(-1)", "Previous match", id="previous_match",
            tooltip="To the row before that matches the last filter"),
    Binding("exclamation_mark", "invert_filter", "Invert filter", id="invert_filter",
            tooltip="Show what does not match instead"),
    Binding("f", "only_failed", "Failed", id="failed",
            tooltip="Show only failed rows, or all again"),
    Binding("o", "sort", "Sort", id="sort", tooltip="Sort by a column"),
    Binding("O", "reverse", "Reverse", id="reverse", tooltip="Turn the order round"),
    Binding("t", "group", "Folders", id="group",
            tooltip="Group the rows by folder, with totals, or not"),
    Binding("F", "follow", "Follow", id="follow",
            tooltip="Keep the cursor on the row that runs; moving ends it"),
]  # fmt: skip

NO_ROW = "There is no row to mark"


class Arranging(Deeds):
    """Base of the board: what concerns the order and choice of rows."""

    _filter_text = ""
    _last_filter = ""
    _inverted = False
    _only_failed = False

    @property
    def table(self) -> BatchTable:
        """The table."""
        raise NotImplementedError

    def show_status(self) -> None:
        """Draw the status line anew."""
        raise NotImplementedError

    def tell_emptiness(self) -> None:
        """Say why no row is shown, if so."""
        raise NotImplementedError

    def refilter(self) -> None:
        """Show what passes the filter as it now is."""
        if self._filter_text:
            self._last_filter = self._filter_text
        self.table.filter(compile_filter(self._filter_text, self._only_failed, self._inverted))
        self.tell_emptiness()
        self.show_status()

    def action_filter(self) -> None:
        """Open the filter."""
        self.query_one(FieldBar).open()
        self.query_one("#footer", Lines).show()

    def action_clear(self) -> None:
        """Back one step: the filter, then the marks."""
        if self.table.ranging:
            self.table.end_range()
            self.show_status()
        elif self._filter_text or self._only_failed or self.focused is not self.table:
            self._only_failed = self._inverted = False
            self._close_filter()
            self.query_one(FieldBar).field.value = ""
            self._filter_text = ""
            self.refilter()
        elif self.table.marks:
            self.unmark(list(self.table.marks))

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        if event.value != self._filter_text:
            self._filter_text = event.value
            self.refilter()

    @on(Input.Submitted, "#filter")
    def _close_filter(self) -> None:
        self.query_one(FieldBar).close(self.table)
        self.query_one("#footer", Lines).show()

    def action_mark(self) -> None:
        """Mark or unmark the row (all of a folder's) and go on."""
        table = self.table
        item = table.cursor_item
        if item is None:
            self.say(NO_ROW)
            return
        ids = {item.id} if (job := table.cursor_job) is not None and job is item else None
        ids = ids if ids is not None else set(getattr(item, "ids", ()))
        table.mark(ids, not table.marks.issuperset(ids))
        table.action_move(1)

    def action_mark_all(self) -> None:
        """Mark all rows in view; unmark them when they are."""
        ids = self.table.ids_in_view()
        if not ids:
            self.say(NO_ROW)
        self.table.mark(ids, not self.table.marks.issuperset(ids))

    def action_invert_marks(self) -> None:
        """Swap marked and unmarked among the rows shown."""
        shown = set(self.table.ids_in_view())
        if not shown:
            self.say(NO_ROW)
        marked = self.table.marks & shown
        self.table.mark(shown - marked, True)
        self.table.mark(marked, False)

    def action_only_failed(self) -> None:
        """Only failed rows, or all again."""
        self._only_failed = not self._only_failed
        self.refilter()

    def action_invert_filter(self) -> None:
        """What does not match, instead of what does."""
        if not self._filter_text:
            self.say(f"Nothing to invert: filter first with {self.speakeasy.key_of('filter')}")
            return
        self._inverted = not self._inverted
        self.refilter()

    def action_match(self, by: int) -> None:
        """To the next or previous row that the last filter finds."""
        test = compile_filter(self._last_filter, inverted=self._inverted)
        if test is None:
            self.say(f"No search yet: {self.speakeasy.key_of('filter')} begins one")
            return
        table = self.table
        here = table.cursor_job
        ids = table.ids_in_view()
        found = [job_id for job_id in ids if test(table.jobs[job_id])]
        if not found:
            self.say(f"Nothing here matches {self._last_filter}")
            return
        order = {job_id: row for row, job_id in enumerate(ids)}
        place = order[here.id] if here is not None else -1
        if by > 0:
            target = next((one for one in found if order[one] > place), found[0])
        else:
            target = next((one for one in reversed(found) if order[one] < place), found[-1])
        table.go_to(target)
        self.say(f"Match {found.index(target) + 1:,} of {len(found):,} for {self._last_filter}")

    def action_sort(self) -> None:
        """Ask for the column."""
        titles = {name: COLUMNS[name].title if name in COLUMNS else name for name in SORTS}
        titles[QUEUE] = "queue: the order in which files run"
        choices = [Choice(name, titles[name]) for name in SORTS]

        def picked(name: str | None) -> None:
            if name is not None:
                self._sort(name, reverse=SORTS[name].first_down)

        self.app.push_screen(Pick("Sort by", choices, self.table.view.column), picked)

    def action_reverse(self) -> None:
        """The other direction."""
        view = self.table.view
        self._sort(view.column, reverse=not view.reversed)

    def _sort(self, name: str, *, reverse: bool) -> None:
        self.table.sort(name, reverse=reverse)
        what = "In the order of the queue" if name == QUEUE else f"Sorted by {COLUMNS[name].title}"
        self.say(f"{what}, {SORTS[name].down if reverse else SORTS[name].up}")

    def action_group(self) -> None:
        """Folders with totals, or the plain list."""
        self.table.group(not self.table.view.grouped)

    def action_follow(self) -> None:
        """Follow the running row, or stop it."""
        on = not self.table.following
        self.table.follow(on)
        job = self.table.cursor_job
        if on and (job is None or job.state is not State.RUNNING):
            self.say("Nothing runs; the cursor goes there when something does")
        else:
            self.say("Following the row that runs; moving ends it" if on else "Not following")
