"""The transcript: what the engine finds in the audio and the formats write down."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Word(Struct, frozen=True):
    """A word with its place in the audio, when word timestamps were asked for."""

    start: float
    """Seconds from the start of the recording."""
    end: float
    word: str
    """With its leading space, as Whisper gives it."""
    probability: float


class Segment(Struct, frozen=True):
    """A stretch of speech, with the fields of Whisper's own JSON output."""

    start: float
    """Seconds from the start of the recording."""
    end: float
    text: str
    tokens: tuple[int, ...] = ()
    temperature: float = 0.0
    avg_logprob: float = 0.0
    """Mean log-probability of the tokens; below -1 Whisper calls a decode failed."""
    compression_ratio: float = 0.0
    """gzip ratio of the text; above 2.4 Whisper calls it a loop."""
    no_speech_prob: float = 0.0
    words: tuple[Word, ...] | None = None


class Transcript(Struct, frozen=True):
    """Everything said about one recording."""

    segments: Sequence[Segment]
    language: str
    duration: float
    """Length of the decoded audio, seconds."""
    source: str = ""
    """The recording's name, for the formats that carry it."""
    model: str = ""
    task: str = "transcribe"
    language_probability: float | None = None
    simulated: bool = False
    """True when the simulated engine made it up."""
    identity: str = ""
    """Digest of content, model and options; lets a later run see whose output this is."""
    warnings: Sequence[str] = ()
    missing_s: float = 0.0
    """Seconds of the recording that could not be decoded (silence, or missing at the end)."""

    @property
    def text(self) -> str:
        """The whole text, segments joined as Whisper joins them."""
        return "".join(segment.text for segment in self.segments).strip()


class Chunk(Struct, frozen=True):
    """A finished unit of the engine's work: up to 30 s of speech of one file."""

    index: int
    start: float
    """Seconds from the start of the recording."""
    end: float
    segments: tuple[Segment, ...] = ()
