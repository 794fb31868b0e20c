"""Samples on their way out, in blocks; the last silence that was put in can be taken back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

RATE = 16_000
"""Samples per second, as Whisper wants them."""
BLOCK = 30 * RATE
"""Samples that are handed over at once: 1 MB."""
HOLD = 60 * RATE
"""Samples behind a silence after which it stays. A time that is wrong is followed by a right one
in the next frame, or at the end of a page (Ogg) or cluster (Matroska: 33 s at most)."""


class Tape:
    """Collects samples and silence, and gives them out in blocks of `BLOCK`.

    Memory: a block and, behind a silence that may still be taken back, up to `HOLD` samples;
    silence itself is only a number until it goes out.
    """

    def __init__(self) -> None:
        self.length = 0
        """Samples and silence so far, samples."""
        self._ready: deque[Samples | int] = deque()
        """What stays: samples, or how many of silence."""
        self._silence = 0
        """Of the last silence, samples that can be taken back."""
        self._held: list[Samples] = []
        """What follows that silence."""
        self._held_size = 0
        self._block = np.empty(BLOCK, np.int16)
        self._used = 0

    @property
    def ready(self) -> bool:
        """Whether there is something for `blocks` to give out, if only in part of one."""
        return bool(self._ready)

    def append(self, samples: Samples) -> None:
        """Put on `samples`, which are kept as they are."""
        self.length += len(samples)
        if not self._silence:
            self._ready.append(samples)
            return
        self._held.append(samples)
        self._held_size += len(samples)
        if self._held_size >= HOLD:
            self._settle()

    def put_silence(self, count: int) -> None:
        """Put on `count` samples of silence; the one before stays from now on."""
        self._settle()
        self._silence = count
        self.length += count

    def take_back(self, count: int, least: float) -> int | None:
        """Take `count` samples of the last silence back, or what there is if that is `least`.

        Returns:
            How many; None, and nothing is taken, when there are less than `least`.
        """
        if not count or self._silence < least:
            return None
        count = min(count, self._silence)
        self._silence -= count
        self.length -= count
        if not self._silence:
            self._settle()
        return count

    def blocks(self, last: bool = False) -> Iterator[Samples]:
        """Whole blocks of what stays; everything, with `last`."""
        if last:
            self._settle()
        while self._ready:
            part = self._ready.popleft()
            size = part if isinstance(part, int) else len(part)
            begin = 0
            while begin < size:
                count = min(size - begin, BLOCK - self._used)
                room = self._block[self._used : self._used + count]
                room[:] = 0 if isinstance(part, int) else part[begin : begin + count]
                begin += count
                self._used += count
                if self._used == BLOCK:
                    full, self._block, self._used = self._block, np.empty(BLOCK, np.int16), 0
                    yield full
        if last and self._used:
            rest, self._used = self._block[: self._used], 0
            yield rest

    def _settle(self) -> None:
        if self._silence:
            self._ready.append(self._silence)
        self._ready.extend(self._held)
        self._silence, self._held, self._held_size = 0, [], 0
