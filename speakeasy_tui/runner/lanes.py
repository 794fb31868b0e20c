"""All lanes of a runner: which devices are at work, and what they share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import msgspec

from speakeasy_tui.core.job import JobError, State
from speakeasy_tui.core.job import Lane as View
from speakeasy_tui.runner import dividing, sharing
from speakeasy_tui.runner.devices import Devices, total_memory, workers_for
from speakeasy_tui.runner.dividing import Share
from speakeasy_tui.runner.lane import Lane
from speakeasy_tui.runner.modelfinder import ModelFinder
from speakeasy_tui.runner.record import Claim, Request
from speakeasy_tui.runner.station import Owner

log = logging.getLogger(__name__)

CLOSE_PATIENCE_S = 12.0
"""Seconds that lanes get to close: an engine that is stuck gets a few before it is killed."""


class Lanes:
    """One lane for each device that the queue asks for."""

    def __init__(self, owner: Owner) -> None:
        """`owner`: the runner; it has its `work` already."""
        self._owner = owner
        self._store = owner.work.store
        self.devices = Devices()
        self.finder = ModelFinder(self.devices)
        self._all: list[Lane] = []
        self._requests: dict[str, Request] = {}
        self._lost: JobError | None = None
        """Why the last lane that was retired was."""

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._all))

    @property
    def views(self) -> list[View]:
        """As clients are shown them."""
        return [lane.view for lane in self._all]

    # ------------------------------------------------------------------ which there are

    def ensure(self) -> None:
        """A lane for each device that queued jobs may run on."""
        if not self._owner.working():
            return
        for request in self._store.requests():
            if not self._store.waiting(request.text()):
                continue
            for device in self.devices.devices_for(request.device):
                if any(view.device == device for view in self.views):
                    continue
                taken = {view.number for view in self.views}
                free = next(n for n in range(len(taken) + 1) if n not in taken)
                crew = workers_for(self._owner.settings, device, self.devices.memory_of(device))
                self._all.append(Lane(self._owner, free, device, *crew))
        self._owner.lane_changed()

    def take_off_retired(self) -> list[Lane]:
        """Those that are lost are no lanes any more, and their devices may get new ones."""
        retired = [lane for lane in self._all if lane.retired]
        self._all = [lane for lane in self._all if not lane.retired]
        return retired

    def at_work(self) -> int:
        """How many are not lost."""
        return sum(not lane.retired for lane in self._all)

    def lost(self, error: JobError) -> None:
        """One was retired, and why."""
        self._lost = error

    def stuck(self) -> JobError | None:
        """Why nothing gets on: work waits, none is done, and the devices that it asks for are all
        lost. None: something does, or nothing waits."""
        alive = [lane for lane in self._all if not lane.retired]
        if self._lost is None or any(lane.busy for lane in alive):
            return None
        devices = {lane.view.device for lane in alive}
        waiting = [r for r in self._store.requests() if self._store.waiting(r.text())]
        able = (devices & set(self.devices.devices_for(request.device)) for request in waiting)
        return self._lost if waiting and not any(able) else None

    async def close(self, message: str) -> None:
        """Give everything back and end the engines; what does not end is left to the kernel."""
        if not self._all:
            return
        closing = [asyncio.create_task(lane.close(message)) for lane in self._all]
        closed, stuck = await asyncio.wait(closing, timeout=CLOSE_PATIENCE_S)
        for task in closed:
            if (error := task.exception()) is not None:
                log.error("closing a lane", exc_info=error)
        if stuck:
            log.error("%d lanes did not close in %.0f s", len(stuck), CLOSE_PATIENCE_S)

    # ------------------------------------------------------------------ what all are told

    def wake(self) -> None:
        """There may be something to do."""
        for lane in self._all:
            lane.wake()

    async def drop_work(self, message: str) -> None:
        """Give everything back now and end the engines; the lanes stay."""
        self.finder.cancel()
        await asyncio.gather(*(lane.drop_work(message) for lane in self._all))

    def abandon(self, job: int, state: State, message: str) -> bool:
        """Stop work on a job and leave it in `state`; False when none is at it."""
        return any(lane.abandon(job, state, message) for lane in self._all)

    def forget(self, job: int) -> None:
        """A try is over: none works on it any more."""
        for lane in self._all:
            lane.forget(job)

    # ------------------------------------------------------------------ what one asks

    def request(self, text: str) -> Request:
        """A request from its text."""
        if text not in self._requests:
            self._requests[text] = msgspec.json.decode(text, type=Request)
        return self._requests[text]

    def requests_for(self, device: str) -> list[str]:
        """The requests that a lane on `device` may take."""
        return [
            request.text()
            for request in self._store.requests()
            if device in self.devices.devices_for(request.device)
        ]

    def take_over(self, idle: Lane) -> list[Claim]:
        """What an idle lane may have of what others were given ahead."""
        return sharing.take_over(self._owner.work, self._all, idle)

    def to_share(self, idle: Lane) -> Share | None:
        """The long file that an idle lane could help with, if there is one."""
        requests = self.requests_for(idle.view.device)
        return dividing.find(self._owner.work, self._all, idle, requests)

    def memory_share(self, device: str) -> int:
        """Bytes of memory at which an engine on `device` is replaced."""
        recycle_mb = self._owner.settings.recycle_mb
        if isinstance(recycle_mb, int):
            return recycle_mb * 2**20
        engines = 1 if device == "cpu" else max(1, len(self.devices.gpus))
        return int(0.8 * total_memory() / engines)
