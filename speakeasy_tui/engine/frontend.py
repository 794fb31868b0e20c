"""From paths to windows ready for the model, ahead of it but not too far.

Two threads: one decodes files and looks for speech, one makes mel spectrograms chunk by
chunk. The first is at most `FILES_AHEAD` files ahead of the second, the second at most a few
batches ahead of the model, so memory is bounded whatever is queued.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from speakeasy_tui.core.job import ErrorKind, JobWarning
from speakeasy_tui.core.protocol import Heard, Opened, Progress
from speakeasy_tui.engine import loudness, speech
from speakeasy_tui.engine.audio import RATE, decode, floats
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.wire import Mailbox, Writer
from speakeasy_tui.engine.work import SAME_START, Dropped, FileWork, Window

FILES_AHEAD = 2
"""Decoded files that wait for the second thread; each holds 115 MB per hour of audio."""
SECONDS_AHEAD = 4 * 3600
"""Of decoded audio that waits: no other file is begun while there is more. With that, what is
held is at most two of the longest files (one being decoded, one being cut into windows) and
4 hours: 2.8 GB where all are of 10 hours, 0.7 GB where all are of one."""
ALIVE_EVERY = 1.0
"""Seconds between reports while a file is being decoded."""


@dataclass(frozen=True)
class Cut:
    """A file has been decoded and cut; its windows follow."""

    file: FileWork


@dataclass(frozen=True)
class Broken:
    """A file could not be made ready."""

    file: FileWork
    error: Exception
    detail: str


class FrontEnd:
    """Makes windows of files in the order in which they are given."""

    def __init__(self, mailbox: Mailbox, writer: Writer) -> None:
        self._mailbox = mailbox
        self._writer = writer
        self._changed = threading.Condition()
        self._files: deque[FileWork] = deque()
        self._cut: deque[FileWork] = deque()
        self._busy = 0
        """Files in the hands of either thread."""
        self._model: Model | None = None
        self._limit = 8
        self._out = 0
        """Windows made and not yet given back by `release`."""
        for work in (self._decode_files, self._make_windows):
            threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True).start()

    def use(self, model: Model, batch_size: int) -> None:
        """Make windows for `model` from now on, three batches ahead."""
        with self._changed:
            self._model = model
            self._limit = 3 * batch_size + 2
            self._changed.notify_all()

    def add(self, file: FileWork) -> None:
        """Take on another file."""
        with self._changed:
            self._files.append(file)
            self._changed.notify_all()

    def release(self, count: int = 1) -> None:
        """`count` windows have left the model, or will not be decoded after all."""
        with self._changed:
            self._out -= count
            self._changed.notify_all()

    def expecting(self) -> bool:
        """Whether another window is likely to come without one being released."""
        with self._changed:
            return bool(self._busy or self._files or self._cut) and self._out < self._limit

    def _room(self) -> bool:
        """Whether another file may be decoded ahead."""
        waiting = sum(file.audio_s for file in self._cut)
        return len(self._cut) < FILES_AHEAD and waiting < SECONDS_AHEAD

    # ------------------------------------------------------------- first thread

    def _decode_files(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._files and self._room() and self._model)
                file = self._files.popleft()
                self._busy += 1
                assert self._model is not None
                model = self._model
            try:
                begun = time.monotonic()
                self._open(file, model)
                file.work_s = time.monotonic() - begun
                self._mailbox.put(Cut(file))
                with self._changed:
                    self._cut.append(file)
            except Dropped:
                pass
            except Exception as error:
                self._mailbox.put(Broken(file, error, traceback.format_exc()))
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _open(self, file: FileWork, model: Model) -> None:
        file.check()
        alive = _Alive(file, self._writer)
        alive.report()
        file.trap.at_decode()
        recording = decode(file.command.path, alive)
        file.samples = recording.samples
        file.audio_s = round(recording.seconds, 3)
        file.warnings.extend(recording.warnings)
        total = len(recording.samples)
        if file.options.vad:
            probability = speech.probabilities(recording.samples, alive)
            file.speech = speech.spans(probability, total)
            file.chunks = speech.cut(file.speech, probability, total)
            if not file.chunks:
                text = "no speech was found in the recording"
                file.warnings.append(JobWarning("no_speech", text))
        else:
            file.chunks = speech.windows(total)
        strip = loudness.strip_of(recording.samples, file.speech)
        self._writer.send(Heard(job=file.job, strip=strip))
        _settle_language(file, model.multilingual)
        stored = [_is_stored(chunk.start / RATE, file.command.have) for chunk in file.chunks]
        file.todo = [index for index, have in enumerate(stored) if not have]
        file.left = len(file.todo)
        file.done_s = sum(
            (chunk.end - chunk.start) / RATE
            for chunk, have in zip(file.chunks, stored, strict=True)
            if have
        )

    # ------------------------------------------------------------- second thread

    def _make_windows(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._cut)
                file = self._cut.popleft()
                self._busy += 1
                self._changed.notify_all()
            try:
                self._feed(file)
            except Dropped:
                pass
            except Exception as error:
                self._mailbox.put(Broken(file, error, traceback.format_exc()))
            file.samples = None
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _feed(self, file: FileWork) -> None:
        if file.language is None and file.todo and file.todo[0] != 0:
            # The language is that of the first chunk, also when that one is stored.
            self._make(file, 0, 0, only_language=True)
        for number, index in enumerate(file.todo):
            self._make(file, index, number)

    def _make(self, file: FileWork, index: int, number: int, only_language: bool = False) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._out < self._limit or file.dropped)
            file.check()
            self._out += 1
            assert self._model is not None
            extract = self._model.whisper.feature_extractor
        try:
            assert file.samples is not None
            chunk = file.chunks[index]
            # The last frame lies beyond the samples (faster-whisper drops it as well).
            mel = extract(floats(file.samples[chunk.start : chunk.end]))[..., :-1]
            mel = np.ascontiguousarray(mel, dtype=np.float32)
        except BaseException:
            self.release()
            raise
        self._mailbox.put(Window(file, index, number, mel, only_language=only_language))

    def wake(self) -> None:
        """Have waiting threads look again, after files were dropped."""
        with self._changed:
            self._changed.notify_all()


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
        self._writer.send(Progress(job=self._file.job, progress=0.0, stage="decode"))


def opened(file: FileWork) -> Opened:
    """The report on a file that has been cut."""
    seconds = sum(span.end - span.start for span in file.speech or file.chunks) / RATE
    return Opened(
        job=file.job,
        audio_s=file.audio_s,
        speech_s=round(seconds, 3),
        chunks=len(file.chunks),
        language=file.language,
        language_probability=file.language_probability,
        warnings=list(file.warnings),
    )


def error_kind(error: Exception) -> ErrorKind | None:
    """The kind of an error that decoding one file raised, where it says nothing itself."""
    # The device, the disk and memory are the runner's to judge by the text.
    return None if isinstance(error, (RuntimeError, OSError, MemoryError)) else ErrorKind.INPUT


def _is_stored(start: float, have: Any) -> bool:
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
