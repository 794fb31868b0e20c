"""How much of the original is in what was decoded, whatever the engine says of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from speakeasy_tui.engine.timeline import RATE

Pcm = npt.NDArray[np.int16]

_STEP = 4
"""Only each fourth sample (after averaging) is compared."""
BLOCK = 2.0
"""Seconds of the original that are looked for at once."""
_ALIKE = 0.35
"""Normalized correlation from which a block counts as found: it survives lossy codecs and a
half that is lost, and noise stays below 0.05."""


class Heard(NamedTuple):
    """What is really there."""

    real_s: float
    """Seconds that are not digital silence. The originals hold none."""
    found_s: float
    """Seconds of the original found anywhere."""
    late_s: float
    """Of those, seconds found more than 0.5 s from their place."""


def silence(samples: Pcm) -> float:
    """Seconds of runs of zeros of at least 0.1 s."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], samples != 0, [1]]).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= RATE // 10].sum()) / RATE


def _thin(samples: Pcm) -> npt.NDArray[np.float64]:
    count = len(samples) // _STEP * _STEP
    return samples[:count].reshape(-1, _STEP).mean(axis=1)


def judge(samples: Pcm, original: Pcm) -> Heard:
    """Compare what was decoded with the decoded original."""
    real = len(samples) / RATE - silence(samples)
    field, whole = _thin(samples), _thin(original)
    size = round(BLOCK * RATE / _STEP)
    length = 1 << (len(field) + size).bit_length()
    spectrum = np.fft.rfft(field, length)
    energy = np.concatenate([[0.0], np.cumsum(field**2), np.full(size, np.sum(field**2))])
    found = late = 0.0
    for start in range(0, len(whole) - size + 1, size):
        block = whole[start : start + size]
        match = np.fft.irfft(spectrum * np.conj(np.fft.rfft(block, length)), length)
        match = match[: max(1, len(field))]
        here = energy[size : size + len(match)] - energy[: len(match)]
        alike = match / np.sqrt(np.maximum(here[: len(match)], 1.0) * max(1.0, np.sum(block**2)))
        best = int(np.argmax(alike))
        if alike[best] >= _ALIKE:
            found += BLOCK
            near = alike[max(0, start - RATE // _STEP // 2) : start + RATE // _STEP // 2]
            late += BLOCK if not len(near) or near.max() < _ALIKE else 0.0
    return Heard(round(real, 3), found, late)
