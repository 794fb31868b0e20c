"""From paths to pieces ready for the model, ahead of it but not too far.

Each thread takes a file and streams it: decode, listen for speech, cut into chunks, make their
mel spectrograms. Of a file only the stretch between the decoder and the next chunk's start is
held, less than a minute or two; and no more spectrograms wait for the model than a few batches
need. So memory is bounded whatever is queued, and the first chunk of a ten-hour file goes to the
model while the rest is still on the disk.
"""

from __future__ import annotations

import math
import os
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from speakeasy_tui.core.engineprotocol import Heard, Opened, Progress
from speakeasy_tui.core.job import ErrorKind, JobWarning
from speakeasy_tui.engine.audio import RATE, Samples, open_recording
from speakeasy_tui.engine.doubt import Doubt
from speakeasy_tui.engine.loudness import Loudness
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.passage import Passage, Span
from speakeasy_tui.engine.speech import Cutter
from speakeasy_tui.engine.vad import Listener
from speakeasy_tui.engine.wire import Mailbox, Meter, Writer
from speakeasy_tui.engine.work import SAME_START, Dropped, FileWork, Mel, Piece

WINDOW_FRAMES = 3000
AHEAD = 3
"""Batches of windows, for each that may be in the model, that are made ready."""
MOST_THREADS = 4
"""On a GPU. Python's lock lets more of them win little (docs/throughput.md)."""
MOST_WHOLE = 4
"""Recordings held as a whole at once, 115 MB per hour each, for the option `sequential`."""
ALIVE_EVERY = 1.0
"""Seconds between reports while a file is being decoded."""
_NOTHING: Samples = np.zeros(0, np.int16)


@dataclass(frozen=True)
class Cut:
    """A file has been decoded and cut to its end; all its pieces came before this."""

    file: FileWork


@dataclass(frozen=True)
class Broken:
    """A file could not be made ready."""

    file: FileWork
    error: Exception
    detail: str


class FrontEnd:
    """Makes pieces of files, which it begins in the order in which they are given."""

    def __init__(self, mailbox: Mailbox, writer: Writer, meter: Meter) -> None:
        self._mailbox = mailbox
        self._writer = writer
        self._meter = meter
        self._changed = threading.Condition()
        self._files: deque[FileWork] = deque()
        self._busy = 0
        """Files in the hands of a thread."""
        self._model: Model | None = None
        self._limit = AHEAD * WINDOW_FRAMES
        self._out = 0
        """Frames of pieces made and not yet given back by `release`."""
        self._threads = 0

    def begin(self, device: str, threads: int | None = None) -> None:
        """Begin to decode, on so many `threads`: a model for `device` is coming."""
        with self._changed:
            self._model = None
        wanted = threads or (1 if device == "cpu" else max(1, min(MOST_THREADS, _cores() - 1)))
        for number in range(self._threads, wanted):
            name = f"front-{number}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
            self._threads += 1

    def use(self, model: Model, windows: int) -> None:
        """Make pieces for `model` from now on, whose workers take `windows` at once."""
        with self._changed:
            self._model = model
            self._limit = (AHEAD * windows + 1) * WINDOW_FRAMES
            self._changed.notify_all()

    def add(self, file: FileWork) -> None:
        """Take on another file."""
        with self._changed:
            self._files.append(file)
            self._changed.notify_all()

    def release(self, pieces: Sequence[Piece]) -> None:
        """`pieces` are done with, or will not be decoded after all."""
        with self._changed:
            self._out -= sum(piece.frames for piece in pieces)
            self._changed.notify_all()

    def expecting(self) -> bool:
        """Whether another piece is likely to come without one being released."""
        with self._changed:
            return bool(self._busy or self._files) and self._out < self._limit

    # ------------------------------------------------------------- one file

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._files)
                file = self._files.popleft()
                self._busy += 1
            try:
                self._make_ready(file)
                self._mailbox.put(Cut(file))
            except Dropped:
                pass
            except Exception as error:
                self._mailbox.put(Broken(file, error, traceback.format_exc()))
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _make_ready(self, file: FileWork) -> None:
        file.check()
        alive = _Alive(file, self._writer)
        alive.report()
        file.trap.at_decode()
        loudness = Loudness()
        if file.options.sequential:
            self._hand_over_whole(file, loudness, alive)
            return
        since, have = file.command.since, file.command.have
        for chunk, speech, samples in self._chunks(file, loudness, alive):
            model = self._settle_language(file)
            start = chunk.start / RATE
            if start >= file.until:
                file.whole = True
                return
            index, stored = file.chunks, start < since or _is_stored(start, have)
            seconds = (chunk.end - chunk.start) / RATE
            file.chunks += 1
            file.chunks_s += seconds
            if not stored:
                file.todo += 1
                mel = self._mel(file, model, samples)
                self._mailbox.put(Piece(file, index, file.todo - 1, chunk, mel, speech))
                continue
            file.done_s += seconds
            if index == 0 and file.language is None:
                # The language is that of the first chunk, also when that one is stored.
                mel = self._mel(file, model, samples)
                self._mailbox.put(Piece(file, 0, 0, chunk, mel, only_language=True))
        self._settle_language(file)
        file.whole = True
        self._writer.send(Heard(job=file.job, strip=loudness.strip()))
        if file.options.vad and not file.chunks:
            text = "no speech was found in the recording"
            file.warnings.append(JobWarning("no_speech", text))

    def _chunks(
        self, file: FileWork, loudness: Loudness, alive: _Alive
    ) -> Iterator[tuple[Passage, Sequence[Span], Samples]]:
        """The file's chunks with the speech in them and their samples, as soon as settled; both
        in their own time."""
        vad = file.options.vad
        listener, doubt, cutter = Listener(), Doubt(), Cutter(vad)
        held: list[Samples] = []
        first = total = 0
        """Samples before `held`, and up to its end."""
        marked = passed = 0
        """Of the cutter's spans: marked in the strip, and lying before all chunks to come."""
        with open_recording(file.command.path, alive) as recording:
            file.audio_s = recording.expected_s or 0.0
            blocks = recording.blocks()
            last = False
            while not last:
                with self._timed(file, "decode"):
                    block = next(blocks, None)
                last = block is None
                with self._timed(file, "vad"):
                    if block is not None:
                        loudness.add(block)
                        held.append(block)
                        total += len(block)
                        heard = doubt.consider(block, listener.hear(block)) if vad else len(block)
                        found = cutter.feed(heard)
                    else:
                        rest = doubt.consider(_NOTHING, listener.end())
                        found = cutter.feed(rest) if vad else []
                        found += cutter.end(total)
                    for span in cutter.speech[marked:]:
                        loudness.mark(*span)
                        file.speech_s += (span.end - span.start) / RATE
                    marked = len(cutter.speech)
                file.heard_s = total / RATE
                if last:
                    file.audio_s = round(recording.seconds, 3)
                    file.warnings.extend(recording.warnings)
                for chunk in found:
                    while passed < marked and cutter.speech[passed].end <= chunk.start:
                        passed += 1
                    inside = [span for span in cutter.speech[passed:] if span.start < chunk.end]
                    if 0 <= cutter.speaking_from < chunk.end:
                        inside.append(Span(cutter.speaking_from, chunk.end))
                    yield chunk, chunk.own(inside), _samples(held, first, chunk)
                while held and first + len(held[0]) <= cutter.needed_from:
                    first += len(held.pop(0))
                file.check()

    def _hand_over_whole(self, file: FileWork, loudness: Loudness, alive: _Alive) -> None:
        """The recording as one piece; there are never more than `MOST_WHOLE`."""
        self._settle_language(file)
        with self._changed:
            self._changed.wait_for(lambda: self._out < self._limit or file.dropped)
            file.check()
            room = -(-self._limit // MOST_WHOLE)
            self._out += room
        try:
            data = bytearray()  # enlarged in place
            with (
                self._timed(file, "decode"),
                open_recording(file.command.path, alive) as recording,
            ):
                file.audio_s = recording.expected_s or 0.0
                for block in recording.blocks():
                    loudness.add(block)
                    data += block.data.cast("B")
        except BaseException:
            with self._changed:
                self._out -= room
                self._changed.notify_all()
            raise
        samples: Samples = np.frombuffer(data, np.int16)
        file.audio_s = round(recording.seconds, 3)
        file.heard_s = file.chunks_s = len(samples) / RATE
        file.warnings.extend(recording.warnings)
        file.chunks = file.todo = 1
        file.whole = True
        self._writer.send(Heard(job=file.job, strip=loudness.strip()))
        whole, nothing = Passage((Span(0, len(samples)),)), np.empty((0, 0), np.float32)
        self._mailbox.put(Piece(file, 0, 0, whole, nothing, samples=samples, room=room))

    def _settle_language(self, file: FileWork) -> Model:
        """The model, once it is there; with it the file's language, if that needs no finding."""
        with self._changed:
            self._changed.wait_for(lambda: self._model is not None or file.dropped)
            file.check()
            assert self._model is not None
            model = self._model
        if not file.settled:
            _settle_language(file, model.multilingual)
            file.settled = True
        return model

    def _mel(self, file: FileWork, model: Model, samples: Samples) -> Mel:
        """The spectrogram of a chunk, once there is room for it."""
        with self._changed:
            self._changed.wait_for(lambda: self._out < self._limit or file.dropped)
            file.check()
        with self._timed(file, "mel"):
            mel = model.mel.chunk(samples)
        with self._changed:
            self._out += mel.shape[-1]
        return mel

    @contextmanager
    def _timed(self, file: FileWork, stage: str) -> Iterator[None]:
        begun = time.monotonic()
        with self._meter.stage(stage):
            yield
        file.front_s += time.monotonic() - begun


class _Alive:
    """Says every now and then that decoding goes on, and stops it for a dropped file."""

    def __init__(self, file: FileWork, writer: Writer) -> None:
        self._file = file
        self._writer = writer
        self._last = time.monotonic()

    def __call__(self, seconds: float) -> None:
        self._file.check()
        if time.monotonic() - self._last >= ALIVE_EVERY:
            self.report()

    def report(self) -> None:
        self._last = time.monotonic()
        if self._file.todo:  # the model's progress says more
            return
        self._writer.send(Progress(job=self._file.job, progress=0.0, stage="decode"))


def opened(file: FileWork) -> Opened:
    """The report on a file: what is known of it so far."""
    chunks, speech_s = file.chunks, file.speech_s if file.options.vad else file.heard_s
    if not file.whole:
        chunks += max(1, math.ceil((file.audio_s - file.heard_s) / 30))
    return Opened(
        job=file.job,
        audio_s=max(file.audio_s, round(file.heard_s, 3)),
        speech_s=round(speech_s, 3),
        chunks=chunks,
        language=file.language,
        language_probability=file.language_probability,
        warnings=list(file.warnings),
    )


def error_kind(error: Exception) -> ErrorKind | None:
    """The kind of an error that decoding one file raised, where it says nothing itself."""
    # The device, the disk and memory are the runner's to judge by the text.
    return None if isinstance(error, (RuntimeError, OSError, MemoryError)) else ErrorKind.INPUT


def _samples(blocks: Sequence[Samples], first: int, passage: Passage) -> Samples:
    """Samples of a passage out of `blocks` that follow each other from sample `first` on."""
    found: list[Samples] = []
    for start, end in passage.stretches:
        at = first
        for block in blocks:
            found.append(block[max(0, start - at) : max(0, end - at)])
            at += len(block)
    return np.concatenate(found)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2


def _is_stored(start: float, have: Sequence[float]) -> bool:
    return any(abs(start - stored) <= SAME_START for stored in have)


def _settle_language(file: FileWork, multilingual: bool) -> None:
    asked = file.options.language
    if multilingual:
        file.language = None if asked == "auto" else asked
    else:
        file.language = "en"
        if asked not in ("auto", "en"):
            text = f"the model knows only English; {asked} was asked for"
            file.warnings.append(JobWarning("language", text))
        if file.options.task == "translate":
            text = "the model knows only English and cannot translate"
            file.warnings.append(JobWarning("language", text))
    if file.language is not None and file.language_probability is None:
        file.language_probability = 1.0
