"""From a file of any kind to samples: int16, mono, 16 kHz."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from speakeasy_tui.core.job import ErrorKind, JobWarning
from speakeasy_tui.core.text import printable
from speakeasy_tui.engine.source import SourceError, check, explain

RATE = 16_000
"""Samples per second, as Whisper wants them."""
_GROUP = 500_000
"""Samples collected before they are resampled; frame by frame costs more than it saves."""
_RETRIES = 100
"""Times a container may break in a row before its end is believed."""

Samples = npt.NDArray[np.int16]


@dataclass
class Recording:
    """A decoded file. Held as int16: half of float32's memory, and exact."""

    samples: Samples
    """Mono at `RATE`."""
    expected_s: float | None
    """Length that the container promises, seconds."""
    warnings: list[JobWarning] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def floats(samples: Samples) -> npt.NDArray[np.float32]:
    """`samples` as float32 in -1…1."""
    return samples.astype(np.float32) / np.float32(32768.0)


def decode(path: bytes, alive: Callable[[float], None] = lambda _: None) -> Recording:
    """Decode the first audio track of the file `path`.

    Damaged packets are left out and decoding goes on behind them; when more than 1 s and 2 %
    of the promised length is missing in the end, a warning says so.

    Args:
        path: as the operating system knows it.
        alive: called now and then with the seconds decoded so far; may raise to stop.

    Raises:
        SourceError: it is no file, no media, has no audio, or none of it can be decoded.
    """
    check(path)
    container = _open(path)
    with container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            what = "pictures only" if container.streams.video else "no tracks that hold sound"
            raise SourceError(
                f"no audio track: the file holds {what}",
                "remove it from the queue, or export it with its sound",
                ErrorKind.NO_AUDIO,
            )
        if stream.codec_context is None:
            raise SourceError(
                "the audio is in a format that cannot be decoded, or protected (DRM)",
                "convert it to mp3, m4a, ogg, flac or wav first",
            )
        expected = _expected(container, stream)
        reader = _Reader(container, stream, alive)
        try:
            pieces = list(reader.pieces())
        except OSError as error:
            raise explain(error) from None
    samples: Samples = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    if not len(samples):
        if reader.damaged:
            raise SourceError(
                "none of the audio could be decoded: it is damaged or protected (DRM)",
                "play it to check, then copy or convert it again",
            )
        raise SourceError(
            "the audio track is empty: it holds no samples",
            "the recording was probably never started; remove it from the queue",
            ErrorKind.NO_AUDIO,
        )
    recording = Recording(samples, expected)
    if expected is not None and expected - recording.seconds > max(1.0, 0.02 * expected):
        text = f"{recording.seconds:.1f} s of {expected:.1f} s could be decoded"
        recording.warnings.append(JobWarning("incomplete_audio", text))
    return recording


def _open(path: bytes) -> Any:
    # "file:" keeps a name such as "http:…" or "concat:…" a file name. It also confines what a
    # playlist may open to files, which a Python file object would not.
    name = "file:" + os.fsdecode(path)
    try:
        return av.open(name, mode="r", metadata_errors="ignore")
    except av.error.InvalidDataError:
        raise SourceError(
            "not an audio or video file, or damaged beyond recognition",
            "play it to check; if it plays, convert it to wav or mp3",
        ) from None
    except av.error.FFmpegError as error:
        # The own classes derive from OSError where there is a matching errno.
        if isinstance(error, OSError):
            raise explain(error) from None
        text = printable(str(error.strerror or error))
        raise SourceError(
            f"the file cannot be opened: {text}",
            "play it to check; if it plays, convert it to wav or mp3",
        ) from None


def _expected(container: Any, stream: Any) -> float | None:
    """Seconds of sound the container promises: the track's own length if it has one."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    tag = stream.metadata.get("DURATION", "")  # Matroska, e.g. 00:01:02.345000000
    if found := re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", tag):
        hours, minutes, seconds = found.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration is not None:
        return float(container.duration) / 1_000_000  # AV_TIME_BASE
    return None


class _Reader:
    """Packets to samples, going on behind damage."""

    def __init__(self, container: Any, stream: Any, alive: Callable[[float], None]) -> None:
        self._container = container
        self._stream = stream
        self._alive = alive
        self.damaged = 0
        """Packets that could not be decoded."""

    def pieces(self) -> Iterator[Samples]:
        """Arrays of int16 samples, in order."""
        total = 0
        resampler = _resampler()
        fifo = av.audio.fifo.AudioFifo()
        shape: tuple[Any, ...] | None = None
        for frame in self._frames():
            frame.pts = None  # gaps and jumps in the clock are not the fifo's business
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            if shape is not None and now != shape:  # e.g. joined ogg or aac recordings
                yield from _drain(fifo, resampler, last=True)
                resampler = _resampler()
                fifo = av.audio.fifo.AudioFifo()
            shape = now
            fifo.write(frame)
            if fifo.samples >= _GROUP:
                for piece in _drain(fifo, resampler):
                    total += len(piece)
                    yield piece
                self._alive(total / RATE)
        if shape is not None:
            yield from _drain(fifo, resampler, last=True)

    def _frames(self) -> Iterator[Any]:
        for packet in self._packets():
            try:
                yield from packet.decode()
            except (av.error.InvalidDataError, av.error.PatchWelcomeError):
                self.damaged += 1
            except av.error.EOFError:
                return

    def _packets(self) -> Iterator[Any]:
        """All packets of the track; a broken stretch of the container is stepped over."""
        for _ in range(_RETRIES):
            try:
                yield from self._container.demux(self._stream)
                return
            except av.error.InvalidDataError:
                self.damaged += 1


def _resampler() -> Any:
    return av.audio.resampler.AudioResampler(format="s16", layout="mono", rate=RATE)


def _drain(fifo: Any, resampler: Any, last: bool = False) -> Iterator[Samples]:
    frame = fifo.read()
    for given in ([frame] if frame is not None else []) + ([None] if last else []):
        for resampled in resampler.resample(given):
            yield resampled.to_ndarray().reshape(-1)
