"""Samples in their places: what is lost leaves silence, so that later times stay true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
import numpy as np
import numpy.typing as npt

RATE = 16_000
"""Samples per second, as Whisper wants them."""

Samples = npt.NDArray[np.int16]

TOLERANCE = 0.1
"""Seconds by which a time may be off before it counts: clocks of milliseconds, drift, jitter."""
_FRAME = 0.01
"""Seconds; less than any frame of a codec that is used for sound in files."""
GAP = 0.2
"""Seconds; a shorter gap is a correction of the clock, not lost sound."""
LONGEST_GAP = 4 * 3600.0
"""Seconds; a longer one is taken for a damaged clock."""
LONGEST = 48 * 3600.0
"""Seconds of a recording: 5.5 GB. A small file of damaged or contrived data can claim more."""
_GROUP = 500_000
"""Samples collected before they are resampled; frame by frame costs more than it saves."""
_SLOWEST, _FASTEST = 1_000, 768_000
"""Sample rates (Hz) outside of which a frame is damage."""


class TooLongError(Exception):
    """The recording is longer than `LONGEST`."""


class Timeline:
    """Collects decoded frames as int16, mono, at `RATE`, each at its time.

    Memory: 2 bytes a sample (115 MB per hour of audio), and while it grows up to an eighth
    more, for a bytearray is enlarged in place.
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
        self._data = bytearray()
        self._fifo = av.audio.fifo.AudioFifo()
        self._resampler = _resampler()
        self._shape: tuple[str, str, int] | None = None
        self.shift = 0.0
        """Seconds added to a frame's time: files joined together begin anew."""
        self._old_shift = 0.0
        self._owed = 0.0
        """Seconds lost by `skip` that were too short to fill."""
        self._last_fill = (0, 0)
        """Where the last silence was put in, samples: start and end."""
        self.at = 0.0
        """Seconds up to which there is sound, or silence in its place."""
        self.missing = 0.0
        """Seconds of silence in place of sound that should be there."""
        self.bad = 0
        """Frames that could not be used."""

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
        if at is not None:
            self._jump(at + self.shift, lost)
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if not _SLOWEST <= frame.sample_rate <= _FASTEST:
            self.bad += 1
            return
        frame.pts = None  # its place is settled; the fifo would stumble over gaps
        if shape != self._shape:  # e.g. joined ogg or aac recordings
            self._flush()
            self._shape = shape
        try:
            self._fifo.write(frame)
        except (ValueError, av.error.FFmpegError):
            self.bad += 1
            return
        self.at += frame.samples / frame.sample_rate
        if self._fifo.samples >= _GROUP:
            self._drain()

    def finish(self) -> Samples:
        """Everything, as one array."""
        self._flush()
        return np.frombuffer(self._data, np.int16)

    # ------------------------------------------------------------- places

    def _jump(self, to: float, lost: bool) -> None:
        """The next frame lies at `to`: fill up to it, or find out why it does not."""
        gap = to - self.at
        if -TOLERANCE <= gap <= (_FRAME if lost else TOLERANCE):
            return
        if abs(gap + self._old_shift - self.shift) <= TOLERANCE:
            # One time was wrong and the next is right again.
            self.shift, self._old_shift = self._old_shift, self.shift
        elif gap > 0 and gap <= self._longest_gap and (self._end is None or to <= self._end):
            self._fill(to, missing=lost or gap >= GAP)
        elif gap < 0 and self._take_back(-gap):
            pass
        else:
            self._old_shift, self.shift = self.shift, self.shift - gap

    def _fill(self, to: float, missing: bool) -> None:
        self._flush()
        start = len(self._data) // 2
        count = round(to * RATE) - start
        if count <= 0:
            return
        self._room(count)
        self._data += bytes(2 * count)
        self._last_fill = (start, start + count)
        self._alive(to)
        self.missing += (to - self.at) if missing else 0.0
        self.at = to

    def _take_back(self, seconds: float) -> bool:
        """Take back silence that a wrong time had put in, if there is as much."""
        start, end = self._last_fill
        count = round(seconds * RATE)
        if not count or end - start < count - TOLERANCE * RATE:
            return False
        count = min(count, end - start)
        del self._data[2 * (end - count) : 2 * end]
        self._last_fill = (start, end - count)
        self.at -= count / RATE
        self.missing = max(0.0, self.missing - count / RATE)
        return True

    # ------------------------------------------------------------- samples

    def _flush(self) -> None:
        """Everything out of fifo and resampler, which begin anew."""
        if self._shape is None:
            return
        self._drain(last=True)
        self._fifo = av.audio.fifo.AudioFifo()
        self._resampler = _resampler()
        self._shape = None

    def _drain(self, last: bool = False) -> None:
        frame = self._fifo.read()
        try:
            for given in ([frame] if frame is not None else []) + ([None] if last else []):
                for resampled in self._resampler.resample(given):
                    samples = resampled.to_ndarray().reshape(-1)
                    self._room(len(samples))
                    self._data += memoryview(samples).cast("B")
        except (ValueError, av.error.FFmpegError):
            self.bad += 1
            self._resampler = _resampler()
        self._alive(len(self._data) / (2 * RATE))

    def _room(self, samples: int) -> None:
        if len(self._data) // 2 + samples > LONGEST * RATE:
            raise TooLongError


def _resampler() -> Any:
    return av.audio.resampler.AudioResampler(format="s16", layout="mono", rate=RATE)
