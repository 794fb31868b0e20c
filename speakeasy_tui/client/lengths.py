"""How many hours a crowd of files will be, from the headers of a few of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from speakeasy_tui.runner.probe import probed

LOOKED_AT = 50
"""Files whose headers are read."""
PATIENCE_S = 20.0
"""Seconds that are given to it."""


class Sample:
    """Some of many files, chosen at random, and how many bytes there are of each kind."""

    def __init__(self) -> None:
        self.count = 0
        self.amount = 0
        """Bytes of all."""
        self.chosen: list[tuple[bytes, int]] = []
        """Path and bytes."""
        self._bytes: Counter[bytes] = Counter()
        self._random = random.Random(0)  # the same files give the same estimate

    def add(self, path: bytes, size: int) -> None:
        """One more file; `size` in bytes."""
        self.count += 1
        self.amount += size
        self._bytes[_kind(path)] += size
        if len(self.chosen) < LOOKED_AT:
            self.chosen.append((path, size))
        elif (place := self._random.randrange(self.count)) < LOOKED_AT:
            self.chosen[place] = (path, size)

    def seconds(self, lengths: Mapping[int, float | None]) -> float | None:
        """What all files come to, seconds, if the others are like those chosen.

        A file is taken to be as long, for its size, as those of its kind. `lengths` is by place
        in `chosen`; None when nothing is known.
        """
        seconds: defaultdict[bytes, float] = defaultdict(float)
        sizes: Counter[bytes] = Counter()
        for place, length in lengths.items():
            if length is not None:
                path, size = self.chosen[place]
                seconds[_kind(path)] += length
                sizes[_kind(path)] += size
        if not sizes.total():
            return None
        usual = sum(seconds.values()) / sizes.total()
        return sum(
            size * (seconds[kind] / sizes[kind] if sizes[kind] else usual)
            for kind, size in self._bytes.items()
        )


async def lengths_of(paths: Sequence[bytes]) -> dict[int, float | None]:
    """Seconds of each file by its place in `paths`, as many as can be had in a while.

    0 where there is no audio to be read, None where the header does not say.
    """
    found: dict[int, float | None] = {}
    with contextlib.suppress(TimeoutError, OSError, msgspec.DecodeError):
        async with asyncio.timeout(PATIENCE_S), probed(paths) as lengths:
            async for told in lengths:
                found[told.number] = told.seconds
    return found


def _kind(path: bytes) -> bytes:
    return os.path.splitext(path)[1].lower()
