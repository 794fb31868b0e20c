"""When the VAD's silence is believed."""

from __future__ import annotations

import numpy as np
import pytest

from speakeasy_tui.engine.doubt import Doubt
from speakeasy_tui.engine.speech import STEP, THRESHOLD

RATE = 16_000
SECONDS = 30


def lively(seconds: int = SECONDS, level: float = 0.1) -> np.ndarray:
    """Syllables of noise: half a second loud, half a second quiet."""
    rng = np.random.default_rng(1)
    at = np.arange(seconds * RATE)
    loud = (at // (RATE // 2)) % 2 == 0
    made = rng.standard_normal(len(at)) * np.where(loud, level, level / 100)
    return np.clip(made * 32767, -32768, 32767).astype(np.int16)


def unheard(samples: np.ndarray) -> np.ndarray:
    return np.full(len(samples) // STEP, 0.01, np.float32)


def test_lively_sound_that_the_vad_takes_for_silence_is_kept() -> None:
    samples = lively()
    raised = Doubt().consider(samples, unheard(samples)).probability
    assert 0.4 < np.mean(raised >= THRESHOLD) < 0.6


@pytest.mark.parametrize("level", [0.0, 0.001, 0.1])
def test_steady_noise_and_silence_are_left_out(level: float) -> None:
    rng = np.random.default_rng(2)
    samples = (rng.standard_normal(SECONDS * RATE) * level * 32767).astype(np.int16)
    steps = Doubt().consider(samples, unheard(samples))
    assert not (steps.probability >= THRESHOLD).any()
    assert not steps.loud.any()


def test_what_is_much_fainter_than_the_speech_before_is_left_to_the_vad() -> None:
    doubt = Doubt()
    loud, faint = lively(level=0.3), lively(level=0.005)
    doubt.consider(loud, np.where(np.arange(len(loud) // STEP) % 32 < 16, 0.9, 0.9).astype("f4"))
    steps = doubt.consider(faint, unheard(faint))
    assert not (steps.probability >= THRESHOLD).any()
    assert not steps.loud.any()


def test_a_short_pause_is_never_doubted_but_what_is_loud_in_it_is_known() -> None:
    samples = lively(seconds=4)
    heard = np.full(len(samples) // STEP, 0.9, np.float32)
    heard[40:90] = 0.01
    steps = Doubt().consider(samples, heard)
    assert (steps.probability == heard).all()
    assert 0.3 < np.mean(steps.loud[40:90]) < 0.7


def test_blocks_that_end_within_a_step_lose_nothing() -> None:
    samples = lively()
    whole = Doubt().consider(samples, unheard(samples))
    doubt = Doubt()
    assert len(doubt.consider(samples[:100], np.zeros(0, np.float32)).probability) == 0
    rest = doubt.consider(samples[100:], unheard(samples))
    assert np.array_equal(whole.probability, rest.probability)
    assert np.array_equal(whole.loud, rest.loud)
