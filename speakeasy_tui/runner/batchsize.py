"""Which batch size a lane uses when nobody chose one: grown while it pays and fits, remembered.

A model begins with what its engine thinks fit. Where memory allows more, the size is doubled as
long as windows go through the model faster by it, which full batches tell: how well a GPU is
filled depends on it, the model and the recordings. What does not fit is halved (`core.faults`), and
tried again with ever more patience.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from speakeasy_tui.core.engineprotocol import Loaded
from speakeasy_tui.runner.store import Store

GROW_AFTER = 100
"""Full batches without a fault after which a batch that once was too large is tried again; after
each failure twice as many."""
MAX_PATIENCE = 6
"""Doublings of that at most."""
WARM_UP = 2
"""Full batches of a new size that are not timed: kernels are chosen, memory is fetched."""
TIMED = 8
"""Full batches that tell how fast a size is."""
TIMED_S = 10.0
"""Seconds that they take together, at least."""
GAIN = 1.05
"""Windows a second, relative to half the size, from which on a size pays."""


class Known(Struct, frozen=True):
    """What is known of a model on a device."""

    size: int
    failures: int = 0
    """Times that a larger batch did not fit."""
    enough: int | None = None
    """A larger one does not pay; None: that was not found out."""


class BatchSizes:
    """Of one lane; kept in the database for the next engine and the next run."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = ""
        self._known = Known(1)
        self._most = 1
        """What memory allows: never gone beyond."""
        self._size = 1
        """In use; larger than what is known while that is being tried."""
        self._clean = 0
        """Full batches done since the size was last changed."""
        self._windows = 0
        """Of those that are timed."""
        self._seconds = 0.0
        """That those took, of all workers."""
        self._before = 0.0
        """Windows a second at half the size; 0 where that was not measured."""

    def begin(self, key: tuple[str, ...], report: Loaded, cap: int | None) -> int:
        """A model is in memory; returns the batch size to use.

        Args:
            key: model, compute type and device.
            report: the engine's, with what fits.
            cap: what is left after faults of the same lane with another compute type.
        """
        self._key = f"batch:{msgspec.json.encode(key).decode()}"
        self._most = max(report.batch_size, report.most)
        text = self._store.get(self._key)
        if text is not None:
            known = msgspec.json.decode(text, type=Known)
        elif cap is not None and cap < report.batch_size:
            known = Known(cap, 1)
        else:
            known = Known(report.batch_size)
        if text is None:
            self._keep(known)
        self._known = known
        self._use(min(known.size, self._most))
        return self._size

    def leave(self) -> None:
        """The batch size is a person's choice now, or there is no model."""
        self._key = ""

    def overflowed(self, left: int) -> None:
        """A batch did not fit; `left` is tried next."""
        if self._key:
            self._keep(Known(left, self._known.failures + 1, self._known.enough))
            self._use(left)

    def done(self, windows: int, seconds: float) -> int | None:
        """A full batch went through the model; returns a new size when it is time for one.

        Args:
            windows: of it.
            seconds: it was in the model, beside those of other workers.
        """
        if not self._key or windows != self._size:
            return None
        self._clean += 1
        if self._clean > WARM_UP:
            self._windows += windows
            self._seconds += seconds
        if self._known.failures:
            return self._regrow()
        timed = self._clean >= WARM_UP + TIMED and self._seconds >= TIMED_S
        if self._known.enough is not None or not timed:
            return None
        return self._climb()

    def _regrow(self) -> int | None:
        """After batches that did not fit: carefully back to the size that did, or should."""
        size, failures, enough = self._size, self._known.failures, self._known.enough
        if self._clean < GROW_AFTER * 2 ** min(failures, MAX_PATIENCE):
            return None
        limit = min(enough or self._most, self._most)
        if size < limit:
            self._keep(Known(min(2 * size, limit), failures, enough))
        else:
            self._keep(Known(self._known.size, 0, enough))  # it fits after all
        return self._use(min(self._known.size, self._most))

    def _climb(self) -> int | None:
        """On to twice the size, if the last doubling paid; else back."""
        pace = self._windows / self._seconds
        if self._before and pace < GAIN * self._before:
            self._keep(Known(self._known.size, enough=self._known.size))
            return self._use(self._known.size)
        self._keep(Known(self._size, enough=self._size if self._size == self._most else None))
        larger = self._use(min(2 * self._size, self._most))
        self._before = pace
        return larger

    def _use(self, size: int) -> int | None:
        """Count anew; the size if it is another one."""
        changed = size != self._size
        self._size, self._clean, self._windows, self._seconds = size, 0, 0, 0.0
        self._before = 0.0
        return size if changed else None

    def _keep(self, known: Known) -> None:
        self._known = known
        self._store.put(self._key, msgspec.json.encode(known).decode())
