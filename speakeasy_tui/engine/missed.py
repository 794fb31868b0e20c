"""Speech that a window's text leaves out.

Whisper now and then skips a sentence, or several, in the middle of a window or at its start, and
its timestamps do not show it. Where it listened for each word (cross-attention, as for word
times) does: a stretch in which somebody speaks and no word was heard goes through the model again
by itself. To look costs a tenth of a window, so it is done where there is little text for so much
speech.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from speakeasy_tui.engine.audio import RATE
from speakeasy_tui.engine.encoded import Encoded
from speakeasy_tui.engine.heardwords import HeardWord
from speakeasy_tui.engine.passage import Span, seconds_in
from speakeasy_tui.engine.segments import text_of
from speakeasy_tui.engine.work import Piece

MISSED = 2.0
"""Seconds of speech without text that are heard again."""
LOOKS = 3
"""Times at most that something of a chunk is heard again: a model that makes nothing of it must
not go on for ever."""
_LONG = 4.0
"""Seconds of speech in a segment from which on its pace says something."""
_THIN = 0.6
"""Of the recording's usual number of letters a second: a segment with less may lack words."""
LONGEST_WORD = 0.6
"""Seconds: a word ends where the next begins, so the last before a pause seems to last."""
_AROUND = 0.3
"""Seconds around a word that belong to it: both clocks are rough."""
_MARGIN = 20
"""Frames in front of what is heard again, and behind it."""

Segment = dict[str, Any]
"""As faster-whisper's: start and end in seconds of the passage's own time, tokens, seek."""


def around(words: Iterable[HeardWord]) -> list[tuple[float, float]]:
    """When words were heard, seconds, with what is around each; a comma is heard in the pause."""
    return [
        (word.start - _AROUND, min(word.end, word.start + LONGEST_WORD) + _AROUND)
        for word in words
        if word.spoken
    ]


def wordless(
    speech: Sequence[Span], heard: Sequence[tuple[float, float]], shift: float
) -> list[tuple[float, float]]:
    """Stretches of `speech` in which no word was heard, seconds, in its own time.

    Args:
        speech: where somebody speaks.
        heard: what is `around` words.
        shift: seconds between the clock of the words and that of the speech.
    """
    found: list[tuple[float, float]] = []
    for span in speech:
        at, end = span.start / RATE - shift, span.end / RATE - shift
        for first, last in heard:
            if last > at and first < end:
                if first > at:
                    found.append((at + shift, first + shift))
                at = max(at, last)
        if end > at:
            found.append((at + shift, end + shift))
    return found


def may_lack(piece: Piece) -> bool:
    """Whether it can be known of a piece that speech was left out."""
    return (
        bool(piece.speech)
        and piece.until is None
        and piece.file.options.task == "transcribe"  # a translation does not follow the sound
    )


def is_thin(piece: Piece, segments: Sequence[Segment], tokenizer: Any) -> bool:
    """Whether there may be less text than speech. Counts the text of the file, too.

    Args:
        piece: whose `seek` is past `segments`.
        segments: of one window, in order.
        tokenizer: faster-whisper's.
    """
    letters = [len(tokenizer.decode(text_of([one], tokenizer)).strip()) for one in segments]
    spoken = [seconds_in(piece.speech, *_span(one["start"], one["end"])) for one in segments]
    pace = piece.file.pace
    pace.letters += sum(letters)
    pace.seconds += sum(spoken)
    if not any(letters) or pace.seconds <= 0:
        return False
    usual = pace.letters / pace.seconds
    for count, seconds in zip(letters, spoken, strict=True):
        if seconds > _LONG and count < _THIN * usual * seconds:
            return True
    begins, ends = (piece.start + frame / 100 for frame in (segments[0]["seek"], piece.seek))
    ends_of = [begins, *(one["end"] for one in segments)]
    starts_of = [*(one["start"] for one in segments), ends]
    return any(
        seconds_in(piece.speech, *_span(end, start)) > MISSED
        for end, start in zip(ends_of, starts_of, strict=True)
    )


def note_gaps(
    encoded: Encoded,
    which: Sequence[int],
    tokenizer: Any,
    items: Sequence[tuple[Piece, Sequence[Segment]]],
) -> None:
    """Find what the windows of `items` left out, for their pieces to go on with at their end.

    Args:
        encoded: the batch.
        which: numbers of the items' windows in it.
        tokenizer: faster-whisper's, of the items' language.
        items: pieces, whose `seek` is past the window, with the window's segments.
    """
    starts = [int(segments[0]["seek"]) for _, segments in items]
    found = encoded.align(
        tokenizer,
        which,
        [text_of(segments, tokenizer) for _, segments in items],
        [min(3000, piece.frames - start) for (piece, _), start in zip(items, starts, strict=True)],
    )
    for (piece, segments), start, words in zip(items, starts, found, strict=True):
        room = LOOKS - piece.looks - len(piece.gaps)
        if missing := gaps(piece, words, start, piece.seek)[: max(0, room)]:
            piece.gaps.extend(missing)
            lengths = [len(text_of([one], tokenizer)) for one in segments]
            begins = [piece.start + gap.start / 100 for gap in missing]
            narrow(segments, lengths, words, piece.start + start / 100, begins)


def gaps(piece: Piece, words: Sequence[HeardWord], start: int, until: int) -> list[Span]:
    """Stretches to be heard again, in frames of the piece.

    Args:
        piece: whose `speech` is known.
        words: of its text, times in seconds from frame `start` on.
        start: the frame where its window began.
        until: the frame up to which the text goes.
    """
    found: list[Span] = []
    shift = piece.start + start / 100
    for begin, end in wordless(piece.spoken(start, until), around(words), shift):
        frames = [round((second - piece.start) * 100) for second in (begin, end)]
        gap = Span(max(start, frames[0] - _MARGIN), min(until, frames[1] + _MARGIN))
        if found and gap.start <= found[-1].end:
            found[-1] = Span(found[-1].start, gap.end)
        else:
            found.append(gap)
    return [gap for gap in found if (gap.end - gap.start - 2 * _MARGIN) / 100 > MISSED]


def narrow(
    segments: Sequence[Segment],
    lengths: Sequence[int],
    words: Sequence[HeardWord],
    shift: float,
    missing: Sequence[float],
) -> None:
    """Let `segments` begin and end with their words: what fills a gap has its place beside them.

    Args:
        segments: in order; their times are changed, never to be longer.
        lengths: how many tokens of text each has.
        words: of all that text.
        shift: seconds between the clock of the words and that of the segments.
        missing: where gaps begin, seconds on the segments' clock. A segment across one lies on
            the side of most of its words: the first is often heard in front of what it skipped.
    """
    waiting = list(words)
    behind = 0
    for segment, length in zip(segments, lengths, strict=True):
        behind -= length
        own: list[tuple[float, float]] = []
        while waiting and behind < 0:
            word = waiting.pop(0)
            behind += len(word.tokens)
            last = min(word.end, word.start + LONGEST_WORD)
            own.append((word.start + shift, last + shift))
        if not own:
            continue
        middle = own[len(own) // 2][0]
        for gap in missing:
            own = [word for word in own if (word[0] < gap) == (middle < gap)]
        start = max(segment["start"], own[0][0])
        end = min(segment["end"], own[-1][1] + _AROUND)
        if start < end:
            segment["start"], segment["end"] = start, end


def _span(start: float, end: float) -> Span:
    return Span(round(start * RATE), round(end * RATE))
