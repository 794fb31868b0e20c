"""Spans and chunks of a whole recording at once: what `speech.Cutter` has to come to, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from speakeasy_tui.engine.audio import RATE, Samples
from speakeasy_tui.engine.passage import Passage, Span
from speakeasy_tui.engine.speech import (
    FAR,
    MIN_SILENCE,
    NEGATIVE,
    PAD,
    STEP,
    THRESHOLD,
    WINDOW,
    _quietest,
    joined,
)
from speakeasy_tui.engine.vad import Listener

_BLOCK = 2000 * STEP
"""Samples per call of the network: a minute of audio."""


def probabilities(
    samples: Samples, alive: Callable[[float], None] = lambda _: None
) -> npt.NDArray[np.float32]:
    """Probability of speech in each `STEP` samples (the last, partial step is padded).

    Args:
        samples: int16, mono, 16 kHz.
        alive: called about once per minute of audio with the seconds done; may raise.
    """
    listener = Listener()
    found: list[npt.NDArray[np.float32]] = []
    for at in range(0, len(samples), _BLOCK):
        found.append(listener.hear(samples[at : at + _BLOCK]))
        alive(at / RATE)
    found.append(listener.end())
    return np.concatenate(found)


def spans(probability: npt.NDArray[np.float32], total: int) -> list[Span]:
    """Speech in `total` samples, without padding: begins at `THRESHOLD`, ends after
    `MIN_SILENCE` below `NEGATIVE`."""
    found: list[Span] = []
    start = silence = -1
    for step, p in enumerate(probability.tolist()):
        at = step * STEP
        if p >= THRESHOLD:
            silence = -1
            if start < 0:
                start = at
        elif start >= 0 and p < NEGATIVE:
            if silence < 0:
                silence = at
            if at - silence >= MIN_SILENCE:
                found.append(Span(start, silence))
                start = silence = -1
    if start >= 0:
        found.append(Span(start, total))
    return found


def pad(speech: Sequence[Span], total: int) -> list[Span]:
    """`speech` with `PAD` on both sides, or half of the pause where that is shorter."""
    padded: list[Span] = []
    for number, span in enumerate(speech):
        before = span.start - (speech[number - 1].end if number else -span.start)
        last = number == len(speech) - 1
        after = (speech[number + 1].start if not last else 2 * total - span.end) - span.end
        padded.append(Span(span.start - min(PAD, before // 2), span.end + min(PAD, after // 2)))
    return padded


def cut(
    speech: Sequence[Span],
    probability: npt.NDArray[np.float32],
    loud: npt.NDArray[np.bool_],
    total: int,
) -> list[Passage]:
    """Chunks of at most `WINDOW` samples that together hold all `speech`.

    Long pauses inside a chunk are left out. Boundaries lie in pauses; only a span longer than a
    window is divided, where it is least like speech. A recording that fits one window is not
    clipped at all (measured in tests/bench/accuracy.py: clipping costs accuracy at the edges and
    saves nothing, for a window costs the same).
    """
    if not speech:
        return []
    if total <= WINDOW:
        return [Passage((Span(0, total),))]
    chunks: list[list[Span]] = []
    for piece in (part for span in pad(speech, total) for part in _divide(span, probability)):
        chunk = joined(chunks[-1], piece, loud, 0) if chunks else [piece]
        fits = sum(end - start for start, end in chunk) <= WINDOW
        if chunks and fits and piece.end - chunk[0].start <= FAR:
            chunks[-1] = chunk
        else:
            chunks.append([piece])
    return [Passage(tuple(chunk)) for chunk in chunks]


def _divide(span: Span, probability: npt.NDArray[np.float32]) -> list[Span]:
    """`span` in parts of at most `WINDOW`, cut where speech is least likely."""
    parts: list[Span] = []
    start = span.start
    while span.end - start > WINDOW:
        at = _quietest(start, probability, 0)
        parts.append(Span(start, at))
        start = at
    parts.append(Span(start, span.end))
    return parts


def windows(total: int) -> list[Passage]:
    """Consecutive windows of 30 s, for when speech is not looked for."""
    return [Passage((Span(at, min(total, at + WINDOW)),)) for at in range(0, total, WINDOW)]
