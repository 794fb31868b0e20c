"""A lane: one device, its engine process, and the recovery ladder.

Everything happens on the runner's event loop, one item of the inbox at a time: what the
engine says, that it died, or that there may be work.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from typing import Any, Protocol

from msgspec import Struct

from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.faults import Rung, classify, classify_exit, climb, describe_exit
from speakeasy_tui.core.job import ErrorKind, JobError, LaneState, State
from speakeasy_tui.core.job import Lane as View
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.runner.batchsize import BatchSizes
from speakeasy_tui.runner.devices import Devices
from speakeasy_tui.runner.dividing import Share, is_whole
from speakeasy_tui.runner.early import Early
from speakeasy_tui.runner.engineprocess import Died, EngineProcess, Item
from speakeasy_tui.runner.feeder import Feeder, has_room
from speakeasy_tui.runner.feeder import Owner as FeederOwner
from speakeasy_tui.runner.flight import SHORTEST, WINDOW_S, Flight, Prepared, order
from speakeasy_tui.runner.ladder import HINTS, bury, strike
from speakeasy_tui.runner.ledger import Ledger
from speakeasy_tui.runner.modelfinder import Found
from speakeasy_tui.runner.record import Claim
from speakeasy_tui.runner.reports import FileReport, note, stale
from speakeasy_tui.runner.seat import Seat
from speakeasy_tui.runner.sharing import spare
from speakeasy_tui.runner.store import StoreFullError
from speakeasy_tui.runner.watchdog import BAD_FILES, Watchdog
from speakeasy_tui.runner.work import FAULT_WORDS

log = logging.getLogger(__name__)

TICK_S = 1.0
"""Seconds between two looks at a lane that hears nothing."""
IDLE_UNLOAD_S = 120.0
"""Seconds without work after which an engine ends and frees its device."""
LOAD_TRIES = 3


class Wake(Struct, frozen=True):
    """There may be something to do."""


class Drop(Struct, frozen=True):
    """Give everything back and end the engine."""

    message: str
    dropped: asyncio.Future[None]


class Owner(FeederOwner, Protocol):
    """The runner, as far as a lane knows it."""

    home: Home
    settings: Settings
    devices: Devices
    ledger: Ledger

    def working(self) -> bool: ...
    def unloading(self) -> bool: ...
    def lane_changed(self) -> None: ...
    def emit(self, event: str, job: int | None = None, detail: Any = None) -> None: ...
    def lane_retired(self, lane: Lane, error: JobError) -> None: ...
    def begin_finish(self, flight: Flight) -> None: ...
    def disk_full(self, folder: bytes, error: JobError) -> None: ...
    def store_full(self, error: StoreFullError) -> None: ...
    def memory_share(self, device: str) -> int: ...
    def take_over(self, idle: Lane) -> list[Claim]: ...
    def to_share(self, idle: Lane) -> Share | None: ...


class Lane:
    """One device at work."""

    def __init__(
        self, owner: Owner, number: int, device: str, workers: int, cpu_threads: int
    ) -> None:
        gpu = owner.devices.gpu(device)
        self.view = View(number=number, device=device, name=gpu.name if gpu else None)
        if gpu is not None:
            self.view.memory_total = gpu.memory
        self.flights: dict[int, Flight] = {}
        self._owner = owner
        self._work = owner.work
        self._workers = workers
        self._inbox: asyncio.Queue[tuple[EngineProcess | None, Any]] = asyncio.Queue()
        sizes = BatchSizes(owner.work.store)
        self._seat = Seat(
            owner.home, self.view, owner.devices, workers, cpu_threads, sizes, self._tell
        )
        self._feeder = Feeder(owner, device, self._searching, self._searched)
        self._early = Early(owner.work, self._seat, number)
        self._load_failures = 0
        self._ooms = 0
        self._busy = time.monotonic()
        self._hung = 0.0
        """The limit (s) that the engine overran, when that is why it was killed."""
        self._watch = Watchdog(owner.settings, owner.memory_share(device))
        self.task: asyncio.Task[None] = asyncio.create_task(self._run())

    # ------------------------------------------------------------------ from the runner

    @property
    def retired(self) -> bool:
        """Whether this lane takes no more work."""
        return self.view.state is LaneState.RETIRED

    @property
    def busy(self) -> bool:
        """Whether files are in flight, in hand, or a model is on its way."""
        return bool(self.flights or self._seat.loading or not self._feeder.empty)

    @property
    def loading(self) -> bool:
        """Whether a model is on its way."""
        return self._seat.loading

    @property
    def request(self) -> str:
        """What the model in memory was loaded for; empty without one."""
        return "" if self._seat.request is None else self._seat.request.text()

    def spare(self, request: str) -> list[Flight]:
        """Files that another lane with a model for `request` could take over."""
        if self.request != request:
            return []
        at_work = 0 if self._watch.late() else self.at_work
        return spare(list(self.flights.values()), at_work)

    @property
    def at_work(self) -> int:
        """Windows that are in the model, or next."""
        return (self.view.batch_size or 1) * self._workers

    def shorten(self, flight: Flight, until: float) -> float:
        """Leave the chunks of a file that start at `until` (s) or later; returns up to where."""
        part = flight.parts[self.view.number]
        before, part.until = part.until, until
        self._seat.send(say.Shorten(job=flight.id, until=until))
        return before

    def forget(self, job: int) -> None:
        """A try is over; if this lane was at it, it is no more."""
        if self.flights.pop(job, None) is not None:
            self._seat.send(say.Abandon(job=job))
            self._rest()
            self.wake()

    def hand_back(self, request: str) -> bool:
        """Let another lane have what is in hand or sent ahead, if it asks for `request`."""
        early = self.request == request and self._early.let_go()
        return self._feeder.hand_back(request) or early

    def wake(self) -> None:
        """There may be something to do."""
        self._inbox.put_nowait((None, Wake()))

    def abandon(self, job: int, state: State, message: str) -> bool:
        """Stop work on a job and leave it in `state`; False when it is not here."""
        if job not in self.flights:
            return False
        del self.flights[job]
        self._seat.send(say.Abandon(job=job))
        self._work.give_back(job, outcome="given back", message=message, state=state)
        self.wake()
        return True

    async def close(self, message: str) -> None:
        """Give everything back and end the engine."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        self._feeder.close()
        try:
            self._give_all_back(message)
        finally:
            await self._end_engine()

    async def drop_work(self, message: str) -> None:
        """Give everything back now and end the engine; the lane stays."""
        dropped = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait((None, Drop(message, dropped)))
        await dropped

    # ------------------------------------------------------------------ the loop

    async def _run(self) -> None:
        while True:
            try:
                more = await self._advance()
                await self._take_one(wait=not more)
                for _ in range(self._inbox.qsize()):
                    await self._take_one(wait=False)
            except StoreFullError as error:
                self._owner.store_full(error)
                await self._lose_everything()
            except Exception:
                # A mistake of the program's must cost one engine, never the night's batch.
                log.exception("lane %d", self.view.number)
                with contextlib.suppress(Exception):
                    self._give_all_back("given back after an internal error (see runner.log)")
                await self._end_engine()
                await asyncio.sleep(1)

    async def _lose_everything(self) -> None:
        """End the engine when not even giving back can be kept; the runner does it later."""
        self._feeder.let_go()
        for job in list(self.flights):
            del self.flights[job]
            self._work.let_go(job)
        await self._end_engine()
        await asyncio.sleep(1)

    async def _take_one(self, *, wait: bool) -> None:
        """Handle what comes next; without `wait` only what is there."""
        self._check_stall()
        if not wait and self._inbox.empty():
            return
        await asyncio.sleep(0)  # others are served between two
        try:
            # Not `wait_for`: until Python 3.12 it returns what has just come instead of being
            # cancelled, and whoever closes this lane would wait for ever.
            async with asyncio.timeout(TICK_S):
                engine, item = await self._inbox.get()
        except TimeoutError:
            await self._check_idle()
            return
        if isinstance(item, Wake):
            return
        if isinstance(item, Drop):
            try:
                self._give_all_back(item.message)
                await self._end_engine()
            finally:
                item.dropped.set_result(None)  # whoever waits is a client
        elif engine is self._seat.engine:
            await self._heard_from(item)

    async def _advance(self) -> bool:
        """Give the engine one file more, or begin to load a model.

        Returns whether there may be another such thing at once. Between two the engine is heard:
        feeding takes long while folders are searched.
        """
        if self.view.state is LaneState.RUNNING and not self.flights:
            self._show(LaneState.READY)  # the last file failed, or was taken back
        if self.retired or self._feeder.searching:
            return False
        if self._seat.loading:
            return await self._send_early()
        if not self._owner.working():
            self._feeder.let_go()
            if not self.flights and self._owner.unloading():
                await self._end_engine()
            return False
        if worn := self._seat.engine is not None and self._watch.worn():
            if not self.flights:  # else: drain first
                log.info("lane %d: engine replaced %s", self.view.number, worn)
                await self._end_engine()
            return not self.flights
        hand = await self._feeder.reach(
            room=has_room(self.flights.values(), self.view.batch_size or 1, self._workers),
            suspects=not self.flights,
        )
        if hand is None:
            return not self.flights and (self._take_over() or await self._help())
        self._busy = time.monotonic()
        if self._seat.request != self._owner.request(hand.claim.request):
            if not self.flights:  # else: drain first
                await self._load(hand.found, hand.claim)
            return False
        self._send(self._feeder.take())
        return True

    def _take_over(self) -> bool:
        """Get files from a lane that has more than it is at; only when there is nothing else."""
        if self._seat.engine is None or self._feeder.searching:
            return False
        claims = self._owner.take_over(self)
        self._feeder.accept(claims)
        return bool(claims)

    async def _help(self) -> bool:
        """Do a part of a long file that another lane has, or load the model for it."""
        share = None if self._feeder.searching else self._owner.to_share(self)
        if share is None:
            return False
        cut, lane, flight = share
        claim = flight.prepared.claim
        if self.request != claim.request:
            await self._load(flight.prepared.found, claim)
            return False
        log.info("lane %d helps with job %d from %.0f s on", self.view.number, flight.id, cut.at)
        until = lane.shorten(flight, cut.at)
        self._work.divided(flight, self.view.number)
        self._watch.heard()
        self.flights[flight.id] = flight
        stored = self._work.store.chunks(flight.id)
        self._seat.send(order(flight, self.view.number, stored, cut.at, until))
        self._show(LaneState.RUNNING, f"helps with file {flight.id}")
        return True

    async def _send_early(self) -> bool:
        """Give the engine one file to decode while it loads its model; as `_advance`.

        Suspects wait, and after a failure all do: a death while loading is the file's or the
        model's, and only a second one without files tells.
        """
        if self._seat.reloading or self._load_failures or not self._owner.working():
            return False
        hand = await self._feeder.reach(
            room=has_room(self._early.files, self.view.batch_size or 1, self._workers),
            suspects=False,
            only=self.request,
        )
        if hand is None or hand.claim.suspect:
            return False
        self._early.send(self._feeder.take())
        return True

    def _send(self, hand: Prepared, early: Flight | None = None) -> None:
        """Begin a try; `early`: the engine is at it already, and this is what it did."""
        job = hand.claim.id
        if self._work.store.state(job) is not State.QUEUED:
            self._work.unclaim(hand.claim)  # held, cancelled or removed while in hand
            self._seat.send(say.Abandon(job=job))
            return
        if not self.flights:
            self._watch.heard()
        flight = self._work.begin(hand, lane=self.view.number, device=self.view.device)
        self.flights[flight.id] = flight
        stored = self._work.store.chunks(flight.id)
        flight.resume(stored)
        if early is not None:
            flight.stage, flight.parts = early.stage, early.parts
        else:
            self._seat.send(order(flight, self.view.number, stored))
        self._show(LaneState.RUNNING)

    # ------------------------------------------------------------------ model and engine

    def _searching(self, share: float | None, line: str) -> None:
        self.view.progress = None if share is None else round(share, 3)
        self._show(LaneState.STARTING if share is None else LaneState.DOWNLOADING, line)

    def _searched(self, trouble: str) -> None:
        self.view.progress = None
        self._show(LaneState.STOPPED if self._seat.engine is None else LaneState.READY, trouble)
        self.wake()

    async def _load(self, found: Found, claim: Claim) -> None:
        self._watch.heard()
        self._show(LaneState.LOADING)
        try:
            if await self._seat.load(found, self._owner.request(claim.request)):
                self._hung = 0.0
                self._watch.engine_started()
        except OSError as error:
            self._retire(f"no engine process could be started: {error}")
        self._owner.lane_changed()

    def _tell(self, engine: EngineProcess, item: Item) -> None:
        self._inbox.put_nowait((engine, item))

    async def _end_engine(self, *, kill: bool = False) -> None:
        self._ooms = 0
        self._owner.ledger.ended(self.view.number)
        self._early.let_go()
        await self._seat.end(kill=kill)
        if not self.retired:
            self._show(LaneState.STOPPED)

    async def _respawn(self, why: str, kind: ErrorKind) -> None:
        """End the engine; the next work starts a new one."""
        self.view.respawns += 1
        self._show(LaneState.RESPAWNING, why)
        self._owner.emit("respawn", detail=self._fault_detail(kind, why))
        await self._end_engine(kill=True)
        await self._seat.memory_back()

    # ------------------------------------------------------------------ what the engine says

    async def _heard_from(self, item: Item) -> None:
        if self._seat.loading and isinstance(item, say.Progress | say.Failed):
            self._early.heard(item)  # says nothing of how the loading gets on
            return
        if isinstance(item, say.ChunkDone):
            self._watch.batch_done()
        elif not isinstance(item, say.Vitals):
            self._watch.heard()
        match item:
            case say.Loaded():
                self._loaded(item)
            case say.LoadFailed():
                await self._load_failed(item)
            case say.Opened() | say.Progress() | say.ChunkDone() | say.Finished():
                self._file_report(item)
            case say.Heard():
                flight = self.flights.get(item.job)
                if flight is not None and flight.parts[self.view.number].last:
                    self._work.store.heard(item.job, item.strip)
                    self._owner.emit("heard", item.job, item.strip)
            case say.Failed():
                await self._file_failed(item)
            case say.Fault():
                await self._fault(item.text, item.jobs, item.detail)
            case say.Vitals():
                self._vitals(item)
            case Died():
                await self._died(item)
            case _:
                pass

    def _loaded(self, report: say.Loaded) -> None:
        self._load_failures = 0
        self._owner.ledger.loaded(report.seconds)
        why = self._seat.loaded(report)
        self._show(LaneState.READY, why)
        if not self._owner.working():
            self._early.let_go()
        while (early := self._early.next()) is not None:
            flight, at_it = early
            self._send(flight.prepared, flight if at_it else None)

    async def _load_failed(self, report: say.LoadFailed) -> None:
        reloading, request = self._seat.reloading, self._seat.request
        self._seat.loading = False
        kind = report.kind or classify(report.text)
        self.view.last_fault = f"{kind.value}: {report.text}"
        log.warning("lane %d: load failed (%s): %s", self.view.number, kind, report.text)
        if reloading:
            self._give_flights_back(f"new engine after {FAULT_WORDS[kind]}")
            await self._respawn("the reload failed", kind)
            return
        self._load_failures += 1
        if kind is ErrorKind.MODEL and request is not None:
            self._feeder.let_go()
            self._feeder.forget(request.text())
            await self._end_engine()
            error = JobError(kind, report.text, report.hint or "check the model's folder")
            self._owner.model_missing(request.text(), error)
        elif kind is ErrorKind.DEVICE or self._load_failures >= LOAD_TRIES:
            await self._end_engine()
            hint = report.hint or "speakeasy doctor says more; --device cpu works without a GPU"
            self._retire(report.text, hint)
        else:
            await self._respawn(f"the model could not be loaded: {report.text}", kind)

    def _file_report(self, report: FileReport) -> None:
        flight = self.flights.get(report.job)
        if flight is None:
            return
        part = flight.parts[self.view.number]
        if stale(flight, part, report):
            return
        before = note(self._work.store, flight, part, report)
        if isinstance(report, say.ChunkDone):
            self._ooms = 0
            seconds = report.chunk.end - report.chunk.start
            self._seat.batch_done(min(1.0, max(SHORTEST, seconds / WINDOW_S)))
            self._owner.emit("chunk", flight.id, report.chunk)
        elif isinstance(report, say.Finished):
            self._watch.file_done()
            del self.flights[flight.id]
            if flight.leave(self.view.number) and is_whole(self._work, flight):
                self._owner.begin_finish(flight)
            self._rest()
        self._work.advanced(flight, before, self.view.number)

    def _rest(self) -> None:
        if not self.flights and self.view.state is LaneState.RUNNING:
            self._show(LaneState.READY, self._seat.why)

    async def _file_failed(self, report: say.Failed) -> None:
        if report.job not in self.flights:
            return
        kind = report.kind or classify(report.text)
        verdict = climb(kind)
        if not verdict.retry:
            del self.flights[report.job]
            log.info("job %d: %s: %s", report.job, kind, report.text)
            error = JobError(kind, report.text, report.hint or HINTS.get(kind, ""))
            self._work.fail(report.job, error, report.detail)
            return
        await self._fault(report.text, [report.job], report.detail, kind)

    def _vitals(self, report: say.Vitals) -> None:
        self._watch.resident(report.rss)
        self._owner.ledger.vitals(self.view.number, report)
        if not self.view.device.startswith("cuda"):
            self.view.memory_used = report.rss
            self.view.use = round(report.busy, 2)
            self._owner.lane_changed()

    # ------------------------------------------------------------------ the ladder

    async def _fault(
        self, text: str, jobs: list[int], detail: str, kind: ErrorKind | None = None
    ) -> None:
        """An error while the engine is alive; it has dropped `jobs`."""
        kind = kind or classify(text)
        batch = self.view.batch_size or 1
        verdict = climb(kind, batch_size=batch, ooms=self._ooms)
        rung = verdict.rung
        if kind is ErrorKind.CRASH:
            # Not the device's: a mistake met in this file. The engine is well.
            rung = Rung.NONE
        self.view.last_fault = f"{kind.value}: {text}"
        log.warning("lane %d: %s, files %s: %s → %s", self.view.number, kind, jobs, text, rung)
        if kind is ErrorKind.OOM:
            self._ooms += 1
            self._seat.cap(max(1, batch // 2))
            if rung is Rung.RESPAWN:
                self._seat.shrink()
        error = JobError(kind, text, HINTS.get(kind, ""))
        culprit = strike(self._work, self.flights, jobs, error, verdict, rung, detail)
        await self._do(rung, kind, text, max(1, batch // 2) if kind is ErrorKind.OOM else batch)
        if rung is not Rung.NONE:
            self._convict(culprit, text)

    async def _do(self, rung: Rung, kind: ErrorKind, text: str, batch: int) -> None:
        match rung:
            case Rung.HALVE:
                self._seat.use_batch(batch)
                self._show(self.view.state)
            case Rung.RELOAD:
                # The engine forgets every file when it reloads; their chunks are stored.
                self._give_flights_back(f"reloaded model after {FAULT_WORDS[kind]}")
                self._seat.reload(batch)
                self._show(LaneState.RELOADING, f"reloading the model after {FAULT_WORDS[kind]}")
                self._owner.emit("reload", detail=self._fault_detail(kind, text))
            case Rung.RESPAWN:
                self._give_flights_back(f"new engine after {FAULT_WORDS[kind]}")
                await self._respawn(f"new engine after {FAULT_WORDS[kind]}", kind)
            case Rung.RETIRE:
                self._give_flights_back("given back: its device is gone")
                await self._end_engine()
                self._retire(text, "speakeasy doctor says more; resume tries the device again")
            case Rung.PAUSE:
                error = JobError(kind, text, "make room; the batch goes on by itself")
                self._owner.disk_full(os.fsencode(self._owner.home.state), error)
                self._seat.use_batch(batch)
            case Rung.NONE:
                # After a fault the engine waits for a word before it goes on with the others.
                self._seat.use_batch(batch)

    def _convict(self, culprit: int | None, text: str) -> None:
        """Count a file that failed alone; a GPU on which different ones do is bad itself."""
        if culprit is None or not self._watch.file_failed(culprit):
            return
        if self.view.device.startswith("cuda") and not self.retired:
            self._give_flights_back("given back: its device is retired")
            self._retire(f"{BAD_FILES} different files failed on it in a row; the last: {text}")

    async def _died(self, died: Died) -> None:
        kind = ErrorKind.HANG if self._hung else ErrorKind.CRASH
        what = describe_exit(died.status)
        if self._hung:
            what = f"no progress for {self._hung:.0f} s"
        elif classify_exit(died.tail) is ErrorKind.DEVICE:
            log.warning("lane %d: %s: %s", self.view.number, what, died.tail)
            await self._do(Rung.RETIRE, ErrorKind.DEVICE, f"{what}; {died.tail[-300:]}", 1)
            return
        self.view.last_fault = f"{kind.value}: {what}"
        log.warning("lane %d: %s; in flight: %s", self.view.number, what, list(self.flights))
        error = JobError(kind, what, HINTS[kind])
        culprit = bury(self._work, self.flights, error, f"{what}\n{died.tail}".strip())
        if self._seat.loading:
            self._load_failures += 1
        await self._respawn(what, kind)
        if self._load_failures >= LOAD_TRIES:
            self._retire(f"{what} while loading the model, {LOAD_TRIES} times; {died.tail[-300:]}")
        else:
            self._convict(culprit, what)

    def _check_stall(self) -> None:
        if self._seat.engine is None or self._hung or not (self.flights or self._seat.loading):
            return
        limit = self._watch.limit(loading=self._seat.loading, flights=self.flights.values())
        if self._watch.silent(limit):
            self._hung = limit
            log.warning("lane %d: no progress for %.0f s", self.view.number, limit)
            self._seat.engine.kill()

    async def _check_idle(self) -> None:
        if self.busy:
            self._busy = time.monotonic()
        elif self._seat.engine is not None and time.monotonic() - self._busy > IDLE_UNLOAD_S:
            await self._end_engine()

    def _retire(self, text: str, hint: str = "speakeasy doctor says more") -> None:
        self._feeder.let_go()
        self._feeder.forget()
        self.view.last_fault = self.view.last_fault or text
        self._show(LaneState.RETIRED, text)
        self._owner.lane_retired(self, JobError(ErrorKind.DEVICE, text, hint))

    # ------------------------------------------------------------------ small things

    def _give_all_back(self, message: str) -> None:
        self._feeder.let_go()
        self._give_flights_back(message)

    def _give_flights_back(self, message: str) -> None:
        for job in list(self.flights):
            del self.flights[job]
            self._work.give_back(job, outcome="given back", message=message)

    def _fault_detail(self, kind: ErrorKind, text: str) -> dict[str, object]:
        return {
            "lane": self.view.number,
            "device": self.view.device,
            "kind": kind,
            "message": text,
            "reloads": self.view.reloads,
            "respawns": self.view.respawns,
            "batch_size": self.view.batch_size,
        }

    def _show(self, state: LaneState, why: str | None = None) -> None:
        self.view.state = state
        if why is not None:
            self.view.why = why
        self._owner.lane_changed()
