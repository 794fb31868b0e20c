"""Which batch size a lane uses when nobody chose one: grown while it pays and fits, remembered.

A model begins with what its engine thinks fit. Where memory allows more, the size is doubled as
long as windows go through the model faster by it, which full batches tell: how well a GPU is
filled depends on it, the model and the recordings. What does not fit is halved, and the larger size
tried again with ever more patience; up to where the engine would begin it need not be faster.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from speakeasy_tui.core.engineprotocol import Loaded
from speakeasy_tui.runner.store import Store

GROW_AFTER = 100
"""Full batches without a fault after which a size that once was too large is tried again, for
each failure twice as many."""
MAX_PATIENCE = 6
"""Doublings of that at most."""
WARM_UP = 6
"""Full batches of a new size that are not timed: kernels are chosen, memory is fetched, and each of
up to three workers does a step of each kind twice until it is recorded."""
TIMED = 8
"""Full batches that tell how fast a size is, at least."""
TIMED_S = 10.0
"""Seconds that they take together, at least."""
GAIN = 1.05
"""Windows a second, relative to the size before, from which on a larger one pays."""


class Known(Struct, frozen=True):
    """What is known of a model on a device."""

    size: int
    """The largest that has fitted and paid."""
    failures: int = 0
    """Times that a larger batch did not fit, since one did."""
    enough: int | None = None
    """A larger one does not pay; None: that was not found out."""


class BatchSizes:
    """Of one lane; kept in the database for the next engine and the next run."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = ""
        self._known = Known(1)
        self._start = 1
        """What the engine would begin with."""
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
        """Windows a second at the known size, while a larger one is tried."""

    def begin(self, key: tuple[str, ...], report: Loaded, cap: int | None) -> int:
        """A model is in memory; returns the batch size to use.

        Args:
            key: model, compute type and device.
            report: the engine's, with what fits.
            cap: what is left after faults of the same lane with another compute type.
        """
        self._key = f"batch:{msgspec.json.encode(key).decode()}"
        self._start, self._most = report.batch_size, max(report.batch_size, report.most)
        text = self._store.get(self._key)
        if text is not None:
            self._known = msgspec.json.decode(text, type=Known)
        elif cap is not None and cap < report.batch_size:
            self._keep(Known(cap, 1))
        else:
            self._keep(Known(report.batch_size))
        return self._use(min(self._known.size, self._most))

    def leave(self) -> None:
        """The batch size is a person's choice now, or there is no model."""
        self._key = ""

    def overflowed(self, size: int) -> int:
        """A batch of `size` did not fit; returns what to use next."""
        known = self._known
        if not self._key:
            return max(1, size // 2)
        if size > self._size:  # given before a smaller one was chosen: nothing new
            return self._size
        left = known.size if size > known.size else max(1, size // 2)
        self._keep(Known(left, known.failures + 1, known.enough))
        return self._use(left)

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
        return self._decide() if self._clean >= WARM_UP + TIMED else None

    def _decide(self) -> int | None:
        """Whether what is tried stays, and what is tried next; the size to use, if another."""
        known, trial = self._known, self._size > self._known.size
        larger = max(self._size, min(2 * self._size, self._most, known.enough or self._most))
        if not trial and larger == self._size:
            return None
        if larger > self._start and self._seconds < TIMED_S:
            return None
        pace = self._windows / max(self._seconds, 1e-9)
        if trial:  # it has fitted; beyond the start it must pay, too
            if self._size > self._start and pace < GAIN * self._before:
                self._keep(Known(known.size, 0, known.size))
                return self._use(known.size)
            self._keep(Known(self._size, 0, known.enough))
        elif known.failures and self._clean < GROW_AFTER * 2 ** min(known.failures, MAX_PATIENCE):
            return None
        if larger == self._size:
            return None
        self._before = pace
        return self._use(larger)

    def _use(self, size: int) -> int:
        """Count anew."""
        self._size, self._clean, self._windows, self._seconds = size, 0, 0, 0.0
        return size

    def _keep(self, known: Known) -> None:
        self._known = known
        self._store.put(self._key, msgspec.json.encode(known).decode())
