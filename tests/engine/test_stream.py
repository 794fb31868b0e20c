"""Decoding as a stream: the same samples in blocks, a few MB whatever the length."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.engine.audio import RATE, decode, open_recording
from speakeasy_tui.engine.source import SourceError
from speakeasy_tui.engine.tape import BLOCK, HOLD, Tape
from speakeasy_tui.engine.timeline import LONGEST_GAP, Timeline
from tests.fuzz.corpus import FORMATS, MORE, speech, write

PEAK = """
import os, sys
from speakeasy_tui.engine.audio import open_recording
with open_recording(os.fsencode(sys.argv[1])) as recording:
    for block in recording.blocks():
        pass
hwm = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(recording.seconds, hwm.split()[1])
"""


def peak(path: Path) -> tuple[float, float]:
    """Seconds of a file and the MB that a process of its own needs to stream it.

    VmHWM, for `ru_maxrss` begins with what the process that starts another has.
    """
    ran = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True
    )
    seconds, kilobytes = ran.stdout.split()
    return float(seconds), int(kilobytes) / 1024


def sparse_wav(path: Path, seconds: int) -> Path:
    """Silence that takes no room on the disk."""
    size = seconds * RATE * 2
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt ")
        file.write(struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * 2, 2, 16))
        file.write(b"data" + struct.pack("<I", size))
        file.truncate(44 + size)
    return path


def long_mp3(path: Path, minutes: int) -> Path:
    minute = write(path, MORE["mp3 without Xing"], speech(60.0)).read_bytes()
    path.write_bytes(minute * minutes)
    return path


def test_the_memory_for_10_hours_is_that_for_10_seconds(tmp_path: Path) -> None:
    _, short = peak(sparse_wav(tmp_path / "short.wav", 10))
    seconds, long = peak(sparse_wav(tmp_path / "long.wav", 36_000))
    assert seconds == 36_000
    assert long - short < 8
    seconds, long = peak(long_mp3(tmp_path / "long.mp3", 120))
    assert seconds == pytest.approx(7200, abs=15)  # each join has its encoder's delay
    assert long - short < 12


def test_hours_of_silence_in_place_of_what_is_lost_take_no_memory() -> None:
    line = Timeline(None, LONGEST_GAP, lambda _: None)
    line.start_at(3 * 3600.0)
    sizes = [len(block) for block in line.blocks(last=True)]
    assert sum(sizes) == 3 * 3600 * RATE
    assert max(sizes) == BLOCK


@pytest.mark.parametrize("name", [*FORMATS, *MORE])
def test_blocks_joined_are_the_recording(tmp_path: Path, name: str) -> None:
    form = (FORMATS | MORE)[name]
    path = write(tmp_path / f"a.{form.suffix}", form, speech(70.0))
    whole = decode(os.fsencode(path))
    with open_recording(os.fsencode(path)) as recording:
        blocks = list(recording.blocks())
    assert [len(block) for block in blocks[:-1]] == [BLOCK, BLOCK]
    assert np.array_equal(np.concatenate(blocks), whole.samples)
    assert recording.seconds == whole.seconds == pytest.approx(70.0, abs=0.2)
    assert (recording.missing_s, recording.warnings) == (0.0, [])
    assert not any(np.shares_memory(*pair) for pair in pairwise(blocks))


def test_what_cannot_be_opened_fails_at_once_and_what_gives_nothing_at_its_end(
    tmp_path: Path,
) -> None:
    prose = tmp_path / "a.mp3"
    prose.write_text("This is not sound. " * 200)
    with pytest.raises(SourceError, match="not an audio"):
        open_recording(os.fsencode(prose))
    empty = sparse_wav(tmp_path / "a.wav", 0)
    with open_recording(os.fsencode(empty)) as recording:
        with pytest.raises(SourceError, match="empty") as caught:
            list(recording.blocks())
        assert caught.value.kind is ErrorKind.NO_AUDIO


def test_what_alive_raises_ends_the_stream(tmp_path: Path) -> None:
    def alive(seconds: float) -> None:
        if seconds > 40:
            raise KeyboardInterrupt

    path = sparse_wav(tmp_path / "a.wav", 3600)
    with open_recording(os.fsencode(path), alive) as recording:
        blocks = recording.blocks()
        assert len(next(blocks)) == BLOCK
        with pytest.raises(KeyboardInterrupt):
            next(blocks)


# ----------------------------------------------------------------- silence that is taken back


def tape_with_silence() -> Tape:
    tape = Tape()
    tape.append(np.full(1000, 1, np.int16))
    tape.put_silence(5000)
    tape.append(np.full(2000, 2, np.int16))
    return tape


def test_silence_can_be_taken_back_from_under_what_follows() -> None:
    tape = tape_with_silence()
    assert list(tape.blocks()) == []
    assert tape.take_back(3000, least=3000) == 3000
    (block,) = tape.blocks(last=True)
    wanted = np.repeat(np.array([1, 0, 2], np.int16), [1000, 2000, 2000])
    assert np.array_equal(block, wanted)
    assert tape.length == len(wanted)


def test_no_more_is_taken_back_than_was_put_in() -> None:
    tape = tape_with_silence()
    assert tape.take_back(6000, least=5500) is None
    assert tape.take_back(6000, least=4500) == 5000
    assert tape.take_back(6000, least=4500) is None
    (block,) = tape.blocks(last=True)
    assert np.array_equal(block, np.repeat(np.array([1, 2], np.int16), [1000, 2000]))


def test_silence_stays_a_minute_of_sound_later() -> None:
    tape = tape_with_silence()
    for _ in range(HOLD // 16_000):
        tape.append(np.full(16_000, 3, np.int16))
    assert tape.take_back(3000, least=3000) is None
    assert sum(map(len, tape.blocks())) == (8000 + HOLD) // BLOCK * BLOCK
