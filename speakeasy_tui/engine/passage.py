"""What goes through the model together: a stretch of a recording, long pauses left out.

Whisper pays for 30 s whatever is in them, and is worse at pauses than at speech: it ends early
in front of long ones. So a chunk is made of the stretches in which somebody speaks, and its
times are counted in a time of its own that leaves out what it leaves out. `Passage` turns the
recording's time into the chunk's and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from speakeasy_tui.engine.audio import RATE


class Span(NamedTuple):
    """From sample `start` up to but not including `end`."""

    start: int
    end: int


def seconds_in(speech: Sequence[Span], start: int, end: int) -> float:
    """Seconds of `speech` between two samples."""
    inside = (min(end, span.end) - max(start, span.start) for span in speech)
    return sum(length for length in inside if length > 0) / RATE


class Passage(NamedTuple):
    """Stretches of a recording, in order and apart from each other.

    Its own time begins with that of the recording and then goes on without the pauses between
    the stretches: in a passage of one stretch both are the same.
    """

    stretches: tuple[Span, ...]

    @property
    def start(self) -> int:
        """Sample of the recording at which it begins; in its own time, too."""
        return self.stretches[0].start

    @property
    def end(self) -> int:
        """Sample of the recording at which it ends."""
        return self.stretches[-1].end

    @property
    def length(self) -> int:
        """Samples without the pauses left out."""
        return sum(span.end - span.start for span in self.stretches)

    def own(self, speech: Sequence[Span]) -> list[Span]:
        """Those parts of `speech` that lie in it, in its own time."""
        found: list[Span] = []
        shift = 0
        for number, stretch in enumerate(self.stretches):
            if number:
                shift += stretch.start - self.stretches[number - 1].end
            for span in speech:
                start, end = max(span.start, stretch.start), min(span.end, stretch.end)
                if start < end:
                    found.append(Span(start - shift, end - shift))
        return found

    def recorded(self, start: float, end: float, silence: float) -> tuple[float, float]:
        """When something was said, by the recording's time.

        Where pauses are left out, the model's times run over: it lets one segment end where
        the next begins, although minutes may lie between them in the recording.

        Args:
            start: seconds in the passage's own time.
            end: the same.
            silence: seconds at both ends of a pause left out in which nobody speaks. What
                begins in those before the pause begins behind it; what ends in those behind
                it ends before it.
        """
        begun, _ = self._stretch(start, ahead=silence)
        over, shift = self._stretch(end, ahead=-silence)
        if over < begun:  # all of it in the silence
            over, shift = begun, self._shift(begun)
        first, last = self.stretches[begun], self.stretches[over]
        return (
            max(start + self._shift(begun), first.start / RATE),
            min(max(end + shift, last.start / RATE), last.end / RATE),
        )

    def word(self, start: float, end: float) -> tuple[float, float]:
        """`recorded` of a word: it lies where its middle does."""
        at, shift = self._stretch((start + end) / 2, ahead=0.0)
        first, last = (sample / RATE for sample in self.stretches[at])
        return min(max(start + shift, first), last), min(max(end + shift, first), last)

    def _stretch(self, at: float, ahead: float) -> tuple[int, float]:
        """The number of the stretch in which second `at` lies, borders moved to be `ahead`
        seconds sooner, and the seconds left out before it."""
        for number, stretch in enumerate(self.stretches[:-1]):
            if at < stretch.end / RATE - self._shift(number) - ahead:
                return number, self._shift(number)
        last = len(self.stretches) - 1
        return last, self._shift(last)

    def _shift(self, number: int) -> float:
        """Seconds left out before a stretch."""
        kept = sum(span.end - span.start for span in self.stretches[:number])
        return (self.stretches[number].start - self.start - kept) / RATE
