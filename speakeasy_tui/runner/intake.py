"""What people queue, start again, hold and cancel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING

from speakeasy_tui.core.job import State
from speakeasy_tui.core.protocol import Rerun, Source, Uncancel
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.runner.queueing import Begun, Found, Taken
from speakeasy_tui.runner.scan import search

if TYPE_CHECKING:
    from speakeasy_tui.runner.runner import Runner

SCAN_BATCH, SCAN_BATCH_BESIDE_WORK = 500, 200
"""Files queued in one transaction; 200 take about 10 ms, and between two lots the lanes get on."""
SCAN_PATIENCE_S = 0.2
"""Seconds after which what was found is queued, though it is less than a batch: the first file
should not wait for a slow disk to name so many."""


class Intake:
    """The ways into a runner's queue, and out of it."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def add(self, sources: list[Source], options: JobOptions, *, start: bool) -> Taken:
        """Search `sources` and queue what is found, in batches, as it is found."""
        total = Taken([], [], [], [])
        self._runner.journal.note(sources, options)
        self._runner.scanning += 1
        try:
            found = chain.from_iterable(search(source) for source in sources)
            while batch := await asyncio.to_thread(_some, found, self._lot()):
                self._take(self._runner.store.add(batch, options), total)
                if start and not self._runner.working():
                    self._runner.start()  # once something is queued: what waited may be asked anew
        finally:
            self._runner.scanning -= 1
        if start:
            self._runner.start()
        self._runner.lanes.ensure()
        self._runner.wake()
        return total

    def _lot(self) -> int:
        return SCAN_BATCH_BESIDE_WORK if self._runner.work.flights else SCAN_BATCH

    def _take(self, taken: Taken, total: Taken) -> None:
        """Add to `total` what has been queued, and tell everybody."""
        total.new += taken.new
        total.again += taken.again
        total.known += taken.known
        total.failed += taken.failed
        failed = set(taken.failed)
        for job in self._runner.work.jobs(taken.new + taken.again):
            self._runner.server.changed(job.id)
            self._runner.server.event("queued", job)
            if job.id in failed:
                self._runner.server.event("failed", job)
        self._runner.lanes.ensure()
        self._runner.wake()

    def rerun(self, asked: Rerun) -> Begun:
        """Start new series of tries."""
        chosen = list(asked.ids)
        if asked.failed:
            states = [State.FAILED, State.QUARANTINED]
            chosen += [job.id for job in self._runner.store.jobs(states=states)]
        begun = self._runner.store.rerun(chosen, asked.options, asked.names)
        self._queued_again(begun.new)
        return begun

    def uncancel(self, asked: Uncancel) -> list[int]:
        """Put back what is still cancelled."""
        store = self._runner.store
        changed = store.rerun(asked.ids, old=frozenset({State.CANCELLED})).new
        held = set(asked.held).intersection(changed)
        store.turn(held, frozenset({State.QUEUED}), State.HELD)
        self._queued_again(changed)
        return changed

    def _queued_again(self, jobs: list[int]) -> None:
        """Tell everybody, and set to work."""
        self._runner.tell("queued", jobs)
        self._runner.lanes.ensure()
        self._runner.wake()

    def turn(self, ids: list[int], new: State) -> list[int]:
        """Hold, release or cancel jobs, those running are stopped first; returns which it did."""
        old = frozenset({State.HELD}) if new is State.QUEUED else frozenset({State.QUEUED})
        if new is State.CANCELLED:
            old = frozenset({State.QUEUED, State.HELD})
        stopped: list[int] = []
        if new is not State.QUEUED:
            word = "held" if new is State.HELD else "cancelled"
            stopped = [job for job in ids if self._runner.lanes.abandon(job, new, word)]
        changed = self._runner.store.turn(ids, old, new)
        if new is State.CANCELLED:
            self._runner.tell("cancelled", changed)
        else:
            for job in changed:
                self._runner.changed(job)
        if not self._runner.store.waiting():
            self._runner.lanes.finder.cancel()  # nobody waits for it any more
        self._runner.wake()
        return stopped + changed


def _some(found: Iterable[Found], lot: int) -> list[Found]:
    """The next files; on a thread, for the disk may be slow."""
    batch = []
    enough = time.monotonic() + SCAN_PATIENCE_S
    for item in found:
        batch.append(item)
        if len(batch) >= lot or time.monotonic() > enough:
            break
    return batch
