"""The real engine's main loop: commands in, batches through the model, reports out."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from typing import NoReturn

from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.core.protocol import (
    Abandon,
    ChunkDone,
    Failed,
    Fault,
    Finished,
    Load,
    Loaded,
    LoadFailed,
    Progress,
    Quit,
    Reload,
    SetBatch,
    Transcribe,
)
from speakeasy_tui.core.text import printable, printable_lines
from speakeasy_tui.core.transcript import Chunk
from speakeasy_tui.engine.batching import Ready
from speakeasy_tui.engine.decode import Decoder, Result
from speakeasy_tui.engine.frontend import Broken, Cut, FrontEnd, error_kind, opened
from speakeasy_tui.engine.inject import BadSpec, Injector
from speakeasy_tui.engine.model import LoadError, Model
from speakeasy_tui.engine.source import SourceError
from speakeasy_tui.engine.wire import Mailbox, Meter, Writer
from speakeasy_tui.engine.work import FileWork, Window


class RealEngine:
    """Obeys commands and runs the model, all in the main thread."""

    def __init__(self, mailbox: Mailbox, writer: Writer) -> None:
        self._mailbox = mailbox
        self._writer = writer
        self._meter = Meter()
        self._front = FrontEnd(mailbox, writer)
        self._injector = Injector()
        self._model: Model | None = None
        self._decoder: Decoder | None = None
        self._batch_size = 1
        self._files: dict[int, FileWork] = {}
        self._ready = Ready()
        self._waiting = False
        """After a fault, until the runner has said what now."""
        self._quit = False

    def run(self) -> None:
        """Obey commands until `Quit` and nothing is in flight."""
        self._meter.report(self._writer)
        while not (self._quit and not self._files):
            pause = self._pause()
            for note in self._mailbox.take(wait=pause != 0.0, timeout=pause):
                self._take(note)
            if self._pause() == 0.0:
                self._step()

    def _pause(self) -> float | None:
        """Seconds to wait for the mailbox before the next batch; None: until something comes."""
        if self._waiting:
            return None
        return self._ready.pause(self._batch_size, self._front.expecting())

    # ------------------------------------------------------------- commands and notes

    def _take(self, note: object) -> None:
        match note:
            case Window():
                if note.file.dropped:
                    self._front.release()
                else:
                    self._ready.add(note)
            case Cut():
                self._begin(note.file)
            case Broken():
                self._broken(note)
            case Transcribe():
                self._waiting = False
                self._drop([note.job])
                trap = self._injector.trap(note.path, note.attempt)
                self._files[note.job] = FileWork(note, trap)
                self._front.add(self._files[note.job])
            case Abandon():
                self._drop([note.job])
            case SetBatch():
                self._waiting = False
                self._use_batch(note.batch_size)
            case Load() | Reload():
                self._load(note)
            case Quit():
                self._quit, self._waiting = True, False

    def _load(self, command: Load | Reload) -> None:
        self._drop(list(self._files))
        self._waiting = False
        try:
            if isinstance(command, Load):
                self._model = self._decoder = None
                self._injector.read()
                with self._meter.working():
                    self._model = Model(command, self._injector)
                self._decoder = Decoder(self._model, self._meter, self._injector.check_device)
            elif self._model is None:
                raise LoadError("there is no model to reload")
            else:
                with self._meter.working():
                    self._model.reload()
        except BadSpec as error:
            self._end(
                LoadFailed(text=printable(str(error)), kind=ErrorKind.MODEL, hint="correct it")
            )
        except LoadError as error:
            traceback.print_exc()
            text = printable_lines(error.text)
            self._writer.send(LoadFailed(text=text, kind=error.kind, hint=error.hint))
        except Exception as error:
            traceback.print_exc()
            self._writer.send(LoadFailed(text=_text(error)))
        else:
            model = self._model
            if command.batch_size is not None:
                self._use_batch(command.batch_size)
            elif isinstance(command, Load):
                self._use_batch(model.batch_size())
            self._front.use(model, self._batch_size)
            self._writer.send(
                Loaded(
                    device=model.name,
                    compute_type=model.compute_type,
                    batch_size=self._batch_size,
                    seconds=round(model.seconds, 3),
                    multilingual=model.multilingual,
                )
            )

    def _end(self, report: LoadFailed) -> NoReturn:
        self._writer.send(report)
        raise SystemExit(2)

    def _use_batch(self, size: int) -> None:
        self._batch_size = max(1, size)
        if self._model is not None:
            self._front.use(self._model, self._batch_size)

    def _begin(self, file: FileWork) -> None:
        if file.dropped:
            return
        self._writer.send(opened(file))
        try:
            file.trap.cut(len(file.todo))
        except Exception as error:
            if isinstance(error, RuntimeError):
                self._fault([file], error)
            else:
                self._fail(file, error, printable_lines(traceback.format_exc()))
            return
        self._progress(file)

    def _broken(self, note: Broken) -> None:
        if note.file.dropped:
            return
        detail = printable_lines(note.detail)
        if isinstance(note.error, SourceError):
            error = note.error
            self._drop([note.file.job])
            self._writer.send(
                Failed(job=note.file.job, text=error.message, kind=error.kind, hint=error.hint)
            )
        else:
            self._fail(note.file, note.error, detail, error_kind(note.error))

    # ------------------------------------------------------------- batches

    def _step(self) -> None:
        batch = self._ready.next(self._batch_size)
        known = {w.file.job: w.file.language for w in batch}
        try:
            with self._meter.working():
                batch = self._spring(batch)
            if not batch:
                return
            assert self._decoder is not None
            begun = time.monotonic()
            results = self._decoder.decode(batch)
            share = (time.monotonic() - begun) / len(batch)
            for window in batch:
                window.file.work_s += share
        except Exception as error:
            self._front.release(len(batch))
            self._fault([window.file for window in batch], error)
            return
        again: list[Window] = []
        for result in results:
            if self._files.get(result.window.file.job) is not result.window.file:
                self._front.release()
            elif result.error is not None or result.complete:
                self._front.release()
                self._finish_window(result)
            else:
                again.append(result.window)
        self._ready.add_again(window for window in again if not window.file.dropped)
        for file in {window.file.job: window.file for window in batch}.values():
            if not file.dropped:
                if known[file.job] is None and file.language is not None:
                    self._writer.send(opened(file))
                self._progress(file)

    def _spring(self, batch: Sequence[Window]) -> list[Window]:
        """The batch without files whose injected fault names them; others are raised."""
        for window in batch:
            if window.only_language or window.file.dropped:
                continue
            try:
                window.file.trap.at_chunk(window.number)
            except OSError as error:
                self._fail(window.file, error, printable_lines(traceback.format_exc()))
        kept = [window for window in batch if not window.file.dropped]
        self._front.release(len(batch) - len(kept))
        return kept

    def _finish_window(self, result: Result) -> None:
        window = result.window
        file = window.file
        if result.error is not None:
            lines = traceback.format_exception(result.error)
            self._fail(file, result.error, printable_lines("".join(lines)))
            return
        if window.only_language:
            return
        file.left -= 1
        file.done_s += window.end - window.start
        self._writer.send(
            ChunkDone(
                job=file.job,
                chunk=Chunk(
                    index=window.index,
                    start=round(window.start, 3),
                    end=round(window.end, 3),
                    segments=tuple(window.segments),
                ),
            )
        )

    def _progress(self, file: FileWork) -> None:
        progress = round(file.progress, 4)
        work_s = round(file.work_s, 3)
        self._writer.send(
            Progress(job=file.job, progress=progress, stage="transcribe", work_s=work_s)
        )
        if file.left:
            return
        del self._files[file.job]
        language = file.language
        if language is None:  # nothing was decoded, so nothing was detected
            asked = file.options.language
            language = "en" if asked == "auto" else asked
        self._writer.send(
            Finished(
                job=file.job,
                language=language,
                language_probability=file.language_probability,
                warnings=list(file.warnings),
                work_s=work_s,
            )
        )

    # ------------------------------------------------------------- failures

    def _drop(self, jobs: Sequence[int]) -> None:
        for job in jobs:
            file = self._files.pop(job, None)
            if file is not None:
                file.drop()
        self._front.release(self._ready.forget_dropped())

    def _fail(
        self, file: FileWork, error: Exception, detail: str, kind: ErrorKind | None = None
    ) -> None:
        self._drop([file.job])
        traceback.print_exc()
        self._writer.send(Failed(job=file.job, text=_text(error), kind=kind, detail=detail))

    def _fault(self, files: Sequence[FileWork], error: Exception) -> None:
        """An error of the batch: its files are dropped, the rest waits for the runner."""
        detail = printable_lines(traceback.format_exc())
        traceback.print_exc()
        jobs = list(dict.fromkeys(file.job for file in files))
        self._drop(jobs)
        self._waiting = True
        self._writer.send(
            Fault(text=_text(error), jobs=jobs, batch_size=self._batch_size, detail=detail)
        )


def _text(error: Exception) -> str:
    """An error as CTranslate2 words it, or with its type where it is Python's."""
    said = str(error)
    if not isinstance(error, (RuntimeError, OSError)):
        said = f"{type(error).__name__}: {said}"
    return printable(said)
