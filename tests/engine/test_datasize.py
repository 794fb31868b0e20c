"""Sizes in the headers of uncompressed files: those that are too large, too small, or unknown."""

from __future__ import annotations

import itertools
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from speakeasy_tui.engine.audio import RATE, Decoded, Samples, decode
from tests.fuzz.corpus import Format, speech, write

SOUND = speech(20.0)
AT = 44
"""Byte at which the samples of `wav` begin."""


def wav(
    path: Path,
    size: int | None = None,
    outer: int | None = None,
    behind: bytes = b"",
    told: int = 0,
) -> Path:
    """20 s of speech whose header says `size` bytes, and `told` of them a second."""
    data = SOUND.tobytes()
    said = len(data) if size is None else size
    fmt = struct.pack("<HHIIHH", 1, 1, RATE, told or 2 * RATE, 2, 16)
    head = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", said)
    whole = 36 + said if outer is None else outer
    path.write_bytes(b"RIFF" + struct.pack("<I", whole % 2**32) + head + data + behind)
    return path


def hear(path: Path) -> Decoded:
    return decode(os.fsencode(path))


@pytest.mark.parametrize("seconds", [3.0, 17.0])
def test_sound_behind_the_size_that_the_header_says_is_heard(
    tmp_path: Path, seconds: float
) -> None:
    # As after 4 GiB, or where a recorder's battery went flat.
    recording = hear(wav(tmp_path / "a.wav", round(seconds * RATE) * 2))
    assert np.array_equal(recording.samples, SOUND)
    assert recording.expected_s == 20.0
    assert recording.warnings == []


def part(
    seconds: tuple[float, float], rate: int = RATE, channels: int = 1, width: int = 2, tail: int = 0
) -> bytes:
    """A wav of a stretch of `SOUND`, in another form, with a list of `tail` bytes behind it."""
    sound = SOUND[round(seconds[0] * RATE) : round(seconds[1] * RATE)].astype(np.int64)
    shaped = np.repeat(np.repeat(sound, rate // RATE), channels) << 8 * (width - 2)
    data = shaped.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
    block = channels * width
    fmt = struct.pack("<HHIIHH", 1, channels, rate, rate * block, block, 8 * width)
    body = b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", len(data)) + data
    if tail:
        body += b"LIST" + struct.pack("<I", tail) + b"INFO" + bytes(tail - 4)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def agree(heard: Samples, wanted: Samples) -> bool:
    """Whether one sounds like the other."""
    first, second = (samples.astype(np.float64) for samples in (heard, wanted[: len(heard)]))
    return bool(np.corrcoef(first, second)[0, 1] > 0.9)


@pytest.mark.parametrize(
    "form",
    [{}, {"rate": 48_000}, {"channels": 2}, {"width": 3}, {"rate": 48_000, "channels": 6}],
    ids=["the same format", "another rate", "stereo", "24 bits", "six tracks"],
)
@pytest.mark.parametrize("tail", [0, 26], ids=["", "a list between"])
@pytest.mark.parametrize("second", [0.4, 7.0])
def test_of_wavs_that_were_joined_all_are_heard(
    tmp_path: Path, form: dict[str, int], tail: int, second: float
) -> None:
    path = tmp_path / "a,,:%d b|.wav"
    end = 11.0 + second
    path.write_bytes(
        part((0.0, 11.0), tail=tail) + part((11.0, end), **form) + part((end, 20.0), tail=tail)
    )
    recording = hear(path)
    assert recording.expected_s == pytest.approx(20.0)
    assert recording.warnings == []
    assert recording.seconds == pytest.approx(20.0, abs=0.01)
    edges = [round(at * RATE) for at in (0.0, 11.0, end, 20.0)]
    for begin, stop in itertools.pairwise(edges):
        assert agree(recording.samples[begin:stop], SOUND[begin:stop])


def test_of_wavs_that_were_joined_each_is_a_sign_of_life(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(part((0.0, 0.01)) * 500)
    heard: list[float] = []
    assert decode(os.fsencode(path), heard.append).seconds == pytest.approx(5.0)
    assert len(heard) >= 499


def test_of_wavs_that_were_joined_an_empty_one_adds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    empty = part((0.0, 0.0))
    path.write_bytes(empty + part((0.0, 20.0), width=3) + empty)
    recording = hear(path)
    assert np.array_equal(recording.samples, SOUND)
    assert recording.warnings == []


def test_of_wavs_that_were_joined_a_last_one_that_is_cut_off_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(part((0.0, 8.0)) + part((8.0, 20.0), rate=48_000)[: 44 + 48_000 * 2 * 5])
    recording = hear(path)
    assert recording.seconds == pytest.approx(13.0, abs=0.01)
    assert recording.missing_s == pytest.approx(7.0, abs=0.05)
    assert [warning.kind for warning in recording.warnings] == ["incomplete_audio"]


def test_of_wavs_that_were_joined_one_that_cannot_be_decoded_does_not_cost_the_others(
    tmp_path: Path,
) -> None:
    unknown = bytearray(part((8.0, 12.0)))
    unknown[20:22] = b"\xee\xee"  # a format that nobody knows
    path = tmp_path / "a.wav"
    path.write_bytes(part((0.0, 8.0)) + unknown + part((12.0, 20.0), channels=2))
    recording = hear(path)
    assert agree(recording.samples[-8 * RATE :], SOUND[-8 * RATE :])
    assert recording.missing_s == pytest.approx(4.0, abs=0.05)
    assert [warning.kind for warning in recording.warnings] == ["incomplete_audio"]


@pytest.mark.parametrize(
    "behind",
    [
        b"LIST" + struct.pack("<I", 80_000) + b"INFO" + bytes(range(256)) * 400,
        b"odd!" + struct.pack("<I", 102_400) + bytes(range(256)) * 400,
        b"APETAGEX" + bytes(range(256)) * 400,
        bytes(200_000),
    ],
    ids=["a list that is cut off", "an unknown chunk", "a tag", "room that was not used"],
)
def test_what_follows_the_sound_and_is_none_is_not_heard(tmp_path: Path, behind: bytes) -> None:
    path = wav(tmp_path / "a.wav", behind=behind)
    recording = hear(path)
    assert recording.seconds == 20.0
    assert recording.warnings == []


@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0x80000000])
def test_sizes_that_stand_for_a_stream_without_end_promise_nothing(
    tmp_path: Path, size: int
) -> None:
    recording = hear(wav(tmp_path / "a.wav", size, outer=size + 36))
    assert recording.seconds == 20.0
    assert recording.warnings == []


def test_bytes_a_second_that_are_wrong_in_the_header_do_not_count(tmp_path: Path) -> None:
    recording = hear(wav(tmp_path / "a.wav", told=RATE))
    assert recording.expected_s == 20.0
    assert recording.warnings == []


@pytest.mark.parametrize(
    "form",
    [
        Format("w64", "pcm_s16le", "w64"),
        Format("caf", "pcm_s16be", "caf"),
        Format("au", "pcm_s16be", "au"),
        Format("wav", "pcm_s16le", "wav", options={"rf64": "always"}),
        Format("tta", "tta", "tta"),
        Format("wv", "wavpack", "wv"),
    ],
    ids=["w64", "caf", "au", "rf64", "tta", "wavpack"],
)
def test_a_file_that_is_cut_off_says_how_much_is_missing(tmp_path: Path, form: Format) -> None:
    path = write(tmp_path / f"a.{form.suffix}", form, SOUND)
    assert hear(path).warnings == []
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    recording = hear(path)
    assert recording.seconds < 12
    assert recording.missing_s == pytest.approx(20 - recording.seconds, abs=0.1)
    assert [warning.kind for warning in recording.warnings] == ["incomplete_audio"]
