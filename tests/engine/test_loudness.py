"""The strip of loudness and speech."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pytest

from speakeasy_tui.engine.loudness import MOST, Loudness

RATE = 16_000
Samples = npt.NDArray[np.int16]


def strip_of(samples: npt.NDArray[np.int16], speech: Iterable[tuple[int, int]]) -> str:
    """The strip of a whole recording; `speech` is from sample to sample."""
    loudness = Loudness()
    loudness.add(samples)
    for start, end in speech:
        loudness.mark(start, end)
    return loudness.strip()


def tone(seconds: float, decibels: float) -> Samples:
    """A square wave of that level below full scale."""
    count = round(seconds * RATE)
    amplitude = 32768 * 10 ** (decibels / 20)
    return np.where(np.arange(count) % 40 < 20, amplitude, -amplitude).astype(np.int16)


def test_each_level_is_four_decibels() -> None:
    levels = [tone(0.02, -2 - 4.1 * step) for step in range(9)]
    assert strip_of(np.concatenate(levels), []) == "765432100"


def test_where_somebody_speaks_eight_is_added() -> None:
    samples = np.concatenate([np.zeros(RATE, np.int16), tone(1, -20)])
    assert strip_of(samples, [(RATE, RATE + RATE // 2)]) == "0" * 50 + "f" * 25 + "7" * 25


def test_a_recording_that_is_quiet_throughout_is_not_drawn_as_if_it_were_loud() -> None:
    assert set(strip_of(tone(1, -70), [])) == {"0"}
    assert strip_of(np.zeros(RATE, np.int16), []) == "0" * 50


def test_no_samples_make_no_strip() -> None:
    assert strip_of(np.zeros(0, np.int16), []) == ""


@pytest.mark.parametrize("block", [1, 333, 16_000, 10**6])
def test_blocks_of_any_size_make_the_same_strip(block: int) -> None:
    rng = np.random.default_rng(1)
    size = 2_000 if block == 1 else 900_001
    samples = (rng.normal(size=size) * np.linspace(10, 9000, size)).astype(np.int16)
    whole, parts = Loudness(), Loudness()
    whole.add(samples)
    whole.mark(size // 3, size // 2)
    parts.mark(size // 3, size // 2)
    for first in range(0, size, block):
        parts.add(samples[first : first + block])
    assert parts.strip() == whole.strip()


def test_ten_hours_take_no_more_room_than_a_minute() -> None:
    loudness = Loudness()
    minute = tone(60, -20)
    for number in range(600):
        loudness.add(minute if number != 300 else np.zeros(60 * RATE, np.int16))
        loudness.mark(number * 60 * RATE, number * 60 * RATE + 60 * RATE // 2)
    strip = loudness.strip()
    assert MOST // 2 <= len(strip) <= MOST
    assert loudness._energy.shape == (MOST,)
    assert set(strip) == {"f", "e"} or set(strip) == {"f"}


def test_a_short_word_in_a_long_part_is_not_called_speech() -> None:
    silence = np.zeros(3600 * RATE, np.int16)
    assert set(strip_of(silence, [(0, RATE)])) == {"0"}
    assert strip_of(silence, [(0, 10 * RATE)])[0] == "8"
