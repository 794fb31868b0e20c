"""A scripted runner: speaks the real protocol over a socketpair, keeps what it was asked.

It stands in for the runner process where a test is about the window alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from speakeasy_tui.client.link import Link, NoRunner
from speakeasy_tui.core import protocol as p
from speakeasy_tui.core.job import (
    Attempt,
    Batch,
    ErrorKind,
    Job,
    JobError,
    JobWarning,
    Lane,
    LaneState,
    RunnerState,
    State,
)
from speakeasy_tui.core.lines import encode
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions, Settings
from speakeasy_tui.core.transcript import Chunk, Segment
from speakeasy_tui.tui.app import SpeakeasyApp

GB = 1024**3


class ScriptedRunner:
    """Tells the rows it was given, answers every request with what `answers` says, else Ok."""

    def __init__(self, jobs: list[Job], batch: Batch, lanes: list[Lane]) -> None:
        self.jobs = {job.id: job for job in jobs}
        self.batch = batch
        self.lanes = lanes
        self.asked: list[p.AnyRequest] = []
        self.options: dict[int, JobOptions] = {}
        """What is asked of rows, where it is not what is asked of all others."""
        self.answers: dict[type, Callable[[Any], p.AnyMessage]] = {}
        self.connections = 0
        self.refuse_connections = False
        self.queue = ""
        """What it calls its queue."""
        self._socket: socket.socket | None = None
        self._writing = threading.Lock()

    def connect(self) -> Link:
        """What the window is given as its connect factory."""
        if self.refuse_connections:
            raise NoRunner("no runner at /home/ana/.local/state/speakeasy: Connection refused")
        ours, theirs = socket.socketpair()
        self.connections += 1
        self._socket = ours
        threading.Thread(target=self._serve, args=(ours,), daemon=True).start()
        return Link.over(theirs)

    def tell(self, *messages: p.AnyMessage) -> None:
        """Push messages."""
        assert self._socket is not None
        with self._writing:
            for message in messages:
                self._socket.sendall(encode(message))

    def change(self, *jobs: Job) -> None:
        """Push rows."""
        self.jobs.update((job.id, job) for job in jobs)
        self.tell(p.Rows(jobs=list(jobs)))

    def pulse(self) -> None:
        """Push the batch and lanes."""
        self.tell(p.Pulse(batch=self.batch, lanes=self.lanes))

    def hang_up(self) -> None:
        """Go away, as a killed runner does."""
        assert self._socket is not None
        self._socket.shutdown(socket.SHUT_RDWR)

    def asked_of(self, kind: type) -> list[Any]:
        """Requests of a kind that have arrived."""
        return [request for request in self.asked if isinstance(request, kind)]

    def _serve(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                request = p.request_decoder.decode(line)
                self.asked.append(request)
                with self._writing:
                    for answer in self._answers(request):
                        sock.sendall(encode(answer))

    def _answers(self, request: Any) -> Iterator[p.AnyMessage]:
        if type(request) in self.answers:
            answer = self.answers[type(request)](request)
            answer.seq = request.seq
            yield answer
            return
        match request:
            case p.Hello():
                yield p.Welcome(
                    seq=request.seq,
                    version=p.VERSION,
                    program="0",
                    pid=1,
                    home="/home",
                    queue=self.queue,
                )
            case p.Subscribe():
                yield p.Ok(seq=request.seq)
                rows = list(self.jobs.values())
                for first in range(0, len(rows), 500):
                    yield p.Rows(jobs=rows[first : first + 500])
                yield p.Rows(jobs=[], synced=True)
                yield p.Pulse(batch=self.batch, lanes=self.lanes)
            case p.GetOptions():
                options = dict.fromkeys(self.options_of(job) for job in request.ids)
                yield p.Options(seq=request.seq, options=list(options))
            case p.GetDetail():
                yield self.detail(request)
            case p.Add():
                yield p.Added(seq=request.seq, ids=[1, 2])
            case _:
                count = len(getattr(request, "ids", []))
                yield p.Ok(seq=request.seq, count=count, undo=self._undo(request))

    def _undo(self, request: Any) -> p.Undo | None:
        """What takes `request` back, had it been done."""
        states = {job: self.jobs[job].state for job in getattr(request, "ids", [])}
        match request:
            case p.Hold():
                return p.Release(ids=request.ids)
            case p.Release():
                return p.Hold(ids=request.ids)
            case p.Remove():
                return p.Restore(ids=request.ids)
            case p.Cancel():
                waited = [job for job, state in states.items() if state is not State.RUNNING]
                held = [job for job in waited if states[job] is State.HELD]
                return p.Uncancel(ids=waited, held=held) if waited else None
            case p.Move() | p.ToEnd():
                return p.Place(ids=request.ids, positions=[self.jobs[n].position for n in states])
            case _:
                return None

    def options_of(self, job: int) -> JobOptions:
        """What is asked of a row."""
        return self.options.get(job, JobOptions(language="de", beam_size=1))

    def detail(self, request: p.GetDetail) -> p.Detail:
        """One job, opened: two tries and two parts of a transcript."""
        job = self.jobs[request.id]
        failed = job.error is not None
        attempts = [
            Attempt(
                number=1,
                series=1,
                started=1_760_000_000.0,
                ended=1_760_000_042.5,
                device="cuda:0",
                outcome="cuda",
                message="CUDA failed with error an illegal memory access was encountered",
                detail="engine 4711: signal 6 (SIGABRT)\nterminate called [recursively]",
                charged=True,
            ),
            Attempt(
                number=2,
                series=1,
                started=1_760_000_050.0,
                ended=1_760_000_090.0 if failed else None,
                device="cuda:0",
                outcome=job.error.kind.value if job.error else "running",
            ),
        ]
        chunks = [] if failed else [chunk(0), chunk(1)]
        return p.Detail(
            seq=request.seq,
            job=job,
            options=self.options_of(request.id),
            attempts=attempts,
            chunks=chunks,
            loudness="" if failed else STRIP,
        )


SPOKEN = (
    "We started recording the bells in nineteen seventy-four, before the tower was closed.",
    "The first reel is almost unusable, because nobody had told us about the wind.",
    "Then someone lent us a blimp, and from there on the tapes are very clear.",
    "You can hear the swifts, and, quite far away, the harbour.",
)


STRIP = "0123cdeffeddc5400" * 8
"""How loud the opened recording is."""


def chunk(index: int) -> Chunk:
    """A part of a transcript with two segments."""
    start = index * 28.4
    first, second = SPOKEN[index * 2 % 4], SPOKEN[(index * 2 + 1) % 4]
    segments = (
        Segment(start=start, end=start + 13.0, text=f" {first}"),
        Segment(start=start + 14.0, end=start + 28.0, text=f" {second}"),
    )
    return Chunk(index=index, start=start, end=start + 28.0, segments=segments)


def recordings() -> list[Job]:
    """Fourteen rows, all states among them."""
    root = "/data/recordings"
    lengths = (1834.2, 3722.9, 412.0, 96.5, 5400.0, 2710.3, 640.8)
    names = (
        "interviews/1974/bells-tower-north-reel-01.flac",
        "interviews/1974/bells-tower-north-reel-02.flac",
        "interviews/1974/harbour-master.wav",
        "interviews/1981/Gespräch mit Frau Özdemir über die Werft.mp3",
        "interviews/1981/a-very-long-name-that-somebody-gave-to-a-recording-of-rain-part-2.m4a",
        "field/swifts-at-dusk.flac",
        "field/broken-download.mp3",
        "field/留守番電話-2019-03-11.wav",
        "field/harbour-fog-horn.flac",
        "notes/memo-001.ogg",
        "notes/memo-002.ogg",
        "notes/memo-003.ogg",
        "notes/memo-004.ogg",
        "notes/memo-005.ogg",
    )
    jobs = [
        Job(id=n, position=n, path=f"{root}/{name}", root=root, audio_s=lengths[n % 7])
        for n, name in enumerate(names, 1)
    ]
    done = {"state": State.DONE, "progress": 1.0, "attempts": 1, "speed": 98.4, "language": "en"}
    changes: list[dict[str, Any]] = [
        {**done, "message": "5 outputs"},
        {**done, "warnings": (JobWarning("incomplete_audio", "audio ends at 31:02 of 62:03"),)},
        {"state": State.SKIPPED, "message": "outputs are there already"},
        {**done, "language": "de", "speed": 112.7, "message": "5 outputs"},
        {"state": State.RUNNING, "progress": 0.62, "attempts": 2, "speed": 61.3, "eta_s": 33.0,
         "language": "en", "message": "second try after a CUDA error", "lane": 0},
        {"state": State.RUNNING, "progress": 0.07, "attempts": 1, "speed": 88.0, "eta_s": 7.4,
         "lane": 1, "message": "batch 24"},
        {"state": State.FAILED, "attempts": 1, "audio_s": None,
         "error": JobError(ErrorKind.INPUT, "not an audio file: moov atom not found",
                           "download it again, or try ffmpeg -i on it")},
        {"state": State.QUARANTINED, "attempts": 2,
         "error": JobError(ErrorKind.CRASH, "the engine died twice on this file (SIGSEGV)",
                           "it is kept out of the batch; r tries it once more")},
        {"state": State.HELD, "message": "held by you"},
        {"state": State.CANCELLED, "progress": 0.3},
        {}, {}, {}, {},
    ]  # fmt: skip
    for job, change in zip(jobs, changes, strict=True):
        for name, value in change.items():
            setattr(job, name, value)
    return jobs


def batch_of(jobs: list[Job], **changes: Any) -> Batch:
    """The batch that goes with `jobs`."""
    counts: dict[str, int] = {}
    for job in jobs:
        counts[job.state.value] = counts.get(job.state.value, 0) + 1
    batch = Batch(
        state=RunnerState.RUNNING,
        counts=counts,
        audio_s=75_600.0,
        whole_s=75_600.0,
        done_s=32_508.0,
        speed=149.3,
        eta_s=288.6,
    )
    for name, value in changes.items():
        setattr(batch, name, value)
    return batch


def two_lanes(engine: str = "real") -> list[Lane]:
    """Two GPUs, the first of which had to reload its model."""
    common: dict[str, Any] = {
        "state": LaneState.RUNNING,
        "model": "large-v3",
        "compute_type": "float16",
        "batch_size": 24,
        "name": "NVIDIA H200",
        "memory_total": 140 * GB,
        "engine": engine,
    }
    return [
        Lane(number=0, device="cuda:0", pid=100, reloads=1, use=0.97, memory_used=14 * GB,
             temperature=61, speed=61.3, why="float16: the GPU's fastest", **common),
        Lane(number=1, device="cuda:1", pid=101, use=0.88, memory_used=12 * GB,
             temperature=58, speed=88.0, why="float16: the GPU's fastest", **common),
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def fixed_surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test depends on this machine's time zone, colours or connection."""
    for name in ("NO_COLOR", "SSH_CONNECTION", "SSH_TTY", "SPEAKEASY_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home of its own."""
    return Home(state=tmp_path, config=tmp_path, cache=tmp_path / "cache")


@pytest.fixture
def runner() -> ScriptedRunner:
    """A scripted runner with fourteen rows and two GPUs."""
    jobs = recordings()
    return ScriptedRunner(jobs, batch_of(jobs), two_lanes())


def make_app(
    runner: ScriptedRunner, home: Home, settings: Settings | None = None, **arguments: Any
) -> SpeakeasyApp:
    """The window on `runner`, as ana@gpubox sees it."""
    app = SpeakeasyApp(
        runner.connect, home, settings or Settings(), identity="ana@gpubox", **arguments
    )
    app.home_name = ""
    return app


async def until(what: Callable[[], object], pilot: Pilot[Any], seconds: float = 5.0) -> None:
    """Wait until `what` is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)
        await pilot.pause()


async def ready(app: SpeakeasyApp, pilot: Pilot[Any]) -> None:
    """Wait for the first full picture."""
    await until(lambda: app.synced and app.batch is not None, pilot)
    await pilot.pause()


def screen_text(app: SpeakeasyApp) -> str:
    """What stands on the screen, as plain text."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join(strip.text[:width] for strip in lines[:height])
