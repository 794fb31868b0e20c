"""Which of the beam's hypotheses counts.

Beam search hands back twice as many texts as it has beams (`generation.PATIENCE`), the one with
the highest mean log-probability first. Where a speaker pauses or another one begins, that one often
ends early, and what follows would take another window, while further down is one, hardly less
likely, that says the same and goes on to the end: it costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from speakeasy_tui.engine.outcome import SURE
from speakeasy_tui.engine.work import BREATH

FURTHER = 0.2
"""Seconds of speech that it must reach further."""


def furthest(
    texts: Sequence[Sequence[int]],
    scores: Sequence[float],
    unsaid: Callable[[Sequence[int]], float],
) -> int:
    """The number of the text that leaves least unsaid, of those that are likely.

    Args:
        texts: the tokens of each hypothesis, best first.
        scores: mean log-probability of each one's tokens.
        unsaid: seconds of speech behind the end of a text.
    """
    chosen, least = 0, unsaid(texts[0])
    if least <= BREATH:
        return 0
    known, total = len(texts[0]), len(texts[0]) * scores[0]
    for number in range(1, len(texts)):
        more = len(texts[number]) - known
        if more <= 0 or (len(texts[number]) * scores[number] - total) / more < SURE:
            continue
        left = unsaid(texts[number])
        if left < least - FURTHER:
            chosen, least = number, left
    return chosen
