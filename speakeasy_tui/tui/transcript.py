"""A transcript as lines: times, text, what the model was unsure of, what was searched for."""

from __future__ import annotations

from collections.abc import Iterable

from speakeasy_tui.core.text import printable
from speakeasy_tui.core.transcript import Segment
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.marking import Piece, inked, matches
from speakeasy_tui.tui.rows import Line, Span

UNSURE_WORD = 0.5
"""A word of lower probability is shown as unsure."""

UNSURE_SEGMENT = -1.0
"""Mean log-probability below which Whisper itself calls a decode failed (openai/whisper)."""


def stamp(seconds: float) -> str:
    """``[00:12.3]``, ``[1:02:13.4]``."""
    tenths = int(seconds * 10 + 0.5)
    minutes, tenth = divmod(tenths, 600)
    hours, minute = divmod(minutes, 60)
    rest = f"{minute:02d}:{tenth // 10:02d}.{tenth % 10}"
    return f"[{hours}:{rest}]" if hours else f"[{rest}]"


def segment_lines(segment: Segment, width: int, find: str = "") -> list[Line]:
    """A segment in lines of `width` cells; `find` stands out, and so does what is unsure."""
    unsure = segment.avg_logprob < UNSURE_SEGMENT
    time_stamp = f"{stamp(segment.start)} "
    lead = f"{time_stamp}? " if unsure else time_stamp
    text = printable(segment.text.strip())
    pieces = [*_unsure_words(segment, text), *matches(text, find)]  # matches win
    parts = shown.wrap(text, max(8, width - len(lead)))
    lines: list[Line] = []
    for number, line in enumerate(inked(text, parts, pieces, "warning" if unsure else "")):
        head = Span(" " * len(lead)) if number else Span(lead, "warning" if unsure else "quiet")
        lines.append((head, *line))
    return lines


def _unsure_words(segment: Segment, text: str) -> Iterable[Piece]:
    place = 0
    for word in segment.words or ():
        said = printable(word.word.strip())
        found = text.find(said, place)
        if not said or found < 0:
            continue
        place = found + len(said)
        if word.probability < UNSURE_WORD:
            yield found, place, "unsure"
