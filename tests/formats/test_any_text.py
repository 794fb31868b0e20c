"""Whatever a model says, the files parse again and hold as many pieces as were said."""

from __future__ import annotations

import json
import re

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakeasy_tui.core.transcript import Segment, Transcript, Word
from speakeasy_tui.formats import FORMATS, render

_NASTY = st.one_of(
    st.sampled_from(["-->", "--->", "\n\n", "\r", "\t", "\x00", "\x85", "\ud800", "\u2028"]),
    st.sampled_from(["<b>", "&amp;", "{\\an8}", "\x1b]52;c;x\x07", "WEBVTT", "NOTE x", "7"]),
    st.sampled_from(["\ufeff", '"', "\\", "日本", "é"]),
)
_TEXT = st.lists(_NASTY | st.text(st.characters(codec=None), max_size=8), max_size=6).map("".join)
_TIME = st.floats(0, 359_999, allow_nan=False)


@st.composite
def _segments(draw: st.DrawFn) -> Segment:
    start, end = sorted((draw(_TIME), draw(_TIME)))
    text = draw(_TEXT)
    words = draw(st.none() | st.just((Word(start, end, text, 0.5),)))
    return Segment(start, end, text, words=words)


_TRANSCRIPTS = st.builds(
    Transcript,
    segments=st.lists(_segments(), max_size=5).map(tuple),
    language=st.just("en"),
    duration=_TIME,
    source=_TEXT,
    simulated=st.booleans(),
    warnings=st.lists(_TEXT, max_size=2).map(tuple),
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


@given(transcript=_TRANSCRIPTS)
def test_no_control_character_and_no_surrogate_reaches_any_file(transcript: Transcript) -> None:
    for name in FORMATS:
        text = render(name, transcript).decode()
        assert not _CONTROL.search(text)
        assert text.endswith("\n") or not transcript.segments


@given(transcript=_TRANSCRIPTS)
def test_srt_reads_back_with_its_cues_and_times(transcript: Transcript) -> None:
    cues = _subtitles("srt", transcript)
    assert [(cue.start, cue.end) for cue in cues] == _times(transcript)


@given(transcript=_TRANSCRIPTS)
def test_vtt_reads_back_with_its_cues_and_times(transcript: Transcript) -> None:
    cues = _subtitles("vtt", transcript)
    assert [(cue.start, cue.end) for cue in cues] == _times(transcript)


@given(transcript=_TRANSCRIPTS)
def test_tsv_has_three_fields_a_line(transcript: Transcript) -> None:
    rows = [row.split("\t") for row in render("tsv", transcript).decode().splitlines()]
    assert rows[0] == ["start", "end", "text"]
    assert [(int(start), int(end)) for start, end, _ in rows[1:]] == _times(transcript)


@given(transcript=_TRANSCRIPTS)
def test_txt_has_a_line_a_segment(transcript: Transcript) -> None:
    assert len(render("txt", transcript).decode().splitlines()) == len(transcript.segments)


@given(transcript=_TRANSCRIPTS)
def test_json_reads_back_with_its_segments(transcript: Transcript) -> None:
    segments = json.loads(render("json", transcript))["segments"]
    assert [segment["id"] for segment in segments] == list(range(len(transcript.segments)))
    assert [
        (round(segment["start"] * 1000), round(segment["end"] * 1000)) for segment in segments
    ] == _times(transcript)


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_plain_text_comes_back_as_it_was_said(name: str) -> None:
    said = ["The tape begins.", "Größe: fünf Meter.", "日本語"]
    talk = Transcript(
        segments=tuple(Segment(i, i + 1, f" {text}") for i, text in enumerate(said)),
        language="en",
        duration=3,
    )
    assert [cue.text for cue in _subtitles(name, talk)] == said


def _subtitles(name: str, transcript: Transcript) -> list[pysubs2.SSAEvent]:
    return list(pysubs2.SSAFile.from_string(render(name, transcript).decode(), format_=name))


def _times(transcript: Transcript) -> list[tuple[int, int]]:
    """Milliseconds."""
    return [
        (round(segment.start * 1000), round(segment.end * 1000)) for segment in transcript.segments
    ]
