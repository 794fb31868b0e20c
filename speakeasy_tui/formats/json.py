"""Whisper's JSON, and under one more key what made it.

The fields and their order are those of Whisper's transcribe(); readers of its files can
read ours. A number that is not finite is null, which JSON has, and never NaN, which it has not.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct, UnsetType

from speakeasy_tui import __version__
from speakeasy_tui.core.text import printable
from speakeasy_tui.core.transcript import Segment, Transcript, Word
from speakeasy_tui.formats.clean import clean, milliseconds

_FRAMES_PER_SECOND = 100
"""Mel frames of 10 ms: the unit of Whisper's `seek` (N_FRAMES / CHUNK_LENGTH, audio.py)."""


class _Word(Struct):
    word: str
    start: float
    end: float
    probability: float


class _Segment(Struct):
    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: tuple[int, ...]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: list[_Word] | UnsetType = UNSET


class _Provenance(Struct):
    version: str
    model: str
    task: str
    duration: float
    language_probability: float | None
    source: str
    identity: str
    simulated: bool
    warnings: list[str]
    missing_s: float


class _Document(Struct):
    text: str
    segments: list[_Segment]
    language: str
    speakeasy: _Provenance


def write_json(transcript: Transcript) -> bytes:
    """One line of JSON; times are seconds with at most three decimals."""
    document = _Document(
        text=clean(transcript.text).strip(),
        segments=[_segment(index, segment) for index, segment in enumerate(transcript.segments)],
        language=clean(transcript.language),
        speakeasy=_Provenance(
            version=__version__,
            model=printable(transcript.model),
            task=printable(transcript.task),
            duration=_seconds(transcript.duration),
            language_probability=transcript.language_probability,
            source=printable(transcript.source),
            identity=printable(transcript.identity),
            simulated=transcript.simulated,
            warnings=[printable(warning) for warning in transcript.warnings],
            missing_s=_seconds(transcript.missing_s),
        ),
    )
    return msgspec.json.encode(document) + b"\n"


def _segment(index: int, segment: Segment) -> _Segment:
    start = _seconds(segment.start)
    return _Segment(
        id=index,
        # Whisper's is the window's first frame; a segment knows its own start only.
        seek=round(start * _FRAMES_PER_SECOND),
        start=start,
        end=_seconds(segment.end),
        text=clean(segment.text),
        tokens=segment.tokens,
        temperature=segment.temperature,
        avg_logprob=segment.avg_logprob,
        compression_ratio=segment.compression_ratio,
        no_speech_prob=segment.no_speech_prob,
        words=UNSET if segment.words is None else [_word(word) for word in segment.words],
    )


def _word(word: Word) -> _Word:
    return _Word(clean(word.word), _seconds(word.start), _seconds(word.end), word.probability)


def _seconds(seconds: float) -> float:
    return milliseconds(seconds) / 1000
