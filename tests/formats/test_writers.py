"""Each format byte for byte, on a transcript small enough to read."""

from __future__ import annotations

import json
import math

import pytest
from msgspec.structs import replace

from speakeasy_tui import __version__
from speakeasy_tui.core.transcript import Segment, Transcript, Word
from speakeasy_tui.formats import FORMATS, render
from speakeasy_tui.formats.clean import timestamp

TALK = Transcript(
    segments=(
        Segment(0.0, 2.5, " The tape begins."),
        Segment(2.5, 3661.25, " Größe: \x1b[31m5 --> 6\tmm\n"),
    ),
    language="en",
    duration=3661.5,
    source="talk.ogg",
    model="tiny.en",
    language_probability=0.98,
    identity="b2:abc",
    warnings=("cut short",),
    missing_s=12.3,
)
SILENCE = Transcript(segments=(), language="en", duration=4.0)


def test_txt_is_one_stripped_line_a_segment() -> None:
    assert render("txt", TALK) == "The tape begins.\nGröße:  [31m5 --> 6 mm\n".encode()


def test_srt_numbers_its_cues_and_writes_hours_and_a_comma() -> None:
    assert (
        render("srt", TALK)
        == (
            "1\n00:00:00,000 --> 00:00:02,500\nThe tape begins.\n\n"
            "2\n00:00:02,500 --> 01:01:01,250\nGröße:  [31m5 -> 6 mm\n\n"
        ).encode()
    )


def test_vtt_writes_hours_only_where_there_are_any() -> None:
    assert (
        render("vtt", TALK)
        == (
            "WEBVTT\n\n"
            "00:00.000 --> 00:02.500\nThe tape begins.\n\n"
            "00:02.500 --> 01:01:01.250\nGröße:  [31m5 -> 6 mm\n\n"
        ).encode()
    )


def test_tsv_is_in_whole_milliseconds() -> None:
    assert (
        render("tsv", TALK)
        == (
            "start\tend\ttext\n0\t2500\tThe tape begins.\n2500\t3661250\tGröße:  [31m5 --> 6 mm\n"
        ).encode()
    )


def test_json_has_whispers_fields_and_one_key_of_ours() -> None:
    segment = Segment(
        0.123456,
        1.5,
        " Hi.",
        tokens=(50363, 15902, 13),
        temperature=0.2,
        avg_logprob=-0.25,
        compression_ratio=1.1,
        no_speech_prob=0.01,
        words=(Word(0.123456, 1.5, " Hi.", 0.9),),
    )
    assert render("json", replace(TALK, segments=(segment,))) == (
        b'{"text":"Hi.","segments":[{"id":0,"seek":12,"start":0.123,"end":1.5,"text":" Hi.",'
        b'"tokens":[50363,15902,13],"temperature":0.2,"avg_logprob":-0.25,'
        b'"compression_ratio":1.1,"no_speech_prob":0.01,'
        b'"words":[{"word":" Hi.","start":0.123,"end":1.5,"probability":0.9}]}],"language":"en",'
        b'"speakeasy":{"version":"' + __version__.encode() + b'","model":"tiny.en",'
        b'"task":"transcribe","duration":3661.5,"language_probability":0.98,'
        b'"source":"talk.ogg","identity":"b2:abc","simulated":false,"warnings":["cut short"],'
        b'"missing_s":12.3}}\n'
    )


def test_json_leaves_words_out_when_nobody_asked_for_them() -> None:
    assert "words" not in json.loads(render("json", TALK))["segments"][0]


def test_json_never_holds_nan() -> None:
    segment = Segment(math.nan, math.inf, "x", avg_logprob=math.nan, compression_ratio=math.inf)
    data = render("json", replace(TALK, segments=(segment,), duration=math.nan))
    assert b"NaN" not in data
    assert b"Infinity" not in data
    assert json.loads(data)["segments"][0]["start"] == 0.0


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("txt", b""),
        ("srt", b""),
        ("vtt", b"WEBVTT\n\n"),
        ("tsv", b"start\tend\ttext\n"),
    ],
)
def test_silence_is_whispers_empty_file(name: str, data: bytes) -> None:
    assert render(name, SILENCE) == data


def test_a_simulated_transcript_says_so_where_a_comment_can() -> None:
    simulated = replace(TALK, simulated=True)
    vtt = render("vtt", simulated)
    assert vtt.startswith(b"WEBVTT\n\nNOTE Simulated")
    assert json.loads(render("json", simulated))["speakeasy"]["simulated"] is True


def test_what_players_would_take_for_tags_is_escaped_in_vtt_alone() -> None:
    odd = replace(TALK, segments=(Segment(0, 1, " R&amp;D <c> 1 > 0"),))
    assert b"R&amp;amp;D &lt;c> 1 > 0" in render("vtt", odd)
    assert b"R&amp;D <c> 1 > 0" in render("srt", odd)


def test_an_arrow_of_many_dashes_leaves_none_behind() -> None:
    odd = replace(TALK, segments=(Segment(0, 1, "a ----> b"),))
    assert b"a -> b" in render("srt", odd)
    assert b"a -> b" in render("vtt", odd)


@pytest.mark.parametrize(
    ("seconds", "srt", "vtt"),
    [
        (0.0, "00:00:00,000", "00:00.000"),
        (-0.5, "00:00:00,000", "00:00.000"),
        (59.9994, "00:00:59,999", "00:59.999"),
        (59.9995, "00:01:00,000", "01:00.000"),
        (3599.9995, "01:00:00,000", "01:00:00.000"),
        (360_000.0, "100:00:00,000", "100:00:00.000"),
    ],
)
def test_a_time_is_rounded_before_it_is_split(seconds: float, srt: str, vtt: str) -> None:
    assert timestamp(seconds, mark=",", hours=True) == srt
    assert timestamp(seconds, mark=".", hours=False) == vtt


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'docx': choose from txt, srt, vtt, tsv, json"):
        render("docx", TALK)


def test_every_format_is_there() -> None:
    assert list(FORMATS) == ["txt", "srt", "vtt", "tsv", "json"]
