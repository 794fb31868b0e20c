"""Spectrograms are faster-whisper's own."""

from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from speakeasy_tui.engine import audio
from speakeasy_tui.engine.audio import RATE, Samples
from speakeasy_tui.engine.melspec import LogMel

from .engine import LIGHTHOUSE


def signals() -> dict[str, Samples]:
    random = np.random.default_rng(1)
    time = np.arange(30 * RATE) / RATE
    return {
        "speech": audio.decode(str(LIGHTHOUSE).encode()).samples[: 30 * RATE],
        "noise": random.normal(0, 3000, 7 * RATE + 81).astype(np.int16),
        "one tone": (20_000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16),
        "clipped": np.where(time % 0.01 < 0.005, 32767, -32768).astype(np.int16),
        "silence": np.zeros(5 * RATE, np.int16),
        "shorter than a frame": random.normal(0, 3000, 399).astype(np.int16),
    }


@pytest.mark.parametrize("mels", [80, 128])
@pytest.mark.parametrize("name", signals())
def test_a_spectrogram_is_faster_whispers_own(mels: int, name: str) -> None:
    samples = signals()[name]
    theirs = FeatureExtractor(feature_size=mels)(audio.floats(samples))[..., :-1]
    ours = LogMel(mels).chunk(samples)
    assert ours.dtype == np.float32
    assert ours.flags.c_contiguous
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.parametrize("count", [1, 159, 160, 319, 320, 256 * 160, 256 * 160 + 1])
def test_there_is_a_frame_per_whole_10_ms(count: int) -> None:
    samples = np.random.default_rng(2).normal(0, 3000, count).astype(np.int16)
    theirs = FeatureExtractor()(audio.floats(samples))[..., :-1]
    ours = LogMel(80).chunk(samples)
    assert ours.shape == theirs.shape
    assert np.allclose(ours, theirs, atol=1e-4)
