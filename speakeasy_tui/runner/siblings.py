"""Recordings of one stem in a folder: ``talk.mp3`` beside ``talk.wav``."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from speakeasy_tui.runner.scan import MEDIA

FRESH_S = 5.0
"""Seconds for which a folder is taken to be as it was."""
SHARE = 50
"""A folder that takes long to list is listed again after so many times that."""
FOLDERS = 64
"""That are remembered."""


class _Listing(NamedTuple):
    until: float
    """`time.monotonic()`."""
    first: dict[bytes, bytes]
    """By stem, where there are several recordings: the name that comes first."""


class Siblings:
    """Which recording of a stem comes first in its folder, as it was some seconds ago at most.

    A look for each ending there is costs fifty times as much as one recording's share of a listing,
    more still on a network share. Who comes meanwhile is no harm: of two that want one output the
    second gets another name. For one thread at a time.
    """

    def __init__(self) -> None:
        self._listings: dict[bytes, _Listing] = {}

    def one_is_before(self, path: bytes) -> bool:
        """Whether another recording of the same stem stands before `path` in its folder."""
        folder, name = os.path.split(path)
        first = self._of(folder).get(os.path.splitext(name)[0] or name)
        return first is not None and first < name

    def _of(self, folder: bytes) -> dict[bytes, bytes]:
        now = time.monotonic()
        known = self._listings.pop(folder, None)
        if known is None or known.until < now:
            first = _first_of_several(folder)
            took = time.monotonic() - now
            known = _Listing(now + took + max(FRESH_S, SHARE * took), first)
        self._listings[folder] = known  # the last one used comes last
        if len(self._listings) > FOLDERS:
            del self._listings[next(iter(self._listings))]
        return known.first


def _first_of_several(folder: bytes) -> dict[bytes, bytes]:
    try:
        names = os.listdir(folder)
    except OSError:  # what is wrong with it the engine says
        return {}
    first: dict[bytes, bytes] = {}
    several: set[bytes] = set()
    for name in names:
        stem, ending = os.path.splitext(name)
        if ending in MEDIA:
            if stem in first:
                several.add(stem)
            first[stem] = min(name, first.get(stem, name))
    return {stem: first[stem] for stem in several}
