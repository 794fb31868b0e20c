"""A runner that lingers and was started with other settings or variables than hold now."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from speakeasy_tui.client.launch import attach
from speakeasy_tui.core.paths import Home
from tests.cli.conftest import Speakeasy, write_wav
from tests.tui.test_terminal import Terminal

SIM = ("--engine", "sim", "-f", "txt", "--output-dir", "out")
FAULT = {"SPEAKEASY_FAULTS": "abort:*b.wav"}


def pid(speakeasy: Speakeasy) -> int:
    return int(json.loads(speakeasy("runner", "status", "--json").stdout)["pid"])


def attempts(speakeasy: Speakeasy) -> dict[str, int]:
    rows = map(json.loads, speakeasy("status", "--json").stdout.splitlines())
    return {Path(row["path"]).name: row["attempts"] for row in rows}


@pytest.mark.parametrize("before", [{}, {"CUDA_VISIBLE_DEVICES": "1"}], ids=["none", "others"])
def test_a_run_is_done_with_the_variables_that_it_is_given(
    speakeasy: Speakeasy, tmp_path: Path, before: dict[str, str]
) -> None:
    write_wav(tmp_path / "a.wav")
    write_wav(tmp_path / "b.wav")
    assert speakeasy("run", "a.wav", *SIM, env=before).returncode == 0
    first = pid(speakeasy)
    assert speakeasy("run", "b.wav", *SIM, env=FAULT).returncode == 0
    assert attempts(speakeasy) == {"a.wav": 1, "b.wav": 2}
    assert pid(speakeasy) != first


def test_a_window_is_opened_with_the_variables_that_it_is_given(
    speakeasy: Speakeasy, environment: dict[str, str], tmp_path: Path
) -> None:
    write_wav(tmp_path / "a.wav")
    write_wav(tmp_path / "b.wav")
    assert speakeasy("run", "a.wav", *SIM).returncode == 0
    program = (sys.executable, "-m", "speakeasy_tui", str(tmp_path / "b.wav"), *SIM[:-1])
    terminal = Terminal(*program, str(tmp_path / "out"), **(environment | FAULT))
    try:
        terminal.read_until(lambda output: b"the batch has ended" in output, 30)
    finally:
        terminal.close()
    assert attempts(speakeasy) == {"a.wav": 1, "b.wav": 2}


def test_settings_of_the_runner_hold_for_the_next_run_those_of_files_need_no_other_runner(
    speakeasy: Speakeasy, tmp_path: Path
) -> None:
    write_wav(tmp_path / "a.wav")
    assert speakeasy("run", "a.wav", *SIM).returncode == 0
    first = pid(speakeasy)
    for key, value in (("language", "de"), ("theme", "tape"), ("format", "srt")):
        assert speakeasy("config", "set", key, value).returncode == 0
        assert speakeasy("run", "a.wav", *SIM[:2], "--output-dir", key).returncode == 0
        assert pid(speakeasy) == first, key
    assert speakeasy("config", "set", "max_attempts", "1").returncode == 0
    write_wav(tmp_path / "b.wav")
    env = {"SPEAKEASY_FAULTS": "kill:*b.wav"}
    assert speakeasy("run", "b.wav", *SIM, env=env).returncode == 1
    assert attempts(speakeasy)["b.wav"] == 1


def test_a_runner_that_works_for_somebody_is_left_alone(
    speakeasy: Speakeasy, environment: dict[str, str], tmp_path: Path
) -> None:
    write_wav(tmp_path / "a.wav", 600.0)
    write_wav(tmp_path / "b.wav")
    slow = environment | {"SPEAKEASY_SIM_SPEED": "100"}
    command = [sys.executable, "-m", "speakeasy_tui", "run", "a.wav", *SIM, "--json"]
    with subprocess.Popen(command, cwd=tmp_path, env=slow, stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        for line in one.stdout:
            if json.loads(line)["event"] == "started":
                break
        first = pid(speakeasy)
        speakeasy("run", "b.wav", *SIM, env=FAULT)
        assert pid(speakeasy) == first
        rest = [json.loads(line)["event"] for line in one.stdout]
    assert one.returncode == 0 and "done" in rest and "retry" not in rest
    assert attempts(speakeasy) == {"a.wav": 1, "b.wav": 1}


def test_a_pause_outlives_a_change_of_variables(
    speakeasy: Speakeasy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert speakeasy("runner", "start").returncode == 0
    assert speakeasy("pause").returncode == 0
    first = pid(speakeasy)
    monkeypatch.setenv("SPEAKEASY_FAULTS", "abort:*")
    link = attach(Home.find(tmp_path / "home"))  # as a window does
    assert link.welcome.pid == first
    link.close()
    assert json.loads(speakeasy("runner", "status", "--json").stdout)["state"] == "paused"
    assert speakeasy("resume").returncode == 0
    link = attach(Home.find(tmp_path / "home"))
    assert link.welcome.pid != first
    link.close()
