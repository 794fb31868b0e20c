"""What the table steers: the queue as a whole, and the order in which it runs."""

from __future__ import annotations

from collections.abc import Callable

from speakeasy_tui.core.job import RunnerState, State
from speakeasy_tui.core.protocol import Move, PauseQueue, Rerun, Resume, Start, ToEnd
from speakeasy_tui.tui.doing import named
from speakeasy_tui.tui.query import FAILED
from speakeasy_tui.tui.screens.arrange import Arranging
from speakeasy_tui.tui.screens.asking import Ask
from speakeasy_tui.tui.screens.confirm import Confirm
from speakeasy_tui.tui.screens.deeds import rerun_question

WAITING = frozenset({State.QUEUED, State.HELD})
"""States in which a row has a place in the queue."""

RUNS = {"first": "next to run", "last": "last to run"}
"""What a row at either end of the queue is."""


class Steering(Arranging):
    """Base of the board: what concerns the queue."""

    def action_pause(self) -> None:
        """Pause or go on."""
        batch = self.speakeasy.batch
        state = RunnerState.RUNNING if batch is None else batch.state
        if state is RunnerState.PAUSED:
            self.speakeasy.ask(Resume(), "Resumed")
        elif state is RunnerState.STOPPED:
            self.speakeasy.ask(Start(), "Started")
        else:
            self.speakeasy.ask(PauseQueue(), "Paused: running files finish, no others begin")

    def action_rerun_failed(self) -> None:
        """Rerun everything that failed; asked first when it is more than one file."""
        jobs = [job for job in self.table.jobs.values() if job.state in FAILED]
        if not jobs:
            self.say("Nothing to rerun: no file has failed")
            return
        request = Rerun(failed=True)
        self.ask_first(
            rerun_question(jobs),
            jobs,
            lambda: self.send([request], "queued again", jobs, keep_marks=True),
        )

    def action_shift(self, by: int) -> None:
        """Move the chosen rows in the queue."""
        end = RUNS["first" if by < 0 else "last"]
        self._move(lambda ids: Move(ids=ids, by=by), "moved", end)

    def action_to_end(self, which: str) -> None:
        """Make the chosen rows run first, or last."""
        self._move(lambda ids: ToEnd(ids=ids, first=which == "first"), RUNS[which], RUNS[which])

    def _move(self, request: Callable[[list[int]], Move | ToEnd], said: str, end: str) -> None:
        """Move those of the chosen that have a place in the queue; they stay marked."""
        chosen = self.some("move")
        jobs = [job for job in chosen if job.state in WAITING]
        if not jobs:
            if chosen:
                self.say("Nothing to move: only waiting and held files have a place in the queue")
            return
        name = named(jobs)
        asked = request([job.id for job in jobs])
        self.ask_first(
            Ask(f"Move {name}?", "", "move", needed=False),
            jobs,
            lambda: self.send(
                [asked],
                "moved",
                jobs,
                keep_marks=True,
                said=f"{name}: {said}",
                unless=f"{name}: {end} already",
            ),
        )

    def action_stop_and_leave(self) -> None:
        """Stop the engines at once and leave, when the person says so."""

        def answer(agreed: bool | None) -> None:
            if agreed:
                self.speakeasy.stop_and_leave()

        leave = self.speakeasy.key_of("leave")
        self.app.clear_notifications()
        self.app.push_screen(
            Confirm(
                "Stop the work and leave?",
                "Running files are given back to the queue; what is finished of them is kept. "
                f"speakeasy goes on with it. To leave and let it work: {leave}.",
                "stop and leave",
            ),
            answer,
        )
