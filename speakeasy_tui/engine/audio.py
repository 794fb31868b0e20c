"""From a file of any kind to samples: int16, mono, 16 kHz.

Nothing is cut short in silence. A packet that cannot be decoded is left out, decoding goes on
behind it, and silence holds its place; the length is compared with what the file promises
(`engine.promise`), and what is missing in the end is a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import av
import numpy as np
import numpy.typing as npt

from speakeasy_tui.core.job import ErrorKind, JobWarning
from speakeasy_tui.core.text import printable
from speakeasy_tui.engine import promise
from speakeasy_tui.engine.reader import Reader, audio_stream, open_media
from speakeasy_tui.engine.source import SourceError, check, explain
from speakeasy_tui.engine.timeline import LONGEST, RATE, Samples, TooLongError

__all__ = ["RATE", "Recording", "Samples", "decode", "floats"]


@dataclass
class Recording:
    """A decoded file. Held as int16: half of float32's memory, and exact."""

    samples: Samples
    """Mono at `RATE`, from the container's first moment."""
    expected_s: float | None
    """Length that the file promises, seconds, where that can be believed."""
    missing_s: float = 0.0
    """Of the whole, seconds that could not be decoded: silence here, or missing at the end."""
    warnings: list[JobWarning] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def floats(samples: Samples) -> npt.NDArray[np.float32]:
    """`samples` as float32 in -1…1."""
    return samples.astype(np.float32) / np.float32(32768.0)


def decode(path: bytes, alive: Callable[[float], None] = lambda _: None) -> Recording:
    """Decode the first audio track of the file `path`.

    Times count from the container's own start: an audio track that begins 4 s into a video has
    4 s of silence before it, a recording cut out of a broadcast has none.

    Args:
        path: as the operating system knows it.
        alive: called now and then with the seconds decoded so far; may raise to stop.

    Raises:
        SourceError: it is no file, no media, has no audio, or none of it can be decoded.
    """
    check(path)
    try:
        container = open_media(path)
        with container:
            stream = audio_stream(container)
            promised = promise.read(path, container, stream)
            reader = Reader(path, container, stream, promised, alive)
            samples = reader.read()
            if promised.shared and reader.missing():
                reader.look_at_other_tracks()
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
    if not reader.decoded:
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
    recording = Recording(samples, reader.promised.seconds, reader.missing())
    said: list[str] = []
    if recording.missing_s:
        whole = recording.seconds + reader.missing_at_end()
        said.append(f"{recording.missing_s:.1f} s of {whole:.1f} s could not be decoded")
    if promised.unended:
        said.append(f"the file breaks off at {recording.seconds:.1f} s without the mark of its end")
    if said:
        seconds = round(recording.missing_s, 3) or None
        recording.warnings.append(JobWarning("incomplete_audio", "; ".join(said), seconds))
    return recording
