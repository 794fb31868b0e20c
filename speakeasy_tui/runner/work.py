"""A job's way, from the queue to its outputs: claiming, checking, finishing, failing.

`Work` joins the store to the disk; lanes use it and know neither.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from speakeasy_tui.core.faults import FAULT_WORDS
from speakeasy_tui.core.job import ErrorKind, Job, JobError, JobWarning, State
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.runner import outputs, planning
from speakeasy_tui.runner.commit import CHANGED, commit
from speakeasy_tui.runner.cutoff import put_right
from speakeasy_tui.runner.flight import Flight, Prepared
from speakeasy_tui.runner.modelfinder import Found
from speakeasy_tui.runner.order import Order
from speakeasy_tui.runner.pace import Pace
from speakeasy_tui.runner.record import Claim, to_job
from speakeasy_tui.runner.rows import Told
from speakeasy_tui.runner.siblings import Siblings
from speakeasy_tui.runner.store import Store
from speakeasy_tui.runner.writing import StoreFullError

log = logging.getLogger(__name__)

BATCH_WINDOW, LANE_WINDOW = 60.0, 30.0
"""Seconds over which the speed of the whole and of a lane is taken."""


class Telling(Protocol):
    """Whoever passes on what happened."""

    def changed(self, job: int) -> None: ...
    def emit(self, event: str, job: int | None = None, detail: Any = None) -> None: ...
    def disk_full(self, folder: bytes, error: JobError) -> None: ...
    def store_full(self, error: StoreFullError) -> None: ...
    def wake(self) -> None: ...
    def try_over(self, job: int) -> None: ...


class Work:
    """Jobs on their way."""

    def __init__(self, store: Store, telling: Telling, settings: Settings) -> None:
        self.store = store
        self.max_attempts = settings.max_attempts
        self._order = Order(store, settings.order)
        self._telling = telling
        self.flights: dict[int, Flight] = {}
        """Everything an engine works on or whose outputs are being written."""
        self._held: set[int] = set()
        """Claimed, not yet begun."""
        self._planning = asyncio.Lock()
        self._siblings = Siblings()
        self._whole = Pace(BATCH_WINDOW)
        self.indivisible: set[int] = set()
        """Jobs that only one engine is to work on, for several did not make a whole."""
        self.begun_well = False
        """Whether anything was transcribed since the runner began."""
        self._paces: dict[int, Pace] = {}
        """By lane."""

    # ------------------------------------------------------------------ telling

    def job(self, job: int) -> Job | None:
        """A row as it is now."""
        row = self.store.job(job)
        return None if row is None else self._live(row)

    def jobs(self, ids: list[int] | None, states: list[str] | None = None) -> list[Job]:
        """Rows as they are now."""
        return [self._live(row) for row in self.store.jobs(ids, states)]

    def told_live(self, row: Told) -> Told:
        """A row on disk with what its flight knows better."""
        return row._replace(json=msgspec.json.encode(self._live(to_job(row.json))))

    def _live(self, row: Job) -> Job:
        flight = self.flights.get(row.id)
        if flight is None and row.state is State.RUNNING:  # to be given back once there is room
            row.state, row.message = State.QUEUED, "cut off: the disk of the queue is full"
        return flight.overlay(row) if flight else row

    def speed(self) -> float | None:
        """× real time of all that has been finished over the last minute."""
        return self._whole.speed(working=bool(self.flights))

    def lane_speed(self, lane: int) -> float | None:
        """× real time of what a lane has finished over the last half minute."""
        if lane not in self._paces:
            return None
        working = any(lane in flight.parts for flight in self.flights.values())
        return self._paces[lane].speed(working=working)

    def in_flight_s(self) -> float:
        """Audio seconds finished of files that are not yet done."""
        return sum(flight.progress * (flight.audio_s or 0) for flight in self.flights.values())

    def advanced(self, flight: Flight, before: float, lane: int) -> None:
        """A flight's progress has grown from `before` by what `lane` has done."""
        if flight.audio_s and flight.progress > before:
            self.begun_well = True
            seconds = (flight.progress - before) * flight.audio_s
            self._whole.add(seconds)
            self._pace(lane).add(seconds)
        self._telling.changed(flight.id)

    def _pace(self, lane: int) -> Pace:
        return self._paces.setdefault(lane, Pace(LANE_WINDOW))

    # ------------------------------------------------------------------ beginning

    def claim(self, requests: list[str], *, suspects: bool = True, lanes: int = 1) -> Claim | None:
        """Take a queued job that asks for one of `requests`; which one `Order` says."""
        return self._claimed(self._order.next(requests, self._held, suspects=suspects, lanes=lanes))

    def claim_one(self, job: int) -> Claim | None:
        """Take a certain queued job."""
        return self._claimed(self.store.claim_of(job))

    def _claimed(self, claim: Claim | None) -> Claim | None:
        if claim is not None:
            self._held.add(claim.id)
        return claim

    def unclaim(self, claim: Claim) -> None:
        """Let a claimed job go."""
        self._held.discard(claim.id)

    async def prepare(self, claims: Sequence[Claim], found: Found) -> list[Prepared]:
        """Look at the sources and at what outputs are there.

        Where there is nothing to transcribe, the job was skipped or failed here.
        """
        prepared: list[Prepared] = []
        contents = await asyncio.to_thread(planning.contents, claims)
        rest = list(zip(claims, contents, strict=True))
        async with self._planning:  # two files must not choose the same names
            while rest:
                # Asked here: the store is not for the thread.
                looks = [planning.look(*one, found, self.store.owner) for one in rest]
                looks, later = planning.apart(looks)
                rest = [(one.claim, one.content) for one in later]
                await asyncio.to_thread(planning.choose, looks, self._siblings)
                with self.store.together(durable=False):
                    prepared += [
                        Prepared(one.claim, plan, one.made_of, found, one.content)
                        for one in looks
                        if (plan := self._settled(one)) is not None
                    ]
        return prepared

    def _settled(self, look: planning.Look) -> outputs.Plan | None:
        """Claim a file's outputs; None when it is not to be transcribed."""
        claim, plan = look.claim, look.plan
        if self.store.state(claim.id) is not State.QUEUED:  # held or cancelled meanwhile
            self.unclaim(claim)
            return None
        if not isinstance(plan, outputs.Plan):
            assert plan is not None
            self.unclaim(claim)
            self._give_up(claim.id, State.FAILED, plan.error)
            return None
        if look.content.digest and plan.present:
            self._skip(claim, plan, look.made_of)
            return None
        self.store.claim_outputs(claim.id, list(plan.paths.values()))
        if claim.options.overwrite:
            self.store.forget_finished(claim.id)
        return plan

    def _skip(self, claim: Claim, chosen: outputs.Plan, identity: str) -> None:
        warnings = []
        message = "outputs are there already"
        if chosen.unverified:
            message = "outputs are there already, of unknown origin"
            warnings.append(
                JobWarning(
                    "unverified_output",
                    "nothing says what these outputs were made of; --overwrite makes them anew",
                )
            )
        self.unclaim(claim)
        self.store.skip(claim.id, message, warnings)
        made = "" if chosen.unverified else identity
        self.store.adopt_outputs(claim.id, list(chosen.paths.values()), made)
        self._telling.emit("skipped", claim.id)

    def begin(self, prepared: Prepared, *, lane: int, device: str) -> Flight:
        """A lane begins a try."""
        claim = prepared.claim
        self.unclaim(claim)  # also when the store is full
        number = self.store.begin(
            claim.id,
            lane=lane,
            device=device,
            model=prepared.found.name,
            made_of=prepared.made_of,
        )
        if not self.flights:
            self._whole.begin()
        self._at_work(lane)
        flight = Flight(prepared, number, lane, time.monotonic(), audio_s=claim.audio_s)
        self.flights[claim.id] = flight
        self._telling.emit("started", claim.id)
        return flight

    def divided(self, flight: Flight, lane: int) -> None:
        """A lane that was idle helps with a flight."""
        self._at_work(lane)
        flight.split = True

    def _at_work(self, lane: int) -> None:
        if all(lane not in other.parts for other in self.flights.values()):
            self._pace(lane).begin()

    # ------------------------------------------------------------------ ending

    def let_go(self, job: int) -> None:
        """A try is over, for all engines that are at it."""
        if self.flights.pop(job, None) is not None:
            self._telling.try_over(job)

    async def finish(self, flights: Sequence[Flight]) -> None:
        """Engines are done with files: write their outputs and commit."""
        try:
            errors = await commit(self.store, flights)
            for flight, error in zip(flights, errors, strict=True):
                self._committed(flight, error)
        except StoreFullError as error:
            # Parts may have been staged before: what stands on disk decides at the resume.
            for flight in flights:
                self.flights.pop(flight.id, None)
                if self.store.state(flight.id) is State.DONE:
                    self._telling.emit("done", flight.id)
            self._telling.store_full(error)
        finally:  # whatever happened: a runner with something in flight never ends by itself
            for flight in flights:
                self.flights.pop(flight.id, None)
                self._telling.changed(flight.id)
            self._telling.wake()

    def _committed(self, flight: Flight, error: JobError | None) -> None:
        job = flight.id
        if error is None:
            self._telling.emit("done", job)
        elif error is CHANGED:
            after = "a change of the file"
            self.retry(job, error, cure="begins again", charged=True, alone=True, after=after)
        elif error.kind is ErrorKind.DISK:
            self.retry(job, error, cure="given back", charged=False, alone=True)
            self._telling.disk_full(flight.prepared.plan.folder, error)
        else:
            self.flights.pop(job, None)
            self._give_up(job, State.FAILED, error)

    def fail(self, job: int, error: JobError, detail: str = "") -> None:
        """A file cannot be done."""
        self.let_go(job)
        self._give_up(job, State.FAILED, error, detail)

    def give_back(
        self, job: int, *, outcome: str, message: str, state: State = State.QUEUED
    ) -> None:
        """A try ends through no fault of the file's: queued (or held) again, not charged."""
        self.let_go(job)
        if state is State.CANCELLED:
            self.store.cancel_running(job)
            self._telling.emit("cancelled", job)
            return
        self.store.give_back(job, outcome=outcome, message=message, state=state)
        self._telling.changed(job)

    def retry(
        self,
        job: int,
        error: JobError,
        *,
        cure: str,
        charged: bool,
        alone: bool,
        suspect: bool = False,
        death: bool = False,
        detail: str = "",
        after: str = "",
    ) -> None:
        """A try failed by a fault that another may not meet.

        Args:
            job: the job.
            error: what happened; becomes the row's error if this was its last try.
            cure: what is done about it, for the row: "reloaded model".
            charged: whether it counts.
            alone: whether no other job can have been the cause. One that shared its batch
                is charged, but never its last try: then it may be innocent.
            suspect: it runs alone next.
            death: an engine died with this job alone in it.
            detail: full error text for the attempt.
            after: what happened, for the row, where the class of the fault does not say it.
        """
        after = after or FAULT_WORDS[error.kind]
        self.let_go(job)
        tries, deaths = self.store.charged(job)
        charged = charged and (alone or tries + 1 < self.max_attempts)
        tries, deaths = tries + charged, deaths + death
        if charged and (tries >= self.max_attempts or deaths >= 2):
            last = State.QUARANTINED if deaths >= 2 else State.FAILED
            self._give_up(job, last, error, detail)
            return
        following = f"try {tries + 1} of {self.max_attempts}"
        message = f"{cure} after {after}, {following}"
        if suspect and not charged:
            message = f"{cure} after {after}; runs alone next"
        self.store.give_back(
            job,
            outcome=error.kind,
            message=message,
            detail=detail or error.message,
            charged=charged,
            suspect=suspect,
            death=death,
        )
        self._telling.emit(
            "retry",
            job,
            {
                "kind": error.kind,
                "message": error.message,
                "charged": charged,
                "tries": tries,
                "max_attempts": self.max_attempts,
            },
        )

    def _give_up(self, job: int, state: State, error: JobError, detail: str = "") -> None:
        self.store.fail(job, state, error, detail)
        self._telling.emit(state.value, job)
        self._telling.wake()

    def recover(self, why: str = "the runner had ended") -> tuple[int, int]:
        """As `put_right`, of what is not in flight."""
        telling = self._telling
        return put_right(
            self.store, self.flights, telling.changed, lambda job: telling.emit("done", job), why
        )
