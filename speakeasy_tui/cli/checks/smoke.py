"""A short recording through a real engine process, as the runner would do it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from speakeasy_tui.cli.checks import Check, error, ok, warning
from speakeasy_tui.cli.say import times
from speakeasy_tui.core.engineprotocol import (
    AnyReport,
    ChunkDone,
    Command,
    Failed,
    Fault,
    Finished,
    Load,
    Loaded,
    LoadFailed,
    Opened,
    Transcribe,
    report_decoder,
)
from speakeasy_tui.core.lines import encode
from speakeasy_tui.core.models import LocalModel
from speakeasy_tui.core.settings import JobOptions

TIMEOUT = 120.0
"""Seconds for loading, and again for the recording."""
SAMPLE = "evening-list"
"""A few seconds of plain speech."""


HINT = "--device cpu works without a GPU; the whole story: speakeasy run, then its logs"


class _ProblemError(Exception):
    """The smoke run cannot go on."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint or HINT


def smoke(device: str, compute_type: str, model: LocalModel | None) -> Iterator[Check]:
    """Load `model`, transcribe one bundled recording, say how fast that was."""
    from speakeasy_tui.samples import sample_folder

    if model is None:
        hint = "speakeasy models get small, then speakeasy doctor"
        yield warning("smoke", "not run: no model on this machine", hint)
        return
    sample = next(iter(sorted(sample_folder().rglob(f"{SAMPLE}.*"))), None)
    if sample is None:
        yield warning("smoke", "not run: the bundled recording is missing", "reinstall the program")
        return
    with tempfile.TemporaryFile() as log:
        try:
            yield from _through_engine(device, compute_type, model, sample, log.fileno())
        except _ProblemError as problem:
            log.seek(0)
            said = log.read().decode("utf-8", "replace").strip().splitlines()[-1:]
            text = f"{model.name} on {device}: {problem}"
            if said and str(problem) not in said[0]:
                text += f" ({said[0]})"
            yield error("smoke", text, problem.hint)


def _through_engine(
    device: str, compute_type: str, model: LocalModel, sample: Path, log: int
) -> Iterator[Check]:
    begun = time.monotonic()
    engine = subprocess.Popen(
        [sys.executable, "-P", "-m", "speakeasy_tui.engine", "--engine", "real"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env={name: text for name, text in os.environ.items() if name != "SPEAKEASY_FAULTS"},
    )
    try:
        reports = _reports(engine)
        load = Load(
            model=str(model.path), name=model.name, device=device, compute_type=compute_type
        )
        _send(engine, load)
        loaded = _await(reports, (Loaded, LoadFailed))
        if isinstance(loaded, LoadFailed):
            raise _ProblemError(loaded.text, loaded.hint)
        assert isinstance(loaded, Loaded)
        ready = time.monotonic()
        where = f"{loaded.device} ({loaded.compute_type})"
        yield ok("load", f"{model.name} on {where} loaded in {ready - begun:.1f} s")
        options = JobOptions(language="en" if ".en" in model.name else "auto")
        _send(engine, Transcribe(job=1, attempt=1, path=os.fsencode(sample), options=options))
        audio_s, said = 0.0, ""
        while True:
            report = _await(reports, (Opened, ChunkDone, Finished, Failed, Fault))
            match report:
                case Opened():
                    audio_s = report.audio_s
                case ChunkDone():
                    said += "".join(segment.text for segment in report.chunk.segments)
                case Finished():
                    break
                case Failed() | Fault():
                    raise _ProblemError(report.text)
        took = time.monotonic() - ready
        speed = times(audio_s / max(took, 1e-3))
        text = f"{sample.name}: {audio_s:.1f} s of audio in {took:.1f} s, {speed} real time"
        if said.strip():
            yield ok("smoke", text)
        else:
            yield error("smoke", f"{text}, but no words came out", "another model or compute type")
    finally:
        engine.kill()
        engine.wait(5)


def _send(engine: subprocess.Popen[bytes], command: Command) -> None:
    assert engine.stdin is not None
    try:
        engine.stdin.write(encode(command))
        engine.stdin.flush()
    except BrokenPipeError:
        raise _ProblemError("the engine process ended") from None


def _reports(engine: subprocess.Popen[bytes]) -> Iterator[AnyReport]:
    """The engine's reports; ends by `_ProblemError` when it dies or is silent too long."""
    assert engine.stdout is not None
    descriptor = engine.stdout.fileno()
    buffer = b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], TIMEOUT)
        data = os.read(descriptor, 1 << 16) if ready else b""
        if not ready:
            raise _ProblemError(f"silent for {TIMEOUT:.0f} s")
        if not data:
            raise _ProblemError(f"the engine process ended with status {engine.wait(5)}")
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            try:
                yield report_decoder.decode(line)
            except msgspec.DecodeError as problem:
                raise _ProblemError(f"the engine said what is not understood: {problem}") from None


def _await(reports: Iterator[AnyReport], kinds: tuple[type, ...]) -> AnyReport:
    """The next report of one of `kinds`."""
    end = time.monotonic() + TIMEOUT
    for report in reports:
        if isinstance(report, kinds):
            return report
        if time.monotonic() > end:
            break
    raise _ProblemError(f"not done in {TIMEOUT:.0f} s")
