"""From paths to pieces: as a stream, ahead of the model but not too far."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from speakeasy_tui.core.engineprotocol import (
    ChunkDone,
    Finished,
    Opened,
    Progress,
    Report,
    Transcribe,
)
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.engine.frontend import AHEAD, Broken, Cut, FrontEnd
from speakeasy_tui.engine.hand import Hand
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.melspec import LogMel
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.trouble import Trouble
from speakeasy_tui.engine.wire import Mailbox, Meter, Writer
from speakeasy_tui.engine.work import FileWork, Piece
from tests.fuzz.corpus import MORE, speech, write

from .engine import SHELF, Engine, write_wav

ROOM = (AHEAD + 1) * 3000
"""Frames that may be ready for one worker whose batch is one window."""


class NoWriter(Writer):
    """Keeps what is reported."""

    def __init__(self) -> None:
        super().__init__(-1)
        self.sent: list[Report] = []

    def send(self, report: Report, *, soon: bool = True) -> None:
        self.sent.append(report)


def without_whisper(multilingual: bool = False) -> Model:
    """A model as far as the front end needs one."""
    return cast(Model, SimpleNamespace(mel=LogMel(80), multilingual=multilingual))


class Bench:
    """A front end that nobody takes pieces from but the test."""

    def __init__(self, threads: int = 1, apart: bool = False) -> None:
        self.mailbox = Mailbox()
        self.meter = Meter()
        self.writer = NoWriter()
        self.front = FrontEnd(self.mailbox, self.writer, self.meter)
        self.front.begin("cpu", threads=threads, apart=apart)
        self.pieces: list[Piece] = []
        self.cut: list[int] = []
        self.broken: dict[int, Trouble] = {}

    def use(self, multilingual: bool = False, windows: int = 1) -> None:
        self.front.use(without_whisper(multilingual), windows)

    def add(
        self, job: int, path: Path, more: dict[str, Any] | None = None, **options: Any
    ) -> FileWork:
        """`more`: of the command."""
        command = Transcribe(
            job=job,
            attempt=1,
            path=os.fsencode(path),
            options=JobOptions(**options),
            **(more or {}),
        )
        until = math.inf if command.until is None else command.until
        file = FileWork(command, Injector().trap(b"", 1), until)
        self.front.add(file)
        return file

    def until(self, what: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            for note in self.mailbox.take(wait=True, timeout=0.05):
                if isinstance(note, Piece):
                    self.pieces.append(note)
                elif isinstance(note, Cut):
                    self.cut.append(note.file.job)
                elif isinstance(note, Broken):
                    self.broken[note.file.job] = note.trouble
            assert time.monotonic() < deadline, (len(self.pieces), self.cut)

    def take_all(self, job: int) -> list[Piece]:
        """Until a file is cut, giving back what is made; all its pieces."""
        taken: list[Piece] = []
        while job not in self.cut:
            self.until(lambda: self.pieces or job in (*self.cut, *self.broken))
            assert job not in self.broken, self.broken
            self.front.release(self.pieces)
            taken += [piece for piece in self.pieces if piece.file.job == job]
            self.pieces.clear()
        return taken

    def settle(self) -> None:
        """Until no more comes."""
        count = -1
        while count < len(self.pieces) + len(self.cut):
            count = len(self.pieces) + len(self.cut)
            deadline = time.monotonic() + 1.5
            self.until(lambda end=deadline: time.monotonic() > end)  # type: ignore[misc]

    @property
    def out(self) -> int:
        return sum(piece.frames for piece in self.pieces)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes of speech."""
    folder = tmp_path_factory.mktemp("long")
    minute = write(folder / "minute.mp3", MORE["mp3 without Xing"], speech(60.0)).read_bytes()
    (folder / "long.mp3").write_bytes(minute * 10)
    return folder / "long.mp3"


def test_the_first_piece_comes_before_the_rest_is_decoded_and_only_so_many_are_made(
    long: Path,
) -> None:
    bench = Bench()
    bench.use()
    file = bench.add(1, long)
    bench.until(lambda: bench.pieces)
    assert not file.whole
    bench.until(lambda: bench.out >= ROOM)
    bench.settle()
    assert ROOM <= bench.out < ROOM + 3000
    assert not file.whole
    assert file.heard_s < 300
    assert not bench.front.expecting()
    while not file.whole:
        bench.front.release(bench.pieces)
        seen = len(bench.pieces)
        bench.pieces.clear()
        bench.until(lambda: bench.pieces or file.whole)
        assert seen
    bench.front.release(bench.pieces)
    bench.until(lambda: bench.cut == [1])
    assert file.audio_s == pytest.approx(600, abs=2)
    assert file.chunks == file.todo >= 20


def test_a_dropped_file_that_waits_for_room_makes_way(long: Path) -> None:
    bench = Bench()
    bench.use()
    file = bench.add(1, long)
    bench.add(2, SHELF)
    bench.until(lambda: bench.out >= ROOM)
    bench.settle()
    file.drop()
    bench.front.release(bench.pieces)
    bench.pieces.clear()
    bench.until(lambda: bench.cut == [2])
    assert [piece.file.job for piece in bench.pieces] == [2]


def test_a_dropped_file_that_waits_for_the_model_makes_way() -> None:
    bench = Bench()
    file = bench.add(1, SHELF)
    bench.until(lambda: file.heard_s)
    other = bench.add(2, SHELF)
    file.drop()
    bench.front.release([])
    bench.until(lambda: other.heard_s)
    bench.use()
    bench.until(lambda: bench.cut == [2])
    assert [piece.file.job for piece in bench.pieces] == [2]


def test_files_are_decoded_while_the_model_is_loaded() -> None:
    bench = Bench()
    file = bench.add(1, SHELF)
    bench.until(lambda: file.heard_s)
    stages = bench.meter.stages()
    assert stages["decode"] > 0
    assert "mel" not in stages
    assert not bench.pieces
    bench.use()
    bench.until(lambda: bench.cut == [1])
    assert len(bench.pieces) == 1


def test_a_stored_chunk_is_not_made_again(long: Path) -> None:
    bench = Bench()
    bench.use()
    first = bench.add(1, SHELF)
    bench.until(lambda: bench.cut == [1])
    command = Transcribe(
        job=2, attempt=2, path=os.fsencode(SHELF), options=JobOptions(language="en"), have=[0.0]
    )
    again = FileWork(command, Injector().trap(b"", 1))
    bench.front.add(again)
    bench.until(lambda: bench.cut == [1, 2])
    assert (again.chunks, again.todo, again.finished, again.progress) == (1, 0, True, 1.0)
    assert again.done_s == first.chunks_s
    assert len(bench.pieces) == 1


def test_a_file_is_opened_with_what_it_promises_and_again_with_what_was_there(
    real: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "evening.wav"
    write_wav(path, speech(60.0).tobytes() + bytes(16_000 * 2 * 3600))
    real.transcribe(800, path)
    early = real.wait_for(Opened, lambda report: report.job == 800)
    assert not real.said(ChunkDone, 800)
    assert isinstance(real.end_of(800), Finished)
    last = real.opened(800)
    assert early.audio_s == last.audio_s == pytest.approx(3660)
    assert early.chunks > last.chunks == len(real.chunks(800))
    assert 30 < last.speech_s < 60


def test_a_file_of_which_the_model_has_nothing_left_gives_signs_of_life_while_it_is_decoded() -> (
    None
):
    command = Transcribe(job=1, attempt=1, path=b"", options=JobOptions())
    file = FileWork(command, Injector().trap(b"", 1), todo=2, done=1)
    writer = NoWriter()
    hand = Hand(file, lambda *_: None, writer, Meter())
    hand.report()
    assert writer.sent == []  # the model says more
    file.done = 2
    hand.report()
    assert [type(report) for report in writer.sent] == [Progress]


PEAK = """
import os, sys
from tests.engine.test_frontend import Bench
from pathlib import Path
bench = Bench()
bench.use()
file = bench.add(1, Path(sys.argv[1]))
while not bench.cut:
    bench.until(lambda: bench.pieces or bench.cut)
    bench.front.release(bench.pieces)
    bench.pieces.clear()
hwm = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(file.chunks, hwm.split()[1])
"""


def test_a_long_file_needs_no_more_memory_than_a_short_one(long: Path, tmp_path: Path) -> None:
    def peak(path: Path) -> tuple[int, float]:
        ran = subprocess.run(
            [sys.executable, "-c", PEAK, str(path)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
        )
        chunks, kilobytes = ran.stdout.split()
        return int(chunks), int(kilobytes) / 1024

    longer = tmp_path / "longer.mp3"
    longer.write_bytes(long.read_bytes() * 3)
    few, short = peak(long)
    many, tall = peak(longer)
    assert many > 2.9 * few
    assert tall - short < 12
