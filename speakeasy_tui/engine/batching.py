"""Which windows go through the model next."""

from __future__ import annotations

import time
from collections.abc import Iterable

from speakeasy_tui.engine.work import Window

PATIENCE = 0.25
"""Seconds to wait for windows that would fill a batch, while the front end makes some."""


class Ready:
    """Windows that wait for a place in a batch, oldest first."""

    def __init__(self) -> None:
        self._windows: list[Window] = []
        self._full_by = 0.0
        """Until then (monotonic) a batch waits to become full."""

    def add(self, window: Window) -> None:
        """A new window."""
        self._windows.append(window)

    def add_again(self, windows: Iterable[Window]) -> None:
        """Windows of which a part is done: they come first, so that files finish."""
        self._windows[:0] = windows

    def pause(self, size: int, expecting: bool) -> float | None:
        """Seconds to wait before the next batch of `size`: 0 is now, None until told more."""
        if not self._windows:
            self._full_by = 0.0
            return None
        if len(self._windows) >= size or not expecting:
            return 0.0
        now = time.monotonic()
        self._full_by = self._full_by or now + PATIENCE
        return max(0.0, self._full_by - now)

    def next(self, size: int) -> list[Window]:
        """Take the oldest window and those that may share a batch of `size` with it."""
        self._full_by = 0.0
        bucket = self._windows[0].bucket()
        batch: list[Window] = []
        rest: list[Window] = []
        for window in self._windows:
            fits = len(batch) < size and window.bucket() == bucket
            (batch if fits else rest).append(window)
        self._windows = rest
        return batch

    def forget_dropped(self) -> int:
        """Take out windows of dropped files; how many that were."""
        kept = [window for window in self._windows if not window.file.dropped]
        gone = len(self._windows) - len(kept)
        self._windows = kept
        return gone
