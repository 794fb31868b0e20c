"""Processes that read files for the front end: the same pieces, and deaths that stay their own."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speakeasy_tui.core.engineprotocol import Heard
from speakeasy_tui.core.faults import classify
from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.engine import handover
from speakeasy_tui.engine.cutting import Known
from speakeasy_tui.engine.frontend import MOST_HELPERS, helpers
from speakeasy_tui.engine.helper import Helper
from speakeasy_tui.engine.source import SourceError
from speakeasy_tui.engine.trouble import Reported, trouble
from speakeasy_tui.engine.work import Piece
from tests.fuzz.corpus import FORMATS, MORE, speech, write

from .engine import LIGHTHOUSE, RADIO, SHELF
from .test_frontend import ROOM, Bench
from .test_process import wait_until_dead
from .test_stream import long_mp3, sparse_wav

HOURS = 8 * 3600
"""Of a quiet recording: a helper reads it for seconds."""


def helpers_of(parent: int) -> list[int]:
    """The helpers that a process has, dead ones that nobody has waited for included."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = entry.read_text().rpartition(")")[2]
        except OSError:
            continue
        state, ppid = rest.split()[:2]
        words = (entry.parent / "cmdline").read_bytes()
        if int(ppid) == parent and (b"helperprocess" in words or state == "Z"):
            found.append(int(entry.parent.name))
    return found


def the_helper() -> int:
    """The only one that this process has."""
    (pid,) = helpers_of(os.getpid())
    return pid


def reads(pid: int, path: Path) -> int | None:
    """How far (bytes) a process has come in a file; None where it has not opened it."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(link) == str(path):
                info = Path(f"/proc/{pid}/fdinfo/{link.name}").read_text()
                return int(info.split()[1])
        except OSError:
            continue
    return None


@pytest.fixture(autouse=True)
def no_helper_left() -> Iterator[None]:
    """Front ends have no end but that of their process, which here is pytest."""
    yield
    end_helpers()


def end_helpers() -> int:
    """End those of this process; how many they were."""
    pids = helpers_of(os.getpid())
    for pid in pids:
        # A thread may be ending it, too.
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return len(pids)


def made(bench: Bench, path: Path, more: dict[str, Any] | None = None, **options: Any) -> Any:
    """All that a front end makes of a file."""
    file = bench.add(1, path, more, **options)
    pieces = bench.take_all(1)
    heard = [report.strip for report in bench.writer.sent if isinstance(report, Heard)]
    known = (file.audio_s, file.heard_s, file.speech_s, file.warnings, file.language, heard)
    counts = (file.chunks, file.chunks_s, file.todo, file.done_s, file.whole)
    return [key(piece) for piece in pieces], known, counts


def key(piece: Piece) -> tuple[Any, ...]:
    mel = piece.mel
    return (
        (piece.index, piece.number, piece.passage, list(piece.speech), piece.only_language),
        (str(mel.dtype), mel.shape, mel.flags.c_contiguous, sha256(mel.tobytes()).hexdigest()),
    )


def both(path: Path, more: dict[str, Any] | None = None, multilingual: bool = False) -> Any:
    """What a thread makes of a file, which a process makes as well, to the bit."""
    results = []
    for apart in (False, True):
        bench = Bench(apart=apart)
        bench.use(multilingual)
        results.append(made(bench, path, more))
        assert end_helpers() == apart
    assert results[0] == results[1]
    return results[1]


@pytest.fixture(scope="module")
def minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four minutes of speech, in nine chunks or so."""
    return long_mp3(tmp_path_factory.mktemp("minutes") / "minutes.mp3", 4)


# ----------------------------------------------------------------- the same pieces


@pytest.mark.parametrize("name", [*FORMATS, "ts", "aac"])
def test_a_process_makes_the_same_pieces_as_a_thread(tmp_path: Path, name: str) -> None:
    form = (FORMATS | MORE)[name]
    sound = np.concatenate([speech(40.0), np.zeros(16_000 * 20, np.int16), speech(25.0)])
    pieces, known, _ = both(write(tmp_path / f"a.{form.suffix}", form, sound))
    assert len(pieces) >= 3
    assert all(speech for (_, _, _, speech, _), _ in pieces)
    assert known[0] == pytest.approx(85, abs=0.2)


def test_a_damaged_file_has_the_same_pieces_and_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", FORMATS["mp3"], speech(60.0))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    _, known, _ = both(path)
    assert [warning.kind for warning in known[3]] == ["incomplete_audio"]


def test_without_voice_detection_and_with_more_bands_too(minutes: Path) -> None:
    bench = Bench(apart=True)
    bench.use()
    pieces, known, _ = made(bench, minutes, vad=False)
    assert [piece[1][1] for piece in pieces][:-1] == [(80, 3000)] * (len(pieces) - 1)
    assert known[2] == 0
    here = Bench()
    here.use()
    assert made(here, minutes, vad=False)[0] == pieces


def test_stored_chunks_and_those_of_another_engine_are_left_out(minutes: Path) -> None:
    pieces, _, (chunks, *_) = both(minutes)
    starts = [piece[0][2].start / 16_000 for piece in pieces]
    assert chunks == len(starts) >= 6
    some = {"have": [round(starts[1], 3), round(starts[3], 3)]}
    assert both(minutes, some)[0] == [
        ((index, number, *piece[0][2:]), piece[1])
        for number, (index, piece) in enumerate(
            (n, piece) for n, piece in enumerate(pieces) if n not in (1, 3)
        )
    ]
    middle, known, counts = both(minutes, {"since": starts[2], "until": starts[4]})
    assert [piece[0][2] for piece in middle] == [piece[0][2] for piece in pieces[2:4]]
    assert (counts[0], counts[2], counts[4]) == (4, 2, True)
    assert known[-1] == []


def test_of_a_stored_first_chunk_only_the_language_is_wanted(minutes: Path) -> None:
    bench = Bench()
    bench.use()
    first = made(bench, minutes, {"until": 20.0})[0][0][0][2]
    some = {"have": [first.start / 16_000], "until": 50.0}
    pieces, *_ = both(minutes, some, multilingual=True)
    assert [piece[0][4] for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    assert pieces[0][1][1][0] == 80


def test_no_spectrogram_is_made_of_what_is_stored(minutes: Path) -> None:
    bench = Bench(apart=True)
    bench.use()
    everything = {"since": 1e6}
    pieces, _, counts = made(bench, minutes, everything, language="en")
    assert (pieces, counts[2]) == ([], 0)
    assert counts[0] >= 6
    assert bench.meter.stages().keys() == {"decode", "vad"}


@pytest.mark.parametrize(
    "name", [b"\xff\xfe \xe9.wav", "näme\nzwei.wav".encode(), b"-i http:x.wav"]
)
def test_a_name_is_bytes(tmp_path: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "wb") as file:
        file.write(SHELF.read_bytes())
    assert len(both(Path(os.fsdecode(path)))[0]) == 1


def test_errors_are_worded_as_those_of_a_thread(tmp_path: Path) -> None:
    prose = tmp_path / "prose.mp3"
    prose.write_text("This is not sound. " * 200)
    for path in (tmp_path / "nowhere.wav", tmp_path, prose, sparse_wav(tmp_path / "a.wav", 0)):
        said = []
        for apart in (False, True):
            bench = Bench(apart=apart)
            bench.use()
            bench.add(1, path)
            bench.until(lambda bench=bench: bench.broken)  # type: ignore[misc]
            said.append(bench.broken[1])
        assert said[0] == said[1]
        assert said[0].text
        assert said[0].hint
        assert said[0].kind in (ErrorKind.INPUT, ErrorKind.NO_AUDIO)


@pytest.mark.parametrize(
    ("error", "text", "kind"),
    [
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device", "disk"),
        (RuntimeError("bad allocation"), "bad allocation", None),
        (MemoryError(), "MemoryError: ", "oom"),
        (IndexError("no such"), "IndexError: no such", "input"),
        (SourceError("gone", "find it"), "gone", "input"),
    ],
)
def test_an_error_of_any_class_comes_through_the_pipe(
    error: Exception, text: str, kind: str | None
) -> None:
    try:
        raise error
    except Exception as caught:
        told = trouble(caught)
    frame = handover.framed(handover.Broke(Known(), told))
    got = handover.from_helper.decode(frame[handover.LENGTH :])
    assert isinstance(got, handover.Broke)
    assert trouble(Reported(got.trouble)) == told
    assert told.text == text
    if kind is not None:
        assert (told.kind or classify(told.text)) == kind
    assert ("Traceback" in told.detail) != isinstance(error, SourceError)


# ----------------------------------------------------------------- ahead, but not too far


def test_what_nobody_takes_holds_the_process_up(tmp_path: Path) -> None:
    long = long_mp3(tmp_path / "long.mp3", 30)
    bench = Bench(apart=True)
    bench.use()
    file = bench.add(1, long)
    bench.until(lambda: bench.out >= ROOM)
    bench.settle()
    assert ROOM <= bench.out < ROOM + 3000
    assert file.heard_s < 300
    at = reads(the_helper(), long)
    assert at is not None
    # What is in the pipe and in its hands are some chunks more.
    assert at < long.stat().st_size / 4
    assert bench.take_all(1)
    assert file.chunks == file.todo >= 60


def test_the_model_is_waited_for_with_the_first_chunk_at_hand() -> None:
    bench = Bench(apart=True)
    file = bench.add(1, SHELF)
    bench.until(lambda: file.heard_s)
    assert bench.meter.stages().keys() == {"decode", "vad"}
    assert not bench.pieces
    bench.use()
    bench.until(lambda: bench.cut == [1])
    assert len(bench.pieces) == 1
    stages = bench.meter.stages()
    assert file.front_s == pytest.approx(sum(stages.values()), abs=0.01)
    assert stages["mel"] > 0


def test_signs_of_life_come_while_nothing_else_does(tmp_path: Path) -> None:
    bench = Bench(apart=True)
    bench.use()
    file = bench.add(1, sparse_wav(tmp_path / "quiet.wav", HOURS))
    bench.until(lambda: len(bench.writer.sent) >= 3)
    assert not file.whole
    assert 0 < file.heard_s < HOURS
    assert file.front_s > 0.5
    file.drop()


# ----------------------------------------------------------------- given up


def test_a_dropped_file_ends_the_work_on_it_at_once(tmp_path: Path) -> None:
    bench = Bench(apart=True)
    bench.use()
    file = bench.add(1, sparse_wav(tmp_path / "quiet.wav", HOURS))
    bench.until(lambda: file.heard_s)
    pid = the_helper()
    file.drop()
    wait_until_dead(pid)
    bench.add(2, SHELF)
    bench.until(lambda: bench.cut == [2])
    assert the_helper() != pid  # and nothing is left to be waited for


def test_a_dropped_file_that_waits_makes_way(minutes: Path) -> None:
    bench = Bench(apart=True)
    first = bench.add(1, SHELF)
    bench.until(lambda: first.heard_s)  # for the model
    first.drop()
    bench.front.release([])
    second = bench.add(2, minutes)
    bench.use()
    bench.until(lambda: bench.out >= ROOM)  # for room
    second.drop()
    bench.front.release(bench.pieces)
    bench.pieces.clear()
    bench.add(3, SHELF)
    bench.until(lambda: bench.cut == [3])
    assert [piece.file.job for piece in bench.pieces] == [3]
    the_helper()


def test_a_file_that_is_shortened_on_the_way_ends_there(minutes: Path) -> None:
    bench = Bench(apart=True)
    bench.use()
    file = bench.add(1, minutes)
    bench.until(lambda: bench.out >= ROOM)
    many = len(bench.pieces)
    file.until = bench.pieces[-1].end
    bench.take_all(1)
    assert file.whole
    assert file.chunks <= many + 1 < 8  # the next one was at hand
    bench.add(2, SHELF)
    bench.take_all(2)


# ----------------------------------------------------------------- deaths


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"])
def test_a_crash_over_a_file_is_that_files_error_and_no_others(tmp_path: Path, name: str) -> None:
    bench = Bench(threads=2, apart=True)
    bench.use(windows=4)
    bad = bench.add(1, sparse_wav(tmp_path / "bad.wav", HOURS))
    bench.until(lambda: bad.heard_s)
    pid = the_helper()
    bench.add(2, LIGHTHOUSE)
    bench.until(lambda: bench.pieces)
    os.kill(pid, getattr(signal, name))
    bench.until(lambda: bench.broken)
    assert bench.broken.keys() == {1}
    assert bench.broken[1].kind is ErrorKind.INPUT
    assert name in bench.broken[1].text
    assert "ffmpeg" in bench.broken[1].hint
    bench.add(3, RADIO)
    bench.take_all(2)
    if 3 not in bench.cut:
        bench.take_all(3)
    assert bench.broken.keys() == {1}


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_process_that_is_killed_is_for_the_runner_to_judge(tmp_path: Path, name: str) -> None:
    bench = Bench(apart=True)
    bench.use()
    file = bench.add(1, sparse_wav(tmp_path / "a.wav", HOURS))
    bench.until(lambda: file.heard_s)
    os.kill(the_helper(), getattr(signal, name))
    bench.until(lambda: bench.broken)
    assert bench.broken[1].kind is ErrorKind.CRASH
    assert name in bench.broken[1].text
    bench.add(2, SHELF)
    bench.until(lambda: bench.cut == [2])


def test_a_process_that_ends_while_it_is_idle_costs_no_file() -> None:
    bench = Bench(apart=True)
    bench.use()
    for job in (1, 2, 3):
        bench.add(job, SHELF)
        bench.until(lambda job=job: job in bench.cut)  # type: ignore[misc]
        pid = the_helper()
        os.kill(pid, signal.SIGSEGV)
        wait_until_dead(pid)
    assert not bench.broken


def test_a_death_that_is_not_seen_before_the_next_file_is_no_fault_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ready = Helper.ready
    monkeypatch.setattr(Helper, "ready", lambda self: self._process is not None or ready(self))
    bench = Bench(apart=True)
    bench.use()
    for job in (1, 2, 3):
        bench.add(job, SHELF)
        bench.until(lambda job=job: job in bench.cut or bench.broken)  # type: ignore[misc]
        assert not bench.broken
        pid = the_helper()
        os.kill(pid, signal.SIGSEGV)
        wait_until_dead(pid)


def test_what_is_no_message_is_a_crash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\nprintf '\\003\\000\\000\\000abc'\nsleep 60\n")
    other.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(other))
    bench = Bench(apart=True)
    bench.use()
    bench.add(1, SHELF)
    bench.until(lambda: bench.broken)
    assert bench.broken[1].kind is ErrorKind.CRASH
    assert "no message" in bench.broken[1].text


def test_where_no_process_can_be_started_the_thread_reads(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    bench = Bench(apart=True)
    bench.use()
    bench.add(1, SHELF)
    bench.until(lambda: bench.cut == [1])
    assert len(bench.pieces) == 1
    assert "no process to read files" in capfd.readouterr().err


AN_ENGINE = """
import os, sys, time
from pathlib import Path
from speakeasy_tui.engine.process import claim_pipes
commands, reports = claim_pipes()
from tests.engine.test_frontend import Bench
from tests.engine.test_helper import helpers_of
bench = Bench(threads=2, apart=True)
bench.use(windows=4)
bench.add(1, Path(sys.argv[1]))  # idle, when it is cut
bench.until(lambda: bench.cut)
file = bench.add(2, Path(sys.argv[2]))
bench.until(lambda: getattr(file, sys.argv[3]))
os.write(reports, " ".join(map(str, [commands, reports, *helpers_of(os.getpid())])).encode())
time.sleep(600)
"""


@pytest.fixture(params=["reading", "held up"])
def engine(
    request: pytest.FixtureRequest, minutes: Path, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A process with the engine's pipes and front end, and what it says of them."""
    quiet = sparse_wav(tmp_path / "quiet.wav", HOURS)
    at, which = (quiet, "heard_s") if request.param == "reading" else (minutes, "todo")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", AN_ENGINE, str(SHELF), str(at), which],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=Path(__file__).parents[2],
        )
    assert process.stdout is not None
    said = os.read(process.stdout.fileno(), 4096).split()
    assert said, (tmp_path / "log").read_text()
    yield process, [int(word) for word in said]
    process.kill()
    process.communicate()


def test_no_helper_outlives_the_engine_however_it_ends(
    engine: tuple[subprocess.Popen[bytes], list[int]],
) -> None:
    process, (_, _, *pids) = engine
    assert pids
    process.kill()
    for pid in pids:
        wait_until_dead(pid)


def test_a_helper_has_none_of_the_engines_pipes(
    engine: tuple[subprocess.Popen[bytes], list[int]],
) -> None:
    process, (commands, reports, *pids) = engine

    def target(pid: int, descriptor: int | str) -> str:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}")

    engines = {target(process.pid, number) for number in (commands, reports)}
    for pid in pids:
        its = {target(pid, link) for link in os.listdir(f"/proc/{pid}/fd")}
        assert not its & engines
        assert target(pid, 0) == os.devnull  # its own are out of reach as well
        assert target(pid, 1) == target(pid, 2) == target(process.pid, 2)


def test_a_helper_without_an_engine_ends(tmp_path: Path) -> None:
    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "speakeasy_tui.engine.helperprocess"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    assert start().communicate(timeout=30) == (b"", b"")
    out, log = start().communicate(struct.pack("<I", 3) + b"abc", timeout=30)
    assert out == b""
    assert b"not an order" in log


# ----------------------------------------------------------------- how many


def test_there_are_as_many_helpers_as_cores_are_left_for_each_engine() -> None:
    counts: Callable[..., list[int]] = lambda engines: [  # noqa: E731
        helpers(cores, engines) for cores in (1, 2, 4, 8, 64)
    ]
    assert counts(1) == [1, 1, 3, 7, MOST_HELPERS]
    assert counts(2) == [1, 1, 1, 3, MOST_HELPERS]
    assert counts(8) == [1, 1, 1, 1, 7]
