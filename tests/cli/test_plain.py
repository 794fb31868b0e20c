"""status --plain: sentences for people who hear the queue."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from speakeasy_tui.cli.plain import duration, row, speed, summary
from speakeasy_tui.core.job import (
    Batch,
    ErrorKind,
    Job,
    JobError,
    JobWarning,
    Pause,
    RunnerState,
    State,
)
from speakeasy_tui.core.protocol import Status

SIM = ("--engine", "sim", "--output-dir", "out")


def test_a_failed_row_says_what_failed_why_and_what_to_do() -> None:
    error = JobError(ErrorKind.NO_AUDIO, "no audio track", "check the file in a player")
    job = Job(id=31, path="/data/tapes/interview.wav", state=State.FAILED, error=error, attempts=1)
    assert row(job, 12, 40) == (
        "Row 12 of 40. interview.wav. Failed: no audio track. What to do: check the file in a "
        "player. Folder /data/tapes. Job number 31."
    )


def test_a_running_row_says_how_far_it_is_in_whole_words() -> None:
    job = Job(id=1, path="/data/a.wav", state=State.RUNNING, progress=0.341, audio_s=247.0)
    job.eta_s, job.speed = 65.0, 25.2
    assert row(job, 1, 1) == (
        "Row 1 of 1. a.wav. Running, 34 percent done. About 1 minute 5 seconds left. "
        "25 times real time. Length 4 minutes 7 seconds. Folder /data. Job number 1."
    )


def test_warnings_of_a_done_row_are_said() -> None:
    warning = JobWarning("incomplete_audio", "3 s are missing")
    job = Job(id=2, path="/data/b.wav", state=State.DONE, warnings=(warning,), message="5 outputs")
    assert "b.wav. Done: 5 outputs. Warning: 3 s are missing." in row(job, 2, 2)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (61, "1 minute 1 second"),
        (3600, "1 hour"),
        (7384, "2 hours 3 minutes"),
    ],
)
def test_lengths_are_said_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_speeds_are_said_in_words() -> None:
    assert (speed(2.34), speed(25.2)) == ("2.3 times real time", "25 times real time")


def test_the_summary_counts_and_says_why_nothing_goes_on() -> None:
    why = Pause("disk", "the disk is full", "make room; it goes on by itself")
    batch = Batch(state=RunnerState.PAUSED, why=why, counts={"done": 38, "failed": 1, "queued": 1})
    assert summary(Status(batch=batch, lanes=[])) == (
        "40 files in the queue: 1 queued, 38 done and 1 failed. The runner is paused: the disk "
        "is full. What to do: make room; it goes on by itself."
    )


def test_the_real_queue_is_told_a_row_a_line_with_nothing_to_look_along(
    speakeasy, recordings: Path
) -> None:
    (recordings / "c\x1b[31m\n.wav").write_bytes((recordings / "a.wav").read_bytes())
    (recordings / "text.wav").touch()
    speakeasy("run", "recordings", *SIM)
    first, *rows = speakeasy("status", "--plain").stdout.splitlines()
    assert first.startswith("5 files in the queue: 4 done and 1 failed. The runner is ")
    assert [re.match(r"Row (\d) of 5\. ", line)[1] for line in rows] == list("12345")  # type: ignore[index]
    assert not re.search(r"  |[|…✓✗●○]|\x1b", "".join(rows))
    assert sum("What to do: " in line for line in rows) == 1
    _, only = speakeasy("status", "--state", "failed", env={"SPEAKEASY_PLAIN": "1"}).stdout.split(
        "\n", 1
    )
    assert re.match(r"Row \d of 5\. text\.wav\. Failed: ", only)


def test_a_dumb_terminal_gets_sentences(environment: dict[str, str], tmp_path: Path) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "speakeasy_tui", "status"]
    env = environment | {"TERM": "dumb"}
    subprocess.run(command, stdout=slave, cwd=tmp_path, env=env, timeout=60, check=True)
    os.close(slave)
    assert os.read(master, 4096) == b"0 files in the queue. The runner is stopped.\r\n"
    os.close(master)
