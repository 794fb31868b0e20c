"""A second opinion on silence: what is as loud and as lively as speech is not left out.

Silero VAD misses speech over the telephone, in a resounding room or behind noise: of a minute of
it in a recording it may find nothing, and faster-whisper, which believes it, loses the text
(docs/throughput.md). Leaving such a stretch in costs a window; leaving it out loses what was said.
Whisper's own measures then say whether anybody speaks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from speakeasy_tui.engine.audio import Samples
from speakeasy_tui.engine.speech import NEGATIVE, STEP, THRESHOLD, Steps

Floats = npt.NDArray[np.float32]

SHORTEST = 64
"""Steps (2 s) of silence, in the VAD's opinion, that are worth a second one."""
LIVELY_DB = 8.0
"""Between the loudest and the faintest tenth of a stretch: noise and hum have less."""
ABOVE_DB = 6.0
"""Over the faintest tenth of the block: where a step counts as loud."""
BELOW_DB = 20.0
"""Under what has been spoken so far: what is fainter is left to the VAD."""
FAINTEST_DB = -60.0
"""Below full scale."""
_SHARE = 0.2
"""Of a stretch that has to be loud."""


class Doubt:
    """Takes one recording's samples and probabilities as they come."""

    def __init__(self) -> None:
        self._rest: Samples = np.zeros(0, np.int16)
        """Samples behind the last whole step."""
        self._spoken_db: float | None = None
        """How loud what the VAD takes for speech has been."""

    def consider(self, samples: Samples, probability: Floats) -> Steps:
        """`probability`, raised to the threshold where it should not be believed, and what is
        loud.

        Args:
            samples: int16, mono, 16 kHz: what has come since the last call.
            probability: of the steps that these samples complete (`vad.Listener`).
        """
        waiting = np.concatenate([self._rest, samples])
        used = waiting[: len(probability) * STEP]
        self._rest = waiting[len(used) :]
        if not len(probability):
            return Steps(probability, np.zeros(0, np.bool_))
        levels = _decibels(used, len(probability))
        speech = probability >= THRESHOLD
        if speech.any():
            now = float(np.median(levels[speech]))
            before = now if self._spoken_db is None else self._spoken_db
            self._spoken_db = before + (now - before) / 4
        faint, strong = np.percentile(levels, (10, 90))
        spoken = float(strong) if self._spoken_db is None else self._spoken_db
        loud = levels > max(float(faint) + ABOVE_DB, spoken - BELOW_DB, FAINTEST_DB)
        doubtful = self._doubtful(levels, probability, loud)
        return Steps(np.where(doubtful, np.float32(THRESHOLD), probability), loud)

    def _doubtful(
        self, levels: Floats, probability: Floats, loud: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        chosen = np.zeros(len(levels), np.bool_)
        for start, end in _runs(probability < NEGATIVE):
            if end - start < SHORTEST or loud[start:end].mean() < _SHARE:
                continue
            low, high = np.percentile(levels[start:end], (10, 90))
            if high - low >= LIVELY_DB:
                chosen[start:end] = loud[start:end]
        return chosen


def _decibels(samples: Samples, steps: int) -> Floats:
    """The level of each step in dB of full scale."""
    whole = np.pad(samples, (0, steps * STEP - len(samples))).reshape(steps, STEP)
    scaled = whole.astype(np.float32) / np.float32(32768.0)
    power = np.einsum("ij,ij->i", scaled, scaled) / STEP
    return np.asarray(10 * np.log10(power + 1e-10), np.float32)


def _runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where `flags` are true: from, and up to but not including."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
