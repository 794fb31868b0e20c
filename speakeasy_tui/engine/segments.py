"""From the model's tokens to the transcript's segments."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from faster_whisper import WhisperModel

from speakeasy_tui.core.transcript import Segment, Word
from speakeasy_tui.engine.work import Piece

# openai/whisper, transcribe.py: the defaults of the command line.
COMPRESSION_RATIO = 2.4
LOGPROB = -1.0
NO_SPEECH = 0.6

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PREPEND = "\"'“¿([{-"
_APPEND = "\"'.。,，!！?？:：”)]}、"


@dataclass(frozen=True)
class Outcome:
    """What the model made of one window, with Whisper's measures of how sure it is."""

    tokens: list[int]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float

    @property
    def loops(self) -> bool:
        """The text repeats itself."""
        return self.compression_ratio > COMPRESSION_RATIO

    @property
    def silent(self) -> bool:
        """Nobody speaks: the model says so, and what it wrote all the same is unlikely."""
        return self.no_speech_prob > NO_SPEECH and self.avg_logprob <= LOGPROB


def needs_fallback(outcome: Outcome) -> bool:
    """Whether Whisper decodes such a result again at a higher temperature."""
    return not outcome.silent and (outcome.loops or outcome.avg_logprob < LOGPROB)


def add_words(
    whisper: Any, tokenizer: Any, encoded: Any, items: Sequence[tuple[Piece, list[dict[str, Any]]]]
) -> None:
    """Put word times into the segments of `items`, whose encoder output is `encoded`.

    The alignment is one call for all; the rest carries state from window to window and is
    done by faster-whisper file by file.
    """
    tokens = [
        [token for segment in segments for token in segment["tokens"] if token < tokenizer.eot]
        for _, segments in items
    ]
    frames = [min(3000, piece.frames - segments[0]["seek"]) for piece, segments in items]
    found = whisper.find_alignment(tokenizer, tokens, encoded, frames)
    for (piece, segments), alignment in zip(items, found, strict=True):
        # faster-whisper places words by `seek`, in frames of the whole recording.
        offset = round(piece.start * 100)
        for segment in segments:
            segment["seek"] += offset
        ready = SimpleNamespace(
            find_alignment=lambda *_, one=alignment: [one],
            frames_per_second=whisper.frames_per_second,
        )
        piece.file.last_word_end = WhisperModel.add_word_timestamps(
            ready,
            [segments],
            tokenizer,
            encoded,
            0,
            _PREPEND,
            _APPEND,
            piece.file.last_word_end,
        )


def finish(piece: Piece, found: list[dict[str, Any]], outcome: Outcome, tokenizer: Any) -> None:
    """Append what was `found` to the piece's segments; empty ones are left out."""
    for one in found:
        text = clean(tokenizer.decode(one["tokens"]))
        start = min(max(one["start"], piece.start), piece.end)
        end = min(max(one["end"], start), piece.end)
        if one["start"] == one["end"] or not text.strip():
            continue
        words = one.get("words")
        piece.segments.append(
            Segment(
                start=round(float(start), 3),
                end=round(float(end), 3),
                text=text,
                tokens=tuple(int(token) for token in one["tokens"]),
                temperature=outcome.temperature,
                avg_logprob=finite(outcome.avg_logprob, -99.0),
                compression_ratio=finite(outcome.compression_ratio, 0.0),
                no_speech_prob=finite(outcome.no_speech_prob, 0.0),
                words=None if words is None else tuple(_word(word, piece) for word in words),
            )
        )


def clean(text: str) -> str:
    """`text` without control characters: it came out of a model, from anybody's audio."""
    return _CONTROLS.sub(" ", text)


def _word(word: dict[str, Any], piece: Piece) -> Word:
    start = min(max(float(word["start"]), piece.start), piece.end)
    return Word(
        start=round(start, 3),
        end=round(min(max(float(word["end"]), start), piece.end), 3),
        word=clean(word["word"]),
        probability=finite(float(word["probability"]), 0.0),
    )


def finite(value: float, instead: float) -> float:
    """`value` as JSON can hold it, to six digits."""
    return round(value, 6) if math.isfinite(value) else instead
