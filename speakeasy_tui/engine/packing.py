"""Several short pieces in one window, and their texts told apart again.

Whisper always pays for 30 s, so a clip of 3 s wastes nine tenths of the encoder. Pieces of up
to half a window that agree in everything that shapes the text share one, with a second of
silence between them. What comes out is cut apart twice: by the timestamps that the model wrote,
and by where it listened when it wrote each word (cross-attention, as for word times). Text is
taken only where both ways put it on the same piece; every other piece goes through the model
again. Measured in docs/throughput.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from speakeasy_tui.engine.audio import RATE
from speakeasy_tui.engine.missed import wordless
from speakeasy_tui.engine.work import Piece, Window

GAP = 100
"""Frames (10 ms) of silence between two pieces."""
LONGEST = 1500
"""Frames of a piece that shares a window: a longer one leaves no room worth it."""
TRIES = 2
"""Windows a piece may share before it gets one of its own."""
_LONGEST_WORD = 0.6
"""Seconds: a word ends where the next begins, so the last before a pause seems to last."""
_SILENCE = 0.3
"""Seconds of speech in a piece below which it may well have no text."""
_SKIPPED = 1.0
"""Seconds of speech without a word that are too many."""
_UNSURE = -0.45
"""Mean log-probability of a piece's words below which it is heard again alone."""
Segment = dict[str, Any]
"""As faster-whisper's `_split_segments_by_timestamps` makes them: start, end, tokens, seek."""


def may_share(piece: Piece) -> bool:
    """Whether a piece can be put into a window with others."""
    options = piece.file.options
    return (
        options.pack
        and piece.samples is None
        and bool(piece.speech)  # without, nothing says whether its text is missing
        and piece.file.language is not None
        and options.task == "transcribe"  # a translation does not follow the sound word by word
        and not options.word_timestamps
        and not piece.only_language
        and piece.seek == 0
        and piece.packings < TRIES
        and piece.frames <= LONGEST
    )


def windows(pieces: Iterable[Piece], length: int) -> list[Window]:
    """Put `pieces`, which agree in their `bucket`, into windows of `length` frames, first fit.

    A window stands where its first piece stood.
    """
    made: list[list[Piece]] = []
    ends: list[int] = []
    open_: dict[str | None, list[int]] = {}
    """By language: numbers of windows that may take more."""
    for piece in pieces:
        if not may_share(piece):
            made.append([piece])
            ends.append(length)
            continue
        places = open_.setdefault(piece.file.language, [])
        for number in places:
            if ends[number] + GAP + piece.frames <= length:
                made[number].append(piece)
                ends[number] += GAP + piece.frames
                break
        else:
            places.append(len(made))
            made.append([piece])
            ends.append(piece.frames)
    return [Window(tuple(group), _offsets(group)) for group in made]


def _offsets(pieces: Sequence[Piece]) -> tuple[int, ...]:
    places = [0]
    for piece in pieces[:-1]:
        places.append(places[-1] + piece.frames + GAP)
    return tuple(places)


def tell_apart(
    window: Window,
    segments: Sequence[Segment],
    words: Sequence[dict[str, Any]],
    tokenizer: Any,
) -> list[list[Segment] | None]:
    """Give each piece of a packed window its segments, times in its passage's own time.

    Args:
        window: the window they came out of.
        segments: in order, times in seconds from the window's start.
        words: of the text of all segments, as `WhisperModel.find_alignment` places them.
        tokenizer: faster-whisper's.

    Returns:
        For each piece its segments, or None where it is not certain what they are.
    """
    count = len(window.pieces)
    found: list[list[Segment]] = [[] for _ in range(count)]
    doubtful: set[int] = set()
    heard = _places_of_tokens(window, words)
    at = 0
    for segment in segments:
        length = sum(1 for token in segment["tokens"] if token < tokenizer.eot)
        by_word = set(heard[at : at + length])
        at += length
        by_time = _place_of_time(window, segment["start"], segment["end"])
        if by_word == {by_time}:
            found[by_time].append(_moved(window, by_time, segment, tokenizer.timestamp_begin))
        else:
            doubtful |= by_word | {by_time}
    told: list[list[Segment] | None] = []
    for number, piece in enumerate(window.pieces):
        spoken = sum(span.end - span.start for span in piece.speech) / RATE
        missing = not found[number] and spoken > _SILENCE
        skipped = _longest_without_words(window, number, words) > _SKIPPED
        unsure = _sureness(number, words, heard) < _UNSURE
        certain = number not in doubtful and not missing and not skipped and not unsure
        told.append(found[number] if certain else None)
    return told


def _longest_without_words(window: Window, number: int, words: Sequence[dict[str, Any]]) -> float:
    """The longest stretch of speech of a piece, seconds, in which no word was heard."""
    piece = window.pieces[number]
    found = wordless(piece.speech, words, piece.start - window.offsets[number] / 100)
    return max((end - start for start, end in found), default=0.0)


def _places_of_tokens(window: Window, words: Sequence[dict[str, Any]]) -> list[int]:
    """For each token of text, the number of the piece in which it was heard."""
    middles = [
        (before + piece.frames + after) / 200
        for piece, before, after in zip(
            window.pieces, window.offsets, window.offsets[1:], strict=False
        )
    ]
    places: list[int] = []
    now = 0
    for word in words:
        # Punctuation is heard in the pause behind the word it belongs to.
        if any(letter.isalnum() for letter in word["word"]):
            middle = (word["start"] + min(word["end"], word["start"] + _LONGEST_WORD)) / 2
            now = sum(middle > border for border in middles)
        places.extend([now] * len(word["tokens"]))
    return places


def _sureness(number: int, words: Sequence[dict[str, Any]], heard: Sequence[int]) -> float:
    """Mean log-probability of the words in piece `number`."""
    own: list[float] = []
    at = 0
    for word in words:
        if heard[at : at + 1] == [number]:
            own.append(math.log(max(1e-4, word["probability"])))
        at += len(word["tokens"])
    return sum(own) / len(own) if own else 0.0


def _place_of_time(window: Window, start: float, end: float) -> int:
    """The number of the piece that most of the time from `start` to `end` (s) lies in."""

    def shared(number: int) -> float:
        first = window.offsets[number] / 100
        last = first + window.pieces[number].frames / 100
        inside = min(end, last) - max(start, first)
        return inside  # negative outside: the nearest is the greatest

    return max(range(len(window.pieces)), key=shared)


def _moved(window: Window, number: int, segment: Segment, timestamp_begin: int) -> Segment:
    """`segment` with times and timestamps of its own piece."""
    offset = window.offsets[number]
    piece = window.pieces[number]
    steps = offset // 2  # timestamps count 20 ms
    last = timestamp_begin + piece.frames // 2
    tokens = [
        token if token < timestamp_begin else min(last, max(timestamp_begin, token - steps))
        for token in segment["tokens"]
    ]
    shift = piece.start - offset / 100
    return {
        **segment,
        "start": min(max(segment["start"] + shift, piece.start), piece.own_end),
        "end": min(max(segment["end"] + shift, piece.start), piece.own_end),
        "tokens": tokens,
    }
