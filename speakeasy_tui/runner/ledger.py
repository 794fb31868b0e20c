"""What the engines have spent, for ``run --profile``; those that are gone included."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable

from speakeasy_tui.core.engineprotocol import Vitals
from speakeasy_tui.core.protocol import Profile

FIRST_S = 2.0
"""Seconds before an engine's first word that it speaks of."""


class Ledger:
    """Since the runner began."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._past: Counter[str] = Counter()
        """Seconds by stage, of engines that are gone."""
        self._now: dict[int, dict[str, float]] = {}
        """By lane: what its engine told last; it counts from the start of its process."""
        self._told: dict[int, float] = {}
        """By lane: when (monotonic)."""
        self._load_s = self._busy_s = self._up_s = 0.0

    def loaded(self, seconds: float) -> None:
        """A model took so long to load."""
        self._load_s += seconds

    def vitals(self, lane: int, report: Vitals) -> None:
        """What a lane's engine has spent so far."""
        now = self._clock()
        span = now - self._told.get(lane, now - FIRST_S)
        self._told[lane] = now
        self._up_s += span
        self._busy_s += report.busy * span
        self._now[lane] = report.stages

    def ended(self, lane: int) -> None:
        """A lane's engine is gone."""
        self._past.update(self._now.pop(lane, {}))
        self._told.pop(lane, None)

    def profile(self, working: Iterable[int]) -> Profile:
        """The sum; `working` are the lanes that have an engine."""
        now = self._clock()
        stages = Counter(self._past)
        for told in self._now.values():
            stages.update(told)
        return Profile(
            pid=os.getpid(),
            stages={name: round(seconds, 3) for name, seconds in stages.items()},
            load_s=round(self._load_s, 3),
            busy_s=round(self._busy_s, 3),
            up_s=round(self._up_s, 3),
            cpu_s=round(time.process_time(), 3),
            age_s=max((now - self._told.get(lane, 0.0) for lane in working), default=0.0),
        )
