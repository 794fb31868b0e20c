"""What the engine's threads hand to each other: a file in flight, and its windows."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from speakeasy_tui.core.job import JobWarning
from speakeasy_tui.core.protocol import Transcribe
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.transcript import Segment
from speakeasy_tui.engine.audio import RATE, Samples
from speakeasy_tui.engine.inject import Trap
from speakeasy_tui.engine.speech import Span, seconds_in

SAME_START = 0.010
"""Seconds within which a stored chunk's start is the same as one cut now."""

BREATH = 0.2
"""Seconds of speech behind the last timestamp that are not worth another window."""


class Dropped(Exception):
    """Nobody wants this file any more."""


@dataclass(eq=False)
class FileWork:
    """One file in flight. The front end fills it, then the main loop owns it."""

    command: Transcribe
    trap: Trap
    samples: Samples | None = None
    audio_s: float = 0.0
    speech: Sequence[Span] = ()
    """Where somebody speaks, without padding; empty when that was not looked for."""
    chunks: Sequence[Span] = ()
    todo: Sequence[int] = ()
    """Indices of `chunks` that are not stored yet."""
    left: int = 0
    """Of `todo`, not done yet."""
    done_s: float = 0.0
    """Seconds of audio whose chunks are done, stored ones included."""
    language: str | None = None
    language_probability: float | None = None
    warnings: list[JobWarning] = field(default_factory=list)
    work_s: float = 0.0
    """Seconds spent on it: decoding, and its share of batches."""
    last_word_end: float = 0.0
    """Seconds; word timing looks back at it."""
    _dropped: threading.Event = field(default_factory=threading.Event)

    @property
    def job(self) -> int:
        return self.command.job

    @property
    def options(self) -> JobOptions:
        return self.command.options

    @property
    def dropped(self) -> bool:
        return self._dropped.is_set()

    def drop(self) -> None:
        """Tell every thread to forget this file."""
        self._dropped.set()

    def check(self, _: float = 0.0) -> None:
        """Raises Dropped when the file was given up."""
        if self.dropped:
            raise Dropped

    @property
    def progress(self) -> float:
        """Share of the audio finished, 0–1; what is left out as silent counts by its place."""
        if not self.left:
            return 1.0
        whole = sum(chunk.end - chunk.start for chunk in self.chunks) / RATE
        return min(1.0, self.done_s / whole) if whole else 0.0


@dataclass(eq=False)
class Window:
    """A chunk on its way through the model, or the rest of one: one place in a batch."""

    file: FileWork
    index: int
    """Of the chunk in the file."""
    number: int
    """Of the chunk among those decoded in this try."""
    mel: npt.NDArray[np.float32]
    """Log-mel spectrogram of the whole chunk, (mels, frames of 10 ms)."""
    seek: int = 0
    """Frames of the chunk that are done."""
    segments: list[Segment] = field(default_factory=list)
    """Of the frames that are done."""
    only_language: bool = False
    """Encoded to detect the language, not decoded: the chunk itself is stored already."""

    @property
    def span(self) -> Span:
        return self.file.chunks[self.index]

    @property
    def start(self) -> float:
        """Seconds from the start of the recording, of the chunk."""
        return self.span.start / RATE

    @property
    def end(self) -> float:
        return self.span.end / RATE

    @property
    def frames(self) -> int:
        return int(self.mel.shape[-1])

    def features(self, length: int) -> npt.NDArray[np.float32]:
        """What is left of the chunk, padded to (mels, `length`) with zeros."""
        rest = self.mel[:, self.seek : self.seek + length]
        return np.pad(rest, ((0, 0), (0, length - rest.shape[-1])))

    def speech_left(self) -> bool:
        """Whether somebody speaks in what is left of the chunk, for more than a breath.

        Whisper invents text for a rest without speech. Where speech was not looked for, it
        has to try.
        """
        if not self.file.speech:
            return self.seek < self.frames
        at = self.span.start + self.seek * (RATE // 100)
        return seconds_in(self.file.speech, at, self.span.end) > BREATH

    def bucket(self) -> tuple[Any, ...]:
        """Windows of one batch must agree in this; language and task may differ."""
        options = self.file.options
        return (options.beam_size, options.initial_prompt)
