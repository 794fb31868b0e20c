"""How loud a recording is, and where somebody speaks, in at most 160 characters.

A picture for a person, not a measurement: levels are root mean squares, in steps of 4 dB below
the loudest part of the recording.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MOST = 160
"""Bins; when there would be more, two and two become one."""
FIRST_WIDTH = 320
"""Samples in a bin of a short recording: 20 ms at 16 kHz."""
LEVELS = 8
STEP_DB = 4.0
"""Between two levels."""
QUIET_DB = -40.0
"""Below full scale: what is nowhere louder is not drawn as if it were loud."""
SPOKEN = 0.1
"""Share of a bin that has to be speech for it to be marked."""
_BLOCK = 2**20
"""Samples that are turned into floats at a time."""


class Loudness:
    """Takes a recording block by block, in memory that does not grow with it."""

    def __init__(self) -> None:
        self._width = FIRST_WIDTH
        self._energy = np.zeros(MOST)
        self._speech = np.zeros(MOST)
        """Samples of each bin that are speech."""
        self._count = 0
        """Samples so far."""

    def add(self, samples: npt.NDArray[np.int16]) -> None:
        """The next samples: int16, mono, 16 kHz."""
        for first in range(0, len(samples), _BLOCK):
            self._take(samples[first : first + _BLOCK])

    def mark(self, start: int, end: int) -> None:
        """Somebody speaks from sample `start` to sample `end`, which may be still to come."""
        self._room(end)
        first, last = start // self._width, (end - 1) // self._width
        edges = np.clip(np.arange(first, last + 2) * self._width, start, end)
        self._speech[first : last + 1] += np.diff(edges)

    def strip(self) -> str:
        """A hexadecimal digit for each bin: its level, 0–7, and 8 more where somebody speaks.

        Bins are equally long but for the last. Empty when there were no samples.
        """
        bins = -(-self._count // self._width)
        sizes = np.full(bins, self._width)
        if bins:
            sizes[-1] = self._count - (bins - 1) * self._width
        power = self._energy[:bins] / np.maximum(sizes, 1)
        decibels = 10 * np.log10(np.maximum(power, 1e-12))
        top = max(QUIET_DB, float(decibels.max(initial=QUIET_DB)))
        below = np.floor((top - decibels) / STEP_DB)
        levels = np.clip(LEVELS - 1 - below, 0, LEVELS - 1).astype(int)
        spoken = self._speech[:bins] >= SPOKEN * sizes
        return "".join(
            f"{level + LEVELS * mark:x}" for level, mark in zip(levels, spoken, strict=True)
        )

    def _take(self, samples: npt.NDArray[np.int16]) -> None:
        if not len(samples):
            return
        start, end = self._count, self._count + len(samples)
        self._room(end)
        first, last = start // self._width, (end - 1) // self._width
        squares = np.square(samples.astype(np.float32) / 32768)
        begins = np.maximum(np.arange(first, last + 1) * self._width - start, 0)
        self._energy[first : last + 1] += np.add.reduceat(squares, begins, dtype=np.float64)
        self._count = end

    def _room(self, end: int) -> None:
        """Make bins as wide as they have to be to hold `end` samples."""
        while end > MOST * self._width:
            self._width *= 2
            for bins in (self._energy, self._speech):
                bins[: MOST // 2] = bins[0::2] + bins[1::2]
                bins[MOST // 2 :] = 0
