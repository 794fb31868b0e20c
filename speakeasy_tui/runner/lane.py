"""A lane: one device at work, and what its engine is given when.

Everything happens on the runner's event loop, some items of the inbox at a time: what the
engine says, that it died, or that there may be work.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection
from typing import Any

from msgspec import Struct

from speakeasy_tui.core import engineprotocol as say
from speakeasy_tui.core.job import LaneState, State
from speakeasy_tui.runner.engineprocess import EngineProcess
from speakeasy_tui.runner.feeder import Room
from speakeasy_tui.runner.flight import Flight, order
from speakeasy_tui.runner.hearing import Hearing
from speakeasy_tui.runner.sharing import spare
from speakeasy_tui.runner.station import Owner, Wake
from speakeasy_tui.runner.writing import StoreFullError

log = logging.getLogger(__name__)

TICK_S = 1.0
"""Seconds between two looks at a lane that hears nothing."""
AT_ONCE = 16
"""Items of the inbox that are handled before others are served: what a batch of clips brings
comes together."""
IDLE_UNLOAD_S = 120.0
"""Seconds without work after which an engine ends and frees its device."""


class Drop(Struct, frozen=True):
    """Give everything back and end the engine."""

    message: str
    dropped: asyncio.Future[None]


class Lane(Hearing):
    """One device at work."""

    def __init__(
        self, owner: Owner, number: int, device: str, workers: int, cpu_threads: int
    ) -> None:
        super().__init__(owner, number, device, workers, cpu_threads)
        self._room: Room | None = None
        """Of the engine, as long as its files have as many windows: with clips there are hundreds
        to count."""
        self.task: asyncio.Task[None] = asyncio.create_task(self._run())

    # ------------------------------------------------------------------ from the runner

    def spare(self, request: str) -> list[Flight]:
        """Files that another lane with a model for `request` could take over."""
        if self.request != request:
            return []
        at_work = 0 if self._watch.late() else self.at_work
        return spare(list(self.flights.values()), at_work)

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
        self._put(None, Drop(message, dropped))
        await dropped

    # ------------------------------------------------------------------ the loop

    async def _run(self) -> None:
        while True:
            try:
                more = await self._advance()
                await self._hear(wait=not more)
                await self._check_stall()
            except StoreFullError as error:
                await self._begin_anew(error)
            except Exception:
                # A mistake of the program's must cost one engine, never the night's batch.
                log.exception("lane %d", self.view.number)
                await self._begin_anew(None)

    async def _begin_anew(self, full: StoreFullError | None) -> None:
        """Let all go without a word to the queue, have the runner give it back, end the engine.

        `full`: the queue has no room, which is why; else a mistake. Whatever fails in it, the lane
        goes on.
        """
        try:
            self._feeder.let_go()
            for job in list(self.flights):
                del self.flights[job]
                self._work.let_go(job)
            if full is not None:
                self._owner.store_full(full)
            else:
                self._owner.cut_off("an internal error, see runner.log")
        except Exception:
            log.exception("lane %d: giving back", self.view.number)
        try:
            await self._end_engine()
        except Exception:
            log.exception("lane %d: ending its engine", self.view.number)
        await asyncio.sleep(1)

    async def _hear(self, *, wait: bool) -> None:
        """Handle what is in the inbox; with `wait` there will be something, or a tick passes."""
        await asyncio.sleep(0)  # others are served between two turns
        if wait and not self._inbox:
            self._arrived.clear()
            try:
                # Not `wait_for`: until Python 3.12 it returns what has just come instead of being
                # cancelled, and whoever closes this lane would wait for ever.
                async with asyncio.timeout(TICK_S):
                    await self._arrived.wait()
            except TimeoutError:
                await self._check_idle()
                return
        last = len(self._inbox) - AT_ONCE
        while len(self._inbox) > max(0, last):
            if self._is_note():
                self._take_notes()
            else:
                await self._take(*self._inbox.popleft())

    def _is_note(self) -> bool:
        """Whether what comes next is something that the engine says of a file, to be noted."""
        engine, item = self._inbox[0]
        noted = isinstance(item, say.Opened | say.Progress | say.ChunkDone | say.Heard)
        return noted and engine is self._seat.engine and not self._seat.loading

    def _take_notes(self) -> None:
        """Note such things that come next, as one change of the queue."""
        with self._work.store.together(durable=False):
            for _ in range(AT_ONCE):
                if not (self._inbox and self._is_note()):
                    break
                report = self._inbox.popleft()[1]
                flight = self.flights.get(report.job)
                windows = flight.windows if flight is not None else 0.0
                self._note(report)
                if flight is not None and flight.windows != windows:
                    self._room = None

    async def _take(self, engine: EngineProcess | None, item: Any) -> None:
        if isinstance(item, Wake):
            return
        self._room = None
        if isinstance(item, Drop):
            try:
                self._give_all_back(item.message)
                await self._end_engine()
            finally:
                item.dropped.set_result(None)  # whoever waits is a client
        elif engine is self._seat.engine:
            await self._heard_from(item)

    async def _advance(self) -> bool:
        """Give the engine some files more, or begin to load a model.

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
        if self._room is None or self._room.files != len(self.flights):
            self._room = self._room_beside(self.flights.values())
        hand = await self._feeder.reach(room=self._room, suspects=not self.flights)
        if hand is None:
            if self._feeder.settled:
                return True
            if self.flights or self._feeder.looking:
                return False
            return self._take_over() or await self._help()
        self._busy = time.monotonic()
        if self._seat.request != self._owner.lanes.request(hand.claim.request):
            if not self.flights:  # else: drain first
                await self._load(hand.found, hand.claim)
            return False
        with self._work.store.together(durable=False):
            for hand in self._feeder.take():
                self._send(hand)
                if (flight := self.flights.get(hand.claim.id)) is not None:
                    self._room.take(flight)
        return True

    def _room_beside(self, flights: Collection[Flight]) -> Room:
        return Room(flights, self.view.batch_size or 1, self._workers)

    def _take_over(self) -> bool:
        """Get files from a lane that has more than it is at; only when there is nothing else."""
        if self._seat.engine is None or self._feeder.searching:
            return False
        claims = self._owner.lanes.take_over(self)
        self._feeder.accept(claims)
        return bool(claims)

    async def _help(self) -> bool:
        """Do a part of a long file that another lane has, or load the model for it."""
        share = None if self._feeder.searching else self._owner.lanes.to_share(self)
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
        """Give the engine some files to decode while it loads its model; as `_advance`.

        Suspects wait, and after a failure all do: a death while loading is the file's or the
        model's, and only a second one without files tells.
        """
        if self._seat.reloading or self._load_failures or not self._owner.working():
            return False
        room = self._room_beside(self._early.files)
        hand = await self._feeder.reach(room=room, suspects=False, only=self.request)
        if hand is None or hand.claim.suspect:
            return self._feeder.settled
        for hand in self._feeder.take():
            self._early.send(hand)
        return True

    async def _check_idle(self) -> None:
        if self.busy:
            self._busy = time.monotonic()
        elif self._seat.engine is not None and time.monotonic() - self._busy > IDLE_UNLOAD_S:
            await self._end_engine()
