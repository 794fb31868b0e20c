"""The window: holds what the runner told, shows it, and sends what the person asks for.

Its keys are in `keyed_app`, its look in `themed_app`, how it ends in `leaving_app`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TypeVar

from textual import events
from textual.css.query import NoMatches
from textual.screen import Screen

from speakeasy_tui.client.board import Changes
from speakeasy_tui.client.link import Link
from speakeasy_tui.core.job import Batch, Lane, RunnerState
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.protocol import Added, AnyMessage, AnyRequest, Ok, Refused, Start
from speakeasy_tui.core.settings import JobOptions, Settings, options_of
from speakeasy_tui.core.values import load
from speakeasy_tui.tui import place
from speakeasy_tui.tui.doing import Doing
from speakeasy_tui.tui.ending import Ending
from speakeasy_tui.tui.faults import FaultTeller
from speakeasy_tui.tui.format import plural
from speakeasy_tui.tui.gpu_worker import GpuWorker, LinkNews, Then
from speakeasy_tui.tui.leaving_app import LeavingApp
from speakeasy_tui.tui.screens.detail import Detail

ENDING_WAIT = 0.5
"""Seconds after the end of a batch, for its last rows to arrive."""

REST = 3.0
"""Seconds without a key after which nobody is taken to be at work here."""

T = TypeVar("T")


def _in_the_open(
    method: Callable[[SpeakeasyApp, T], None],
) -> Callable[[SpeakeasyApp, T], None]:
    """A fault in what the worker thread calls is the window's, not that thread's."""

    @wraps(method)
    def guarded(self: SpeakeasyApp, argument: T) -> None:
        try:
            method(self, argument)
        except NoMatches:  # the screen is being taken down while news arrive
            pass
        except Exception as error:
            self._handle_exception(error)

    return guarded


class SpeakeasyApp(LeavingApp):
    """The interface; its result is the line to print on the terminal."""

    TITLE = "speakeasy"

    def __init__(
        self,
        connect: Callable[[], Link],
        home: Home,
        settings: Settings,
        *,
        on_connected: Sequence[AnyRequest] = (),
        save_theme: Callable[[str], None] | None = None,
        job_options: Callable[[], JobOptions] | None = None,
        identity: str | None = None,
    ) -> None:
        """`identity` is what the header shows, by default user@host."""
        super().__init__(home, settings, save_theme)
        self.identity = identity if identity is not None else place.identity()
        self.home_name = place.home_name(home)
        self.lanes: list[Lane] = []
        self.synced = False
        self.job_options = job_options or (lambda: options_of(load(home.config_file).settings))
        """What holds for files that are added from here."""
        self._faults = FaultTeller()
        self._ending = Ending()
        self._lost: RunnerState | None = None
        """What the queue was doing when the link to its runner broke."""
        self._touched = 0.0
        """When the last key was pressed."""
        self.doing = Doing(self.ask, self.say, self._refused)
        self._first = len(on_connected)
        """Requests of the start that are not answered."""
        first = [(request, self._first_answer) for request in on_connected]
        self.worker = GpuWorker(connect, self, first, rejoin=lambda: Link.connect(home))

    def get_default_screen(self) -> Screen[None]:
        """The board is the first screen, not one on top of an empty one."""
        return self.board

    def on_mount(self) -> None:
        """Bind the keys as the person wants them, and start listening to the runner."""
        if problems := self.rebind(self.settings.keys):
            self.warn("Keys not rebound", "\n".join(problems))
        self.worker.start()

    # ------------------------------------------------------------------ from the worker

    @_in_the_open
    def apply_changes(self, changes: Changes) -> None:
        """Show what the runner told since the last time."""
        if changes.batch is not None:
            self.batch = changes.batch
            self._go_on_as_before(changes.batch)
        if changes.lanes is not None:
            self.lanes = changes.lanes
        if changes.synced and not self.synced:
            gc.freeze()  # what is here stays
            gc.enable()
        self.synced = self.synced or changes.synced
        with self.batch_update():
            self.board.apply(changes)
            for screen in self.screen_stack:
                if isinstance(screen, Detail):
                    screen.apply(changes)
        for title, text, severity in self._faults.tell(changes.events):
            self.notify(text, title=title, severity=severity, markup=False, timeout=6)
        if changes.batch is not None and self._ending.look(changes.batch):
            self.set_timer(ENDING_WAIT, self._batch_ended)

    def _go_on_as_before(self, batch: Batch) -> None:
        """Start a runner that took the place of one that died.

        With nothing to do it finds that it is stopped; but nobody stopped it, and what is queued
        from here next should run.
        """
        lost, self._lost = self._lost, None
        if lost in {RunnerState.RUNNING, RunnerState.IDLE} and batch.state is RunnerState.STOPPED:
            self.ask(Start(), None)

    async def on_event(self, event: events.Event) -> None:
        """Textual's own, and when keys come."""
        if isinstance(event, events.Key):
            self._touched = time.monotonic()
        await super().on_event(event)

    def _batch_ended(self) -> None:
        """Show what it came to; where somebody is busy with something else, only say so."""
        over = self.batch is not None and self.batch.state is RunnerState.IDLE
        if not over or not self.settings.summary_at_end:
            return
        if self.board.at_rest and time.monotonic() - self._touched > REST:
            self.board.action_show("summary", unasked=True)
        else:
            text = f"{self.key_of('summary')} on the table shows what it came to"
            self.notify(text, title="The batch has ended", markup=False, timeout=8)

    @_in_the_open
    def answered(self, answers: list[tuple[Then, AnyMessage]]) -> None:
        """Hand answers to those who asked."""
        for then, message in answers:
            with contextlib.suppress(NoMatches):  # its screen has been closed meanwhile
                then(message)

    @_in_the_open
    def link_changed(self, news: LinkNews) -> None:
        """Say whether the runner is there."""
        if news == self.link:
            return
        self.link = news
        if not news.up and not news.stopped and self.batch is not None:
            self._lost = self.batch.state
        if news.anew:
            self._forget_ids()
        if news.up:
            if news.anew:
                self.board.say("The runner has another queue: what was marked is forgotten")
            elif self.ever_up:
                self.board.say("The runner is back")
            elif place.mention_tmux(os.environ, self.home):
                self.board.say("No tmux is needed: the work goes on if this connection ends")
            self.ever_up = True
            for screen in self.screen_stack:
                if isinstance(screen, Detail):
                    screen.ask()
        self.board.show_overview()

    @_in_the_open
    def worker_failed(self, error: Exception) -> None:
        """The worker met what nobody foresaw; nothing would be told any more."""
        raise error

    def _forget_ids(self) -> None:
        """Close and forget what names files by ids of a queue that is no more."""
        self.doing.forget()
        self.board.table.end_range()
        self.board.apply(Changes(gone=set(self.board.table.jobs)))
        while len(self.screen_stack) > 1:  # questions about files, too
            self.pop_screen()

    # ------------------------------------------------------------------ to the runner

    def ask(self, request: AnyRequest, then: Then | str | None) -> None:
        """Send `request`; a text for `then` is what to say of an `Ok`, with its count."""
        self.worker.ask(request, then if callable(then) else self._answer_to(then or ""))

    def _answer_to(self, what: str, *, quiet: bool = False) -> Then:
        def then(answer: AnyMessage) -> None:
            match answer:
                case Refused():
                    self._refused(answer)
                case Ok() if what and not quiet:
                    # A sentence stands for itself; a verb goes with how many files it was.
                    said = what if what[0].isupper() else f"{plural(answer.count, 'file')} {what}"
                    self.say(f"{said}. {answer.note}" if answer.note else said)
                case Added():
                    said = f"{plural(len(answer.ids), 'file')} queued"
                    known = f", {len(answer.known):,} queued before" if answer.known else ""
                    if not answer.ids and not answer.known:
                        said = "Nothing queued: no recordings were found there"
                    self.say(said + known)
                case _:
                    pass

        return then

    def _refused(self, answer: Refused) -> None:
        self.warn("Refused", f"{answer.message}\n{answer.hint}".strip())

    def _first_answer(self, answer: AnyMessage) -> None:
        """One of the start's requests is answered."""
        self._first -= 1
        self._answer_to("queued", quiet=True)(answer)
        self.board.show_overview()

    @property
    def beginning(self) -> bool:
        """Whether it is just being started: that it is stopped is not what it will be."""
        stopped = self.batch is None or self.batch.state is RunnerState.STOPPED
        return stopped and (not self.synced or self._first > 0)
