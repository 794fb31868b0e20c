"""What the engine's threads hand to each other: a file in flight, its pieces, and windows."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from speakeasy_tui.core.engineprotocol import Transcribe
from speakeasy_tui.core.job import JobWarning
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.transcript import Segment
from speakeasy_tui.engine.audio import RATE, Samples
from speakeasy_tui.engine.inject import Trap
from speakeasy_tui.engine.outcome import Outcome
from speakeasy_tui.engine.passage import Passage, Span, seconds_in

Mel = npt.NDArray[np.float32]
"""Log-mel spectrogram, (mels, frames of 10 ms)."""

CHUNK_S = 30.0
"""Seconds of the longest chunk."""

SAME_START = 0.010
"""Seconds within which a stored chunk's start is the same as one cut now."""

BREATH = 0.5
"""Seconds of speech behind the last timestamp that are not worth another window: up to 0.4 s of
them are what the voice detection adds to speech, and what was heard in less was a word or two such
as "and"."""


class Dropped(Exception):
    """Nobody wants this file any more."""


@dataclass(eq=False)
class Pace:
    """How much text there is for how much speech, in a file so far."""

    letters: int = 0
    seconds: float = 0.0


@dataclass(eq=False)
class FileWork:
    """One file in flight. The front end fills it, the main loop counts what comes back."""

    command: Transcribe
    trap: Trap
    until: float = math.inf
    """Seconds; chunks that start here or later are another engine's."""
    audio_s: float = 0.0
    """Length, seconds: what the file promises, then, once decoded, what is there."""
    heard_s: float = 0.0
    """Seconds decoded so far."""
    speech_s: float = 0.0
    chunks: int = 0
    """Cut so far, stored ones included."""
    chunks_s: float = 0.0
    """Seconds of `chunks`."""
    todo: int = 0
    """Of `chunks`, not stored yet."""
    whole: bool = False
    """Decoded and cut to the end, or to where another engine goes on."""
    told_whole: bool = False
    """The runner knows that it is."""
    done: int = 0
    """Of `todo`, finished."""
    given_up: int = 0
    """Of `todo`, made before they were another engine's."""
    done_s: float = 0.0
    """Seconds of audio whose chunks are done, stored ones included."""
    ahead_s: float = 0.0
    """Seconds heard of the chunk under way, where that is known."""
    detecting: bool = False
    """Its first chunk, which is stored, is on its way to tell the language."""
    settled: bool = False
    """It is known whether the language is known."""
    language: str | None = None
    language_probability: float | None = None
    warnings: list[JobWarning] = field(default_factory=list)
    front_s: float = 0.0
    """Seconds the front end has spent on it."""
    model_s: float = 0.0
    """Its share of the seconds that batches took."""
    pace: Pace = field(default_factory=Pace)
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
    def short(self) -> bool:
        """Whether it promises to be one chunk."""
        return 0 < self.audio_s <= CHUNK_S

    @property
    def work_s(self) -> float:
        """Seconds spent on it."""
        return self.front_s + self.model_s

    @property
    def finished(self) -> bool:
        """All of it is cut and transcribed, and its language is known if it can be."""
        return self.whole and not self.detecting and self.done + self.given_up == self.todo

    @property
    def progress(self) -> float:
        """Share of the audio finished, 0–1; what is left out as silent counts by its place."""
        if self.finished:
            return 1.0
        ahead = 0.0 if self.whole else max(0.0, self.audio_s - self.heard_s)
        expected = self.chunks_s + ahead
        return min(1.0, (self.done_s + self.ahead_s) / expected) if expected else 0.0


@dataclass(eq=False)
class Piece:
    """A chunk on its way through the model, or the rest of one."""

    file: FileWork
    index: int
    """Of the chunk in the file."""
    number: int
    """Of the chunk among those decoded in this try."""
    passage: Passage
    """What of the recording the chunk is."""
    mel: Mel
    """Of nothing, where it is `samples` that are decoded."""
    speech: Sequence[Span] = ()
    """Where somebody speaks in it, in the passage's own time; empty when that was not looked
    for."""
    seek: int = 0
    """Frames of the chunk that are done."""
    segments: list[Segment] = field(default_factory=list)
    """Of the frames that are done."""
    last_word_end: float = 0.0
    """Seconds; word timing looks back at it, for what comes long after begins behind a pause."""
    looks: int = 0
    """Times that something of it was heard again because its text was missing."""
    gaps: list[Span] = field(default_factory=list)
    """Frames of which the text is missing, and which are heard again at the end."""
    until: int | None = None
    """Where the gap ends that is heard again, from `seek` on."""
    only_language: bool = False
    """Encoded to detect the language, not decoded: the chunk itself is stored already."""
    packings: int = 0
    """Times it shared a window and its text could not be told from the others'."""
    unclear: int = 0
    """Times that what a short window gave of it was not to be believed."""
    overtaken: int = 0
    """Batches that have gone before it since it was put aside for others of its kind."""
    tried: list[Outcome] = field(default_factory=list)
    """Suspicious results of what is left of it, which is to be sampled; empty otherwise."""
    encoded: Any = None
    """The encoder's output for those, where it is at hand."""
    samples: Samples | None = None
    """A whole recording, for the option `sequential`: it is decoded by itself, and stands in a
    batch of its own."""
    room: int = 0
    """Frames for which it counts then."""

    @property
    def start(self) -> float:
        """Seconds from the start of the recording, of the chunk; in its own time, too."""
        return self.passage.start / RATE

    @property
    def end(self) -> float:
        """Seconds from the start of the recording."""
        return self.passage.end / RATE

    @property
    def own_end(self) -> float:
        """Its end in its own time, seconds."""
        return (self.passage.start + self.passage.length) / RATE

    @property
    def wanted(self) -> bool:
        """Whether it is still this engine's to decode."""
        return not self.file.dropped and self.start < self.file.until

    @property
    def frames(self) -> int:
        return int(self.mel.shape[-1]) if self.samples is None else self.room

    @property
    def here(self) -> float:
        """Where `seek` is, seconds of its own time."""
        return self.start + self.seek / 100

    @property
    def is_rest(self) -> bool:
        """A part of the chunk has been heard already."""
        return self.seek > 0 or self.until is not None

    @property
    def left(self) -> int:
        """Frames not done yet, or of the gap that is heard again."""
        return self.limit - self.seek

    @property
    def limit(self) -> int:
        """The frame up to which it is to be heard."""
        return self.frames if self.until is None else self.until

    def next_gap(self) -> bool:
        """Go on with a gap, if there is one left; else all is done."""
        if not self.gaps:
            return False
        self.looks += 1
        self.seek, self.until = self.gaps.pop(0)
        return True

    @property
    def floor(self) -> float:
        """What silence looks like in its spectrogram."""
        return float(self.mel.min()) if self.mel.size else 0.0

    @property
    def takes_any_window(self) -> bool:
        """Whether it may have another window than a full one of its own."""
        options = self.file.options
        return (
            options.pack
            and self.samples is None
            and options.task == "transcribe"  # a translation does not follow the sound word by word
            and not (self.only_language or self.tried)
        )

    def speech_left(self) -> bool:
        """Whether somebody speaks in what is left of the chunk, for more than a breath.

        Whisper invents text for a rest without speech. Where speech was not looked for, it
        has to try.
        """
        if not self.speech:
            return self.seek < self.frames
        return self.speech_from(self.seek) > BREATH

    def speech_from(self, frame: int) -> float:
        """Seconds of speech from a frame on; 0 where it was not looked for."""
        if not self.speech:
            return 0.0
        at = self.passage.start + frame * (RATE // 100)
        return seconds_in(self.speech, at, self.speech[-1].end)

    def spoken(self, first: int, last: int) -> list[Span]:
        """Where somebody speaks between two frames, in the passage's own time."""
        begin, end = (self.passage.start + frame * (RATE // 100) for frame in (first, last))
        within = (Span(max(span.start, begin), min(span.end, end)) for span in self.speech)
        return [span for span in within if span.start < span.end]

    def bucket(self) -> tuple[Any, ...]:
        """Pieces of one batch must agree in this; language and task may differ."""
        options = self.file.options
        if self.samples is not None:
            return (id(self),)
        return (options.beam_size, options.initial_prompt, bool(self.tried))


@dataclass(frozen=True, eq=False)
class Window:
    """One place in a batch: a piece, or several short ones with pauses between them."""

    pieces: tuple[Piece, ...]
    offsets: tuple[int, ...] = (0,)
    """Frame at which each piece begins."""
    length: int | None = None
    """Frames of the window itself, where it is shorter than the model's."""

    @property
    def lone(self) -> Piece:
        """The only piece."""
        (piece,) = self.pieces
        return piece

    @property
    def first(self) -> Piece:
        """The one whose options, language and task hold for all."""
        return self.pieces[0]

    @property
    def is_full(self) -> bool:
        """It has the model's own length, and is no whole recording."""
        return self.length is None and self.first.samples is None

    @property
    def packed(self) -> bool:
        return len(self.pieces) > 1

    @property
    def frames(self) -> int:
        """Up to the end of the last piece."""
        return self.offsets[-1] + self.pieces[-1].left

    def unsaid(self, end: int | None) -> float:
        """Seconds of speech behind frame `end` of the window; None: the end of all of it.

        0 where that was not looked for, and for what is heard again at the end.
        """
        if end is None:
            return 0.0
        return sum(
            piece.speech_from(piece.seek + max(0, end - offset))
            for piece, offset in zip(self.pieces, self.offsets, strict=True)
            if piece.until is None
        )

    def features(self, length: int) -> Mel:
        """What is left of the pieces at their places in (mels, `length`)."""
        first = self.pieces[0].mel
        made = np.zeros((first.shape[0], length), np.float32)
        if self.length is not None:
            made[:] = self.first.floor
        elif self.packed:
            # As quiet as the quietest: with zeros (what follows the last piece, as in
            # faster-whisper) between them texts run into each other more often.
            made[:, : self.frames] = min(piece.floor for piece in self.pieces)
        for piece, offset in zip(self.pieces, self.offsets, strict=True):
            rest = piece.mel[:, piece.seek : piece.seek + min(piece.left, length - offset)]
            made[:, offset : offset + rest.shape[-1]] = rest
        return made
