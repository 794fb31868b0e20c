"""The real engine's main loop: commands in, batches to the crew, reports out."""

from __future__ import annotations

import math
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from speakeasy_tui.core.engineprotocol import (
    Abandon,
    Failed,
    Fault,
    FullBatch,
    Load,
    Loaded,
    LoadFailed,
    Quit,
    Reload,
    SetBatch,
    Shorten,
    Transcribe,
)
from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.core.text import printable, printable_lines
from speakeasy_tui.engine import variables
from speakeasy_tui.engine.batching import Ready
from speakeasy_tui.engine.crew import Advanced, Crew, Decoded
from speakeasy_tui.engine.decode import Decoder, Result
from speakeasy_tui.engine.frontend import Broken, Cut, FrontEnd
from speakeasy_tui.engine.inflight import InFlight
from speakeasy_tui.engine.inject import BadSpec, Injector
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.modelfolder import LoadError
from speakeasy_tui.engine.packing import TRIES
from speakeasy_tui.engine.trouble import Trouble, unjudged, worded
from speakeasy_tui.engine.wire import Mailbox, Meter, Writer
from speakeasy_tui.engine.work import FileWork, Piece, Window


@dataclass(frozen=True)
class Brought:
    """A model has been loaded, or not."""

    command: Load | Reload
    model: Model | None = None
    error: Exception | None = None


class RealEngine:
    """Obeys commands and says what happens, all in the main thread; the crew runs the model."""

    def __init__(self, mailbox: Mailbox, writer: Writer) -> None:
        self._mailbox = mailbox
        self._writer = writer
        self._meter = Meter()
        self._front = FrontEnd(mailbox, writer, self._meter)
        self._crew = Crew(mailbox)
        self._injector = Injector()
        self._model: Model | None = None
        self._decoder: Decoder | None = None
        self._batch_size = 1
        self._files = InFlight(writer)
        self._ready = Ready()
        self._faults: list[Decoded] = []
        """Batches that met an error, until the others under way have ended, too."""
        self._whole = 0
        """Of the batches under way, those that are whole recordings: they may take hours."""
        self._waiting = False
        """After a fault, until the runner has said what now."""
        self._to_load: Load | Reload | None = None
        """As soon as no batch is under way: a model in use cannot be unloaded."""
        self._loading = False
        self._quit = False

    def run(self) -> None:
        """Obey commands until `Quit` and nothing is in flight."""
        self._meter.report(self._writer)
        while not (self._quit and not self._files):
            pause = self._pause()
            for note in self._mailbox.take(wait=pause != 0.0, timeout=pause):
                self._take(note)
                self._give_plenty()  # the front end may bring pieces without end
            while self._pause() == 0.0:
                self._give()

    def _give_plenty(self) -> None:
        """Send a batch on its way, if there is somebody to take it and enough for another one.

        Else it waits for what may be in the mailbox: rests that come back are to go first.
        """
        if self._may_give and self._ready.fills(2 * self._batch_size):
            self._give()

    @property
    def _may_give(self) -> bool:
        """Whether a worker has nothing to do, and nothing forbids a batch."""
        if self._waiting or self._faults or self._loading or self._to_load:
            return False
        return self._decoder is not None and self._crew.idle > 0

    def _pause(self) -> float | None:
        """Seconds to wait for the mailbox before the next batch; None: until something comes."""
        if not self._may_give:
            return None
        return self._ready.pause(self._batch_size, self._front.expecting())

    def _give(self) -> None:
        """Send the next batch on its way."""
        # What fills fewer batches than there are idle workers is spread over them.
        share = 1 if self._front.expecting() else self._crew.idle
        windows = self._ready.next(self._batch_size, share)
        assert self._decoder is not None
        self._whole += _is_whole(windows)
        self._crew.give(self._decoder, windows, self._batch_size)

    # ------------------------------------------------------------- commands and notes

    def _take(self, note: object) -> None:
        match note:
            case Piece():
                if note.index or not note.file.short:  # else all of it is known in a moment
                    self._begin(note.file)
                if self._model is not None and not self._model.aligns:
                    note.packings = TRIES  # nothing would tell it from others
                if note.wanted:
                    self._ready.add(note)
                else:
                    self._let_go([note])
            case Decoded():
                self._crew.back()
                self._whole -= _is_whole(note.windows)
                if note.error is None:
                    self._give_plenty()  # the worker need not wait until all of it is told
                self._decoded(note)
                self._settle()
            case Advanced():
                if not note.file.dropped:
                    self._files.tell_language(note.file)
                    self._files.tell_progress(note.file)
            case Brought():
                self._brought(note)
                self._settle()
            case Cut():
                self._cut(note.file)
            case Broken():
                self._broken(note)
            case Transcribe():
                self._waiting = False
                self._drop([note.job])
                trap = self._injector.trap(note.path, note.attempt)
                file = FileWork(note, trap, math.inf if note.until is None else note.until)
                self._files.add(file)
                self._front.add(file)
            case Shorten():
                if (shorter := self._files.get(note.job)) is not None:
                    shorter.until = note.until
                    self._forget_pieces()
                    self._files.finish(shorter)
            case Abandon():
                self._drop([note.job])
            case SetBatch():
                self._waiting = self._waiting and not note.go_on
                if note.go_on and self._model is not None:
                    self._model.spare()
                self._use_batch(note.batch_size)
            case Load() | Reload():
                self._drop(self._files.jobs())
                self._to_load = note
                if isinstance(note, Load):
                    self._expect_model(note)
                self._settle()
            case Quit():
                self._quit, self._waiting = True, False

    def _settle(self) -> None:
        """What had to wait until no batch is under way.

        A fault does not wait for a whole recording: what the runner makes of it stops that one
        soon, or leaves it alone.
        """
        if self._crew.busy > self._whole or self._loading:
            return
        if self._faults and self._to_load is None:
            first = self._faults[0]
            assert first.error is not None
            pieces = [p for batch in self._faults for w in batch.windows for p in w.pieces]
            size = max(batch.size for batch in self._faults)
            self._fault([piece.file for piece in pieces], first.error, size)
        self._faults = []
        if self._to_load is not None and not self._crew.busy:
            command, self._to_load = self._to_load, None
            self._load(command)

    def _expect_model(self, command: Load) -> None:
        """Files given from now on are for another model, which may have to wait for its turn."""
        try:
            self._injector.read()
            variables.check()
        except BadSpec as error:
            text = printable(str(error))
            self._end(LoadFailed(text=text, kind=ErrorKind.MODEL, hint=error.hint))
        self._model = self._decoder = None
        self._front.begin(command.device, engines=command.engines)

    def _load(self, command: Load | Reload) -> None:
        """Have the model brought by a thread of its own: files can be decoded meanwhile."""
        self._waiting = False
        self._loading = True
        threading.Thread(target=self._bring, args=(command,), name="loader", daemon=True).start()

    def _bring(self, command: Load | Reload) -> None:
        model = self._model
        try:
            with self._meter.working(), self._meter.stage("load"):
                if isinstance(command, Load):
                    model = Model(command, self._injector)
                elif model is None:
                    raise LoadError("there is no model to reload")
                else:
                    model.reload()
        except Exception as error:
            traceback.print_exc()
            self._mailbox.put(Brought(command, error=error))
        else:
            self._mailbox.put(Brought(command, model))

    def _brought(self, note: Brought) -> None:
        self._loading = False
        if note.error is not None:
            self._not_loaded(note.error)
            return
        model, command = note.model, note.command
        assert model is not None
        self._model = model
        size = most = self._batch_size
        if isinstance(command, Load):
            self._decoder = Decoder(model, self._meter, self._injector.check_device)
            self._ready.frames = self._decoder.frames
            self._ready.lengths = model.lengths
            self._crew.grow(max(1, command.workers))
            size, most = model.batch_sizes()
        self._use_batch(command.batch_size or size)
        self._writer.send(
            Loaded(
                device=model.name,
                compute_type=model.compute_type,
                batch_size=self._batch_size,
                seconds=round(model.seconds, 3),
                multilingual=model.multilingual,
                most=most,
            )
        )

    def _not_loaded(self, error: Exception) -> None:
        match error:
            case LoadError():
                text = printable_lines(error.text)
                self._writer.send(LoadFailed(text=text, kind=error.kind, hint=error.hint))
            case _:
                self._writer.send(LoadFailed(text=worded(error)))

    def _end(self, report: LoadFailed) -> NoReturn:
        self._writer.send(report)
        raise SystemExit(2)

    def _use_batch(self, size: int) -> None:
        self._batch_size = max(1, size)
        if self._model is not None:
            self._batch_size = min(self._batch_size, self._model.limit)
            self._model.expect(self._batch_size)
            self._front.use(self._model, self._batch_size * self._crew.size)

    def _begin(self, file: FileWork) -> None:
        """Something is known of a file."""
        if file.dropped or self._files.begun(file):
            return
        self._files.begin(file)
        expected = file.todo if file.whole else math.ceil(file.audio_s / 30) or 1
        self._spring(file, lambda: file.trap.cut(expected))

    def _cut(self, file: FileWork) -> None:
        """All of a file is known."""
        if file.dropped:
            return
        if self._files.begun(file):
            self._files.begin(file)  # with all that is known now
            self._spring(file, lambda: file.trap.all_cut(file.todo))
        self._begin(file)
        file.told_whole = True
        if not file.dropped:
            self._files.finish(file)

    def _spring(self, file: FileWork, trap: Callable[[], None]) -> None:
        """Let an injected fault strike that belongs to no chunk."""
        try:
            trap()
        except RuntimeError as error:
            traceback.print_exc()
            self._fault([file], unjudged(error), self._batch_size)
        except Exception as error:
            self._fail(file, unjudged(error))

    def _broken(self, note: Broken) -> None:
        if not note.file.dropped:
            self._fail(note.file, note.trouble)

    # ------------------------------------------------------------- batches

    def _decoded(self, batch: Decoded) -> None:
        pieces = [piece for window in batch.windows for piece in window.pieces]
        if batch.error is not None:
            self._front.release(pieces)
            self._faults.append(batch)
            return
        if self._ready.is_full(batch.windows, batch.size) and not batch.sampled:
            self._writer.send(FullBatch(windows=batch.size, seconds=batch.seconds))
        batch.share_out()
        again = [result.piece for result in batch.results if not (result.complete or result.error)]
        with self._writer.together():
            for result in batch.results:
                if not result.piece.file.dropped:
                    self._finish_piece(result)
            self._let_go([piece for piece in again if not piece.wanted])
            going = [piece for piece in again if piece.wanted]
            back = {id(piece) for piece in again}
            self._front.release([piece for piece in pieces if id(piece) not in back])
            self._ready.add_again(going)
            going_on = [
                file
                for file in {piece.file.job: piece.file for piece in pieces}.values()
                if not (file.dropped or self._files.finish(file))
            ]
            moved = {result.piece.file.job for result in batch.results if result.complete}
            # Of others there is nothing new; but one sign of life there must be.
            for file in [file for file in going_on if file.job in moved] or going_on[:1]:
                self._files.tell_progress(file)

    def _finish_piece(self, result: Result) -> None:
        piece, file = result.piece, result.piece.file
        if result.error is not None:
            self._fail(file, result.error)
            return
        self._files.tell_language(file)
        if piece.only_language:
            file.detecting = file.language is None  # a short window may have left it in doubt
        elif result.complete:
            self._files.tell_chunk(piece)

    # ------------------------------------------------------------- failures

    def _drop(self, jobs: Iterable[int]) -> None:
        self._files.drop(jobs)
        self._forget_pieces()

    def _forget_pieces(self) -> None:
        """Let go of waiting pieces that nobody wants from this engine any more."""
        self._let_go(self._ready.forget())

    def _let_go(self, gone: Sequence[Piece]) -> None:
        for piece in gone:
            if piece.only_language:
                piece.file.detecting = False
            else:
                piece.file.given_up += 1
        self._front.release(gone)

    def _fail(self, file: FileWork, trouble: Trouble) -> None:
        self._drop([file.job])
        if trouble.detail:
            print(trouble.detail, file=sys.stderr, flush=True)
        self._writer.send(
            Failed(
                job=file.job,
                text=trouble.text,
                kind=trouble.kind,
                hint=trouble.hint,
                detail=printable_lines(trouble.detail),
            )
        )

    def _fault(self, files: Sequence[FileWork], trouble: Trouble, size: int) -> None:
        """An error of a batch of `size`: its files are dropped, the rest waits for the runner."""
        jobs = list(dict.fromkeys(file.job for file in files if not file.dropped))
        self._drop(jobs)
        self._waiting = True
        self._writer.send(
            Fault(
                text=trouble.text,
                jobs=jobs,
                batch_size=size,
                detail=printable_lines(trouble.detail),
            )
        )


def _is_whole(windows: Sequence[Window]) -> bool:
    return windows[0].first.samples is not None
