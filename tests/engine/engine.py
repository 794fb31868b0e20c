"""A real engine process, driven as the runner drives it."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from speakeasy_tui.core.engineprotocol import (
    AnyReport,
    ChunkDone,
    Failed,
    Fault,
    Finished,
    Load,
    Loaded,
    LoadFailed,
    Opened,
    Quit,
    Ready,
    Transcribe,
    report_decoder,
)
from speakeasy_tui.core.lines import encode
from speakeasy_tui.core.models import starter
from speakeasy_tui.core.protocol import Chunk
from speakeasy_tui.core.settings import JobOptions

T = TypeVar("T")
SAMPLES = Path(__file__).parents[2] / "speakeasy_tui" / "samples"
SHELF = SAMPLES / "notes" / "shelf-count.wav"
LIST = SAMPLES / "notes" / "evening-list.flac"
RIVER = SAMPLES / "field" / "river-bank.mp3"
LIGHTHOUSE = SAMPLES / "interviews" / "lighthouse-keeper.ogg"
RADIO = SAMPLES / "interviews" / "radio-repair.mp3"


class Engine:
    """Starts ``python -m speakeasy_tui.engine`` and collects what it says."""

    def __init__(self, kind: str, log: Path, cwd: Path | None = None, **environment: str) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SPEAKEASY_")}
        self.log = log
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "speakeasy_tui.engine", "--engine", kind],
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=clean | environment,
            )
        self.kind = kind
        self.reports: list[AnyReport] = []
        self._queue: queue.Queue[AnyReport | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(report_decoder.decode(line))
        self._queue.put(None)

    def send(self, command: msgspec.Struct) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(encode(command))
        self.process.stdin.flush()

    def wait_for(
        self, kind: type[T], where: Callable[[T], bool] = lambda _: True, timeout: float = 60
    ) -> T:
        """The next report of that kind; all that come by are kept in `reports`."""
        deadline = time.monotonic() + timeout
        while True:
            report = self._queue.get(timeout=max(0.01, deadline - time.monotonic()))
            assert report is not None, f"the engine ended; its log: {self.log.read_text()[-2000:]}"
            self.reports.append(report)
            if isinstance(report, kind) and where(report):
                return report

    def load(self, **more: Any) -> Loaded:
        self.wait_for(Ready)
        self.send(load_command(**more))
        report = self.wait_for((Loaded, LoadFailed))  # type: ignore[arg-type]
        assert isinstance(report, Loaded), report
        return report

    def transcribe(self, job: int, path: Path | bytes, **more: Any) -> None:
        options = JobOptions(**more.pop("options", {}))
        more.setdefault("attempt", 1)
        raw = path if isinstance(path, bytes) else os.fsencode(path)
        self.send(Transcribe(job=job, path=raw, options=options, **more))

    def end_of(self, job: int) -> Finished | Failed | Fault:
        """How a file ends."""
        return self.wait_for(
            (Finished, Failed, Fault),  # type: ignore[arg-type]
            lambda report: (
                job == getattr(report, "job", None) or job in getattr(report, "jobs", ())
            ),
        )

    def said(self, kind: type[T], job: int) -> list[T]:
        return [r for r in self.reports if isinstance(r, kind) and getattr(r, "job", 0) == job]

    def chunks(self, job: int) -> list[Chunk]:
        return sorted((r.chunk for r in self.said(ChunkDone, job)), key=lambda c: c.index)

    def text(self, job: int) -> str:
        return "".join(s.text for chunk in self.chunks(job) for s in chunk.segments).strip()

    def opened(self, job: int) -> Opened:
        return self.said(Opened, job)[-1]

    def status(self, timeout: float = 20) -> int:
        """The exit status of a process that ends by itself."""
        return self.process.wait(timeout)

    def quit(self) -> int:
        self.send(Quit())
        return self.status()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def load_command(**more: Any) -> Load:
    given: dict[str, Any] = {
        "name": "tiny.en",
        "device": "cpu",
        "compute_type": "auto",
        "cpu_threads": 1,
    }
    if "model" not in more:
        model = starter()
        assert model is not None
        given["model"] = str(model.path)
    return Load(**(given | more))


def write_wav(path: Path | bytes, samples: Sequence[int] | bytes, rate: int = 16_000) -> None:
    """Int16 mono samples as a wav file."""
    data = (
        samples
        if isinstance(samples, bytes)
        else b"".join(int(s).to_bytes(2, "little", signed=True) for s in samples)
    )
    with open(path, "wb") as file, wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(data)
