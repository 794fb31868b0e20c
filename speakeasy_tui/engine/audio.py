"""From a file of any kind to samples: int16, mono, 16 kHz.

Nothing is cut short in silence. A packet that cannot be decoded is left out, decoding goes on
behind it, and silence holds its place; the length is compared with what the file promises
(`engine.promise`), and what is missing in the end is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import av
import numpy as np
import numpy.typing as npt

from speakeasy_tui.core.job import ErrorKind, JobWarning
from speakeasy_tui.core.text import printable
from speakeasy_tui.engine import promise
from speakeasy_tui.engine.opening import audio_stream, open_media
from speakeasy_tui.engine.reader import Reader
from speakeasy_tui.engine.source import SourceError, check, explain
from speakeasy_tui.engine.tape import RATE, Samples
from speakeasy_tui.engine.timeline import LONGEST, TooLongError

__all__ = ["RATE", "Decoded", "Recording", "Samples", "decode", "floats", "open_recording"]


class Recording:
    """A file that is open for decoding, from its start to its end, once.

    Memory: a few MB whatever its length, and what FFmpeg itself holds of it: of an MP4 the index
    of its packets, about 4 MB per hour.
    """

    def __init__(self, container: Any, reader: Reader, warnings: list[JobWarning]) -> None:
        self._container = container
        self._reader = reader
        self.expected_s: float | None = reader.promised.seconds
        """Length that the file promises, seconds, where that can be believed. A flac may correct
        it by its first frame."""
        self.seconds = 0.0
        """Length; once `blocks` is exhausted, as are all that follow."""
        self.missing_s = 0.0
        """Of the whole, seconds that could not be decoded: silence here, or missing at the end."""
        self.warnings = warnings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; `blocks` does so at its end."""
        self._container.close()

    def blocks(self) -> Iterator[Samples]:
        """The samples, mono at `RATE`, from the container's first moment: 30 s at a time.

        Each block is the caller's alone. Where sound is lost and a time is damaged, what follows
        is held back until it is known to lie where it lies, 60 s at most.

        Raises:
            SourceError: none of it can be decoded, or it cannot be read to its end.
        """
        reader = self._reader
        promised = reader.promised
        with _explained(), self._container:
            yield from reader.blocks()
            if promised.shared and reader.missing():
                reader.look_at_other_tracks()
        if not reader.decoded:
            if reader.damaged:
                raise SourceError(
                    "none of the audio could be decoded: it is damaged or protected (DRM)",
                    "play it to check, then copy or convert it again",
                )
            if (promised.seconds or 0.0) > promised.slack:
                raise SourceError(
                    f"nothing is there of the {promised.seconds:.1f} s that the file promises",
                    "it was cut off: copy it again",
                )
            raise SourceError(
                "the audio track is empty: it holds no samples",
                "the recording was probably never started; remove it from the queue",
                ErrorKind.NO_AUDIO,
            )
        self.expected_s = reader.promised.seconds
        self.seconds = reader.seconds
        self.missing_s = reader.missing()
        said: list[str] = []
        if self.missing_s:
            whole = self.seconds + reader.missing_at_end()
            said.append(f"{self.missing_s:.1f} s of {whole:.1f} s could not be decoded")
        elif reader.unplaced:
            said.append(
                f"{reader.unplaced // 1000:,} kB of the file could not be decoded; "
                "it may be another recording that was joined to this one"
            )
        if promised.unended:
            said.append(f"the file breaks off at {self.seconds:.1f} s without the mark of its end")
        if said:
            seconds = round(self.missing_s, 3) or None
            self.warnings.insert(0, JobWarning("incomplete_audio", "; ".join(said), seconds))


@dataclass(frozen=True)
class Decoded:
    """A decoded file. Held as int16: half of float32's memory, and exact."""

    samples: Samples
    """Mono at `RATE`, from the container's first moment."""
    expected_s: float | None
    """As those of `Recording`, which see."""
    missing_s: float
    warnings: list[JobWarning]

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def floats(samples: Samples) -> npt.NDArray[np.float32]:
    """`samples` as float32 in -1…1."""
    return samples.astype(np.float32) / np.float32(32768.0)


def open_recording(path: bytes, alive: Callable[[float], None] = lambda _: None) -> Recording:
    """Open the first audio track of the file `path`.

    Times count from the container's own start: an audio track that begins 4 s into a video has
    4 s of silence before it, a recording cut out of a broadcast has none.

    Args:
        path: as the operating system knows it.
        alive: called now and then with the seconds decoded so far; may raise to stop.

    Raises:
        SourceError: it is no file, no media, or has no audio.
    """
    check(path)
    with _explained():
        container = open_media(path)
        try:
            stream, warnings = audio_stream(container)
            promised = promise.read(path, container, stream)
            return Recording(container, Reader(path, container, stream, promised, alive), warnings)
        except BaseException:
            container.close()
            raise


def decode(path: bytes, alive: Callable[[float], None] = lambda _: None) -> Decoded:
    """Decode the whole of a file at once, as `open_recording` and `Recording.blocks` do.

    Memory: 115 MB per hour of audio, and an eighth more.
    """
    data = bytearray()  # enlarged in place
    with open_recording(path, alive) as recording:
        for block in recording.blocks():
            data += block.data.cast("B")
    samples = np.frombuffer(data, np.int16)
    return Decoded(samples, recording.expected_s, recording.missing_s, recording.warnings)


@contextmanager
def _explained() -> Iterator[None]:
    """Say in words what goes wrong while a file is being read."""
    try:
        yield
    except TooLongError:
        raise SourceError(
            f"longer than {LONGEST / 3600:.0f} hours, or its clock is damaged",
            "cut it into parts, or convert it to wav or mp3 first",
        ) from None
    except OSError as error:
        if isinstance(error, av.error.FFmpegError):  # its errno says nothing of the disk
            raise SourceError(
                f"the file cannot be read to its end: {printable(str(error.strerror))}",
                "play it to check; if it plays, convert it to wav or mp3",
            ) from None
        raise explain(error) from None
