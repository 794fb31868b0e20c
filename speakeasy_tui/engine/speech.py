"""Where somebody speaks, and where to cut: chunks of at most 30 s, without the long pauses.

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
from speakeasy_tui.engine.passage import Passage, Span
from speakeasy_tui.engine.vad import STEP

__all__ = ["STEP", "Cutter"]

THRESHOLD = 0.5
NEGATIVE = 0.35
MIN_SILENCE = int(0.160 * RATE)
PAD = int(0.400 * RATE)
WINDOW = 30 * RATE
"""Samples of Whisper's window: the longest chunk."""
LEFT_OUT = int(0.200 * RATE)
"""Samples of a pause, padding apart, above which a chunk leaves them out."""
AROUND = 6
"""Steps (200 ms) kept on both sides of something loud in a pause: it may be speech that the
VAD did not hear."""
FAR = 2 * WINDOW
"""Samples of the recording over which a chunk reaches at most: where somebody speaks now and
then, it would else be long before its text appears."""
_EARLIEST = 0.6
"""Speech longer than a window is divided behind this share of one."""


class Steps(NamedTuple):
    """What is known of consecutive steps of a recording."""

    probability: npt.NDArray[np.float32]
    """Of speech."""
    loud: npt.NDArray[np.bool_]
    """Not quiet enough to be left out unheard."""


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


def joined(
    chunk: Sequence[Span], piece: Span, loud: npt.NDArray[np.bool_], first: int
) -> list[Span]:
    """The stretches of a chunk that goes on with `piece`, with what is loud in the pause.

    Args:
        chunk: at least one stretch.
        loud: as in `Steps`, from step `first` on, which is at most the last one of `chunk`.
    """
    stretches = list(chunk)
    low, high = chunk[-1].end // STEP, -(-piece.start // STEP)
    for step in (np.flatnonzero(loud[low - first : high - first]) + low).tolist():
        start, end = (step - AROUND) * STEP, (step + 1 + AROUND) * STEP
        _go_on(stretches, Span(max(start, chunk[-1].end), min(end, piece.start)))
    _go_on(stretches, piece)
    return stretches


def _go_on(stretches: list[Span], span: Span) -> None:
    last = stretches[-1]
    if span.start - last.end > LEFT_OUT:
        stretches.append(span)
    else:
        stretches[-1] = Span(last.start, max(last.end, span.end))


class Cutter:
    """Spans and chunks of one recording while it comes in.

    A chunk is told as soon as nothing that may follow can change it. Whatever comes, what is
    waited for is less than `FAR` and a window: a chunk's next piece is known at the latest when
    speech has gone on for a window.
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
        self._loud = np.zeros(0, np.bool_)
        self._first_loud = 0
        self._start = self._silence = -1
        """Of the span that goes on, and where it may have ended; -1 is none."""
        self._piece = -1
        """Where what comes next begins, with padding: the rest of a span; -1 is none."""
        self._last: Span | None = None
        """The span of `_piece`, where it is over but not known how much of the pause it gets."""
        self._chunk: list[Span] = []
        """Stretches that belong together so far."""
        self._told: list[Passage] = []

    def feed(self, heard: Steps | int) -> list[Passage]:
        """Take what comes next, return the chunks that are settled by it.

        Args:
            heard: with voice detection whole steps, the padded one at the end included;
                without, a number of samples.
        """
        if isinstance(heard, int):
            return self._windows(self._heard + heard)
        self._probability = np.concatenate([self._probability, heard.probability])
        self._loud = np.concatenate([self._loud, heard.loud])
        for step, p in enumerate(heard.probability.tolist(), self._heard // STEP):
            self._listen(step * STEP, p)
        self._heard += len(heard.probability) * STEP
        if heard.probability.size and self._known > WINDOW:  # a shorter recording is one chunk
            self._settle()
            self._forget()
        return self._tell()

    def end(self, total: int) -> list[Passage]:
        """The chunks that are left of a recording of `total` samples."""
        if not self._vad:
            rest = [Span(self.needed_from, total)] if self.needed_from < total else []
            self.needed_from = total
            return [Passage((span,)) for span in rest]
        if self._start >= 0:
            self._close(total)
        if total <= WINDOW:
            self._chunk = [Span(0, total)] if self.speech else []
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

    def _tell(self) -> list[Passage]:
        told, self._told = self._told, []
        return told

    def _windows(self, heard: int) -> list[Passage]:
        ends = range(self.needed_from + WINDOW, heard + 1, WINDOW)
        self._heard = heard
        self.needed_from += len(ends) * WINDOW
        return [Passage((Span(end - WINDOW, end),)) for end in ends]

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
        chunk = self._with(piece)
        if chunk is None:
            self._end_chunk()
        self._chunk = chunk or [piece]

    def _with(self, piece: Span) -> list[Span] | None:
        """The chunk under way with `piece`; None when that is too long."""
        if not self._chunk:
            return [piece]
        chunk = joined(self._chunk, piece, self._loud, self._first_loud)
        length = sum(span.end - span.start for span in chunk)
        return chunk if length <= WINDOW and piece.end - chunk[0].start <= FAR else None

    def _end_chunk(self) -> None:
        if self._chunk:
            self._told.append(Passage(tuple(self._chunk)))
        self._chunk = []

    def _settle(self) -> None:
        """What is certain by now, whatever follows."""
        if self._last is not None and (self._known - self._last.end) // 2 >= PAD:
            self._finish_piece(PAD)
        if self._piece >= 0:
            reached = self._silence if self._silence >= 0 else self._known
            reached = self._last.end if self._last is not None else reached
            self._divide(reached)
            # The piece ends there or later, unless it will be divided.
            reached = min(reached, _first_cut(self._piece) * STEP)
            if self._with(Span(self._piece, reached)) is None:
                self._end_chunk()
        elif self._chunk and self._known - self._chunk[0].start > FAR:
            self._end_chunk()

    def _forget(self) -> None:
        """Let go of what no chunk needs."""
        # Whoever speaks next begins at the next step, with padding.
        next_piece = self._piece if self._piece >= 0 else max(0, self._heard - PAD)
        self.needed_from = self._chunk[0].start if self._chunk else next_piece
        gone = min(next_piece // STEP - self._first, len(self._probability))
        if gone > 0:
            self._probability = self._probability[gone:]
            self._first += gone
        pause = self._chunk[-1].end if self._chunk else next_piece
        gone = min(pause // STEP - self._first_loud, len(self._loud))
        if gone > 0:
            self._loud = self._loud[gone:]
            self._first_loud += gone
