"""From the model's tokens to the transcript's segments."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from faster_whisper import WhisperModel

from speakeasy_tui.core.job import JobWarning
from speakeasy_tui.core.transcript import Segment, Word
from speakeasy_tui.engine.audio import RATE
from speakeasy_tui.engine.encoded import Encoded
from speakeasy_tui.engine.outcome import Outcome
from speakeasy_tui.engine.speech import PAD
from speakeasy_tui.engine.work import FileWork, Piece

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PREPEND = "\"'“¿([{-"
_APPEND = "\"'.。,，!！?？:：”)]}、"


def text_of(segments: Sequence[dict[str, Any]], tokenizer: Any) -> list[int]:
    """The tokens of text in faster-whisper's `segments`, without timestamps."""
    return [token for one in segments for token in one["tokens"] if token < tokenizer.eot]


def unfinished(outcome: Outcome, timestamp_begin: int) -> list[int]:
    """Tokens of text behind the last timestamp; none when decoding ran out of room."""
    if outcome.cut_off:
        return []
    tokens = outcome.tokens
    last = max(n for n, token in enumerate(tokens) if token >= timestamp_begin)
    return tokens[last + 1 :]


def end_of(tokens: Sequence[int], timestamp_begin: int) -> int | None:
    """The frame at which a text ends; None where it does not say, and goes on to the end."""
    if not tokens or tokens[-1] < timestamp_begin:
        return None
    return (tokens[-1] - timestamp_begin) * 2


def add_words(
    whisper: Any,
    encoded: Encoded,
    which: Sequence[int],
    tokenizer: Any,
    items: Sequence[tuple[Piece, list[dict[str, Any]]]],
) -> None:
    """Put word times into the segments of `items`, whose windows have the numbers `which`.

    The alignment is one call for all; the rest carries state from window to window of a chunk and
    is done by faster-whisper chunk by chunk. From chunk to chunk it carries none: they come as
    their batches end, in any order, and begin behind a pause.
    """
    tokens = [text_of(segments, tokenizer) for _, segments in items]
    frames = [min(3000, piece.limit - segments[0]["seek"]) for piece, segments in items]
    found = encoded.align(tokenizer, which, tokens, frames)
    for (piece, segments), alignment in zip(items, found, strict=True):
        # faster-whisper places words by `seek`, in frames of the whole recording.
        offset = round(piece.start * 100)
        for segment in segments:
            segment["seek"] += offset
        words = [
            {
                "word": word.text,
                "tokens": word.tokens,
                "start": word.start,
                "end": word.end,
                "probability": word.probability,
            }
            for word in alignment
        ]
        ready = SimpleNamespace(
            find_alignment=lambda *_, one=words: [one],
            frames_per_second=whisper.frames_per_second,
        )
        piece.last_word_end = WhisperModel.add_word_timestamps(
            ready,
            [segments],
            tokenizer,
            None,  # what the encoder made of it: it is aligned already
            0,
            _PREPEND,
            _APPEND,
            piece.last_word_end,
        )


def warn_of_words(files: Iterable[FileWork]) -> None:
    """Say of those whose words should have times that they have none."""
    for file in files:
        if file.options.word_timestamps and not any(w.kind == "words" for w in file.warnings):
            text = "no times of words: this CTranslate2 cannot align them on this GPU"
            file.warnings.append(JobWarning("words", text))


def warn_of_unheard(file: FileWork) -> None:
    """Say that text is missing in it, where all that the model gave was not a number."""
    if not any(w.kind == "unheard" for w in file.warnings):
        text = "text is missing: the model's output was not a number; try --compute-type float32"
        file.warnings.append(JobWarning("unheard", text))


def finish(piece: Piece, found: list[dict[str, Any]], outcome: Outcome, tokenizer: Any) -> None:
    """Append what was `found`, in the passage's own time, to the piece's segments, by the
    recording's; empty ones are left out."""
    again = piece.until is not None
    for one in found:
        text = clean(tokenizer.decode(one["tokens"]))
        if one["start"] == one["end"] or not text.strip():
            continue
        start, end = piece.passage.recorded(*_within(one, piece), PAD / RATE)
        words = [_word(word, piece) for word in one.get("words") or ()]
        if words:
            start, end = words[0].start, words[-1].end
        piece.segments.append(
            Segment(
                start=round(start, 3),
                end=round(max(start, end), 3),
                text=text,
                tokens=tuple(int(token) for token in one["tokens"]),
                temperature=outcome.temperature,
                avg_logprob=finite(outcome.avg_logprob, -99.0),
                compression_ratio=finite(outcome.compression_ratio, 0.0),
                no_speech_prob=finite(outcome.no_speech_prob, 0.0),
                words=tuple(words) if "words" in one else None,
            )
        )
    if again:  # it belongs between the others
        piece.segments.sort(key=lambda segment: segment.start)


def _within(one: dict[str, Any], piece: Piece) -> tuple[float, float]:
    """Start and end of a segment or word, seconds of the passage's own time, inside it."""
    start = min(max(float(one["start"]), piece.start), piece.own_end)
    return start, min(max(float(one["end"]), start), piece.own_end)


def clean(text: str) -> str:
    """`text` without control characters: it came out of a model, from anybody's audio."""
    return _CONTROLS.sub(" ", text)


def _word(word: dict[str, Any], piece: Piece) -> Word:
    start, end = piece.passage.word(*_within(word, piece))
    return Word(
        start=round(start, 3),
        end=round(end, 3),
        word=clean(word["word"]),
        probability=finite(float(word["probability"]), 0.0),
    )


def finite(value: float, instead: float) -> float:
    """`value` as JSON can hold it, to six digits."""
    return round(value, 6) if math.isfinite(value) else instead
