"""A helper that is killed over a file: a real runner, engine and signal, on a pretended GPU."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import Job, State
from tests.engine.test_helper import reads
from tests.engine.test_stream import sparse_wav

from .conftest import Desk, silence
from .test_loading import Holding, add, holding

__all__ = ["holding"]  # a fixture
HOUR = 3600
"""Files are read while the model loads, and of silence nothing has to wait for it: an hour of it
was read to its end before there was a try that could be charged."""


def reader_of(path: Path) -> int | None:
    """The helper that has a file open."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"helperprocess" in entry.read_bytes() and reads(int(entry.parent.name), path):
                return int(entry.parent.name)
        except OSError:
            continue
    return None


def kill_over(desk: Desk, path: Path, number: signal.Signals) -> None:
    """Wait until a file is begun and a helper reads it, and end that one."""
    desk.until(lambda: desk.jobs()[path.name].state is State.RUNNING, 60)
    desk.until(lambda: reader_of(path), 60)
    pid = reader_of(path)
    assert pid is not None
    os.kill(pid, number)


def outcomes(desk: Desk, job: Job) -> list[tuple[str, bool]]:
    detail = desk.ask(say.GetDetail(id=job.id))
    assert isinstance(detail, say.Detail)
    return [(attempt.outcome, attempt.charged) for attempt in detail.attempts]


def test_a_file_whose_helper_is_killed_is_tried_again_and_charged_once(
    holding: Holding, tmp_path: Path
) -> None:
    desk = holding("float16")
    quiet = sparse_wav(tmp_path / "quiet.wav", 4 * HOUR)
    add(desk, quiet)
    kill_over(desk, quiet, signal.SIGKILL)
    job = desk.finish(120)["quiet.wav"]
    assert job.state is State.DONE
    assert outcomes(desk, job) == [("crash", True), ("done", True)]
    assert desk.status().lanes[0].respawns == 0, "the engine is well"


def test_a_file_whose_helper_crashes_fails_and_the_next_one_is_done(
    holding: Holding, tmp_path: Path
) -> None:
    desk = holding("float16")
    bad = sparse_wav(tmp_path / "bad.wav", 4 * HOUR)
    add(desk, bad)
    kill_over(desk, bad, signal.SIGSEGV)
    add(desk, silence(tmp_path / "good.wav"))
    jobs = desk.finish(120)
    assert jobs["good.wav"].state is State.DONE
    error = jobs["bad.wav"].error
    assert error is not None
    assert (error.kind, jobs["bad.wav"].attempts) == ("input", 1)
    assert "SIGSEGV" in error.message
    assert "ffmpeg" in error.hint
    assert desk.status().lanes[0].respawns == 0
