"""Several channels become one, and none of them is lost."""

from __future__ import annotations

import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from speakeasy_tui.engine.audio import RATE, decode

Pcm = npt.NDArray[np.int16]
PCM_GUID = bytes.fromhex("0100000000001000800000aa00389b71")


def wav(path: Path, channels: Pcm, mask: int | None = None, rate: int = RATE) -> Path:
    """A wav of (samples, channels); `mask` says which loudspeaker each is for."""
    count = channels.shape[1]
    kind = 1 if mask is None else 0xFFFE
    fmt = struct.pack("<HHIIHH", kind, count, rate, rate * count * 2, count * 2, 16)
    if mask is not None:
        fmt += struct.pack("<HHI", 22, 16, mask) + PCM_GUID
    data = channels.astype("<i2").tobytes()
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt
    body += b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def tone(hertz: float, rate: int = RATE) -> Pcm:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(2 * rate) / rate)).astype(np.int16)


TONE = tone(440)


def only(number: int, count: int, sound: Pcm | None = None) -> Pcm:
    """`sound`, or a tone, on one of `count` channels."""
    sound = TONE if sound is None else sound
    channels = np.zeros((len(sound), count), np.int16)
    channels[:, number] = sound
    return channels


def level(path: Path) -> float:
    """Root of the mean square of what is heard of a file of two seconds."""
    recording = decode(os.fsencode(path))
    assert recording.seconds == pytest.approx(2.0, abs=0.01)
    assert recording.warnings == []
    return float(np.sqrt(np.mean(recording.samples.astype(np.float64) ** 2)))


LEVEL = 8000 / 2**0.5


@pytest.mark.parametrize("count", [3, 6, 9, 10, 13, 16, 17, 24])
def test_each_channel_of_a_recorder_is_heard_as_well_as_the_others(
    tmp_path: Path, count: int
) -> None:
    for number in range(count):
        heard = level(wav(tmp_path / "a.wav", only(number, count)))
        assert heard == pytest.approx(LEVEL / count, rel=0.01)


def test_of_sound_for_named_loudspeakers_the_dialogue_is_what_ffmpeg_makes_of_it(
    tmp_path: Path,
) -> None:
    centre, side = (level(wav(tmp_path / "a.wav", only(number, 6), mask=0x3F)) for number in (2, 0))
    assert centre > 1.3 * side


@pytest.mark.parametrize("mask", [0x800, 0x3FFFF & ~0x3F | 0x3], ids=["one above", "many"])
def test_loudspeakers_above_ones_head_are_heard_all_the_same(tmp_path: Path, mask: int) -> None:
    count = mask.bit_count()
    assert level(wav(tmp_path / "a.wav", only(count - 1, count), mask)) > LEVEL / 30


@pytest.mark.parametrize("rate", [RATE, 48_000, 192_000])
@pytest.mark.parametrize(
    ("mask", "number"),
    [(0xB, 2), (0xF, 3), (0x3F, 3), (0x63F, 3), (0x9, 1), (0x803, 2), (0x2033, 4), (0x10003, 2)],
    ids=["2.1", "3.1", "5.1", "7.1", "a subwoofer and one", "above", "front above", "back above"],
)
def test_a_recorders_track_that_is_named_after_a_loudspeaker_ffmpeg_leaves_out_is_heard(
    tmp_path: Path, mask: int, number: int, rate: int
) -> None:
    count = mask.bit_count()
    path = wav(tmp_path / "a.wav", only(number, count, tone(440, rate)), mask, rate)
    assert level(path) == pytest.approx(LEVEL / count, rel=0.02)


@pytest.mark.parametrize("rate", [RATE, 48_000])
@pytest.mark.parametrize("mask", [0xF, 0x3F, 0x63F], ids=["3.1", "5.1", "7.1"])
def test_the_rumble_of_a_subwoofer_takes_nothing_from_the_dialogue(
    tmp_path: Path, mask: int, rate: int
) -> None:
    count = mask.bit_count()
    dialogue = only(2, count, tone(440, rate))
    alone = level(wav(tmp_path / "a.wav", dialogue, mask, rate))
    assert alone > 1.3 * LEVEL / count
    dialogue[:, 3] = tone(100, rate)
    assert level(wav(tmp_path / "a.wav", dialogue, mask, rate)) == pytest.approx(alone, rel=0.01)
    dialogue[:, 3] = np.random.default_rng(3).integers(-1, 2, len(dialogue))  # dither
    assert level(wav(tmp_path / "a.wav", dialogue, mask, rate)) == pytest.approx(alone, rel=0.01)


@pytest.mark.parametrize("rate", [RATE, 48_000])
def test_two_channels_of_which_one_is_inverted_do_not_cancel_each_other_out(
    tmp_path: Path, rate: int
) -> None:
    tone = TONE if rate == RATE else np.repeat(TONE, 3)
    path = wav(tmp_path / "a.wav", np.stack([tone, -tone], axis=1), rate=rate)
    assert level(path) == pytest.approx(LEVEL, rel=0.05)


def test_an_inverted_channel_does_no_harm_where_channels_are_apart(tmp_path: Path) -> None:
    # As most codecs hold them.
    path = tmp_path / "a.m4a"
    both = np.stack([TONE, -TONE]).astype(np.float32) / 32768
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=RATE, layout="stereo")
        for at in range(0, len(TONE), 1024):
            part = np.ascontiguousarray(both[:, at : at + 1024])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    recording = decode(os.fsencode(path))
    assert recording.samples[RATE // 2 : RATE].astype(np.int32).std() > LEVEL / 2


def test_two_speakers_on_two_channels_are_both_heard(tmp_path: Path) -> None:
    left, right = (level(wav(tmp_path / "a.wav", only(number, 2))) for number in (0, 1))
    assert left == right == pytest.approx(LEVEL / 2, rel=0.01)
