"""An engine process from start to end: both kinds, with real pipes and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from speakeasy_tui.core.engineprotocol import (
    Abandon,
    ChunkDone,
    Finished,
    Heard,
    Loaded,
    LoadFailed,
    Opened,
    Progress,
    Quit,
    Ready,
    SetBatch,
    Shorten,
    Vitals,
    report_decoder,
)
from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.engine import audio

from . import multilingual
from .engine import LIGHTHOUSE, RADIO, SHELF, Engine, load_command, write_wav

Start = Callable[..., Engine]
GREEDY = {"beam_size": 1}
"""Where the text does not matter, only that it is the same or that it takes some time."""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_dead(pid: int) -> None:
    deadline = time.monotonic() + 5
    while alive(pid):
        assert time.monotonic() < deadline, "still alive"
        time.sleep(0.02)


@pytest.mark.parametrize("kind", ["sim", "real"])
def test_a_file_goes_from_ready_to_finished_and_quit_ends_with_status_0(
    start: Start, kind: str
) -> None:
    engine = start(kind)
    ready = engine.wait_for(Ready)
    assert (ready.engine, ready.pid) == (kind, engine.process.pid)
    engine.send(load_command())
    engine.transcribe(7, SHELF)
    engine.send(Quit())
    finished = engine.end_of(7)
    assert isinstance(finished, Finished)
    assert engine.opened(7).audio_s == pytest.approx(3.56, abs=0.01)
    assert engine.text(7)
    assert engine.status() == 0


@pytest.mark.parametrize("kind", ["sim", "real"])
def test_a_file_is_decoded_while_the_model_loads(start: Start, kind: str) -> None:
    engine = start(kind, SPEAKEASY_SIM_SPEED="20")
    engine.wait_for(Ready)
    engine.send(load_command())
    engine.transcribe(1, SHELF)
    assert engine.wait_for((Progress, Loaded)).stage == "decode"  # type: ignore[arg-type]
    assert isinstance(engine.end_of(1), Finished)


def test_files_for_a_model_are_not_made_ready_for_the_one_before(
    start: Start, tmp_path: Path
) -> None:
    multilingual.write(tmp_path / "model")
    engine = start("real")
    engine.load()
    engine.transcribe(1, LIGHTHOUSE)
    engine.wait_for(Progress, lambda report: report.stage == "transcribe")
    engine.send(load_command(model=str(tmp_path / "model")))  # a batch may be under way
    engine.transcribe(2, SHELF, options={"language": "de"})
    engine.wait_for(Loaded)
    assert not engine.said(Opened, 2)
    finished = engine.end_of(2)
    assert isinstance(finished, Finished)
    assert (finished.language, finished.warnings) == ("de", [])


@pytest.mark.parametrize("variable", ["SPEAKEASY_TORCH", "SPEAKEASY_WINDOWS", "SPEAKEASY_FAULTS"])
def test_a_variable_that_cannot_be_meant_is_refused_before_a_model_is_loaded(
    start: Start, variable: str
) -> None:
    engine = start("real", **{variable: "garbage"})
    engine.send(load_command())
    failed = engine.wait_for(LoadFailed)
    assert failed.text.startswith(f"{variable}: ")
    assert failed.kind is ErrorKind.MODEL
    assert engine.status() != 0


@pytest.mark.parametrize("variable", ["SPEAKEASY_TORCH", "SPEAKEASY_WINDOWS"])
def test_an_empty_variable_is_one_that_is_not_set(start: Start, variable: str) -> None:
    engine = start("real", **{variable: ""})
    engine.load()


@pytest.fixture(scope="module")
def minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three minutes of speech."""
    path = tmp_path_factory.mktemp("minutes") / "minutes.wav"
    said = audio.decode(os.fsencode(RADIO)).samples
    write_wav(path, np.tile(said, 180 * 16_000 // len(said) + 1).tobytes())
    return path


def told(engine: Engine, job: int) -> list[tuple[float, str]]:
    return [(c.start, "".join(s.text for s in c.segments)) for c in engine.chunks(job)]


@pytest.mark.parametrize("kind", ["sim", "real"])
def test_two_engines_do_a_file_together_as_one_would(
    start: Start, kind: str, minutes: Path
) -> None:
    # What shares a window with a rest differs, and with it now and then a word of the rest.
    alone = GREEDY | {"pack": False}
    one, other = start(kind), start(kind)
    one.load(batch_size=1)
    one.transcribe(1, minutes, options=alone)
    assert isinstance(one.end_of(1), Finished)
    whole = told(one, 1)
    assert len(whole) > 5
    other.load(batch_size=4)
    at = whole[3][0] + 0.25
    one.transcribe(2, minutes, until=at, ticket=7, options=alone)
    other.transcribe(2, minutes, since=at, options=alone | {"language": "en"})
    finished = one.end_of(2)
    assert isinstance(finished, Finished)
    assert finished.ticket == 7
    assert isinstance(other.end_of(2), Finished)
    assert told(one, 2) == whole[:4]
    assert told(other, 2) == whole[4:]
    assert other.opened(2).chunks == len(whole)
    assert {c.index for c in one.chunks(2) + other.chunks(2)} == set(range(len(whole)))
    assert other.said(Heard, 2)


@pytest.mark.parametrize("kind", ["sim", "real"])
def test_a_file_can_be_shortened_while_it_is_decoded(
    start: Start, kind: str, minutes: Path
) -> None:
    engine = start(kind, SPEAKEASY_SIM_SPEED="200")
    engine.load(batch_size=1)
    engine.transcribe(1, minutes, options=GREEDY)
    first = engine.wait_for(ChunkDone).chunk
    engine.send(Shorten(job=1, until=first.end + 40))
    assert isinstance(engine.end_of(1), Finished)
    chunks = engine.chunks(1)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert chunks[-1].end > first.end + 20
    # What was in the model is told; what waited is not decoded.
    assert chunks[-1].start < first.end + 40 + 2 * 30
    assert engine.opened(1).audio_s > chunks[-1].end + 30
    engine.send(Shorten(job=1, until=0.0))  # finished before it was told
    engine.transcribe(2, SHELF)
    assert isinstance(engine.end_of(2), Finished)


@pytest.mark.parametrize("kind", ["sim", "real"])
def test_the_end_of_stdin_ends_the_process_in_the_middle_of_work(start: Start, kind: str) -> None:
    engine = start(kind, SPEAKEASY_SIM_SPEED="20")
    engine.load()
    engine.transcribe(1, LIGHTHOUSE)
    engine.wait_for(Opened)
    assert engine.process.stdin is not None
    engine.process.stdin.close()
    assert engine.status(5) == 0


def test_the_death_of_the_parent_ends_the_engine_even_when_its_pipes_stay_open() -> None:
    read, write = os.pipe()  # the engine's stdin; this process keeps it open
    program = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-m', 'speakeasy_tui.engine', '--engine', 'sim'],"
        " stdin=int(sys.argv[1]))\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(read)], pass_fds=[read], stdout=subprocess.PIPE
    )
    try:
        assert parent.stdout is not None
        ready = report_decoder.decode(parent.stdout.readline())
        assert isinstance(ready, Ready)
        parent.kill()
        parent.wait()
        wait_until_dead(ready.pid)
    finally:
        parent.kill()
        os.close(read)
        os.close(write)


def test_ctrl_c_does_not_reach_an_engine_and_sigterm_ends_it(start: Start) -> None:
    engine = start("sim")
    engine.wait_for(Ready)
    engine.process.send_signal(signal.SIGINT)
    engine.send(load_command())
    engine.transcribe(1, SHELF)
    engine.end_of(1)
    engine.process.terminate()
    assert engine.status() == -signal.SIGTERM


def test_what_native_code_prints_goes_to_the_log_and_stdin_is_empty(tmp_path: Path) -> None:
    program = (
        "import ctypes, os, sys\n"
        "from speakeasy_tui.engine import process, sim\n"
        "run = sim.SimulatedEngine.run\n"
        "def noisy(engine):\n"
        "    ctypes.CDLL(None).puts(b'native noise')\n"
        "    ctypes.CDLL(None).fflush(None)\n"
        "    print('python noise', flush=True)\n"
        "    assert os.read(0, 1) == b''\n"
        "    run(engine)\n"
        "sim.SimulatedEngine.run = noisy\n"
        "sys.argv = ['engine', '--engine', 'sim']\n"
        "process.main()\n"
    )
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        engine = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    assert engine.stdin is not None
    assert engine.stdout is not None
    engine.stdin.write(b'{"op":"quit"}\n')
    engine.stdin.flush()
    lines = engine.stdout.readlines()
    assert engine.wait(20) == 0
    engine.stdin.close()
    assert [type(report_decoder.decode(line)) for line in lines] == [Ready]
    assert "native noise" in log.read_text()
    assert "python noise" in log.read_text()


def test_the_pipes_are_not_inherited_by_programs_that_an_engine_starts(tmp_path: Path) -> None:
    program = (
        "import os, subprocess, sys\n"
        "from speakeasy_tui.engine.process import claim_pipes\n"
        "pipes = claim_pipes()\n"
        "subprocess.run(['ls', '/proc/self/fd'], stdout=2)\n"
        "print(*pipes, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=b"", capture_output=True, timeout=20, check=True
    )
    *inherited, pipes = done.stderr.decode().splitlines()
    # 3 is the folder that ls itself has open.
    assert set(inherited) <= {"0", "1", "2", "3"} - set(pipes.split()) | {"3"}
    assert done.stdout == b""


def test_a_line_that_is_no_command_ends_the_process_and_the_log_says_so(start: Start) -> None:
    engine = start("sim")
    engine.wait_for(Ready)
    assert engine.process.stdin is not None
    engine.process.stdin.write(b'{"op":"dance"}\n')
    engine.process.stdin.flush()
    assert engine.status() == 2
    assert "dance" in engine.log.read_text()


def working(engine: Engine) -> Engine:
    engine.transcribe(61, LIGHTHOUSE)
    engine.wait_for(Opened, lambda report: report.job == 61)
    return engine


def vitals_come(engine: Engine) -> None:
    busy = [engine.wait_for(Vitals, timeout=10) for _ in range(2)]
    assert all(v.rss > 5_000_000 for v in busy)
    assert max(v.busy for v in busy) > 0.3
    engine.send(Abandon(job=61))


def test_vitals_come_every_few_seconds_while_the_model_works(start: Start, real: Engine) -> None:
    sim = start("sim", SPEAKEASY_SIM_SPEED="20")
    sim.load()
    for engine in (working(sim), working(real)):
        vitals_come(engine)


@pytest.mark.parametrize("kind", ["sim", "real"])
def test_an_abandoned_file_is_not_mentioned_again_and_the_next_is_done(
    start: Start, kind: str
) -> None:
    engine = start(kind, SPEAKEASY_SIM_SPEED="300")
    engine.load(batch_size=1)
    engine.send(SetBatch(batch_size=1))
    engine.transcribe(1, LIGHTHOUSE)
    engine.wait_for(Opened, lambda r: r.job == 1)
    engine.send(Abandon(job=1))
    engine.transcribe(2, SHELF)
    assert isinstance(engine.end_of(2), Finished)
    mark = len(engine.reports)
    assert engine.quit() == 0
    assert not engine.said(Finished, 1)
    assert all(getattr(r, "job", 0) != 1 for r in engine.reports[mark:])


@pytest.mark.parametrize("kind", ["sim", "real"])
def test_stored_chunks_are_not_decoded_again_but_counted(
    start: Start, real: Engine, kind: str
) -> None:
    engine = real
    if kind == "sim":
        engine = start("sim")
        engine.load()
    engine.transcribe(51, RADIO, options=GREEDY)
    engine.end_of(51)
    whole = engine.chunks(51)
    assert len(whole) > 1
    engine.transcribe(52, RADIO, have=[whole[0].start + 0.004], options=GREEDY)
    assert isinstance(engine.end_of(52), Finished)
    assert [c.index for c in engine.chunks(52)] == [c.index for c in whole[1:]]
    assert [c.segments for c in engine.chunks(52)] == [c.segments for c in whole[1:]]
    assert engine.opened(52).chunks == len(whole)
    engine.transcribe(53, RADIO, have=[c.start for c in whole], options=GREEDY)
    assert isinstance(engine.end_of(53), Finished)
    assert engine.chunks(53) == []
