"""What is done on an engine's word or death: reports of files, and the recovery ladder.

`core.faults` says which rung, `ladder` what becomes of the files.
"""

from __future__ import annotations

import logging
import os

from speakeasy_tui.core import engineprotocol as say
from speakeasy_tui.core.faults import (
    FAULT_WORDS,
    Rung,
    classify,
    classify_exit,
    climb,
    describe_exit,
)
from speakeasy_tui.core.job import ErrorKind, JobError, LaneState
from speakeasy_tui.runner.dividing import is_whole
from speakeasy_tui.runner.engineprocess import KILL_PATIENCE_S, Died, Item
from speakeasy_tui.runner.ladder import HINTS, bury, strike
from speakeasy_tui.runner.reports import FileReport, note, stale
from speakeasy_tui.runner.station import Station
from speakeasy_tui.runner.watchdog import BAD_FILES

log = logging.getLogger(__name__)

LOAD_TRIES = 3
NO_ROOM = (
    "make memory free (nvidia-smi shows who has it), or use a smaller --model or --compute-type; "
    "resume tries the device again"
)


class Hearing(Station):
    """A station that hears its engine."""

    async def _heard_from(self, item: Item) -> None:
        if self._seat.loading and isinstance(item, say.Progress | say.Failed):
            self._early.heard(item)  # says nothing of how the loading gets on
            return
        if not isinstance(item, FileReport | say.Heard | say.Vitals | say.FullBatch):
            self._watch.heard()  # what a full batch did follows
        match item:
            case say.Loaded():
                self._loaded(item)
            case say.LoadFailed():
                await self._load_failed(item)
            case say.Opened() | say.Progress() | say.ChunkDone() | say.Finished() | say.Heard():
                self._note(item)
            case say.Failed():
                await self._file_failed(item)
            case say.FullBatch():
                if self._seat.batch_done(item):
                    self._show(self.view.state)
            case say.Fault():
                await self._fault(item.text, item.jobs, item.detail, batch=item.batch_size)
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
        if kind is ErrorKind.OOM:  # without a batch: what is left to halve is the model
            self._seat.shrink()
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
            text = report.text
            hint = report.hint or "speakeasy doctor says more; --device cpu works without a GPU"
            if kind is ErrorKind.OOM:
                text = f"{self.view.model} does not fit into memory: {text}"
                hint = report.hint or NO_ROOM
            self._retire(text, hint)
        else:
            await self._respawn(f"the model could not be loaded: {report.text}", kind)

    def _note(self, report: FileReport | say.Heard) -> None:
        if isinstance(report, say.ChunkDone):
            self._watch.batch_done()
        else:
            self._watch.heard()
        flight = self.flights.get(report.job)
        if flight is None:
            return
        if isinstance(report, say.Heard):
            if flight.parts[self.view.number].last:
                self._work.store.heard(report.job, report.strip)
                self._owner.emit("heard", report.job, report.strip)
            return
        part = flight.parts[self.view.number]
        if stale(flight, part, report):
            return
        before = note(self._work.store, flight, part, report)
        if isinstance(report, say.ChunkDone):
            self._overflow = Rung.NONE
            self._owner.emit("chunk", flight.id, report.chunk)
        elif isinstance(report, say.Finished):
            self._watch.file_done()
            del self.flights[flight.id]
            if flight.leave(self.view.number) and is_whole(self._work, flight):
                self._owner.begin_finish(flight)
            self._rest()
        self._work.advanced(flight, before, self.view.number)

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
        self,
        text: str,
        jobs: list[int],
        detail: str,
        kind: ErrorKind | None = None,
        batch: int | None = None,
    ) -> None:
        """An error while the engine is alive; it has dropped `jobs`. `batch`: the size it met."""
        kind = kind or classify(text)
        now = self.view.batch_size or 1
        batch = batch or now
        verdict = climb(kind, batch_size=batch, before=self._overflow)
        rung = verdict.rung
        if kind is ErrorKind.CRASH:
            # Not the device's: a mistake met in this file. The engine is well.
            rung = Rung.NONE
        self.view.last_fault = f"{kind.value}: {text}"
        log.warning("lane %d: %s, files %s: %s → %s", self.view.number, kind, jobs, text, rung)
        if kind is ErrorKind.OOM:
            self._overflow = rung
            now = self._seat.overflowed(batch)
            if rung is Rung.RESPAWN:
                self._seat.shrink()
        error = JobError(kind, text, HINTS.get(kind, ""))
        culprit = strike(self._work, self.flights, jobs, error, verdict, rung, detail)
        await self._do(rung, kind, text, now)
        if rung is not Rung.NONE:
            self._convict(culprit, text)

    async def _do(self, rung: Rung, kind: ErrorKind, text: str, batch: int) -> None:
        match rung:
            case Rung.HALVE:
                self._seat.use_batch(batch, go_on=True)
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
                self._seat.use_batch(batch, go_on=True)
            case Rung.NONE:
                # After a fault the engine waits for a word before it goes on with the others.
                self._seat.use_batch(batch, go_on=True)

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
        elif (ended := classify_exit(died.tail)) is ErrorKind.DEVICE:
            log.warning("lane %d: %s: %s", self.view.number, what, died.tail)
            await self._do(Rung.RETIRE, ErrorKind.DEVICE, f"{what}; {died.tail[-300:]}", 1)
            return
        else:
            kind = ended
        self.view.last_fault = f"{kind.value}: {what}"
        log.warning("lane %d: %s; in flight: %s", self.view.number, what, list(self.flights))
        error = JobError(kind, what, HINTS.get(kind, ""))
        culprit = bury(self._work, self.flights, error, f"{what}\n{died.tail}".strip())
        if self._seat.loading:
            self._load_failures += 1
            if classify(died.tail) is ErrorKind.OOM:  # met by a thread of CTranslate2's
                self._seat.shrink()
        await self._respawn(what, kind)
        if self._load_failures >= LOAD_TRIES:
            self._retire(f"{what} while loading the model, {LOAD_TRIES} times; {died.tail[-300:]}")
        else:
            self._convict(culprit, what)

    async def _check_stall(self) -> None:
        if self._seat.engine is None or not (self.flights or self._seat.loading):
            return
        if self._hung:
            # A process that is stuck in a driver does not even die of SIGKILL.
            if self._watch.silent(self._hung + KILL_PATIENCE_S):
                await self._died(Died(None, ""))
            return
        limit = self._watch.limit(loading=self._seat.loading, flights=self.flights.values())
        if self._watch.silent(limit):
            self._hung = limit
            log.warning("lane %d: no progress for %.0f s", self.view.number, limit)
            self._seat.engine.kill()
