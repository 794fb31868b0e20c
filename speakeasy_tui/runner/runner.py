"""The runner: owns the queue, its lanes and its state, and tells clients."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from speakeasy_tui.core.job import (
    Batch,
    JobError,
    Pause,
    RunnerState,
)
from speakeasy_tui.core.job import Lane as View
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.runner.flight import Flight
from speakeasy_tui.runner.intake import Intake
from speakeasy_tui.runner.lanes import Lanes
from speakeasy_tui.runner.ledger import Ledger
from speakeasy_tui.runner.lengths import Lengths
from speakeasy_tui.runner.overall import overall
from speakeasy_tui.runner.rescue import Journal, open_store
from speakeasy_tui.runner.server import Server
from speakeasy_tui.runner.watch import Watch
from speakeasy_tui.runner.work import Work
from speakeasy_tui.runner.writing import StoreFullError

log = logging.getLogger(__name__)

TOLD_AT_ONCE = 500
"""Rows of which clients are told before others are served."""
COMMIT_PATIENCE_S = 5.0
"""Seconds a runner that is told to end waits for outputs that are being written."""
ENDS_BY_ITSELF = frozenset({"disk", "device"})
"""Pauses that no person need lift: what they wait for is looked for as long as the runner is."""


class Runner:
    """The queue of one home, at work."""

    def __init__(self, home: Home, settings: Settings, server: Server) -> None:
        self.home = home
        self.settings = settings
        self.store, self._lost_queue = open_store(home)
        self.journal = Journal(home.journal)
        self.work = Work(self.store, self, settings)
        self.lanes = Lanes(self)
        self.server = server
        self.intake = Intake(self)
        self.ledger = Ledger()
        self.watch = Watch(self)
        self._lengths = Lengths(self.store, self)
        self.pause: Pause | None = None
        self.wanted = RunnerState.STOPPED
        self.ended = asyncio.Event()
        self._unload = False
        self.scanning = 0
        """Folders being searched."""
        self._notice = ""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._finished: list[Flight] = []
        """Files whose outputs are to be written."""
        self._finishing: set[asyncio.Task[Any]] = set()
        self._why = ""

    # ------------------------------------------------------------------ life

    def recover(self, *, begin: bool = True) -> None:
        """Pick up what an earlier runner left, and say so; with `begin` also go on with it."""
        self.watch.reserve.take()
        completed = given_back = 0
        full: StoreFullError | None = None
        try:
            completed, given_back = self.work.recover()
            self.store.put("pid", str(os.getpid()))
        except StoreFullError as error:
            full = error
        wanted = self.store.get("wanted") or RunnerState.STOPPED
        self.wanted = RunnerState(wanted)
        why = self.store.get("pause")
        self.pause = msgspec.json.decode(why, type=Pause) if why else None
        if self.pause is not None and self.pause.kind == "disk":
            self.watch.wait_for_room(os.fsencode(self.home.state))
        if full is not None:
            self.store_full(full)
        if completed or given_back:
            ended = (
                "resumed after the runner had ended" if begin else "an earlier runner was cut off"
            )
            self._notice = f"{ended}: {given_back} files given back"
            if completed:
                self._notice += f", {completed} completed"
            log.info(self._notice)
        if self._lost_queue:
            self._notice = f"{self._lost_queue}; it is made again"
        if self.wanted is RunnerState.RUNNING and not (begin and self.store.waiting()):
            self._set(RunnerState.STOPPED)
        self.lanes.ensure()

    async def _rebuild(self) -> None:
        """Make a lost queue again from the journal; what has its outputs will be skipped."""
        count = 0
        for entry in self.journal.entries():
            taken = await self.intake.add(entry.sources, entry.options, start=False)
            count += len(taken.new)
        self._notice = (
            f"{self._lost_queue}; {count} files were queued again, and those whose outputs are "
            f"there are skipped"
        )
        log.warning(self._notice)
        self.server.pulse()

    async def run(self) -> None:
        """Work until told to end, or nobody needs this runner."""
        self._spawn(self.watch.run())
        self._spawn(self.watch.take_vitals())
        self._spawn(self.watch.watch_disks())
        self._spawn(self._lengths.run())
        self._lengths.wake()
        if self._lost_queue:
            self._spawn(self._rebuild())
        await self.ended.wait()
        if self._finishing:  # commits under way: soon done, and nothing to recover then
            await asyncio.wait(self._finishing, timeout=COMMIT_PATIENCE_S)
        for task in self._tasks:
            task.cancel()
        await self.lanes.close("given back: the runner ended")
        await self.server.goodbye(self._why or "the runner ends")
        self.store.close()

    def end(self, why: str, *, stop: bool = False) -> None:
        """End the runner. With `stop` a later start does not go on by itself."""
        log.info("ending: %s", why)
        self._why = why
        self.ended.set()
        if stop:
            self._set(RunnerState.STOPPED)

    def active(self) -> bool:
        """Whether work is done, or could be, or is to go on by itself once it can."""
        if self.work.flights or self.watch.cut_off:
            return True
        waits = self.pause is not None and self.pause.kind in ENDS_BY_ITSELF
        return (self.working() or waits) and bool(self.store.waiting())

    def may_measure(self) -> bool:
        """Whether headers may be read: no scan under way, and no first transcript waited for."""
        return not self.scanning and (self.work.begun_well or not self.working())

    def _spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended_task)
        return task

    def _ended_task(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task failed", exc_info=task.exception())

    # ------------------------------------------------------------------ state

    def _set(self, wanted: RunnerState, why: Pause | None = None) -> None:
        self.wanted, self.pause = wanted, why
        self.server.pulse()
        try:
            self.store.put("wanted", wanted)
            self.store.put("pause", msgspec.json.encode(why).decode() if why else "")
        except (StoreFullError, sqlite3.Error) as error:
            log.warning("state not saved: %s", error)

    def working(self) -> bool:
        """Whether lanes may begin files."""
        return self.wanted is RunnerState.RUNNING and not self.ended.is_set()

    def unloading(self) -> bool:
        """Whether engines end once they have nothing in flight."""
        return self._unload

    def start(self) -> bool:
        """Work, whatever was paused or stopped; retired lanes get another try.

        Returns whether it does: while what a full disk cut off cannot be given back, the batch
        waits for room.
        """
        if not self.watch.settle():
            self._wait_for_room()
            return False
        before = self.wanted
        self._unload = False
        self.watch.started()
        for lane in self.lanes.take_off_retired():
            self._spawn(lane.close("given back"))
        self._set(RunnerState.RUNNING)
        if before is RunnerState.PAUSED:
            self.emit("resumed")
        self.lanes.ensure()
        self.wake()
        return True

    def pause_batch(self, why: Pause) -> None:
        """Begin no more files; those running finish."""
        if self.wanted is RunnerState.PAUSED and self.pause == why:
            return
        self.watch.paused()
        self._set(RunnerState.PAUSED, why)
        self.emit("paused", detail=why)
        self.wake()

    async def stop(self, *, now: bool) -> None:
        """Pause and end the engines, after the running files or at once."""
        self._unload = True
        self.pause_batch(Pause("person", "stopped", "resume, or speakeasy runner start, goes on"))
        if now:
            await self.lanes.drop_work("given back: stopped")
        self.wake()

    def batch(self) -> Batch:
        """The queue as a whole, now."""
        batch = overall(
            self.store.tallies(),
            wanted=self.wanted,
            scanning=self.scanning,
            at_work=len(self.work.flights) if self.watch.cut_off else None,
            in_flight_s=self.work.in_flight_s(),
            speed=self.work.speed(),
        )
        batch.why, batch.disk_free, batch.notice = self.pause, self.watch.disk_free, self._notice
        return batch

    # ------------------------------------------------------------------ lanes

    def try_over(self, job: int) -> None:
        """A try is over: no lane works on it any more."""
        self.lanes.forget(job)

    def lane_changed(self) -> None:
        """A lane's line is different now."""
        self.server.pulse()

    def lane_retired(self, lane: View, error: JobError) -> None:
        """A lane takes no more work; if no other can do what waits, the batch pauses."""
        log.warning("lane %d (%s) retired: %s", lane.number, lane.device, error.message)
        self.lanes.lost(error)
        self.pause_if_stuck()
        self.wake()  # the others may take what it had

    def pause_if_stuck(self) -> None:
        """Pause when work waits, nothing is done, and the devices it asks for are all lost."""
        if self.working() and (lost := self.lanes.stuck()) is not None:
            self.pause_batch(Pause("device", lost.message, lost.hint))

    def model_missing(self, request: str, error: JobError) -> None:
        """No such model: what asked for it fails, the rest goes on."""
        failed = self.store.fail_waiting(request, error)
        log.warning("model: %s; %d files fail", error.message, len(failed))
        self.tell("failed", failed)
        self.wake()

    def download_cancelled(self, model: str) -> None:
        """A person gave a download up: wait for what they do next, fail nothing."""
        if self.working() and self.store.waiting():
            message = f"the download of {model} was cancelled"
            self.pause_batch(Pause("person", message, "resume goes on with it"))

    def wake(self) -> None:
        """There may be work: tell every lane."""
        self.lanes.wake()
        self._lengths.wake()
        self.server.pulse()

    def begin_finish(self, flight: Flight) -> None:
        """Write a finished file's outputs, while its lane goes on."""
        self.watch.device_works()
        self.watch.outputs_go_to(flight.prepared.plan.folder)
        self._finished.append(flight)
        if len(self._finished) == 1:  # what else is finished in this turn goes with it
            task = self._spawn(self._finish())
            self._finishing.add(task)
            task.add_done_callback(self._finishing.discard)

    async def _finish(self) -> None:
        flights, self._finished = self._finished, []
        await self.work.finish(flights)

    def store_full(self, error: StoreFullError) -> None:
        """The queue's own disk is full: nothing more can be kept until there is room."""
        log.warning("the queue's disk: %s", error)
        self.watch.store_full()
        if self.working():  # else it waits for a person, who has the say
            self._wait_for_room()
        if not self.watch.settle():
            for job, _, _ in self.store.running():
                self.changed(job)

    def cut_off(self, why: str) -> None:
        """Lanes have let files go without a word to the queue: give them back."""
        self.watch.cut_off = why
        if not self.watch.settle():
            self._wait_for_room()
        self.wake()

    def _wait_for_room(self) -> None:
        folder = self.home.state
        message = f"the disk of the queue ({folder}) is full"
        hint = "make room; the batch goes on by itself"
        self.watch.wait_for_room(os.fsencode(folder))
        self.pause_batch(Pause("disk", message, hint))

    def disk_full(self, folder: bytes, error: JobError) -> None:
        """Something found no room in `folder`."""
        self.watch.wait_for_room(folder)
        if self.working():  # else a person has the say, or another file has met it before
            self.pause_batch(Pause("disk", error.message, error.hint))

    # ------------------------------------------------------------------ telling

    def changed(self, job: int) -> None:
        """A row is different now."""
        self.server.changed(job)

    def tell(self, event: str, jobs: Sequence[int]) -> None:
        """As `emit`, of many jobs, which may be all there are: others are served meanwhile."""
        for job in jobs:
            self.server.changed(job)
        if self.server.has_listeners:
            self._spawn(self._tell(event, jobs))

    async def _tell(self, event: str, jobs: Sequence[int]) -> None:
        for at in range(0, len(jobs), TOLD_AT_ONCE):
            for job in self.work.jobs(list(jobs[at : at + TOLD_AT_ONCE])):
                self.server.event(event, job)
            await asyncio.sleep(0)

    def emit(self, event: str, job: int | None = None, detail: Any = None) -> None:
        """Something happened that clients with events are told one by one."""
        if event == "chunk":
            self.server.chunk(job or 0, detail)
            return
        if event == "heard":
            self.server.heard(job or 0, detail)
            return
        if job is not None:
            self.server.changed(job)
        if self.server.has_listeners:
            self.server.event(event, None if job is None else self.work.job(job), detail)
