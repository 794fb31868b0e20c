"""Queueing files and waiting until they are final, whatever happens to the runner meanwhile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from speakeasy_tui.cli.profile import Costs
from speakeasy_tui.cli.report import Reporter
from speakeasy_tui.cli.say import because
from speakeasy_tui.client.link import Link, LinkError, RefusedError, Silent, Unusable
from speakeasy_tui.core.job import FINAL_STATES, Batch, Job, Pause, State
from speakeasy_tui.core.protocol import (
    Add,
    Added,
    AnyMessage,
    AnyRequest,
    Event,
    GetJobs,
    GetProfile,
    GetStatus,
    Goodbye,
    Jobs,
    Profile,
    Pulse,
    Refused,
    Rows,
    Start,
    Status,
    Subscribe,
)

RECONNECTS = 5
"""Times in a row that the runner may go away without one of our files having finished."""
EVENT_GRACE = 1.0
"""Seconds that a finished file's event may come after its row."""
_IDS_A_REQUEST = 500
"""An answer is one line, and rows with long paths make it long."""
_MACHINE = frozenset({"device", "model"})
_FINAL_EVENTS = frozenset(str(state) for state in FINAL_STATES)


class RunnerStopped(Exception):
    """Somebody ended the runner while we waited."""


class MachineCannot(Exception):
    """The batch is paused because no device or model is there to run it."""

    def __init__(self, why: Pause) -> None:
        super().__init__(why.message)
        self.why = why


class Follow:
    """One run: its own files, from `Add` until each is final."""

    def __init__(
        self,
        connect: Callable[[], Link],
        adding: list[Add],
        reporter: Reporter,
        costs: Costs | None = None,
    ) -> None:
        self.jobs: dict[int, Job] = {}
        """Ours, as last told."""
        self.ended = 0.0
        """When the last of them did (`time.monotonic`)."""
        self._open: set[int] = set()
        """Ours that are not final yet."""
        self._connect = connect
        self._adding = adding
        self._asked = list(adding)
        self._queue = ""
        """The queue that the ids of our jobs are from."""
        self._reporter = reporter
        self._costs = costs
        self._batch: Batch | None = None
        self._told: set[int] = set()
        """Jobs whose final event was reported."""
        self._early: list[Event] = []
        """Events before we knew which jobs are ours."""
        self._pause: Pause | None = None
        self._notice = ""
        self._goodbye: str | None = None
        self._look_for_held = 0.0

    def run(self) -> None:
        """Queue and wait; `jobs` holds how it ended.

        Raises:
            RunnerStopped, MachineCannot: our files are still in the queue.
            LinkError: the runner went away too often, or (Silent) does not answer.
            RefusedError: it would not queue them.
        """
        failures = 0
        finished = -1
        while True:
            try:
                link = self._connect()
                try:
                    self._go(link, again=failures > 0 or finished >= 0)
                    return
                finally:
                    link.close()
            except Unusable:
                raise
            except LinkError as error:
                if self._goodbye is not None:
                    raise RunnerStopped(self._goodbye) from None
                failures = 1 if len(self._told) > finished else failures + 1
                finished = len(self._told)
                silent = isinstance(error, Silent)
                if failures > RECONNECTS and silent:
                    raise  # it says what to do
                if failures > RECONNECTS:
                    raise LinkError(f"{error}. Gave up after {RECONNECTS} new tries") from None
                what = "does not answer; trying" if silent else "went away; starting it"
                self._reporter.note(f"the runner {what} again")
                time.sleep(0.2 * failures)

    @property
    def unfinished(self) -> int:
        """How many of ours are not final yet."""
        return len(self._open)

    def _go(self, link: Link, *, again: bool) -> None:
        link.send(Subscribe(events=True, outputs=False))
        if self._costs is not None:
            self._costs.begin(self._profile(link))
        if self._queue not in {"", link.welcome.queue}:
            self._begin_again()
        self._queue = link.welcome.queue
        if again and not self._adding:
            self._wake(link)
        while self._adding:
            added = self._answer(link, self._adding[0])
            assert isinstance(added, Added)
            for job_id in (*added.ids, *added.known):
                self.jobs.setdefault(job_id, Job(id=job_id, path=""))
            del self._adding[0]
        # Rows pushed until now may be older than our request: ask, then trust what follows.
        ids = list(self.jobs)
        for at in range(0, len(ids), _IDS_A_REQUEST):
            asked = ids[at : at + _IDS_A_REQUEST]
            answer = self._answer(link, GetJobs(ids=asked))
            assert isinstance(answer, Jobs)
            found = {job.id: job for job in answer.jobs}
            for job_id in asked:
                self._update(found.get(job_id), job_id)
        self._pause = None
        for event in self._early:
            self._event(event)
        self._early.clear()
        self._wait(link)

    def _begin_again(self) -> None:
        """The queue was lost and is made again, with other ids: queue ours by their paths again.

        Whether the runner has done so already makes no difference.
        """
        for ours in (self.jobs, self._open, self._told, self._early):
            ours.clear()
        self._adding[:] = self._asked

    def _wait(self, link: Link) -> None:
        settled: float | None = None
        while True:
            if not self._open:
                settled = settled or time.monotonic()
                if self._told >= self.jobs.keys() or time.monotonic() - settled > EVENT_GRACE:
                    break
            elif self._pause is not None and self._pause.kind in _MACHINE and not self._worked():
                raise MachineCannot(self._pause)
            message = link.read(timeout=0.1)
            match message:
                case Rows():
                    for job in message.jobs:
                        if job.id in self.jobs:
                            self._update(job, job.id)
                    for job_id in message.gone:
                        if job_id in self.jobs:
                            self._update(None, job_id)
                case Event():
                    self._event(message)
                case _:
                    self._other(message)
            self._reporter.tick(self.jobs, self._batch, len(self._open))
            self._see_held()
        for job_id in sorted(self.jobs.keys() - self._told):
            job = self.jobs[job_id]
            self._event(Event(event=str(job.state), ts=time.time(), job=job))
        self.ended = time.monotonic()
        if self._costs is not None:
            self._costs.end(lambda: self._profile(link))

    def _profile(self, link: Link) -> Profile:
        answer = self._answer(link, GetProfile())
        assert isinstance(answer, Profile)
        return answer

    def _answer(self, link: Link, request: AnyRequest) -> AnyMessage:
        """Send, and wait as long as it takes; folders may be large. Rows meanwhile are old."""
        seq = link.send(request)
        while True:
            message = link.read(timeout=0.25)
            if message is not None and message.seq == seq:
                if isinstance(message, Refused):
                    raise RefusedError(message)
                return message
            if isinstance(message, Event):
                if message.event != "progress":
                    self._early.append(message)
            elif isinstance(message, Pulse):  # its pause may be one that our request lifts
                self._batch = message.batch
                self._see_notice(message.batch.notice)
            elif isinstance(message, Goodbye):
                self._other(message)
            self._reporter.tick(self.jobs, self._batch, len(self._open))

    def _wake(self, link: Link) -> None:
        """After a runner's death: work goes on unless a person has paused it."""
        status = self._answer(link, GetStatus())
        if isinstance(status, Status) and status.batch.state == "stopped":
            self._answer(link, Start())

    def _update(self, job: Job | None, job_id: int) -> None:
        if job is None:  # taken off the table by a person
            job = self.jobs[job_id]
            if job.state not in FINAL_STATES:
                job.state, job.message = State.CANCELLED, "removed from the queue"
        self._keep(job)

    def _keep(self, job: Job) -> None:
        self.jobs[job.id] = job
        if job.state in FINAL_STATES:
            self._open.discard(job.id)
        else:
            self._open.add(job.id)

    def _event(self, event: Event) -> None:
        if event.job is not None:
            if event.job.id not in self.jobs:
                return
            if event.event in _FINAL_EVENTS:
                if event.job.id in self._told:
                    return
                self._told.add(event.job.id)
                self._keep(event.job)
            elif event.event == "queued":  # a person's rerun meanwhile
                self._told.discard(event.job.id)
        self._reporter.event(event)

    def _other(self, message: AnyMessage | None) -> None:
        match message:
            case Pulse():
                self._batch = message.batch
                self._see_notice(message.batch.notice)
                self._see_pause(message.batch.why)
            case Goodbye():
                self._goodbye = message.reason or "it was told to end"
            case _:
                pass

    def _worked(self) -> bool:
        """Whether this machine has done some of ours: then what it lacks now may come back."""
        return any(job.state is State.DONE for job in self.jobs.values())

    def _see_held(self) -> None:
        """Say once that only a person can let this run end."""
        now = time.monotonic()
        if now < self._look_for_held:
            return
        self._look_for_held = now + 5.0
        if self._open and all(self.jobs[job_id].state is State.HELD for job_id in self._open):
            ids = " ".join(map(str, sorted(self._open)[:20]))
            self._reporter.note(f"waiting for held files; go on: speakeasy release {ids}")
            self._look_for_held = math.inf

    def _see_notice(self, notice: str) -> None:
        """Pass on what a runner found when it started: a crash before it, a damaged queue."""
        if notice and notice != self._notice:
            self._reporter.note(notice)
        self._notice = notice

    def _see_pause(self, why: Pause | None) -> None:
        if why == self._pause:
            return
        self._pause = why
        if why is None:
            self._reporter.note("the queue goes on")
        elif why.kind not in _MACHINE or self._worked():
            hint = f"; {why.hint}" if why.hint else ""
            if why.kind in _MACHINE:
                hint += "; it is tried again by itself"
            if why.kind == "person":
                hint = "; go on: speakeasy resume"
            self._reporter.note(f"{because('paused', why.message)}{hint}")
