"""Where somebody speaks, and where to cut: Silero VAD and chunks of at most 30 s.

The network and its weights are faster-whisper's (`faster_whisper.vad`, Silero VAD v6). It is
fed block by block here, so that an hour of audio is never held as float32, and the rule that
makes spans of its probabilities (from snakers4/silero-vad, MIT, with the values that
faster-whisper's batched pipeline uses) leaves cutting long speech to `cut`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from faster_whisper.vad import get_vad_model

from speakeasy_tui.engine.audio import RATE, Samples, floats

STEP = 512
"""Samples per probability (32 ms)."""
_CONTEXT = 64
_BLOCK = 2000
"""Steps per call of the network: a minute of audio."""
THRESHOLD = 0.5
NEGATIVE = 0.35
MIN_SILENCE = int(0.160 * RATE)
PAD = int(0.400 * RATE)
WINDOW = 30 * RATE
"""Samples of Whisper's window: the longest chunk."""
_EARLIEST = 0.6
"""Speech longer than a window is divided behind this share of one."""


class Span(NamedTuple):
    """From sample `start` up to but not including `end`."""

    start: int
    end: int


def probabilities(
    samples: Samples, alive: Callable[[float], None] = lambda _: None
) -> npt.NDArray[np.float32]:
    """Probability of speech in each `STEP` samples (the last, partial step is padded).

    Args:
        samples: int16, mono, 16 kHz.
        alive: called about once per minute of audio with the seconds done; may raise.
    """
    session = get_vad_model().session
    state = np.zeros((1, 1, 128), np.float32)
    cell = np.zeros((1, 1, 128), np.float32)
    before = np.zeros(_CONTEXT, np.float32)
    found: list[npt.NDArray[np.float32]] = []
    for at in range(0, len(samples), STEP * _BLOCK):
        block = floats(samples[at : at + STEP * _BLOCK])
        block = np.pad(block, (0, -len(block) % STEP))
        steps = block.reshape(-1, STEP)
        context = np.vstack([before, steps[:-1, -_CONTEXT:]])
        before = steps[-1, -_CONTEXT:]
        inputs = {"input": np.hstack([context, steps]), "h": state, "c": cell}
        output, state, cell = session.run(None, inputs)
        found.append(np.asarray(output, np.float32).reshape(-1))
        alive(at / RATE)
    return np.concatenate(found) if found else np.zeros(0, np.float32)


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


def cut(speech: Sequence[Span], probability: npt.NDArray[np.float32], total: int) -> list[Span]:
    """Chunks: stretches of at most `WINDOW` samples that together hold all `speech`.

    A chunk is contiguous, the pauses inside included, so its times stay true. Boundaries lie
    in pauses; only a span longer than a window is divided, where it is least like speech. A
    recording that fits one window is not clipped at all (measured in tests/bench/accuracy.py:
    clipping costs accuracy at the edges and saves nothing, for a window costs the same).
    """
    if not speech:
        return []
    if total <= WINDOW:
        return [Span(0, total)]
    pieces = [part for span in pad(speech, total) for part in _divide(span, probability)]
    chunks: list[Span] = []
    first = 0
    while first < len(pieces):
        start = pieces[first].start
        after = first + 1
        while after < len(pieces) and pieces[after].end - start <= WINDOW:
            after += 1
        chunks.append(Span(start, pieces[after - 1].end))
        first = after
    return chunks


def _divide(span: Span, probability: npt.NDArray[np.float32]) -> list[Span]:
    """`span` in parts of at most `WINDOW`, cut where speech is least likely."""
    parts: list[Span] = []
    start = span.start
    while span.end - start > WINDOW:
        low = (start + int(_EARLIEST * WINDOW)) // STEP
        high = (start + WINDOW) // STEP
        # Averaged over 5 steps (160 ms), so that one odd step does not decide.
        smooth = np.convolve(probability[low:high], np.ones(5) / 5, mode="same")
        at = (low + int(np.argmin(smooth))) * STEP
        parts.append(Span(start, at))
        start = at
    parts.append(Span(start, span.end))
    return parts


def windows(total: int) -> list[Span]:
    """Consecutive windows of 30 s, for when speech is not looked for."""
    return [Span(at, min(total, at + WINDOW)) for at in range(0, total, WINDOW)]


def seconds_in(speech: Sequence[Span], start: int, end: int) -> float:
    """Seconds of `speech` between two samples."""
    inside = (min(end, span.end) - max(start, span.start) for span in speech)
    return sum(length for length in inside if length > 0) / RATE
