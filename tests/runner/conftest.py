"""A home with a real runner process, driven over its socket as a client would."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from speakeasy_tui.client.launch import attach
from speakeasy_tui.client.link import Link, LinkError
from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import FINAL_STATES, Job
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions


class Desk:
    """A client with the habits tests need: wait for states, remember events."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.events: list[say.Event] = []
        self.link = self._attach()

    def _attach(self) -> Link:
        link = attach(self.home)
        link.request(say.Subscribe(events=True))
        return link

    @property
    def pid(self) -> int:
        return self.link.welcome.pid

    def again(self) -> None:
        """Connect anew, starting a runner if there is none."""
        self.link.close()
        self.link = self._attach()

    def add(
        self, *paths: Path | bytes, start: bool = True, root: Path | None = None, **options: object
    ) -> list[int]:
        options = {"engine": "sim"} | options
        sources = [
            say.Source(os.fsencode(path), os.fsencode(root) if root else b"") for path in paths
        ]
        answer = self.link.request(
            say.Add(sources=sources, options=JobOptions(**options), start=start)
        )
        assert isinstance(answer, say.Added)
        return answer.ids

    def ask(self, request: say.AnyRequest) -> say.AnyMessage:
        return self.link.request(request)

    def jobs(self) -> dict[str, Job]:
        answer = self.ask(say.GetJobs())
        assert isinstance(answer, say.Jobs)
        return {Path(job.path).name: job for job in answer.jobs}

    def job(self, number: int) -> Job:
        answer = self.ask(say.GetJobs(ids=[number]))
        assert isinstance(answer, say.Jobs)
        return answer.jobs[0]

    def status(self) -> say.Status:
        answer = self.ask(say.GetStatus())
        assert isinstance(answer, say.Status)
        return answer

    def collect(self, seconds: float = 0.3) -> list[say.Event]:
        """Read what is pushed until `seconds` bring nothing."""
        while (message := self.link.read(seconds)) is not None:
            if isinstance(message, say.Event):
                self.events.append(message)
        return self.events

    def finish(self, timeout: float = 60.0) -> dict[str, Job]:
        """Wait until every job is final; returns them by name."""
        deadline = time.monotonic() + timeout
        while True:
            jobs = self.jobs()
            if jobs and all(job.state in FINAL_STATES for job in jobs.values()):
                self.collect(0.2)
                return self.jobs()
            assert time.monotonic() < deadline, {n: (j.state, j.message) for n, j in jobs.items()}
            time.sleep(0.05)

    def until(self, condition: object, timeout: float = 20.0) -> None:
        """Wait until `condition()` is true."""
        deadline = time.monotonic() + timeout
        while not condition():  # type: ignore[operator]
            assert time.monotonic() < deadline, self.jobs()
            time.sleep(0.02)

    def kinds(self, name: str | None = None) -> list[str]:
        """Names of the events seen, progress left out; of one file, or all."""
        return [
            event.event
            for event in self.events
            if event.event != "progress"
            and (name is None or (event.job is not None and Path(event.job.path).name == name))
        ]

    def kill(self) -> None:
        """SIGKILL the runner and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        wait_gone(self.pid)

    def close(self) -> None:
        """End the runner; one that does not answer or does not end is an error."""
        with contextlib.suppress(LinkError):  # gone already, or soon
            self.link.request(say.Shutdown(), 5)
        self.link.close()
        wait_gone(self.pid)


def wait_gone(pid: int, timeout: float = 15.0) -> None:
    """Wait until a process that may be our child has ended."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} is still there")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in list(os.environ):
        if name.startswith("SPEAKEASY_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "400")
    home = Home.find(tmp_path / "home")
    home.make()
    return home


@pytest.fixture
def desk(home: Home) -> Iterator[Desk]:
    """A client of a fresh runner. Set environment variables before using it."""
    desk = Desk(home)
    yield desk
    desk.close()


def silence(path: Path, seconds: float = 2.0) -> Path:
    """A quiet wav file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"\0\0" * int(16000 * seconds))
    return path


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder of ten short recordings in two subfolders."""
    folder = tmp_path / "clips"
    for number in range(10):
        silence(folder / ("a" if number % 2 else "b") / f"clip-{number}.wav", 1.5 + number / 4)
    return folder


def promise(path: Path, seconds: float) -> Path:
    """A wav file whose header tells of so many seconds, most of which are not there."""
    data = int(seconds * 32_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    header = b"RIFF" + struct.pack("<I", 36 + data) + b"WAVEfmt "
    header += struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    path.write_bytes(header + b"data" + struct.pack("<I", data) + os.fsencode(path))
    return path
