"""How likely somebody speaks: the same as the network's file says, however it comes in."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from faster_whisper.utils import get_assets_path
from faster_whisper.vad import get_vad_model
from hypothesis import given, settings
from hypothesis import strategies as st

from speakeasy_tui.engine import audio, onnx, vad
from speakeasy_tui.engine.audio import RATE, Samples
from speakeasy_tui.engine.vad import STEP, Listener

from . import whole
from .engine import LIGHTHOUSE, RADIO, SHELF


def reference(samples: Samples) -> npt.NDArray[np.float32]:
    """faster-whisper's model, from the first sample to the last.

    It clears the last 64 samples that it is given: a step more than there is, here.
    """
    padded = np.pad(audio.floats(samples), (0, -len(samples) % STEP + STEP))
    return np.asarray(get_vad_model()(padded), np.float32).reshape(-1)[:-1]


def heard(
    samples: Samples, block: int, network: vad.Network | None = None
) -> npt.NDArray[np.float32]:
    listener = Listener(network)
    blocks = [samples[at : at + block] for at in range(0, len(samples), block)]
    return np.concatenate([*map(listener.hear, blocks), listener.end()])


def joined() -> Samples:
    """The samples one after the other, twice, with pauses: the cells add up for minutes."""
    pause = np.random.default_rng(2).normal(0, 20, 2 * RATE).astype(np.int16)
    parts = [audio.decode(str(path).encode()).samples for path in (RADIO, LIGHTHOUSE, SHELF)]
    return np.concatenate([part for each in parts * 2 for part in (each, pause)])


def noise() -> Samples:
    return np.random.default_rng(3).normal(0, 1500, 90 * RATE).astype(np.int16)


def tones() -> Samples:
    """Something like music: three notes at a time that fade, loud enough to clip."""
    random = np.random.default_rng(4)
    time = np.arange(RATE) / RATE
    found = np.zeros(61 * RATE)
    for at in range(0, 60 * RATE, RATE // 2):
        notes = random.choice([110, 146.8, 164.8, 220, 261.6, 329.6], 3)
        sound = sum(
            np.sin(2 * np.pi * note * k * time) / k for note in notes for k in range(1, 6)
        ) * np.exp(-3 * time)
        found[at : at + RATE] += 9000 * sound
    return found.clip(-32768, 32767).astype(np.int16)


def silence() -> Samples:
    return np.zeros(60 * RATE + 7, np.int16)


@pytest.mark.parametrize("make", [joined, noise, tones, silence])
def test_probabilities_and_spans_are_those_of_the_whole_file_in_onnxruntime(make: object) -> None:
    samples = make()  # type: ignore[operator]
    assert isinstance(vad.silero(), vad.Split), "the file of faster-whisper is not the one known"
    theirs, ours = reference(samples), heard(samples, 5 * RATE)
    assert np.abs(theirs - ours).max() < 1e-4
    assert whole.spans(ours, len(samples)) == whole.spans(theirs, len(samples))


SAMPLES = joined()[: 12 * RATE + 77]


@given(st.lists(st.integers(0, 3 * RATE), min_size=1, max_size=30))
@settings(max_examples=15, deadline=None)
def test_probabilities_do_not_depend_on_the_blocks(sizes: list[int]) -> None:
    listener = Listener()
    found = []
    at = 0
    for size in [*sizes, len(SAMPLES)]:
        found.append(listener.hear(SAMPLES[at : at + size]))
        at = min(len(SAMPLES), at + size)
        assert sum(map(len, found)) == at // STEP
    found.append(listener.end())
    assert len(found[-1]) == 1
    assert np.abs(np.concatenate(found) - heard(SAMPLES, len(SAMPLES))).max() < 1e-4


def test_a_recording_of_whole_steps_has_no_padded_one_and_an_empty_one_no_step() -> None:
    listener = Listener()
    assert len(listener.hear(np.zeros(2 * STEP, np.int16))) == 2
    assert len(listener.end()) == 0
    assert len(Listener().end()) == 0


def test_several_threads_may_listen_at_once() -> None:
    recordings = [noise()[: 20 * RATE], joined()[: 20 * RATE], tones()[: 20 * RATE]]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda samples: heard(samples, RATE), recordings))
    for samples, found in zip(recordings, together, strict=True):
        assert np.abs(found - reference(samples)).max() < 1e-4


@pytest.fixture
def forgotten() -> Iterator[None]:
    """The network is loaded anew."""
    vad.silero.cache_clear()
    yield
    vad.silero.cache_clear()


@pytest.mark.usefixtures("forgotten")
def test_a_file_that_is_not_known_is_run_as_a_whole_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(vad, "KNOWN", "another")
    with caplog.at_level(logging.WARNING):
        slow = heard(SAMPLES, RATE)
        heard(SAMPLES[:RATE], RATE)
    assert isinstance(vad.silero(), vad.Whole)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert np.abs(slow - reference(SAMPLES)).max() < 1e-4


def test_what_is_no_model_is_an_error_and_never_an_endless_loop() -> None:
    model = (Path(get_assets_path()) / "silero_vad_v6.onnx").read_bytes()
    for broken in (b"", b"\xff" * 40, model[: len(model) // 2], model[1:]):
        with pytest.raises(ValueError, match=r"cut short|times|wire type|number"):
            onnx.weights(broken)
    with pytest.raises(ValueError, match="no Softmax"):
        onnx.rest_of(model, "Softmax", "input", "x", (0,))
