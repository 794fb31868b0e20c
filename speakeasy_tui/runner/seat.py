"""The engine process on a lane: starting it, loading a model into it, ending it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from speakeasy_tui.core import engineprotocol as say
from speakeasy_tui.core.job import Lane as View
from speakeasy_tui.core.paths import Home
from speakeasy_tui.runner.batchsize import BatchSizes
from speakeasy_tui.runner.devices import Devices
from speakeasy_tui.runner.engineprocess import EngineProcess, Item
from speakeasy_tui.runner.modelfinder import Found
from speakeasy_tui.runner.record import Request

log = logging.getLogger(__name__)

GRACE_S = 3.0
MEMORY_PATIENCE_S = 15.0


class Seat:
    """Room for one engine.

    Args:
        home: whose logs and cache it uses.
        view: the lane as clients are shown it; kept true here as far as the engine goes.
        devices: where GPU memory is looked up.
        workers: batches an engine works on at the same time.
        cpu_threads: of each of them; 0 leaves it to CTranslate2.
        sizes: the lane's batch sizes.
        tell: called with what an engine says, and at last its death.
    """

    def __init__(
        self,
        home: Home,
        view: View,
        devices: Devices,
        workers: int,
        cpu_threads: int,
        sizes: BatchSizes,
        tell: Callable[[EngineProcess, Item], None],
    ) -> None:
        self._home = home
        self._view = view
        self._devices = devices
        self._workers = workers
        self._cpu_threads = cpu_threads
        self._sizes = sizes
        self._tell = tell
        self._kind = ""
        self._why = ""
        self._cap: int | None = None
        """What out-of-memory errors left of the batch; new engines keep to it."""
        self._short: set[Request] = set()
        """Of compute type `auto`, those whose model takes more memory than there is."""
        self.engine: EngineProcess | None = None
        self.request: Request | None = None
        """What the model in it was loaded for."""
        self.loading = False
        """A model is on its way, for the first time or again."""
        self.reloading = False

    @property
    def why(self) -> str:
        """Why this model was taken."""
        return self._why

    async def load(self, found: Found, wanted: Request, engines: int) -> bool:
        """Begin to load a model, in a new engine if need be; True when it is a new one.

        `engines`: that share this machine's cores.

        Raises:
            OSError: no process could be started.
        """
        if self.engine is not None and self._kind != wanted.engine:
            await self.end()
        self.request, self.loading, self._why = wanted, True, found.why
        self._view.model, self._view.engine = found.name, wanted.engine
        self._view.why = found.why
        self._view.warning = found.warning
        fresh = self.engine is None
        if self.engine is None:
            try:
                self.engine = await EngineProcess.start(
                    self._home, self._view.number, wanted.engine, self._tell
                )
            except OSError:
                self.loading = False
                raise
            self._kind = wanted.engine
            self._view.pid = self.engine.pid
        batch = wanted.batch_size if isinstance(wanted.batch_size, int) else None
        if batch is not None and self._cap is not None:
            batch = min(batch, self._cap)
        self.engine.send(
            say.Load(
                model=found.path,
                name=found.name,
                device=self._view.device,
                compute_type=wanted.compute_type,
                quantize=wanted in self._short,
                cpu_threads=self._cpu_threads,
                workers=self._workers,
                engines=engines,
                batch_size=batch,
            )
        )
        return fresh

    def loaded(self, report: say.Loaded) -> str:
        """The model is there; returns why this one, for the lane's line."""
        if self.reloading:
            log.info("lane %d: reloaded in %.2f s", self._view.number, report.seconds)
        self._view.compute_type = report.compute_type
        self._view.batch_size = report.batch_size
        if self.request in self._short:
            self._view.warning = f"memory is short: {report.compute_type}"
        if self.request is not None and not self.reloading:
            self._choose_batch(self.request, report)
        self.loading = self.reloading = False
        return self._why

    def _choose_batch(self, wanted: Request, report: say.Loaded) -> None:
        if isinstance(wanted.batch_size, int):
            self._sizes.leave()
            return
        gpu = self._devices.gpu(self._view.device)
        device = gpu.uuid or gpu.name if gpu is not None else self._view.device
        key = (wanted.engine, self._view.model or "", report.compute_type, device)
        size = self._sizes.begin(key, report, self._cap)
        if size != report.batch_size:
            self.use_batch(size)

    def reload(self, batch_size: int) -> None:
        """Have the engine load its model again."""
        self._view.reloads += 1
        self.loading = self.reloading = True
        self.send(say.Reload(batch_size=batch_size))

    def use_batch(self, batch_size: int, *, go_on: bool = False) -> None:
        """Have the engine use this batch size, and `go_on` after a fault."""
        self._view.batch_size = batch_size
        self.send(say.SetBatch(batch_size=batch_size, go_on=go_on))

    def send(self, command: say.AnyCommand) -> None:
        """Send a command, if there is an engine."""
        if self.engine is not None:
            self.engine.send(command)

    def overflowed(self, batch_size: int) -> int:
        """A batch of that size did not fit; returns what to use next."""
        self._cap = self._sizes.overflowed(batch_size)
        return self._cap

    def batch_done(self, report: say.FullBatch) -> bool:
        """A full batch went well: after some of them another size may be better; True if so."""
        size = None if self.loading else self._sizes.done(report.windows, report.seconds)
        if size is None:
            return False
        log.info("lane %d: batch size %d", self._view.number, size)
        self._cap = None
        self.use_batch(size)
        return True

    def shrink(self) -> None:
        """Let the next engine use a smaller compute type, if the choice is ours."""
        if self.request is not None and self.request.compute_type == "auto":
            self._short.add(self.request)
            log.warning("lane %d: the smallest compute type from now on", self._view.number)

    async def end(self, *, kill: bool = False) -> None:
        """End the engine: by closing its input or, when it may be beyond hearing, by SIGKILL."""
        engine, self.engine = self.engine, None
        self.request, self.loading, self.reloading = None, False, False
        self._sizes.leave()
        self._view.pid = self._view.use = self._view.speed = None
        if not self._view.device.startswith("cuda"):
            self._view.memory_used = None
        if engine is not None:
            if kill:
                engine.kill()
            await engine.end(GRACE_S)

    async def memory_back(self) -> None:
        """Until a dead engine's GPU memory is back: the driver takes its time."""
        gpu = self._devices.gpu(self._view.device)
        last, deadline = -1, time.monotonic() + MEMORY_PATIENCE_S
        while gpu is not None and time.monotonic() < deadline:
            vitals = await asyncio.to_thread(self._devices.vitals, gpu)
            if vitals is None or vitals.memory_used == last:
                return
            last = vitals.memory_used
            await asyncio.sleep(0.25)
