"""Real commands in a home of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Speakeasy = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment without this machine's own settings and models."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SPEAKEASY_")}
    kept |= {
        "SPEAKEASY_HOME": str(tmp_path / "home"),
        "SPEAKEASY_SIM_SPEED": "5000",
        "HOME": str(tmp_path),
        "HF_HOME": str(tmp_path / "hf"),
        "LC_ALL": "C.UTF-8",
    }
    return kept


@pytest.fixture
def speakeasy(tmp_path: Path, environment: dict[str, str]) -> Iterator[Speakeasy]:
    """Runs the command; a runner it has started ends with the test."""

    def run(
        *args: str | bytes,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        cwd: Path | bytes = tmp_path,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "speakeasy_tui", *args],
            input=stdin,
            capture_output=True,
            cwd=cwd,
            env=environment | (env or {}),
            timeout=60,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    yield run
    if (tmp_path / "home" / "runner.lock").exists():
        run("runner", "stop")


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with three short recordings, one below another folder."""
    folder = tmp_path / "recordings"
    for name in ("a.wav", "b.wav", "deep/a.wav"):
        write_wav(folder / name)
    return folder


def write_wav(path: Path, seconds: float = 4.0) -> None:
    """Silence, 8 kHz, mono."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(int(16000 * seconds)))
