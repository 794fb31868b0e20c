"""What a runner looks at every two seconds: its home, disks and devices that it waits for, the
GPUs' vitals, and whether anybody needs it."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
import time
from typing import TYPE_CHECKING

from speakeasy_tui.core.job import RunnerState
from speakeasy_tui.runner.rescue import Reserve
from speakeasy_tui.runner.writing import StoreFullError

if TYPE_CHECKING:
    from speakeasy_tui.runner.runner import Runner

log = logging.getLogger(__name__)

VITALS_S = 2.0
DISK_ROOM = 64 * 2**20
"""Bytes that must be free before a batch that a full disk paused goes on; of a small disk a
quarter."""
DEVICE_WAIT_S, DEVICE_WAIT_MAX_S = 30.0, 600.0
"""Seconds after which devices that were all lost are tried again; doubled each time."""


class Watch:
    """Has its runner go on when what it waited for is there, and end when it is not needed."""

    def __init__(self, runner: Runner) -> None:
        """
        Args:
            runner: whose database is open.
        """
        self._runner = runner
        self._database = runner.home.database.stat()
        self.reserve = Reserve(runner.home.reserve)
        self._full: bytes | None = None
        """The folder in which something found no room."""
        self.cut_off = ""
        """Why rows may say running at which nobody is: they could not be given back yet; empty:
        none does."""
        self._outputs = b"/"
        """The folder that outputs went to last."""
        self.disk_free: int | None = None
        """Bytes, on its disk; None: not known."""
        self._device_wait = DEVICE_WAIT_S
        self._idle_since = self._paused_at = time.monotonic()

    async def run(self) -> None:
        """Look again and again, whatever goes wrong in it."""
        while True:
            await asyncio.sleep(VITALS_S)
            try:
                await self._check_home()
                self.look()
            except Exception:
                log.exception("watching")
            self.end_if_idle()  # whatever else is wrong

    async def take_vitals(self) -> None:
        """How the GPUs fare. Apart from `run`: a driver may never answer."""
        runner = self._runner
        while True:
            await asyncio.sleep(VITALS_S)
            for lane in runner.lanes:
                gpu = runner.lanes.devices.gpu(lane.view.device)
                vitals = await asyncio.to_thread(runner.lanes.devices.vitals, gpu) if gpu else None
                if vitals is not None:
                    lane.view.use = None if vitals.use is None else round(vitals.use, 2)
                    lane.view.memory_used = vitals.memory_used
                    lane.view.temperature = vitals.temperature
                    runner.server.pulse()

    async def watch_disks(self) -> None:
        """How much room there is. Apart from `run`: a network share may never answer."""
        while True:
            try:
                await self.look_at_disks()
            except Exception:
                log.exception("watching the disks")
            await asyncio.sleep(VITALS_S)

    # ------------------------------------------------------------------ what it is told

    def outputs_go_to(self, folder: bytes) -> None:
        """It is the room on this folder's disk that people want to know."""
        self._outputs = folder

    def wait_for_room(self, folder: bytes) -> None:
        """Something found no room in `folder`: the batch goes on when there is some."""
        self._full = folder

    def store_full(self) -> None:
        """The queue found no room for a change: what was in flight may not have been given back."""
        self.reserve.give_up()
        self.cut_off = "the disk of the queue was full"

    def paused(self) -> None:
        """The batch is paused from now on."""
        self._paused_at = time.monotonic()

    def started(self) -> None:
        """The batch goes on: it waits for no disk."""
        self._full = None

    def device_works(self) -> None:
        """A file was done: the next time that devices are lost they are soon tried again."""
        self._device_wait = DEVICE_WAIT_S

    def settle(self) -> bool:
        """Give back what was cut off; False while there is no room even for that."""
        if self.cut_off:
            try:
                self._runner.work.recover(self.cut_off)
                self._runner.store.put("pid", str(os.getpid()))  # whose parts are to be swept
            except StoreFullError:
                return False
            self.cut_off = ""
            self._runner.server.pulse()
        return True

    # ------------------------------------------------------------------ what it looks at

    async def _check_home(self) -> None:
        """End without a home of our own; listen anew where only the socket was removed."""
        runner = self._runner
        try:
            ours = os.path.samestat(runner.home.database.stat(), self._database)
        except (FileNotFoundError, NotADirectoryError):
            ours = False
        if not ours:
            runner.end("the home was removed")
            return
        found = runner.server.socket_is_ours
        if found is None:
            log.warning("the socket was removed: listening anew")
            await runner.server.listen()
        elif not found:  # the lock file was removed, too
            runner.end("another runner has the home")

    def look(self) -> None:
        """At the lanes, and at what is waited for."""
        runner = self._runner
        for lane in runner.lanes:
            speed = runner.work.lane_speed(lane.view.number)
            speed = None if speed is None else round(speed, 1)
            if speed != lane.view.speed:
                lane.view.speed = speed
                runner.server.pulse()
        self.settle()
        self.reserve.take()
        self._try_devices_again()
        runner.pause_if_stuck()
        if runner.active():
            runner.server.pulse()

    def end_if_idle(self) -> None:
        """End a runner with which nobody is connected, once it had nothing to do for a while."""
        runner = self._runner
        try:
            active = runner.active()
        except sqlite3.Error as error:  # a queue that cannot be read is nothing to work on
            log.error("the queue cannot be read: %s", error)
            active = False
        if runner.server.attended or active or runner.scanning:
            self._idle_since = time.monotonic()
        elif time.monotonic() - self._idle_since > runner.settings.linger_s:
            runner.end("idle, and nobody attached", stop=runner.wanted is RunnerState.RUNNING)

    def _try_devices_again(self) -> None:
        """A batch that waits for a device tries again by itself, ever less often."""
        pause = self._runner.pause
        lost = pause is not None and pause.kind == "device"
        if lost and time.monotonic() - self._paused_at > self._device_wait:
            self._device_wait = min(DEVICE_WAIT_MAX_S, self._device_wait * 2)
            log.info("trying the devices again")
            self._runner.start()

    async def look_at_disks(self) -> None:
        """At the room on those that matter: the batch goes on when there is some."""
        runner = self._runner
        if (full := self._full) is not None:
            free, whole = await asyncio.to_thread(_room, full)
            room = free is not None and free > min(DISK_ROOM, whole // 4)
            pause = runner.pause
            if room and self._full == full and pause is not None and pause.kind == "disk":
                runner.start()
        free, _ = await asyncio.to_thread(_room, self._outputs)
        if free != self.disk_free:
            self.disk_free = free
            if runner.active():
                runner.server.pulse()


def _room(folder: bytes) -> tuple[int | None, int]:
    """Bytes free and in all on the disk of a folder; None: it cannot be asked. Blocks."""
    try:
        disk = shutil.disk_usage(os.fsdecode(folder))
    except OSError:
        return None, 0
    return disk.free, disk.total
