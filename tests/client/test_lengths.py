"""How many hours a crowd of files will be."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import wave
from pathlib import Path

import pytest

from speakeasy_tui.client.lengths import LOOKED_AT, Sample, lengths_of


def tape(path: Path, seconds: float) -> bytes:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * round(8000 * seconds)))
    return os.fsencode(path)


def test_a_file_is_as_long_for_its_size_as_others_of_its_kind() -> None:
    sample = Sample()
    for _ in range(30):
        sample.add(b"/a.wav", 1000)
        sample.add(b"/b.MP3", 100)
        sample.add(b"/c.ogg", 50)
    lengths = {
        place: {b"/a.wav": 10.0, b"/b.MP3": 20.0, b"/c.ogg": None}[path]
        for place, (path, _) in enumerate(sample.chosen)
    }
    seconds = sample.seconds(lengths)
    assert seconds is not None
    usual = (10 + 20) / (1000 + 100)
    assert seconds == pytest.approx(30 * 10 + 30 * 20 + 30 * 50 * usual, rel=0.1)


def test_a_sample_is_no_more_than_fifty_of_any_number() -> None:
    sample = Sample()
    for number in range(10_000):
        sample.add(b"/%d.wav" % number, number)
    assert len(sample.chosen) == LOOKED_AT and sample.count == 10_000
    assert sample.amount == sum(range(10_000))
    places = sorted(int(path[1:-4]) for path, _ in sample.chosen)
    assert places[0] < 2_000 and places[-1] > 8_000  # not just the first ones


def test_nothing_known_is_no_estimate() -> None:
    sample = Sample()
    assert sample.seconds({}) is None
    sample.add(b"/a.wav", 10)
    assert sample.seconds({0: None}) is None


async def test_headers_are_read_in_a_process_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no recording")
    os.mkfifo(tmp_path / "pipe.wav")
    paths = [
        tape(tmp_path / "one.wav", 12.5),
        os.fsencode(tmp_path / "note.txt"),
        os.fsencode(tmp_path / "pipe.wav"),
        os.fsencode(tmp_path / "gone.wav"),
        tape(tmp_path / "b\nc\udcff.wav", 3.0),
    ]
    assert await lengths_of(paths) == {0: 12.5, 1: 0.0, 2: 0.0, 3: 0.0, 4: 3.0}


async def test_a_process_that_hangs_is_ended_and_what_it_had_said_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"
    slow.write_text('#!/bin/sh\necho \'{"number":0,"seconds":7.5}\'\nexec sleep 60\n')
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    monkeypatch.setattr("speakeasy_tui.client.lengths.PATIENCE_S", 0.5)
    begun = time.monotonic()
    assert await lengths_of([b"/a.wav", b"/b.wav"]) == {0: 7.5}
    assert time.monotonic() - begun < 5


async def test_giving_up_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    task = asyncio.create_task(lengths_of([b"/a.wav"]))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
