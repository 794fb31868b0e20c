"""Windows that end soon after what is said in them.

Whisper learned from windows of 30 s, and a clip of 3 s wastes nine tenths of one. Its encoder takes
shorter ones, too, and so does the decoder, if some seconds of silence follow the speech: without
them it does not know where to end, and says all of it again (ggml-org/whisper.cpp#1951). It does so
now and then all the same, so a text that repeats itself, or is suspicious otherwise, is searched
for again in a longer window, at last in a full one. Measured in docs/throughput.md.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from speakeasy_tui.engine.outcome import Outcome, needs_fallback
from speakeasy_tui.engine.work import Piece

TAIL = 400
"""Frames (10 ms) of silence behind the speech, at least."""
TRIES = 2
"""Short windows that a piece gets before it gets a full one."""
SURE_OF_LANGUAGE = 0.7
"""Probability from which on the language that a short window seems to be in is believed."""
_SECOND = 100
"""Frames."""
_LONGER = 1.5
"""Times as long as it needs to be a window is at most, where there is room in a batch of longer
ones."""
_FEW = (600, 750, 1000, 1200, 1500, 2000)
"""Frames: none is much longer than a clip needs."""


@dataclass(frozen=True)
class Lengths:
    """How many frames windows may have, and which of them share a batch."""

    every: tuple[int, ...]
    """The shortest first; the last is the model's own."""
    further: int
    """By so many places the window of the second try is longer."""
    alike: float
    """How many times longer or shorter than the oldest piece's a window in its batch may be."""
    by_seconds: bool
    """A full batch has as many seconds as with full windows, not as many windows."""

    def of(self, piece: Piece) -> int:
        """Frames of the window that a piece gets."""
        if not piece.takes_any_window or piece.unclear >= TRIES:
            return self.every[-1]
        place = bisect_left(self.every, piece.left + TAIL) + self.further * piece.unclear
        return self.every[min(place, len(self.every) - 1)]

    def are_near(self, length: int, own: int) -> bool:
        """Whether pieces that need one length share a batch with those that need another."""
        return own / self.alike <= length <= own * self.alike

    def fill_up(self, length: int, own: int) -> bool:
        """Whether pieces that need one length fill up a batch of another that has room left."""
        return self.by_seconds and own / _LONGER <= length < own

    def windows(self, size: int, length: int) -> int:
        """In a batch that would be full with `size` full ones."""
        return size * self.every[-1] // length if self.by_seconds else size


def seconds(full: int) -> Lengths:
    """Any number of whole seconds, as a CPU likes it: it takes as long as the windows are.

    Args:
        full: frames of the model's own.
    """
    return Lengths((*range(_SECOND, full, _SECOND), full), 2, 1.5, by_seconds=False)


def few(full: int) -> Lengths:
    """As many as torch's search should record steps for; a GPU likes to have many texts at once.

    Args:
        full: frames of the model's own.
    """
    return Lengths((*(one for one in _FEW if one < full), full), 1, 1.0, by_seconds=True)


def is_clear(outcome: Outcome) -> bool:
    """Whether what a short window gave is to be believed."""
    return not (outcome.cut_off or outcome.repeats or outcome.silent or needs_fallback(outcome))
