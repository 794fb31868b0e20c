"""add, status, rerun, hold, release, cancel, pause, resume, stop, runner."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SIM = ("--engine", "sim", "--output-dir", "out")
STATES = {"queued", "held", "running", "done", "skipped", "failed", "quarantined", "cancelled"}


def states(speakeasy, *args: str) -> list[str]:
    shown = speakeasy("status", "--json", *args).stdout
    return [json.loads(line)["state"] for line in shown.splitlines()]


def lives(pid: int) -> bool:
    """An orphan that nobody has reaped yet has ended all the same."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_status_of_an_empty_home_makes_nothing_and_starts_nothing(
    speakeasy, tmp_path: Path
) -> None:
    assert speakeasy("status", "--json").stdout == ""
    done = speakeasy("status")
    assert done.returncode == 0
    assert "0 files" in done.stdout
    told = json.loads(speakeasy("runner", "status", "--json").stdout)
    assert told == {
        "pid": None,
        "home": str(tmp_path / "home"),
        "state": "stopped",
        "why": None,
        "lanes": [],
        "counts": dict.fromkeys(STATES, 0),
    }
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", [["pause"], ["resume"], ["stop"], ["runner", "stop"]])
def test_without_a_runner_there_is_nothing_to_stop(speakeasy, command: list[str]) -> None:
    done = speakeasy(*command)
    assert done.returncode == 0
    assert "no runner" in done.stdout


def test_add_queues_and_starts_no_work(speakeasy, recordings: Path) -> None:
    done = speakeasy("add", "recordings", *SIM)
    assert done.returncode == 0
    assert "queued 3 files (ids 1-3)" in done.stdout
    assert "speakeasy runner start" in done.stdout
    assert states(speakeasy) == ["queued"] * 3
    told = json.loads(speakeasy("runner", "status", "--json").stdout)
    assert told["state"] == "stopped"
    assert isinstance(told["pid"], int)
    assert told["counts"].keys() == STATES
    assert told["counts"]["queued"] == 3
    assert "3 already in the queue" in speakeasy("add", "recordings", *SIM).stdout


def test_rows_can_be_held_released_cancelled_and_rerun_by_id(speakeasy, recordings: Path) -> None:
    speakeasy("add", "recordings", *SIM)
    assert "1 job held" in speakeasy("hold", "1").stdout
    assert states(speakeasy) == ["held", "queued", "queued"]
    assert "1 job released" in speakeasy("release", "1").stdout
    assert "2 jobs cancelled" in speakeasy("cancel", "1", "2").stdout
    assert states(speakeasy, "--state", "cancelled") == ["cancelled", "cancelled"]
    assert "1 job queued again" in speakeasy("rerun", "2").stdout
    assert "1 left as it was: its state" in speakeasy("rerun", "1", "3").stdout
    assert states(speakeasy) == ["queued", "queued", "queued"]


@pytest.mark.parametrize("command", ["rerun", "hold", "release", "cancel"])
def test_an_unknown_id_changes_nothing(speakeasy, recordings: Path, command: str) -> None:
    speakeasy("add", "recordings", *SIM)
    done = speakeasy(command, "1", "77")
    assert done.returncode == 2
    assert "77" in done.stderr
    assert states(speakeasy) == ["queued"] * 3


@pytest.mark.parametrize("command", ["rerun", "hold", "release", "cancel"])
def test_an_id_that_no_queue_can_have_is_wrong_usage_and_no_internal_error(
    speakeasy, recordings: Path, command: str
) -> None:
    speakeasy("add", "recordings", *SIM)
    done = speakeasy(command, str(2**63))
    assert done.returncode == 2
    assert "internal error" not in done.stderr and str(2**63) in done.stderr
    done = speakeasy(command, "77", "77")
    assert "no job with the id 77;" in done.stderr


def test_the_queue_is_read_without_a_runner_and_started_by_one(
    speakeasy, recordings: Path, tmp_path: Path
) -> None:
    speakeasy("add", "recordings", *SIM)
    pid = json.loads(speakeasy("runner", "status", "--json").stdout)["pid"]
    assert "has ended" in speakeasy("runner", "stop").stdout
    assert not lives(pid)
    assert states(speakeasy) == ["queued"] * 3
    assert json.loads(speakeasy("runner", "status", "--json").stdout)["pid"] is None
    done = speakeasy("runner", "start")
    assert "pid" in done.stdout
    done = speakeasy("run", "recordings", *SIM)
    assert done.returncode == 0
    assert set(states(speakeasy)) <= {"done", "skipped"}


def test_pause_and_resume_are_told_by_runner_status(speakeasy, recordings: Path) -> None:
    speakeasy("runner", "start")
    assert "paused" in speakeasy("pause").stdout
    told = json.loads(speakeasy("runner", "status", "--json").stdout)
    assert told["state"] == "paused"
    assert told["why"]["kind"] == "person"
    assert "the queue is paused; go on" in speakeasy("add", "recordings", *SIM).stdout
    assert re.search(r"runner: paused \(pid \d+\); resume", speakeasy("status").stdout)
    assert states(speakeasy) == ["queued"] * 3
    assert "resumed" in speakeasy("resume").stdout
    told = json.loads(speakeasy("runner", "status", "--json").stdout)
    assert told["state"] in {"running", "idle"}
    assert told["why"] is None


def kill_runner(speakeasy) -> None:
    """SIGKILL it, and wait until nobody answers: its last thread may take a moment."""
    os.kill(json.loads(speakeasy("runner", "status", "--json").stdout)["pid"], signal.SIGKILL)
    while '"pid":null' not in speakeasy("runner", "status", "--json").stdout:
        time.sleep(0.02)


@pytest.fixture
def cut_off(speakeasy, environment, recordings: Path, tmp_path: Path) -> Path:
    """Three recordings in a queue whose runner was killed while it worked on them."""
    slow = environment | {"SPEAKEASY_SIM_SPEED": "0.5"}
    command = [sys.executable, "-m", "speakeasy_tui", "run", "recordings", *SIM]
    with subprocess.Popen(command, cwd=tmp_path, env=slow, stdout=subprocess.DEVNULL) as run:
        while "running" not in states(speakeasy):
            time.sleep(0.05)
        run.kill()
    kill_runner(speakeasy)
    environment["SPEAKEASY_SIM_SPEED"] = "0.5"
    return recordings


def test_status_tells_that_the_runner_was_cut_off_and_how_to_go_on(speakeasy, cut_off) -> None:
    shown = speakeasy("status").stdout
    assert "runner: stopped" in shown
    assert "cut off at work; go on: speakeasy runner start" in shown


@pytest.mark.parametrize(
    "command", ["add b.wav", "hold 2", "cancel 2", "rerun 2", "rerun --failed"]
)
def test_after_a_crash_no_command_but_a_start_sets_the_batch_going(
    speakeasy, cut_off: Path, command: str
) -> None:
    (cut_off.parent / "b.wav").write_bytes((cut_off / "a.wav").read_bytes())
    done = speakeasy(*command.split(), *(SIM if command.startswith("add") else ()))
    assert done.returncode == 0, done.stderr
    told = json.loads(speakeasy("runner", "status", "--json").stdout)
    assert told["state"] == "stopped"
    assert told["counts"]["running"] == 0
    assert "an earlier runner was cut off" in speakeasy("status").stdout
    speakeasy("runner", "start")
    assert json.loads(speakeasy("runner", "status", "--json").stdout)["state"] == "running"


@pytest.mark.parametrize("command", [["pause"], ["stop"], ["stop", "--now"]])
def test_a_pause_after_a_crash_is_kept_for_the_next_runner(
    speakeasy, cut_off: Path, command: list[str]
) -> None:
    done = speakeasy(*command)
    assert done.returncode == 0
    assert "speakeasy resume" in done.stdout
    kill_runner(speakeasy)
    assert "runner: stopped" in speakeasy("status").stdout
    assert "resume" in speakeasy("status").stdout
    assert "the queue is paused" in speakeasy("add", "recordings", *SIM, "-f", "txt").stdout
    assert set(states(speakeasy)) == {"queued"}
    assert speakeasy("resume").stdout == "resumed\n"
    assert json.loads(speakeasy("runner", "status", "--json").stdout)["state"] == "running"


def test_a_pause_is_lifted_where_the_runner_has_ended_meanwhile(speakeasy, cut_off) -> None:
    speakeasy("resume")
    assert json.loads(speakeasy("runner", "status", "--json").stdout)["state"] == "running"


@pytest.fixture
def hung(speakeasy) -> Iterator[int]:
    """A runner that was stopped by a signal, as a hung one would be; its pid."""
    speakeasy("runner", "start")
    pid = json.loads(speakeasy("runner", "status", "--json").stdout)["pid"]
    os.kill(pid, signal.SIGSTOP)
    yield pid
    os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("command", ["status", "stop", "runner stop"])
def test_a_runner_that_does_not_answer_is_named_with_what_to_do(
    speakeasy, hung: int, command: str
) -> None:
    done = speakeasy(*command.split())
    assert done.returncode == 3
    assert f"the runner (pid {hung}) did not answer" in done.stderr
    assert f"nothing is lost: kill -9 {hung}" in done.stderr


def test_the_note_of_a_lane_that_is_lost_is_why_not_what_its_model_is(
    speakeasy, recordings: Path
) -> None:
    offline = {"HF_ENDPOINT": "http://127.0.0.1:9", "no_proxy": "*"}
    faulty = {"SPEAKEASY_FAULTS": "device:*:99"}
    done = speakeasy("run", "recordings/a.wav", "-o", "out", env=offline | faulty)
    assert done.returncode == 3
    assert "retired" in (lane := speakeasy("runner", "status").stdout.splitlines()[-1])
    assert "no CUDA-capable device" in lane
    assert "not to be had" not in lane


def test_the_table_of_status_is_aligned_and_safe(speakeasy, recordings: Path) -> None:
    strange = recordings / "a\x1b[31mred\n.wav"
    strange.write_bytes((recordings / "a.wav").read_bytes())
    speakeasy("add", "recordings", *SIM)
    lines = speakeasy("status").stdout.splitlines()
    assert lines[0].split()[:2] == ["ID", "STATE"]
    column = lines[0].index("FILE")
    assert all(line[column] == "/" for line in lines[1:5])
    assert "a\\e[31mred\\n.wav" in lines[1] + lines[2]
