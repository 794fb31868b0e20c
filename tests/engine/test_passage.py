"""The recording's time and a chunk's own, in which long pauses are left out."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakeasy_tui.engine.audio import RATE
from speakeasy_tui.engine.passage import Passage, Span, seconds_in


def passage(*stretches: tuple[float, float]) -> Passage:
    """Of stretches in seconds."""
    return Passage(tuple(Span(round(a * RATE), round(b * RATE)) for a, b in stretches))


TWO = passage((10, 15), (35, 40))
"""Its own time goes from 10 to 20 s."""


def test_a_passage_of_one_stretch_has_the_recordings_time() -> None:
    whole = passage((10, 15))
    assert (whole.start, whole.end, whole.length) == (10 * RATE, 15 * RATE, 5 * RATE)
    assert whole.recorded(11.5, 12.25, 0.4) == (11.5, 12.25)
    assert whole.recorded(10.0, 15.0, 0.4) == (10.0, 15.0)
    assert whole.word(14.8, 15.0) == (14.8, 15.0)


def test_what_lies_behind_a_pause_is_told_by_the_recordings_time() -> None:
    assert TWO.recorded(11.0, 14.0, 0.4) == (11.0, 14.0)
    assert TWO.recorded(16.0, 19.0, 0.4) == (36.0, 39.0)
    assert TWO.recorded(12.0, 18.0, 0.4) == (12.0, 38.0)


@pytest.mark.parametrize("seam", [14.7, 15.0, 15.3])
def test_what_ends_or_begins_around_a_pause_does_not_last_over_it(seam: float) -> None:
    start, end = TWO.recorded(11.0, seam, 0.4)
    assert (start, end) == (11.0, min(seam, 15.0))
    start, end = TWO.recorded(seam, 19.0, 0.4)
    assert (start, end) == (max(seam + 20, 35.0), 39.0)


def test_what_lies_in_the_silence_alone_stays_in_order() -> None:
    start, end = TWO.recorded(14.8, 15.2, 0.4)
    assert 35.0 <= start <= end <= 40.0


def test_a_word_lies_where_its_middle_does() -> None:
    assert TWO.word(14.5, 15.1) == (14.5, 15.0)
    assert TWO.word(14.9, 15.5) == (35.0, 35.5)


def test_speech_in_a_passages_own_time() -> None:
    speech = [Span(0, 11 * RATE), Span(14 * RATE, 36 * RATE), Span(39 * RATE, 50 * RATE)]
    own = TWO.own(speech)
    assert [(a / RATE, b / RATE) for a, b in own] == [(10, 11), (14, 15), (15, 16), (19, 20)]


lengths = st.lists(st.tuples(st.integers(1, 300), st.integers(9, 900)), min_size=1, max_size=6)


@given(lengths, st.lists(st.floats(0, 1), min_size=2, max_size=12), st.sampled_from([0.0, 0.4]))
def test_times_stay_in_the_passage_and_in_order(
    stretches: list[tuple[int, int]], shares: list[float], silence: float
) -> None:
    at, spans = 0.0, []
    for spoken, pause in stretches:
        spans.append((at, at + spoken / 10))
        at += (spoken + pause) / 10
    some = passage(*spans)
    times = sorted(some.start / RATE + share * some.length / RATE for share in shares)
    told = [some.recorded(a, b, silence) for a, b in itertools.pairwise(times)]
    for start, end in told:
        assert some.start / RATE - 1e-6 <= start <= some.end / RATE + 1e-6
        assert end <= some.end / RATE + 1e-6
        kept = [span for span in some.stretches if span.start / RATE - 1e-6 <= start]
        assert kept and start <= kept[-1].end / RATE + 1e-6, "not in a pause left out"
    for (a, _), (b, _) in itertools.pairwise(told):
        assert a <= b + 1e-6
    for a, b in itertools.pairwise(times):
        start, end = some.word(a, b)
        assert start <= end


def test_seconds_in_counts_what_lies_inside() -> None:
    speech = [Span(0, RATE), Span(2 * RATE, 4 * RATE)]
    assert seconds_in(speech, RATE // 2, 3 * RATE) == 1.5
    assert seconds_in(speech, RATE, 2 * RATE) == 0.0
