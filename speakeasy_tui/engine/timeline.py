"""Samples in their places: what is lost leaves silence, so that later times stay true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import av
import numpy as np

from speakeasy_tui.engine import mixing
from speakeasy_tui.engine.tape import RATE, Samples, Tape

__all__ = ["GAP", "LONGEST", "LONGEST_GAP", "RATE", "Samples", "Timeline", "TooLongError"]

TOLERANCE = 0.1
"""Seconds by which a time may be off before it counts: clocks of milliseconds, drift, jitter."""
_FRAME = 0.01
"""Seconds; less than any frame of a codec that is used for sound in files."""
GAP = 0.2
"""Seconds; a shorter gap is a correction of the clock, not lost sound."""
_OVERLAP = 0.5
"""Seconds; by no more does a clock go back in `_SETTLED` that is only slower than the samples."""
_SETTLED = 5.0
"""Seconds after which a clock that went back a little has not been wrong once, but stays there."""
LONGEST_GAP = 4 * 3600.0
"""Seconds; a longer one is taken for a damaged clock."""
LONGEST = 48 * 3600.0
"""Seconds of a recording. A small file of damaged or contrived data can claim more."""
_GROUP = 64_000
"""Samples collected before they are resampled: frame by frame costs more than it saves, and what
does not fit a core's own cache (2 channels of float32 are 0.5 MB) as much again."""
_SLOWEST, _FASTEST = 1_000, 768_000
"""Sample rates (Hz) outside of which a frame is damage."""


class TooLongError(Exception):
    """The recording is longer than `LONGEST`."""


class Timeline:
    """Brings decoded frames to int16, mono, at `RATE`, each at its time.

    What is ready is handed over by `blocks`; what may still change is kept (`engine.tape`).
    """

    def __init__(
        self, end: float | None, longest_gap: float, alive: Callable[[float], None]
    ) -> None:
        """
        Args:
            end: seconds after which no frame is believed to lie; None: not known.
            longest_gap: seconds; a longer one is not filled, the next frame follows.
            alive: called now and then with the seconds so far; may raise to stop.
        """
        self._end = end
        self._longest_gap = longest_gap
        self._alive = alive
        self._tape = Tape()
        self._fifo = av.audio.fifo.AudioFifo()
        self._waiting = 0
        """Samples in the fifo, as many a second as they come."""
        self._resampler = _resampler()
        self._mixer = mixing.Mixer()
        self._rate = 0
        """Of the frames in the fifo, Hz; 0: there were none."""
        self._layout: Any = None
        self._names: tuple[str, str] | None = None
        """Of their format and layout."""
        self.shift = 0.0
        """Seconds added to a frame's time: files joined together begin anew."""
        self._old_shift = 0.0
        self._overlap = 0.0
        """Seconds of `shift` by which sound is late, because there is more of it than time."""
        self._overlap_at = 0.0
        """Where that was found, seconds."""
        self._owed = 0.0
        """Seconds lost by `skip` that were too short to fill."""
        self.at = 0.0
        """Seconds up to which there is sound, or silence in its place."""
        self.missing = 0.0
        """Seconds of silence in place of sound that should be there."""
        self.bad = 0
        """Frames that could not be used."""
        self.heard = False
        """Whether there was any sound at all."""

    @property
    def ready(self) -> bool:
        """Whether to ask for `blocks`."""
        return self._tape.ready

    @property
    def seconds(self) -> float:
        """Length of what has been resampled, or filled in."""
        return self._tape.length / RATE

    def start_at(self, seconds: float, missing: bool = False) -> None:
        """The first frame lies at `seconds`."""
        if seconds > TOLERANCE:
            self._fill(seconds, missing)

    def skip(self, seconds: float) -> None:
        """`seconds` are lost before the next frame, in a format without a clock."""
        self._owed += seconds
        if self._owed > TOLERANCE:
            self._jump(self.at + self._owed, lost=True)
            self._owed = 0.0

    def add(self, frame: Any, at: float | None, lost: bool = False) -> None:
        """Append a frame.

        Args:
            frame: PyAV's.
            at: its own time, seconds; None: it follows the one before.
            lost: something between this frame and the one before could not be decoded.
        """
        # This runs for every 20 to 70 ms of sound: names of formats are only asked for where
        # something else has changed.
        if at is not None:
            at += self.shift
            if lost or not -TOLERANCE <= at - self.at <= TOLERANCE:
                self._jump(at, lost)
        rate = frame.sample_rate
        if rate != self._rate or frame.layout != self._layout:
            if not _SLOWEST <= rate <= _FASTEST:
                self.bad += 1
                return
            self._take_shape(frame)
        if self._overlap and self._makes_up(frame.samples / rate):
            return
        frame.pts = None  # its place is settled; the fifo would stumble over gaps
        try:
            self._fifo.write(frame)  # raises for another sample format
        except (ValueError, av.error.FFmpegError):
            if not self._write_anew(frame):
                self.bad += 1
                return
        count = frame.samples
        self.at += count / rate
        self._waiting += count
        if self._waiting >= _GROUP:
            self._drain()

    def blocks(self, last: bool = False) -> Iterator[Samples]:
        """What is ready, in blocks of 30 s, and handed over for good.

        Args:
            last: there are no more frames; everything, the last block as short as it is.
        """
        if last:
            self._flush()
        return self._tape.blocks(last)

    # ------------------------------------------------------------- places

    def _jump(self, to: float, lost: bool) -> None:
        """The next frame lies at `to`: fill up to it, or find out why it does not."""
        gap = to - self.at
        if -TOLERANCE <= gap <= (_FRAME if lost else TOLERANCE):
            return
        if abs(gap + self._old_shift - self.shift) <= TOLERANCE:
            # One time was wrong and the next is right again.
            self.shift, self._old_shift = self._old_shift, self.shift
            self._overlap = 0.0
        elif gap > 0 and gap <= self._longest_gap and (self._end is None or to <= self._end):
            self._fill(to, missing=lost or gap >= GAP)
        elif gap < 0 and self._take_back(-gap):
            pass
        else:
            if -_OVERLAP <= gap < 0 and not lost:
                self._overlap_at = self._overlap_at if self._overlap else self.at
                self._overlap -= gap
                if self._overlap > _OVERLAP:
                    self._overlap = 0.0  # it stands still, or goes to and fro
            self._old_shift, self.shift = self.shift, self.shift - gap

    def _makes_up(self, seconds: float) -> bool:
        """Whether the next frame, which has so many seconds, is left out to be in time again.

        Some clocks are slower than the samples, by a second in an hour or more.
        """
        if seconds > self._overlap or self.at - self._overlap_at < _SETTLED:
            return False
        self._overlap -= seconds
        self.shift -= seconds
        self._old_shift = self.shift
        return True

    def _fill(self, to: float, missing: bool) -> None:
        self._flush()
        count = round(to * RATE) - self._tape.length
        if count <= 0:
            return
        self._room(count)
        self._tape.put_silence(count)
        self._alive(to)
        self.missing += (to - self.at) if missing else 0.0
        self.at = to

    def _take_back(self, seconds: float) -> bool:
        """Take back silence that a wrong time had put in, if there is as much."""
        count = round(seconds * RATE)
        taken = self._tape.take_back(count, least=count - TOLERANCE * RATE)
        if taken is None:
            return False
        self.at -= taken / RATE
        self.missing = max(0.0, self.missing - taken / RATE)
        return True

    # ------------------------------------------------------------- samples

    def _take_shape(self, frame: Any) -> None:
        """`frame` differs from those in the fifo, e.g. where ogg or aac files were joined."""
        names = (frame.format.name, frame.layout.name)
        if (names, frame.sample_rate) != (self._names, self._rate):
            self._flush()
        self._names, self._rate, self._layout = names, frame.sample_rate, frame.layout

    def _write_anew(self, frame: Any) -> bool:
        """Write a frame that the fifo has refused, where its format is a new one."""
        before = self._names
        self._take_shape(frame)
        if self._names == before:
            return False
        try:
            self._fifo.write(frame)
        except (ValueError, av.error.FFmpegError):
            return False
        return True

    def _flush(self) -> None:
        """Everything out of fifo and resampler, which begin anew."""
        if self._names is None:
            return
        self._drain(last=True)
        self._fifo = av.audio.fifo.AudioFifo()
        self._resampler = _resampler()
        self._mixer = mixing.Mixer()
        self._rate, self._layout, self._names = 0, None, None

    def _drain(self, last: bool = False) -> None:
        frame = self._fifo.read()
        self._waiting = 0
        if frame is not None:
            self._resample(self._mixer.prepared(frame))
        if last:
            self._resample(None)
        self._alive(self.seconds)

    def _resample(self, frame: Any) -> None:
        """Put a frame on the tape, or what the resampler still has (None)."""
        try:
            for resampled in self._resampler.resample(frame):
                if count := resampled.samples:
                    self._room(count)
                    # Its own buffer, which lives as long as the array.
                    self._tape.append(np.frombuffer(resampled.planes[0], np.int16, count))
                    self.heard = True
        except (ValueError, av.error.FFmpegError):
            self._resampler = _resampler()
            if frame is None:
                return
            if mixing.channels(frame) > 1:  # FFmpeg has no rule for every layout
                self._mixer.always = True
                self._resample(mixing.mean(frame))
                return
            self.bad += 1
            count = round(frame.samples * RATE / frame.sample_rate)
            self._room(count)
            self._tape.put_silence(count)
            self.missing += count / RATE

    def _room(self, samples: int) -> None:
        if self._tape.length + samples > LONGEST * RATE:
            raise TooLongError


def _resampler() -> Any:
    return av.audio.resampler.AudioResampler(format="s16", layout="mono", rate=RATE)
