"""The simulated engine: the protocol, the pace and the faults, without a model.

For load tests, screenshots and planning; never a default. It imports neither av nor numpy,
reads no audio, and every text it makes begins with ``[simulated]``.
"""

from __future__ import annotations

import math
import os
import time
import traceback
import wave
import zlib
from dataclasses import dataclass, field

from speakeasy_tui.core.engineprotocol import (
    Abandon,
    ChunkDone,
    Failed,
    Fault,
    Finished,
    FullBatch,
    Heard,
    Load,
    Loaded,
    LoadFailed,
    Opened,
    Progress,
    Quit,
    Reload,
    SetBatch,
    Shorten,
    Transcribe,
)
from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.core.text import printable, printable_lines
from speakeasy_tui.core.transcript import Chunk, Segment
from speakeasy_tui.engine.inject import BadSpec, Injector, Trap
from speakeasy_tui.engine.source import SourceError, check
from speakeasy_tui.engine.wire import Mailbox, Meter, Writer

BATCH = 4
CHUNK_S = 30.0
AHEAD = 2
"""Files opened before the ones in work are finished."""
DECODE_SPEED = 20.0
"""Decoding is this many times faster than the model."""
_SENTENCES = (
    "The tape runs and nobody is in the room.",
    "A number is read out, slowly, and then again.",
    "Somebody asks for the window to be closed.",
    "The last part is hard to hear.",
    "They agree to meet on Thursday.",
)


@dataclass
class SimFile:
    """One file in flight."""

    command: Transcribe
    trap: Trap
    audio_s: float = 0.0
    total: int = 0
    todo: list[Chunk] = field(default_factory=list)
    done: int = 0
    """Of `todo`."""
    work_s: float = 0.0
    """As a real engine tells it: seconds of its time, without those of other files."""
    begun: bool = False
    opened: bool = False

    @property
    def job(self) -> int:
        return self.command.job

    def shorten(self, until: float) -> None:
        """What starts there (s) or later is another engine's."""
        self.command.until = until
        self.todo = [chunk for chunk in self.todo if chunk.start < until]


def pretend_length(path: bytes, size: int) -> float:
    """Seconds: from a wav file's header, else 20–200 derived from size and name."""
    try:
        with wave.open(os.fsdecode(path), "rb") as header:
            return header.getnframes() / max(1, header.getframerate())
    except (wave.Error, EOFError, OSError):
        name = path.rpartition(b"/")[2]
        return 20.0 + zlib.crc32(name + str(size).encode()) % 1800 / 10.0


def pretend_chunk(name: str, index: int, start: float, end: float) -> Chunk:
    """A chunk with made-up segments of about six seconds; the first one names the file."""
    count = max(1, round((end - start) / 6.0))
    step = (end - start) / count
    segments: list[Segment] = []
    opening = f" [simulated] Part {index + 1} of {name.rpartition('/')[2]}."
    for number in range(count):
        sentence = _SENTENCES[(zlib.crc32(name.encode()) + index * 5 + number) % len(_SENTENCES)]
        segments.append(
            Segment(
                start=round(start + number * step, 3),
                end=round(start + (number + 1) * step, 3),
                text=f" [simulated] {sentence}" if number else opening,
                avg_logprob=-0.3,
                compression_ratio=1.2,
                no_speech_prob=0.01,
            )
        )
    return Chunk(index=index, start=start, end=end, segments=tuple(segments))


def pretend_loudness(name: str) -> str:
    """Made-up talk with pauses, as `engine.loudness` tells it; the window says so."""
    seed = zlib.crc32(name.encode())
    digits = []
    for place in range(120):
        swell = math.sin(place / 2.3 + seed) + math.sin(place / 7.1 + seed % 97)
        digits.append(f"{8 + 5 + round(swell):x}" if swell > -0.7 else str(round(2 + swell)))
    return "".join(digits)


class SimulatedEngine:
    """Obeys commands in one thread; works between them."""

    def __init__(self, mailbox: Mailbox, writer: Writer) -> None:
        self._mailbox = mailbox
        self._writer = writer
        self._meter = Meter()
        self._files: dict[int, SimFile] = {}
        self._batch_size = BATCH
        self._loaded: Load | None = None
        self._due = 0.0
        """When the model will be there (monotonic); 0: none is on the way."""
        self._begun = 0.0
        """When its loading began."""
        self._injector = Injector()
        self._waiting = False
        """After a fault, until the runner has said what now."""
        self._quit = False
        self._speed = 50.0

    def run(self) -> None:
        """Obey commands until `Quit`."""
        self._meter.report(self._writer)
        while not (self._quit and not self._files and not self._due):
            idle = self._waiting or not self._files or self._due > 0
            pause = max(0.0, self._due - time.monotonic()) if self._due else None
            for command in self._mailbox.take(wait=idle, timeout=pause):
                self._obey(command)
            if self._due:
                self._get_on_loading()
            elif self._files and not self._waiting:
                self._step()

    def _obey(self, command: object) -> None:
        match command:
            case Load() | Reload():
                self._load(command)
            case Transcribe():
                self._waiting = False
                trap = self._injector.trap(command.path, command.attempt)
                self._files[command.job] = SimFile(command, trap)
            case Shorten():
                if (file := self._files.get(command.job)) is not None:
                    file.shorten(command.until)
                    if file.opened:
                        self._tell_progress(file)
            case Abandon():
                self._files.pop(command.job, None)
            case SetBatch():
                self._waiting = self._waiting and not command.go_on
                self._batch_size = max(1, command.batch_size)
            case Quit():
                self._quit, self._waiting = True, False

    def _load(self, command: Load | Reload) -> None:
        self._files.clear()
        self._waiting = False
        self._begun = time.monotonic()
        if isinstance(command, Load):
            self._loaded = command
            try:
                self._injector.read()
                self._speed = _speed()
            except BadSpec as error:
                self._writer.send(
                    LoadFailed(
                        text=printable(str(error)),
                        kind=ErrorKind.MODEL,
                        hint=error.hint,
                    )
                )
                raise SystemExit(2) from None
        try:
            self._injector.check_device()
        except RuntimeError as error:
            self._writer.send(LoadFailed(text=printable(str(error))))
            return
        if command.batch_size is not None:
            self._batch_size = command.batch_size
        self._due = self._begun + min(0.2, 5.0 / self._speed)

    def _get_on_loading(self) -> None:
        """Begin with the first file; the model is there when it is time."""
        first = next(iter(self._files.values()), None)
        if first is not None and not first.begun:
            self._begin(first)
        if time.monotonic() < self._due:
            return
        self._due = 0.0
        assert self._loaded is not None
        compute = self._loaded.compute_type
        self._writer.send(
            Loaded(
                device=self._loaded.device,
                compute_type="simulated" if compute == "auto" else compute,
                batch_size=self._batch_size,
                seconds=time.monotonic() - self._begun,
            )
        )

    def _step(self) -> None:
        for file in list(self._files.values())[: AHEAD + self._batch_size]:
            if not file.opened and sum(f.opened for f in self._files.values()) < AHEAD + 1:
                self._open(file)
        ready = [file for file in self._files.values() if file.opened]
        batch = [(file, number) for file in ready for number in range(file.done, len(file.todo))][
            : self._batch_size
        ]
        if batch:
            self._decode(batch)

    def _begin(self, file: SimFile) -> bool:
        """Begin to decode a file; False when that failed."""
        command = file.command
        try:
            size = check(command.path)
            file.audio_s = round(pretend_length(command.path, size), 3)
            self._writer.send(Progress(job=file.job, progress=0.0, stage="decode"))
            file.trap.at_decode()
        except SourceError as error:
            self._fail(file, error.message, error.kind, error.hint)
        except OSError as error:
            self._fail(file, printable(str(error)), None, "", traceback.format_exc())
        else:
            file.begun = True
        return file.begun

    def _open(self, file: SimFile) -> None:
        if not file.begun and not self._begin(file):
            return
        with self._meter.stage("decode"):
            file.work_s += file.audio_s / self._speed / DECODE_SPEED
            time.sleep(file.audio_s / self._speed / DECODE_SPEED)
        name = printable(os.fsdecode(file.command.path))
        file.total = math.ceil(file.audio_s / CHUNK_S)
        for index in range(file.total):
            start = index * CHUNK_S
            stored = any(abs(start - have) <= 0.01 for have in file.command.have)
            if start >= file.command.since and not stored:
                end = min(file.audio_s, start + CHUNK_S)
                file.todo.append(pretend_chunk(name, index, start, end))
        if file.command.until is not None:
            file.shorten(file.command.until)
        file.opened = True
        self._writer.send(Heard(job=file.job, strip=pretend_loudness(name)), soon=False)
        self._writer.send(
            Opened(
                job=file.job,
                audio_s=file.audio_s,
                speech_s=file.audio_s,
                chunks=file.total,
                language=self._language(file),
                language_probability=1.0,
            )
        )
        # Said first: with nothing left to do it strikes now, and a hang is the model's.
        try:
            file.trap.cut(len(file.todo))
        except OSError as error:
            self._fail(file, printable(str(error)), None, "", traceback.format_exc())
        except RuntimeError as error:
            self._fault([file], error)
        else:
            if not file.todo:
                self._finish(file)

    def _decode(self, batch: list[tuple[SimFile, int]]) -> None:
        kept: list[tuple[SimFile, int]] = []
        try:
            self._injector.check_device()
            with self._meter.working(), self._meter.stage("generate"):
                for file, number in batch:
                    try:
                        file.trap.at_chunk(number)
                        kept.append((file, number))
                    except OSError as error:
                        self._fail(file, printable(str(error)), None, "", traceback.format_exc())
                kept = [(file, number) for file, number in kept if file.job in self._files]
                seconds = sum(f.todo[n].end - f.todo[n].start for f, n in kept)
                begun = time.monotonic()
                time.sleep(seconds / self._speed)
        except RuntimeError as error:
            self._fault([file for file, _ in batch], error)
            return
        if len(kept) == self._batch_size:
            self._writer.send(FullBatch(windows=len(kept), seconds=time.monotonic() - begun))
        with self._writer.together():
            for file, number in kept:
                file.done = number + 1
                chunk = file.todo[number]
                file.work_s += (chunk.end - chunk.start) / self._speed
                self._writer.send(ChunkDone(job=file.job, chunk=chunk))
            for file in {file.job: file for file, _ in kept}.values():
                self._tell_progress(file)

    def _tell_progress(self, file: SimFile) -> None:
        if file.done >= len(file.todo):
            self._finish(file)
            return
        left = sum(chunk.end - chunk.start for chunk in file.todo[file.done :])
        share = 1.0 - left / file.audio_s if file.audio_s else 1.0
        self._writer.send(
            Progress(
                job=file.job,
                progress=round(share, 4),
                stage="transcribe",
                work_s=round(file.work_s, 3),
            )
        )

    def _finish(self, file: SimFile) -> None:
        del self._files[file.job]
        self._writer.send(
            Finished(
                job=file.job,
                language=self._language(file),
                language_probability=1.0,
                work_s=round(file.work_s, 3),
                ticket=file.command.ticket,
            )
        )

    @staticmethod
    def _language(file: SimFile) -> str:
        asked = file.command.options.language
        return "en" if asked == "auto" else asked

    def _fail(
        self, file: SimFile, text: str, kind: ErrorKind | None, hint: str, detail: str = ""
    ) -> None:
        self._files.pop(file.job, None)
        detail = printable_lines(detail)
        self._writer.send(Failed(job=file.job, text=text, kind=kind, hint=hint, detail=detail))

    def _fault(self, files: list[SimFile], error: RuntimeError) -> None:
        jobs = list(dict.fromkeys(file.job for file in files))
        for job in jobs:
            self._files.pop(job, None)
        self._waiting = True
        self._writer.send(
            Fault(
                text=printable(str(error)),
                jobs=jobs,
                batch_size=self._batch_size,
                detail=printable_lines(traceback.format_exc()),
            )
        )


def _speed() -> float:
    """× real time, from ``SPEAKEASY_SIM_SPEED``; BadSpec when it is no positive number."""
    text = os.environ.get("SPEAKEASY_SIM_SPEED", "50")
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.0 < speed < math.inf:
        raise BadSpec(f"SPEAKEASY_SIM_SPEED: {text!r} is not a speed; write e.g. 50")
    return speed
