"""The board: the batch, the lanes and the table, and the keys that steer them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer

from speakeasy_tui.client.board import Changes
from speakeasy_tui.core.job import Job, RunnerState
from speakeasy_tui.core.text import printable
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui import overview
from speakeasy_tui.tui.batch_table import BatchTable
from speakeasy_tui.tui.field import FieldBar
from speakeasy_tui.tui.hints import Situation, hints
from speakeasy_tui.tui.ink import Lines
from speakeasy_tui.tui.lanes import lane_lines
from speakeasy_tui.tui.query import FAILED
from speakeasy_tui.tui.rows import Line, Span, width_of
from speakeasy_tui.tui.screens.arrange import ARRANGE, NO_ROW
from speakeasy_tui.tui.screens.deeds import DEEDS
from speakeasy_tui.tui.screens.detail import Detail
from speakeasy_tui.tui.screens.steering import Steering
from speakeasy_tui.tui.view import Folder

SAID_FOR = 8.0
"""Seconds that an answer stays in the status line."""

WANDER = 2.0
"""Seconds between two looks at numbers that only wander: use, memory, speed, time left."""


class Board(Steering):
    """The main screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="open", tooltip="Transcript, attempts and errors"),
        Binding("p", "pause", "Pause", id="pause",
                tooltip="Pause: running files finish, no others begin. Again: resume"),
        *DEEDS,
        *ARRANGE,
        Binding("less_than_sign", "to_end('first')", "Run first", id="run_first",
                tooltip="Move the row, or all marked ones, to the front of the queue"),
        Binding("greater_than_sign", "to_end('last')", "Run last", id="run_last",
                tooltip="Move the row, or all marked ones, to the end of the queue"),
        Binding("R", "rerun_failed", "Rerun failed", id="rerun_failed",
                tooltip="Run every failed file again"),
        Binding("K,alt+up", "shift(-1)", "Sooner", id="move_up",
                tooltip="Move the row up the queue"),
        Binding("J,alt+down", "shift(1)", "Later", id="move_down",
                tooltip="Move the row down the queue"),
        Binding("escape", "clear", "Clear", id="clear", tooltip="Clear filter, then marks"),
        Binding("a", "show('add')", "Add", id="add", tooltip="Queue more files or folders"),
        Binding("m", "show('models')", "Models", id="models",
                tooltip="Which models are here; get or delete one"),
        Binding("comma", "show('settings')", "Settings", id="settings",
                tooltip="Every setting, with its help; change it"),
        Binding("L", "show('logs')", "Logs", id="logs", tooltip="What runner and engines log"),
        Binding("S", "show('summary')", "Summary", id="summary",
                tooltip="What the batch came to: failures by reason, speed, slowest files"),
        Binding("q", "app.leave", "Leave", id="leave", tooltip="Leave; the work goes on"),
        Binding("Q", "stop_and_leave", "Stop and leave", id="stop",
                tooltip="Stop the work and leave"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._said = ""
        self._said_timer: Timer | None = None
        self._picture: object = None
        self._overview_shown = 0.0
        self._overview_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Lines(self._head, id="head")
        yield Lines(self._overview, id="overview")
        yield BatchTable(id="table")
        yield FieldBar("/", "words, state:failed, lang:de, !word")
        yield Lines(self._status, id="status")
        yield Lines(self._footer, id="footer")

    def on_mount(self) -> None:
        self.table.focus()
        self.tell_emptiness()

    @property
    def table(self) -> BatchTable:
        """The table."""
        return self.query_one("#table", BatchTable)

    @property
    def at_rest(self) -> bool:
        """Whether this screen is on top and nothing is being typed or marked."""
        return self.app.screen is self and self.focused is self.table and not self.table.ranging

    # ------------------------------------------------------------------ what is told

    def apply(self, changes: Changes) -> None:
        """Draw what changed."""
        if changes.jobs or changes.gone:
            here = self.table.cursor_job
            self.table.apply(changes.jobs, changes.gone)
            if here is not None and here.id in changes.jobs:
                self.show_status()
        if changes.batch is not None or changes.lanes is not None:
            self._show_overview_soon()
        if changes.jobs or changes.gone or changes.synced:
            self.query_one("#footer", Lines).show()
        self.tell_emptiness()

    def _show_overview_soon(self) -> None:
        """At once when something happened; numbers that only wander may wait."""
        app = self.speakeasy
        picture = overview.what_stands(app.batch, app.lanes)
        wait = self._overview_shown + WANDER - time.monotonic()
        if picture != self._picture or wait <= 0:
            self._picture = picture
            self.show_overview()
        elif self._overview_timer is None:
            self._overview_timer = self.set_timer(wait, self.show_overview)

    def show_overview(self) -> None:
        """The lines above the table, anew."""
        self._overview_shown = time.monotonic()
        if self._overview_timer is not None:
            self._overview_timer.stop()
            self._overview_timer = None
        for name in ("#head", "#overview", "#footer"):
            self.query_one(name, Lines).show()
        self.tell_emptiness()

    def say(self, text: str) -> None:
        self._said = printable(text)
        if self._said_timer is not None:
            self._said_timer.stop()
        self._said_timer = self.set_timer(SAID_FOR, self._unsay)
        self.show_status()

    def _unsay(self) -> None:
        self._said = ""
        self.show_status()

    def show_status(self) -> None:
        self.query_one("#status", Lines).show()

    def tell_emptiness(self) -> None:
        app = self.speakeasy
        if self.table.jobs:
            text = "No row matches.\nesc shows all of them again."
        elif not app.link.up:
            text = ""  # the overview says it
        elif not app.synced or app.beginning:
            text = "Reading the queue…"
        else:
            text = (
                "Nothing is queued.\n"
                f"{app.key_of('add')} adds files or folders from here,\n"
                "or from another terminal:   speakeasy add FILE…"
            )
        if text != self.table.empty_text:
            self.table.empty_text = text
            if not self.table.row_count:
                self.table.refresh()

    # ------------------------------------------------------------------ lines

    def _head(self, width: int) -> list[Line]:
        app = self.speakeasy
        simulated = any(lane.engine == "sim" for lane in app.lanes)
        return [overview.head(app.identity, app.home_name, simulated, width)]

    def _overview(self, width: int) -> list[Line]:
        app = self.speakeasy
        lines: list[Line] = []
        if not app.link.up:
            lines += overview.link_lines(app.link, app.ever_up, width)
            if app.batch is not None:  # how far it was; what it does now is not known
                lines.append(overview.counts_line(app.batch, width))
        elif app.beginning:
            lines.append((Span(" Starting…", "quiet"),))
        elif app.batch is not None:
            lines += overview.batch_lines(app.batch, width)
            limit = max(2, self.size.height // 3)
            lines += lane_lines(app.lanes, width, limit)
        return lines or [()]

    def _status(self, width: int) -> list[Line]:
        table = self.table
        right: list[Span] = []
        if table.following:
            right.append(Span("following   ", "accent"))
        if table.ranging:
            right.append(Span("range   ", "accent"))
        if table.marks:
            hidden = f", {len(table.hidden):,} hidden" if table.hidden else ""
            right.append(Span(f"{len(table.marks):,} marked{hidden}   ", "accent"))
        if self._filter_text or self._only_failed:
            only = "only failed " if self._only_failed else ""
            turned = "not: " if self._inverted else ""
            text = f"{only}{turned}{printable(self._filter_text)}".strip()
            right.append(Span(f"{shown.cut_middle(text, 30)}   ", "accent"))
            right.append(Span(f"{table.row_count:,} of {len(table.jobs):,} ", "quiet"))
        elif isinstance(item := table.cursor_item, Folder):
            right.append(Span(f"{len(item.ids):,} of {table.row_count:,} ", "quiet"))
        elif table.row_count:
            number = table.view.number(table.cursor_row)
            right.append(Span(f"{number:,} of {table.row_count:,} ", "quiet"))
        left = Span(f" {self._said}") if self._said else Span(f" {self._about_row()}", "quiet")
        right = [Span("  "), *right]
        if self._said and width_of([left, *right]) > width:  # an answer is there for seconds
            right = []
        return [overview.justified([left], right, width)]

    def _about_row(self) -> str:
        """What is wrong with the row under the cursor, for which its cell has no room."""
        job = self.table.cursor_job
        if job is None:
            return ""
        if job.error is not None:
            return printable(f"{job.error.message}: {job.error.hint}".rstrip(": "))
        return printable("; ".join(warning.message for warning in job.warnings))

    def _footer(self, width: int) -> list[Line]:
        app = self.speakeasy
        if self.query_one(FieldBar).display:
            return [overview.keys_line((("⏎", "keep"), (app.key_of("clear"), "clear")), width)]
        table = self.table
        counts = app.batch.counts if app.batch is not None else {}
        now = Situation(
            linked=app.link.up and app.synced,
            state=RunnerState.RUNNING if app.batch is None or app.beginning else app.batch.state,
            queued=len(table.jobs),
            failed=sum(counts.get(state.value, 0) for state in FAILED),
            item=table.cursor_item,
            marked=bool(table.marks),
            filtered=bool(self._filter_text or self._only_failed),
        )
        return [overview.keys_line(((app.key_of(name), text) for name, text in hints(now)), width)]

    @on(BatchTable.Empty)
    def _nothing_to_mark(self) -> None:
        self.say(NO_ROW)

    @on(BatchTable.Moved)
    def _moved(self) -> None:
        self._show_row()

    def _show_row(self) -> None:
        """What is said of the row under the cursor, and what can be done to it."""
        self.show_status()
        self.query_one("#footer", Lines).show()

    # ------------------------------------------------------------------ marks

    def chosen(self) -> list[Job]:
        return self.table.chosen()

    def hidden(self, jobs: Sequence[Job]) -> int:
        return sum(job.id in self.table.hidden for job in jobs)

    def unmark(self, ids: Sequence[int]) -> None:
        self.table.mark(ids, False)

    # ------------------------------------------------------------------ other screens

    @on(BatchTable.Opened)
    def action_open(self) -> None:
        """Open the row."""
        item = self.table.cursor_item
        if isinstance(item, Job):
            self.app.push_screen(Detail(item))
        elif item is None:
            self.say("There is no file to open")
        else:
            self.say("A folder: its files are the rows below")

    def action_show(self, name: str, *, unasked: bool = False) -> None:
        """Open one of the other screens; they are imported when they are wanted."""
        from speakeasy_tui.tui.screens.add import AddScreen
        from speakeasy_tui.tui.screens.log import LogScreen
        from speakeasy_tui.tui.screens.models import ModelsScreen
        from speakeasy_tui.tui.screens.settings import SettingsScreen
        from speakeasy_tui.tui.screens.summary import SummaryScreen

        home = self.speakeasy.home
        screens: dict[str, Callable[[], Screen[None]]] = {
            "add": AddScreen,
            "models": ModelsScreen,
            "settings": lambda: SettingsScreen(home),
            "logs": lambda: LogScreen(home),
            "summary": lambda: SummaryScreen(self.table.jobs.values(), unasked=unasked),
        }
        self.app.push_screen(screens[name]())
