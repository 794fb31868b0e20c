"""How fast audio gets finished, over the last seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

GRAIN = 0.5
"""Seconds; what is finished closer together is kept as one, so that the list stays short."""

PAUSE = 5.0
"""Seconds without work that count as slow work: an engine goes from file to file."""


class Pace:
    """Audio seconds finished per second, over a moving window."""

    def __init__(self, window: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`window` is in seconds."""
        self._window = window
        self._clock = clock
        self._marks: deque[tuple[float, float]] = deque()
        """(when, audio seconds finished since the mark before). The first one only says since
        when there has been work; two are kept, however old."""

    def begin(self) -> None:
        """Work begins: a longer time without any before it does not count."""
        now = self._clock()
        if not self._marks or now - self._marks[-1][0] > PAUSE:
            self._marks.clear()
            self._marks.append((now, 0.0))

    def add(self, seconds: float) -> None:
        """`seconds` of audio have been finished."""
        now = self._clock()
        if not self._marks:
            self._marks.append((now, 0.0))
        when, before = self._marks[-1]
        if len(self._marks) > 1 and now - when < GRAIN:
            self._marks[-1] = (when, before + seconds)
        else:
            self._marks.append((now, seconds))
        self._forget(now)

    def speed(self, *, working: bool) -> float | None:
        """× real time; None before anything is finished, and a window after the end of work.

        While there is work and a batch takes longer than the window, the window is longer. When
        there is none the speed stays what it was at the end of it.
        """
        now = self._clock()
        if len(self._marks) < 2 or (not working and now - self._marks[-1][0] > self._window):
            return None
        end = now if working else self._marks[-1][0]
        self._forget(end)
        finished = sum(seconds for _, seconds in list(self._marks)[1:])
        return finished / max(1.0, end - self._marks[0][0])

    def _forget(self, now: float) -> None:
        while len(self._marks) > 2 and self._marks[1][0] < now - self._window:
            self._marks.popleft()
