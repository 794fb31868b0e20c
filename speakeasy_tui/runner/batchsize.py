"""Which batch size a lane uses when nobody chose one: what has fitted before, grown with care."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from speakeasy_tui.runner.store import Store

GROW_AFTER = 100
"""Full batches without a fault after which a batch that once was too large is tried again; after
each failure twice as many."""
MAX_PATIENCE = 6
"""Doublings of that at most."""


class Known(Struct, frozen=True):
    """What is known of a model on a device."""

    size: int
    failures: int = 0
    """Times that a larger batch did not fit."""


class BatchSizes:
    """Of one lane; kept in the database for the next engine and the next run."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = ""
        self._known = Known(1)
        self._fits = 1
        self._clean = 0.0
        """Windows done since the size was last changed."""

    def begin(self, key: tuple[str, ...], fits: int, cap: int | None) -> int:
        """A model is in memory; returns the batch size to use.

        Args:
            key: model, compute type and device.
            fits: what the engine picked, by the memory that is free: never gone beyond.
            cap: what is left after faults of the same lane with another compute type.
        """
        self._key = f"batch:{msgspec.json.encode(key).decode()}"
        self._fits, self._clean = fits, 0.0
        text = self._store.get(self._key)
        if text is not None:
            self._known = msgspec.json.decode(text, type=Known)
        elif cap is not None and cap < fits:
            self._keep(Known(cap, 1))
        else:
            self._keep(Known(fits))
        return min(self._known.size, fits)

    def leave(self) -> None:
        """The batch size is a person's choice now, or there is no model."""
        self._key = ""

    def overflowed(self, left: int) -> None:
        """A batch did not fit; `left` is tried next."""
        if self._key:
            self._keep(Known(left, self._known.failures + 1))

    def done(self, windows: float) -> int | None:
        """Windows were decoded without a fault; returns a new size when it is time to grow."""
        if not self._key:
            return None
        self._clean += windows
        size, failures = min(self._known.size, self._fits), self._known.failures
        if self._clean < GROW_AFTER * size * 2 ** min(failures, MAX_PATIENCE):
            return None
        self._clean = 0.0
        if size < self._fits:
            self._keep(Known(min(2 * size, self._fits), failures))
            return self._known.size
        if failures:
            self._keep(Known(self._known.size))  # it fits after all
        return None

    def _keep(self, known: Known) -> None:
        self._known, self._clean = known, 0.0
        self._store.put(self._key, msgspec.json.encode(known).decode())
