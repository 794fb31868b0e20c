"""Where words go that cannot be printed: readers that leave, full disks, closed terminals."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SIM = ("--engine", "sim", "--format", "txt", "--output-dir", "out")


def printed(
    environment: dict[str, str], folder: Path, line: str, *args: str
) -> subprocess.CompletedProcess[str]:
    """A line of a shell in which ``"$@"`` is the command."""
    return subprocess.run(
        ["bash", "-c", line, "-", sys.executable, "-m", "speakeasy_tui", *args],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "command", [["--help"], ["status"], ["models"], ["config", "show"], ["status", "--json"]]
)
def test_a_reader_that_leaves_is_no_failure(
    speakeasy, environment, recordings: Path, tmp_path: Path, command: list[str]
) -> None:
    speakeasy("add", "recordings", *SIM)
    left = printed(environment, tmp_path, '"$@" | exec true; exit ${PIPESTATUS[0]}', *command)
    assert (left.returncode, left.stderr) == (0, "")


@pytest.mark.parametrize("command", [["status"], ["models"], ["runner", "status", "--json"]])
def test_what_finds_no_room_on_stdout_is_said_to_be_stdout(
    environment, tmp_path: Path, command: list[str]
) -> None:
    done = printed(environment, tmp_path, '"$@" > /dev/full', *command)
    assert done.returncode == 1
    assert done.stderr == "speakeasy: stdout cannot be written: No space left on device\n"


def test_a_run_whose_events_find_no_room_says_that_the_work_goes_on(
    speakeasy, environment, recordings: Path, tmp_path: Path
) -> None:
    done = printed(environment, tmp_path, '"$@" > /dev/full', "run", "recordings", *SIM, "--json")
    assert done.returncode == 130
    assert "stdout cannot be written: No space left on device" in done.stderr
    assert "the runner goes on" in done.stderr
    deadline = time.monotonic() + 20
    while json.loads(speakeasy("runner", "status", "--json").stdout)["counts"]["done"] < 3:
        assert time.monotonic() < deadline


def test_an_error_that_cannot_be_printed_ends_with_its_own_status(
    environment, tmp_path: Path
) -> None:
    assert printed(environment, tmp_path, '"$@" 2> /dev/full', "run", "nosuch").returncode == 2


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_run_whose_terminal_is_closed_is_interrupted_and_the_work_goes_on(
    speakeasy, environment, recordings: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    environment["SPEAKEASY_SIM_SPEED"] = "2"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        command = [sys.executable, "-m", "speakeasy_tui", "run", "recordings", *SIM, *more]
        os.execve(sys.executable, command, environment | {"TERM": "xterm"})
    try:
        deadline = time.monotonic() + 20
        while json.loads(speakeasy("runner", "status", "--json").stdout)["counts"]["running"] == 0:
            assert time.monotonic() < deadline
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    assert json.loads(speakeasy("runner", "status", "--json").stdout)["state"] == "running"
