"""The text of a shared window told apart: what each piece in it has to say.

A text is cut apart twice: by the timestamps that the model wrote, and by where it listened when
it wrote each word (cross-attention, as for word times). Where one piece ends inside a sentence, as
rests of chunks do and many cut clips, the model often goes on with it in the next, and its
timestamps cross the silence: then it counts where each word was heard, for a whole recording, or a
whole chunk of one, only if the words on both sides of each silence were plainly heard there, are
likely, and no sentence ends beside the silence instead of at it.
Whatever is not certain goes through the model again.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from speakeasy_tui.engine.audio import RATE
from speakeasy_tui.engine.heardwords import HeardWord
from speakeasy_tui.engine.missed import LONGEST_WORD, around, wordless
from speakeasy_tui.engine.outcome import Outcome
from speakeasy_tui.engine.segments import unfinished
from speakeasy_tui.engine.work import Window

_BOTH = 0.05
"""Seconds of speech of a second piece in a word that make its place uncertain."""
_SILENCE = 0.3
"""Seconds of speech in a piece below which it may well have no text."""
_SKIPPED = 1.0
"""Seconds of speech without a word that are too many."""
_UNSURE = -0.45
"""Mean log-probability of a piece's words below which it is heard again alone."""
_EDGE = 2
"""Words on each side of a silence that must be heard plainly. In shared windows of 120 synthetic
and 60 real clips in random orders timestamps and words differed at 229 silences, and at 40 of them
a word was put on the wrong side. By their places 2 of the 40 pass, none if they must be likely,
none if a sentence must not end beside the silence; with both 73 of the other 189 pass."""
_PLAIN = 0.5
"""Of a word's time that must lie in its piece's speech."""
_LIKELY = 0.3
"""Probability of the words beside the silence."""
_ENDS = frozenset(".?!…。？！")
"""Of sentences."""
_SHORTEST = 0.02
"""Seconds of a segment, the step of Whisper's timestamps."""
Segment = dict[str, Any]
"""As faster-whisper's `_split_segments_by_timestamps` makes them: start, end, tokens, seek."""
Stretch = tuple[float, float]
"""Start and end in seconds from the window's start."""


def shared_segments(
    whisper: Any, window: Window, outcome: Outcome, tokenizer: Any
) -> list[Segment]:
    """All segments of a shared window, times from its start; that behind the last timestamp, too.

    Args:
        whisper: faster-whisper's `WhisperModel`.
        window: with several pieces.
        outcome: what the model made of it.
        tokenizer: faster-whisper's.
    """
    seconds = window.frames / 100
    segments: list[Segment] = whisper._split_segments_by_timestamps(
        tokenizer=tokenizer,
        tokens=outcome.tokens,
        time_offset=0.0,
        segment_size=window.frames,
        segment_duration=seconds,
        seek=0,
    )[0]
    kept = sum(len(segment["tokens"]) for segment in segments)
    if kept < len(outcome.tokens) and (rest := unfinished(outcome, tokenizer.timestamp_begin)):
        start = segments[-1]["end"] if segments else 0.0
        segments.append({"seek": 0, "start": start, "end": seconds, "tokens": rest})
    return segments


def tell_apart(
    window: Window,
    segments: Sequence[Segment],
    words: Sequence[HeardWord],
    tokenizer: Any,
) -> list[list[Segment] | None]:
    """Give each piece of a packed window its segments, times in its passage's own time.

    Args:
        window: the window they came out of.
        segments: in order, times in seconds from the window's start.
        words: of the text of all segments.
        tokenizer: faster-whisper's.

    Returns:
        For each piece its segments, or None where it is not certain what they are.
    """
    count = len(window.pieces)
    speech = [_speech(window, number) for number in range(count)]
    heard = _heard(speech, words)
    found: list[list[Segment]] = [[] for _ in range(count)]
    doubtful = {number for one in heard if len(one.places) > 1 for number in one.places}
    placed = _placed(words, heard, count)
    sureness = [_sureness(own) for own in placed]
    contested: set[int] = set()
    """Where timestamps and words differ."""
    at = 0
    for segment in segments:
        text = [token for token in segment["tokens"] if token < tokenizer.eot]
        own, at = heard[at : at + len(text)], at + len(text)
        by_time = _place_of_time(window, segment)
        by_word = {one.place for one in own}
        if len(own) < len(text):  # half a character at the end belongs to no word
            doubtful |= {by_time, *by_word}
        if by_word == {by_time}:
            found[by_time].append(_moved(window, by_time, segment, tokenizer.timestamp_begin))
            continue
        contested |= {by_time, *by_word}
        for number, run in groupby(zip(text, own, strict=False), key=lambda pair: pair[1].place):
            made = _of_words(list(run), speech[number], tokenizer.timestamp_begin)
            found[number].append(_moved(window, number, made, tokenizer.timestamp_begin))
            if not (window.pieces[number].is_rest or _shared(window, number, segment) > 0):
                doubtful |= {number, by_time}  # not only rough, but for another
    for number in range(count - 1):
        pair = {number, number + 1}
        if contested & pair and not (
            min(sureness[number], sureness[number + 1]) >= _UNSURE
            and _plainly_ends(placed[number], speech[number])
            and _plainly_begins(placed[number + 1], speech[number + 1])
        ):
            doubtful |= {n for n in contested & pair if not window.pieces[n].is_rest}
    with_words = around(words)
    for number in range(count):
        missing = not found[number] and _seconds(speech[number]) > _SILENCE
        if missing or _longest_without_words(window, number, with_words) > _SKIPPED:
            doubtful.add(number)
            if found[number]:  # its words may be those of the next
                doubtful |= contested & {number - 1, number + 1}
    return [
        None if number in doubtful or sureness[number] < _UNSURE else found[number]
        for number in range(count)
    ]


class _Heard(NamedTuple):
    """Where the decoder listened when it wrote a token, seconds from the window's start."""

    start: float
    end: float
    places: tuple[int, ...]
    """Numbers of the pieces in whose speech that is."""

    @property
    def place(self) -> int:
        return self.places[0]


def _speech(window: Window, number: int) -> list[Stretch]:
    """Where somebody speaks in a piece, seconds from the window's start."""
    piece = window.pieces[number]
    shift = window.offsets[number] / 100 - piece.here
    return [
        (span.start / RATE + shift, span.end / RATE + shift)
        for span in piece.spoken(piece.seek, piece.limit)
    ]


def _heard(speech: Sequence[Sequence[Stretch]], words: Sequence[HeardWord]) -> list[_Heard]:
    """For each token of text where it was heard, by the speech that its word lies in."""
    heard: list[_Heard] = []
    places: tuple[int, ...] = (0,)
    spoken = [number for number, spans in enumerate(speech) if spans]
    begins, ends = ([speech[n][at][at] for n in spoken] for at in (0, -1))
    for word in words:
        # Punctuation is heard in the pause behind the word it belongs to.
        if word.spoken:
            start, end = word.start, word.end
            near = spoken[bisect_right(ends, start) : bisect_left(begins, end)]
            inside = {n: seconds for n in near if (seconds := _overlap(speech[n], start, end)) > 0}
            if inside:
                least = min(max(inside.values()), _BOTH)
                order = sorted(inside, key=lambda number: -inside[number])
                places = tuple(number for number in order if inside[number] >= least)
            else:  # in a pause: the nearest
                places = (min(range(len(speech)), key=lambda n: _distance(speech[n], start, end)),)
        heard.extend([_Heard(word.start, word.end, places)] * len(word.tokens))
    return heard


def _overlap(spans: Sequence[Stretch], start: float, end: float) -> float:
    return sum(max(0.0, min(end, last) - max(start, first)) for first, last in spans)


def _distance(spans: Sequence[Stretch], start: float, end: float) -> float:
    return min((max(first - end, start - last) for first, last in spans), default=math.inf)


def _seconds(spans: Sequence[Stretch]) -> float:
    return sum(last - first for first, last in spans)


def _longest_without_words(window: Window, number: int, heard: Sequence[Stretch]) -> float:
    """The longest stretch of speech of a piece, seconds, in which no word was `heard`."""
    piece = window.pieces[number]
    spans = piece.spoken(piece.seek, piece.limit)
    found = wordless(spans, heard, piece.here - window.offsets[number] / 100)
    return max((end - start for start, end in found), default=0.0)


def _placed(
    words: Sequence[HeardWord], heard: Sequence[_Heard], count: int
) -> list[list[HeardWord]]:
    """The words of each of `count` pieces."""
    placed: list[list[HeardWord]] = [[] for _ in range(count)]
    at = 0
    for word in words:
        if at < len(heard):
            placed[heard[at].place].append(word)
        at += len(word.tokens)
    return placed


def _sureness(words: Sequence[HeardWord]) -> float:
    """Mean log-probability of words."""
    if not words:
        return 0.0
    return sum(math.log(max(1e-4, word.probability)) for word in words) / len(words)


def _plainly_ends(words: Sequence[HeardWord], speech: Sequence[Stretch]) -> bool:
    """Whether a piece's last words are its own, and none of the next piece's."""
    last = [number for number, word in enumerate(words) if word.spoken][-_EDGE:]
    if not last:
        return True
    text = "".join(word.text for word in words[last[0] : last[-1]])
    return (
        not _ENDS & set(text)
        and words[last[-1]].probability >= _LIKELY
        and all(_plain(words[number], speech) for number in last)
    )


def _plainly_begins(words: Sequence[HeardWord], speech: Sequence[Stretch]) -> bool:
    """Whether a piece's first words are its own, and none of those before."""
    first = [number for number, word in enumerate(words) if word.spoken][: _EDGE + 1]
    if not first:
        return True
    text = "".join(word.text for word in words[: first[-1] if len(first) > _EDGE else None])
    return (
        not _ENDS & set(text)
        and words[first[0]].probability >= _LIKELY
        and all(_plain(words[number], speech) for number in first[:_EDGE])
    )


def _plain(word: HeardWord, speech: Sequence[Stretch]) -> bool:
    """Whether a word was heard in `speech`; the pause beside it may count as a part of it."""
    start, end = word.start, word.end
    if end - start < _SHORTEST:
        return any(first <= start <= last for first, last in speech)
    sides = ((start, min(end, start + LONGEST_WORD)), (max(start, end - LONGEST_WORD), end))
    return any(_overlap(speech, *side) >= _PLAIN * (side[1] - side[0]) for side in sides)


def _place_of_time(window: Window, segment: Segment) -> int:
    """The number of the piece that most of a segment's time lies in."""
    # Negative outside: the nearest is the greatest.
    return max(range(len(window.pieces)), key=lambda number: _shared(window, number, segment))


def _shared(window: Window, number: int, segment: Segment) -> float:
    """Seconds of a segment that lie in a piece; outside of it, how far away, negative."""
    first = window.offsets[number] / 100
    last = first + window.pieces[number].left / 100
    inside: float = min(segment["end"], last) - max(segment["start"], first)
    return inside


def _of_words(
    tokens: Sequence[tuple[int, _Heard]],
    speech: Sequence[Stretch],
    timestamp_begin: int,
) -> Segment:
    """A segment of words alone, whose times are theirs."""
    first, last = tokens[0][1], tokens[-1][1]
    start = max([first.start, *(begin for begin, _ in speech[:1])])
    end = min([last.end, *(end for _, end in speech[-1:])])
    start = min(start, end - _SHORTEST)  # not of no length: those are left out
    opening, closing = (timestamp_begin + max(0, round(second * 50)) for second in (start, end))
    return {
        "seek": 0,
        "start": start,
        "end": end,
        "tokens": [opening, *(token for token, _ in tokens), closing],
    }


def _moved(window: Window, number: int, segment: Segment, timestamp_begin: int) -> Segment:
    """`segment` with times and timestamps of its own piece."""
    offset = window.offsets[number]
    piece = window.pieces[number]
    steps = offset // 2  # timestamps count 20 ms
    last = timestamp_begin + piece.left // 2
    tokens = [
        token if token < timestamp_begin else min(last, max(timestamp_begin, token - steps))
        for token in segment["tokens"]
    ]
    shift = piece.here - offset / 100
    end = piece.here + piece.left / 100
    return {
        **segment,
        "start": min(max(segment["start"] + shift, piece.here), end),
        "end": min(max(segment["end"] + shift, piece.here), end),
        "tokens": tokens,
    }
