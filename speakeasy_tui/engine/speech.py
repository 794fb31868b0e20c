"""Where somebody speaks, and where to cut: chunks of at most 30 s.

The rule that makes spans of Silero VAD's probabilities (from snakers4/silero-vad, MIT, with the
values that faster-whisper's batched pipeline uses) leaves dividing long speech to the chunks. All
of it is done while the recording is still being decoded; tests/engine/whole.py has the same for a
whole one at once, and both agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from speakeasy_tui.engine.audio import RATE
from speakeasy_tui.engine.vad import STEP

__all__ = ["STEP", "Cutter", "Span"]

THRESHOLD = 0.5
NEGATIVE = 0.35
MIN_SILENCE = int(0.160 * RATE)
PAD = int(0.400 * RATE)
WINDOW = 30 * RATE
"""Samples of Whisper's window: the longest chunk."""
_EARLIEST = 0.6
"""Speech longer than a window is divided behind this share of one."""


class Span(NamedTuple):
    """From sample `start` up to but not including `end`."""

    start: int
    end: int


def _first_cut(start: int) -> int:
    """The first step in front of which speech from sample `start` on may be divided."""
    return (start + int(_EARLIEST * WINDOW)) // STEP


def _quietest(start: int, probability: npt.NDArray[np.float32], first: int) -> int:
    """Where to divide speech that goes on for more than a window from `start` on.

    Args:
        start: a sample.
        probability: of the steps from step `first` on.
        first: at most `_first_cut(start)`.
    """
    low = _first_cut(start)
    high = (start + WINDOW) // STEP
    # Averaged over 5 steps (160 ms), so that one odd step does not decide.
    around = probability[low - first : high - first]
    return (low + int(np.argmin(np.convolve(around, np.ones(5) / 5, mode="same")))) * STEP


def seconds_in(speech: Sequence[Span], start: int, end: int) -> float:
    """Seconds of `speech` between two samples."""
    inside = (min(end, span.end) - max(start, span.start) for span in speech)
    return sum(length for length in inside if length > 0) / RATE


class Cutter:
    """Spans and chunks of one recording while it comes in.

    A chunk is told as soon as nothing that may follow can change it. Whatever comes, what is
    waited for is less than a minute: a chunk's next piece is known at the latest when speech
    has gone on for a window.
    """

    def __init__(self, vad: bool) -> None:
        """Without `vad`, chunks are consecutive windows."""
        self.speech: list[Span] = []
        """Where somebody speaks, settled so far, without padding."""
        self.needed_from = 0
        """What lies before this sample is in no chunk to come."""
        self._vad = vad
        self._heard = 0
        """Samples so far; the last step may count too many."""
        self._probability = np.zeros(0, np.float32)
        self._first = 0
        """The step of the first of `_probability`."""
        self._start = self._silence = -1
        """Of the span that goes on, and where it may have ended; -1 is none."""
        self._piece = -1
        """Where what comes next begins, with padding: the rest of a span; -1 is none."""
        self._last: Span | None = None
        """The span of `_piece`, where it is over but not known how much of the pause it gets."""
        self._chunk: Span | None = None
        """Pieces that belong together so far."""
        self._told: list[Span] = []

    def feed(self, heard: npt.NDArray[np.float32] | int) -> list[Span]:
        """Take what comes next, return the chunks that are settled by it.

        Args:
            heard: with voice detection the probabilities of whole steps (`vad.Listener`), the
                padded one at the end included; without, a number of samples.
        """
        if isinstance(heard, int):
            return self._windows(self._heard + heard)
        self._probability = np.concatenate([self._probability, heard])
        for step, p in enumerate(heard.tolist(), self._heard // STEP):
            self._listen(step * STEP, p)
        self._heard += len(heard) * STEP
        if heard.size and self._known > WINDOW:  # a shorter recording is one chunk
            self._settle()
            self._forget()
        return self._tell()

    def end(self, total: int) -> list[Span]:
        """The chunks that are left of a recording of `total` samples."""
        if not self._vad:
            rest = [Span(self.needed_from, total)] if self.needed_from < total else []
            self.needed_from = total
            return rest
        if self._start >= 0:
            self._close(total)
        if total <= WINDOW:
            self._chunk = Span(0, total) if self.speech else None
        elif self._last is not None:
            self._finish_piece(min(PAD, total - self._last.end))
        self._end_chunk()
        self.needed_from = total
        return self._tell()

    @property
    def speaking_from(self) -> int:
        """Where the speech began that goes on, sample; -1: nobody speaks."""
        return self._start

    @property
    def _known(self) -> int:
        """Samples there are at least: the last step may be padded."""
        return self._heard - STEP + 1

    def _tell(self) -> list[Span]:
        told, self._told = self._told, []
        return told

    def _windows(self, heard: int) -> list[Span]:
        ends = range(self.needed_from + WINDOW, heard + 1, WINDOW)
        self._heard = heard
        self.needed_from += len(ends) * WINDOW
        return [Span(end - WINDOW, end) for end in ends]

    # ------------------------------------------------------------- spans

    def _listen(self, at: int, p: float) -> None:
        """Speech begins at `THRESHOLD`, and ends after `MIN_SILENCE` below `NEGATIVE`."""
        if p >= THRESHOLD:
            self._silence = -1
            if self._start < 0:
                self._open(at)
        elif self._start >= 0 and p < NEGATIVE:
            if self._silence < 0:
                self._silence = at
            if at - self._silence >= MIN_SILENCE:
                self._close(self._silence)

    def _open(self, at: int) -> None:
        """Somebody begins to speak: it is known how much of the pause goes to either side."""
        pause = at - self.speech[-1].end if self.speech else 2 * at
        padding = min(PAD, pause // 2)
        if self._last is not None:
            self._finish_piece(padding)
        self._start, self._silence = at, -1
        self._piece = at - padding

    def _close(self, end: int) -> None:
        self._last = Span(self._start, end)
        self.speech.append(self._last)
        self._start = self._silence = -1

    # ------------------------------------------------------------- pieces, then chunks

    def _finish_piece(self, padding: int) -> None:
        assert self._last is not None
        end = self._last.end + padding
        self._divide(end)
        self._add(Span(self._piece, end))
        self._piece = -1
        self._last = None

    def _divide(self, end: int) -> None:
        """Cut off windows while what is spoken goes on at least until `end`."""
        while end - self._piece > WINDOW:
            at = _quietest(self._piece, self._probability, self._first)
            self._add(Span(self._piece, at))
            self._piece = at

    def _add(self, piece: Span) -> None:
        if self._chunk is not None and piece.end - self._chunk.start <= WINDOW:
            self._chunk = Span(self._chunk.start, piece.end)
        else:
            self._end_chunk()
            self._chunk = piece

    def _end_chunk(self) -> None:
        if self._chunk is not None:
            self._told.append(self._chunk)
        self._chunk = None

    def _settle(self) -> None:
        """What is certain by now, whatever follows."""
        if self._last is not None and (self._known - self._last.end) // 2 >= PAD:
            self._finish_piece(PAD)
        reached = self._known
        if self._piece >= 0:
            reached = self._silence if self._silence >= 0 else reached
            reached = self._last.end if self._last is not None else reached
            self._divide(reached)
            # The piece ends there or later, unless it will be divided.
            reached = min(reached, _first_cut(self._piece) * STEP)
        if self._chunk is not None and reached - self._chunk.start > WINDOW:
            self._end_chunk()

    def _forget(self) -> None:
        """Let go of what no chunk needs."""
        # Whoever speaks next begins at the next step, with padding.
        next_piece = self._piece if self._piece >= 0 else max(0, self._heard - PAD)
        self.needed_from = next_piece if self._chunk is None else self._chunk.start
        gone = min(next_piece // STEP - self._first, len(self._probability))
        if gone > 0:
            self._probability = self._probability[gone:]
            self._first += gone
