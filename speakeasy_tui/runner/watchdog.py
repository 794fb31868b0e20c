"""Whether an engine gets on: how long it may be silent, when it has grown too large.

Silence is judged by progress, never by a heartbeat: a stuck kernel leaves heartbeats running.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from speakeasy_tui.core.settings import Settings
from speakeasy_tui.runner.flight import Flight

READ_SPEED = 1_000_000
"""Bytes a second below which a disk counts as stuck."""
CHUNK_S = 30.0
PATIENCE = 10.0
"""A batch may take so many times the slowest one before it."""
FIRST_BATCHES = 4
"""Times `stall_s` that the first batch may take: its speed is not known yet, and on new GPUs
the kernels are compiled in it."""
LATE_S, LATE_FIRST_S = 10.0, 30.0
"""Seconds without progress after which an idle lane may have whatever this one has not begun:
where it is known what batches take (and then also five times that), and before."""
BAD_FILES = 3
"""Different files that fail on one GPU, with no success between, before it is retired."""


class Watchdog:
    """Watches one lane's engine."""

    def __init__(self, settings: Settings, memory: int) -> None:
        """`memory`: bytes of resident memory at which an engine is replaced."""
        self._settings = settings
        self._memory = memory
        self._heard = time.monotonic()
        self._slowest: float | None = None
        self._files = 0
        self._rss = 0
        self._convicted: set[int] = set()

    def engine_started(self) -> None:
        """A new engine: forget what the last one did."""
        self._heard = time.monotonic()
        self._slowest = None
        self._files = self._rss = 0

    def heard(self) -> None:
        """The engine got on."""
        self._heard = time.monotonic()

    def batch_done(self) -> None:
        """The engine finished chunks: how long it took tells how long the next may."""
        now = time.monotonic()
        self._slowest = max(self._slowest or 0.0, now - self._heard)
        self._heard = now

    def file_done(self) -> None:
        """A file is finished: the device is well."""
        self._files += 1
        self._convicted.clear()

    def file_failed(self, job: int) -> bool:
        """A file alone on the device met a fault. True when the device is to blame."""
        self._convicted.add(job)
        return len(self._convicted) >= BAD_FILES

    def resident(self, rss: int) -> None:
        """Bytes of memory the engine's process has."""
        self._rss = rss

    def worn(self) -> str:
        """Why the engine should be replaced when it is idle next; empty: it should not."""
        if self._settings.recycle_files and self._files >= self._settings.recycle_files:
            return f"after {self._files} files"
        if self._rss > self._memory:
            return f"at {self._rss / 2**30:.1f} GiB of memory"
        return ""

    def limit(self, *, loading: bool, flights: Collection[Flight]) -> float:
        """Seconds of silence after which the engine counts as hung, in what it does now.

        Loading, decoding and inference differ: decoding grows with the file's size, inference
        with what batches took so far.
        """
        settings = self._settings
        if loading:
            return settings.load_limit_s
        if all(flight.chunks == 0 for flight in flights):
            largest = max((flight.size for flight in flights), default=0)
            return settings.decode_limit_s + largest / READ_SPEED
        if self._slowest is None:
            return settings.stall_s * FIRST_BATCHES
        return settings.stall_s + PATIENCE * self._slowest

    def late(self) -> bool:
        """Whether the engine has been silent for much longer than it ever was."""
        usual = LATE_FIRST_S if self._slowest is None else max(LATE_S, 5 * self._slowest)
        return self.silent(usual)

    def silent(self, limit: float) -> bool:
        """Whether the engine has been silent for longer than `limit` seconds."""
        return time.monotonic() - self._heard > limit
