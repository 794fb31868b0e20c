"""What a lane holds and can do with it: a device, its engine process, and files in flight.

`hearing.py` says what is done on an engine's word, `lane.py` when it is given what.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from speakeasy_tui.core import engineprotocol as say
from speakeasy_tui.core.faults import Rung
from speakeasy_tui.core.job import ErrorKind, JobError, LaneState, State
from speakeasy_tui.core.job import Lane as View
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.runner.batchsize import BatchSizes
from speakeasy_tui.runner.early import Early
from speakeasy_tui.runner.engineprocess import EngineProcess
from speakeasy_tui.runner.feeder import Feeder
from speakeasy_tui.runner.feeder import Owner as FeederOwner
from speakeasy_tui.runner.flight import Flight, Prepared, order
from speakeasy_tui.runner.ledger import Ledger
from speakeasy_tui.runner.modelfinder import Found
from speakeasy_tui.runner.record import Claim
from speakeasy_tui.runner.seat import Seat
from speakeasy_tui.runner.watchdog import Watchdog
from speakeasy_tui.runner.writing import StoreFullError

if TYPE_CHECKING:
    from speakeasy_tui.runner.lanes import Lanes


class Wake(Struct, frozen=True):
    """There may be something to do."""


class Owner(FeederOwner, Protocol):
    """The runner, as far as a lane knows it."""

    home: Home
    settings: Settings
    ledger: Ledger

    @property
    def lanes(self) -> Lanes: ...

    def working(self) -> bool: ...
    def unloading(self) -> bool: ...
    def lane_changed(self) -> None: ...
    def emit(self, event: str, job: int | None = None, detail: Any = None) -> None: ...
    def lane_retired(self, lane: View, error: JobError) -> None: ...
    def begin_finish(self, flight: Flight) -> None: ...
    def disk_full(self, folder: bytes, error: JobError) -> None: ...
    def store_full(self, error: StoreFullError) -> None: ...
    def cut_off(self, why: str) -> None: ...


class Station:
    """A device, its engine, and the files given to it."""

    def __init__(
        self, owner: Owner, number: int, device: str, workers: int, cpu_threads: int
    ) -> None:
        gpu = owner.lanes.devices.gpu(device)
        self.view = View(number=number, device=device, name=gpu.name if gpu else None)
        if gpu is not None:
            self.view.memory_total = gpu.memory
        self.flights: dict[int, Flight] = {}
        self._owner = owner
        self._work = owner.work
        self._workers = workers
        self._inbox: deque[tuple[EngineProcess | None, Any]] = deque()
        self._arrived = asyncio.Event()
        """Something has come into the inbox since it was last found empty."""
        sizes = BatchSizes(owner.work.store)
        self._seat = Seat(
            owner.home, self.view, owner.lanes.devices, workers, cpu_threads, sizes, self._put
        )
        self._feeder = Feeder(owner, device, self._searching, self._searched, self.wake)
        self._early = Early(owner.work, self._seat, number)
        self._load_failures = 0
        self._overflow = Rung.NONE
        self._busy = time.monotonic()
        self._hung = 0.0
        """The limit (s) that the engine overran, when that is why it was killed."""
        self._watch = Watchdog(owner.settings, owner.lanes.memory_share(device))

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

    @property
    def at_work(self) -> int:
        """Windows that are in the model, or next."""
        return (self.view.batch_size or 1) * self._workers

    def wake(self) -> None:
        """There may be something to do."""
        self._put(None, Wake())

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
            lanes = self._owner.lanes
            wanted, engines = lanes.request(claim.request), lanes.at_work()
            if await self._seat.load(found, wanted, max(1, engines)):
                self._hung = 0.0
                self._watch.engine_started()
        except OSError as error:
            self._retire(f"no engine process could be started: {error}")
        self._owner.lane_changed()

    def _put(self, engine: EngineProcess | None, item: Any) -> None:
        self._inbox.append((engine, item))
        self._arrived.set()

    async def _end_engine(self, *, kill: bool = False) -> None:
        self._overflow = Rung.NONE
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

    def _retire(self, text: str, hint: str = "speakeasy doctor says more") -> None:
        self._feeder.let_go()
        self._feeder.forget()
        self.view.last_fault = self.view.last_fault or text
        self._show(LaneState.RETIRED, text)
        self._owner.lane_retired(self.view, JobError(ErrorKind.DEVICE, text, hint))

    # ------------------------------------------------------------------ files

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

    def _rest(self) -> None:
        if not self.flights and self.view.state is LaneState.RUNNING:
            self._show(LaneState.READY, self._seat.why)

    def _give_all_back(self, message: str) -> None:
        self._feeder.let_go()
        self._give_flights_back(message)

    def _give_flights_back(self, message: str) -> None:
        for job in list(self.flights):
            del self.flights[job]
            self._work.give_back(job, outcome="given back", message=message)

    # ------------------------------------------------------------------ telling

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
