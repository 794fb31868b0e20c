"""Parts of a text in an ink of their own: what was searched for, what is unsure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from speakeasy_tui.tui.rows import Line, Span

Piece = tuple[int, int, str]
"""From, to (characters of the text), and the ink there."""


def matches(text: str, find: str) -> Iterator[Piece]:
    """Where `find` stands in `text`, in capitals or not."""
    if find:
        # Not by `lower`: of some letters it makes two, and what follows would be marked amiss.
        for found in re.finditer(re.escape(find), text, re.IGNORECASE):
            yield found.start(), found.end(), "match"


def inked(text: str, parts: Iterable[str], pieces: Sequence[Piece], usual: str) -> Iterator[Line]:
    """The lines `parts` that `text` was broken into, each `usual` but for `pieces`; of pieces
    that lie upon each other the last counts.
    """
    place = 0
    for part in parts:
        place = max(place, text.find(part, place))
        yield _inked(part, place, pieces, usual)
        place += len(part)


def _inked(part: str, start: int, pieces: Sequence[Piece], usual: str) -> Line:
    inks = [usual] * len(part)
    for first, end, ink in pieces:
        for place in range(max(first - start, 0), min(end - start, len(part))):
            inks[place] = ink
    spans: list[Span] = []
    begin = 0
    for place in range(1, len(part) + 1):
        if place == len(part) or inks[place] != inks[begin]:
            spans.append(Span(part[begin:place], inks[begin]))
            begin = place
    return tuple(spans)
