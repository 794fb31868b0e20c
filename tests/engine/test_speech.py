"""Where somebody speaks, and where recordings are cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from faster_whisper import decode_audio
from faster_whisper.vad import VadOptions, get_speech_timestamps
from hypothesis import given, settings
from hypothesis import strategies as st

from speakeasy_tui.engine import audio, speech
from speakeasy_tui.engine.speech import STEP, WINDOW, Span

from .engine import LIGHTHOUSE, RADIO, SHELF


@pytest.mark.parametrize("path", [LIGHTHOUSE, RADIO, SHELF], ids=lambda path: path.name)
def test_samples_and_spans_are_faster_whispers_own(path: object) -> None:
    recording = audio.decode(str(path).encode())
    theirs = decode_audio(str(path))
    assert np.array_equal(audio.floats(recording.samples), theirs)
    probability = speech.probabilities(recording.samples)
    total = len(recording.samples)
    padded = speech.pad(speech.spans(probability, total), total)
    reference = get_speech_timestamps(theirs, VadOptions(min_silence_duration_ms=160))
    assert padded == [Span(span["start"], span["end"]) for span in reference]


def test_probabilities_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = audio.decode(str(RADIO).encode()).samples
    whole = speech.probabilities(samples)
    monkeypatch.setattr(speech, "_BLOCK", 7)
    assert np.allclose(speech.probabilities(samples), whole, atol=1e-4)


lengths = st.lists(
    st.tuples(st.integers(1, 60 * 31), st.integers(5, 60 * 31)), min_size=1, max_size=30
)


@given(lengths)
@settings(max_examples=200, deadline=None)
def test_chunks_hold_all_speech_fit_a_window_and_are_never_cut_inside_a_span_that_fits(
    stretches: list[tuple[int, int]],
) -> None:
    found: list[Span] = []
    at = 0
    for spoken, pause in stretches:
        found.append(Span(at * STEP, (at + spoken) * STEP))
        at += spoken + pause
    total = at * STEP
    probability = np.full(at, 0.1, np.float32)
    for span in found:
        probability[span.start // STEP : span.end // STEP] = 0.9
    chunks = speech.cut(found, probability, total)
    assert all(0 < chunk.end - chunk.start <= WINDOW for chunk in chunks)
    assert all(chunk.start >= 0 and chunk.end <= total for chunk in chunks)
    assert all(a.end <= b.start for a, b in itertools.pairwise(chunks))
    for span in found:
        inside = [c for c in chunks if c.start < span.end and c.end > span.start]
        assert speech.seconds_in([span], 0, total) == pytest.approx(
            sum(speech.seconds_in([span], c.start, c.end) for c in inside)
        )
        if span.end - span.start + 2 * speech.PAD <= WINDOW:
            assert len(inside) == 1


def test_a_short_recording_with_speech_is_one_chunk_and_without_it_none() -> None:
    quiet = np.zeros(100, np.float32)
    assert speech.cut([Span(512, 1024)], quiet, 51_200) == [Span(0, 51_200)]
    assert speech.cut([], quiet, 51_200) == []


def test_windows_cover_a_recording_without_looking_for_speech() -> None:
    assert speech.windows(WINDOW + 5) == [Span(0, WINDOW), Span(WINDOW, WINDOW + 5)]
    assert speech.windows(0) == []
