"""Where somebody speaks, and where recordings are cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pytest
from faster_whisper import decode_audio
from faster_whisper.vad import VadOptions, get_speech_timestamps
from hypothesis import given, settings
from hypothesis import strategies as st

from speakeasy_tui.engine import audio, passage, speech
from speakeasy_tui.engine.audio import RATE
from speakeasy_tui.engine.passage import Passage, Span
from speakeasy_tui.engine.speech import FAR, STEP, THRESHOLD, WINDOW, Cutter, Steps

from . import whole
from .engine import LIGHTHOUSE, RADIO, SHELF


@pytest.mark.parametrize("path", [LIGHTHOUSE, RADIO, SHELF], ids=lambda path: path.name)
def test_samples_and_spans_are_faster_whispers_own(path: object) -> None:
    recording = audio.decode(str(path).encode())
    theirs = decode_audio(str(path))
    assert np.array_equal(audio.floats(recording.samples), theirs)
    probability = whole.probabilities(recording.samples)
    total = len(recording.samples)
    padded = whole.pad(whole.spans(probability, total), total)
    reference = get_speech_timestamps(theirs, VadOptions(min_silence_duration_ms=160))
    assert padded == [Span(span["start"], span["end"]) for span in reference]


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
    chunks = whole.cut(found, probability, probability > 0.5, total)
    assert all(0 < chunk.length <= WINDOW for chunk in chunks)
    assert all(chunk.end - chunk.start <= FAR for chunk in chunks)
    assert all(chunk.start >= 0 and chunk.end <= total for chunk in chunks)
    assert all(a.end <= b.start for a, b in itertools.pairwise(chunks))
    for span in found:
        inside = [c for c in chunks if c.start < span.end and c.end > span.start]
        kept = [Span(*stretch) for chunk in inside for stretch in chunk.stretches]
        assert passage.seconds_in(kept, span.start, span.end) == pytest.approx(
            (span.end - span.start) / audio.RATE
        )
        if span.end - span.start + 2 * speech.PAD <= WINDOW:
            assert len(inside) == 1


def test_a_short_recording_with_speech_is_one_chunk_and_without_it_none() -> None:
    quiet = np.zeros(100, np.float32)
    loud = quiet > 0
    assert whole.cut([Span(512, 1024)], quiet, loud, 51_200) == [Passage((Span(0, 51_200),))]
    assert whole.cut([], quiet, loud, 51_200) == []


def test_windows_cover_a_recording_without_looking_for_speech() -> None:
    windows = [Passage((Span(0, WINDOW),)), Passage((Span(WINDOW, WINDOW + 5),))]
    assert whole.windows(WINDOW + 5) == windows
    assert whole.windows(0) == []


def feed(
    probability: npt.NDArray[np.float32],
    loud: npt.NDArray[np.bool_],
    total: int,
    sizes: Iterable[int],
) -> tuple[list[Passage], list[Span], float]:
    """Chunks and spans of a `Cutter` fed in blocks of these sizes, and the seconds kept at most."""
    cutter = Cutter(vad=True)
    chunks: list[Passage] = []
    kept = at = needed = 0
    for size in sizes:
        told = cutter.feed(Steps(probability[at : at + size], loud[at : at + size]))
        at = min(len(probability), at + size)
        assert all(chunk.start >= needed for chunk in told)
        chunks += told
        assert all(chunk.end <= at * STEP for chunk in told)
        needed = cutter.needed_from
        kept = max(kept, at * STEP - needed)
        if at == len(probability):
            break
    rest = cutter.end(total)
    assert all(chunk.start >= needed for chunk in rest)
    chunks += rest
    return chunks, cutter.speech, kept / RATE


@st.composite
def recordings(
    draw: st.DrawFn,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], int]:
    """Probabilities, what is loud, and a number of samples that they may be of."""
    spoken = st.one_of(st.integers(1, 60), st.integers(1, 500), st.integers(900, 1200))
    pause = st.one_of(st.integers(1, 60), st.integers(1, 60), st.integers(900, 2000))
    pair = st.tuples(
        st.tuples(spoken, st.sampled_from([0.51, 0.9, 0.9])),
        st.tuples(pause, st.sampled_from([0.05, 0.05, 0.34, 0.42])),
    )
    stretches = [part for two in draw(st.lists(pair, min_size=1, max_size=20)) for part in two]
    noise = np.random.default_rng(draw(st.integers(0, 99)))
    parts = [np.full(count, level) + noise.normal(0, 0.03, count) for count, level in stretches]
    probability = np.concatenate(parts).clip(0, 1).astype(np.float32)
    loud = noise.random(len(probability)) < draw(st.sampled_from([0.0, 0.01, 0.1]))
    total = len(probability) * STEP - draw(st.sampled_from([0, 1, 255, 511]))
    return probability, loud, total


blocks = st.one_of(st.integers(1, 30), st.integers(1, 30), st.integers(1, 3000))


@given(recordings(), st.lists(blocks, min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_a_recording_is_cut_the_same_while_it_comes_in(
    recording: tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], int], sizes: list[int]
) -> None:
    probability, loud, total = recording
    chunks, found, _ = feed(probability, loud, total, itertools.cycle(sizes))
    assert found == whole.spans(probability, total)
    assert chunks == whole.cut(found, probability, loud, total)


@pytest.mark.parametrize("samples", [WINDOW - 1, WINDOW, WINDOW + 1, WINDOW + 256, WINDOW + 511])
@pytest.mark.parametrize("level", [0.1, 0.9])
def test_around_one_window_a_recording_is_cut_the_same(samples: int, level: float) -> None:
    probability = np.full(-(-samples // STEP), level, np.float32)
    probability[100:103] = 0.9
    loud = probability > THRESHOLD
    chunks, found, _ = feed(probability, loud, samples, itertools.repeat(1))
    assert chunks == whole.cut(found, probability, loud, samples)
    assert len(chunks) == (2 if level > THRESHOLD and samples > WINDOW else 1)


@pytest.mark.parametrize("spoken", [0, 5, 40, 700, 900, 1100, 10**6])
def test_little_is_kept_whatever_is_said(spoken: int) -> None:
    steps = np.arange(30_000)
    noise = np.random.default_rng(1).normal(0, 0.02, len(steps))
    for pause in (8, 30, 300, 2000):
        speaks = steps % (spoken + pause) < spoken
        probability = (np.where(speaks, 0.8, 0.1) + noise).astype(np.float32)
        loud = noise > 0.03
        _, _, kept = feed(probability, loud, len(steps) * STEP, itertools.repeat(31))
        assert kept < (FAR + WINDOW) / audio.RATE


@given(st.integers(0, 4 * WINDOW), st.lists(st.integers(0, 2 * WINDOW), min_size=1, max_size=9))
def test_without_looking_for_speech_windows_come_as_they_fill(total: int, sizes: list[int]) -> None:
    cutter = Cutter(vad=False)
    chunks: list[Passage] = []
    at = 0
    for size in sizes:
        block = min(size, total - at)
        chunks += cutter.feed(block)
        at += block
        assert at - cutter.needed_from < WINDOW
    chunks += cutter.feed(total - at)
    chunks += cutter.end(total)
    assert chunks == whole.windows(total)
