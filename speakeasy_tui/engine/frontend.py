"""From paths to pieces ready for the model, ahead of it but not too far.

Each thread takes a file and streams it: decode, listen for speech, cut into chunks, make their
mel spectrograms (`engine.cutting`). Of a file only the stretch between the decoder and the next
chunk's start is held, less than a minute or two; and no more spectrograms wait for the model than
a few batches need. So memory is bounded whatever is queued, and the first chunk of a ten-hour file
goes to the model while the rest is still on the disk.

For a GPU, which takes chunks faster than one core can make them, each thread has a process do that
(`engine.helper`), and keeps the order, the bounds and the say. On a CPU the model's workers take
the cores, and there is one thread.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from speakeasy_tui.core.engineprotocol import Heard
from speakeasy_tui.core.job import JobWarning
from speakeasy_tui.engine.audio import RATE
from speakeasy_tui.engine.cutting import Cutting, Offer, Order, offers
from speakeasy_tui.engine.hand import Hand, settle_language
from speakeasy_tui.engine.helper import Helper
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.passage import Passage, Span
from speakeasy_tui.engine.trouble import Trouble, trouble
from speakeasy_tui.engine.wire import Mailbox, Meter, Writer
from speakeasy_tui.engine.work import Dropped, FileWork, Mel, Piece

WINDOW_FRAMES = 3000
AHEAD = 3
"""Batches of windows, for each that may be in the model, that are made ready."""
MOST_HELPERS = 8
"""Of one engine, 0.13 GB each. One reads long recordings at 500 × real time or more and short ones
at 300 × (tests/bench/cores.py): eight are thought to be beyond what one model takes."""
MOST_WHOLE = 4
"""Recordings held as a whole at once, 115 MB per hour each, for the option `sequential`."""


@dataclass(frozen=True)
class Cut:
    """A file has been decoded and cut to its end; all its pieces came before this."""

    file: FileWork


@dataclass(frozen=True)
class Broken:
    """A file could not be made ready."""

    file: FileWork
    trouble: Trouble


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
        self._apart = False
        """Files are read by processes."""

    def begin(
        self,
        device: str,
        *,
        engines: int = 1,
        threads: int | None = None,
        apart: bool | None = None,
    ) -> None:
        """Begin to decode: a model for `device` is coming.

        Args:
            device: where that will be.
            engines: that share the cores of this machine.
            threads: how many, for measurements and tests.
            apart: whether each has a process of its own, for the same.
        """
        on_cpu = device == "cpu"
        with self._changed:
            self._model = None
            self._apart = not on_cpu if apart is None else apart
        wanted = threads or (1 if on_cpu else helpers(_cores(), engines))
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
        helper = Helper()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._files)
                file = self._files.popleft()
                self._busy += 1
                apart = self._apart
            try:
                self._make_ready(file, helper if apart else None)
                self._mailbox.put(Cut(file))
            except Dropped:
                pass
            except Exception as error:
                self._mailbox.put(Broken(file, trouble(error)))
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
            if not apart:
                helper.stop()

    def _make_ready(self, file: FileWork, helper: Helper | None) -> None:
        file.check()
        hand = Hand(file, self._settled, self._writer, self._meter)
        hand.report()
        file.trap.at_decode()
        if file.options.sequential:
            self._hand_over_whole(file, hand)
            return
        command = file.command
        order = Order(command.path, file.options.vad, command.have, command.since, file.until)
        with closing(_offers(order, hand, helper)) as chunks:
            for chunk in chunks:
                self._settled(file)
                start = chunk.passage.start / RATE
                if start >= file.until:
                    file.whole = True
                    return
                index, passage = file.chunks, chunk.passage
                seconds = (passage.end - passage.start) / RATE
                file.chunks += 1
                file.chunks_s += seconds
                if not order.stored(start):
                    file.todo += 1
                    mel = self._mel(file, chunk)
                    piece = Piece(file, index, file.todo - 1, passage, mel, chunk.speech)
                    self._mailbox.put(piece)
                    continue
                file.done_s += seconds
                if index == 0 and hand.lacks_language():
                    # The language is that of the first chunk, also when that one is stored.
                    mel = self._mel(file, chunk)
                    file.detecting = True
                    self._mailbox.put(Piece(file, 0, 0, passage, mel, only_language=True))
        self._settled(file)
        file.whole = True
        self._writer.send(Heard(job=file.job, strip=hand.strip), soon=False)
        if file.options.vad and not file.chunks:
            text = "no speech was found in the recording"
            file.warnings.append(JobWarning("no_speech", text))

    def _hand_over_whole(self, file: FileWork, hand: Hand) -> None:
        """The recording as one piece; there are never more than `MOST_WHOLE`."""
        self._settled(file)
        with self._changed:
            self._changed.wait_for(lambda: self._out < self._limit or file.dropped)
            file.check()
            room = -(-self._limit // MOST_WHOLE)
            self._out += room
        cutting = Cutting(file.command.path, hand.alive, lambda: hand.told(cutting.known))
        try:
            samples = cutting.whole()
        except BaseException:
            with self._changed:
                self._out -= room
                self._changed.notify_all()
            raise
        file.chunks_s = file.heard_s
        file.chunks = file.todo = 1
        file.whole = True
        self._writer.send(Heard(job=file.job, strip=cutting.strip), soon=False)
        whole, nothing = Passage((Span(0, len(samples)),)), np.empty((0, 0), np.float32)
        self._mailbox.put(Piece(file, 0, 0, whole, nothing, samples=samples, room=room))

    def _settled(self, file: FileWork, wait: bool = True) -> Model | None:
        """The model, once it is there; with it the file's language, if that needs no finding.

        Without `wait`, None while it is not there.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._model is not None or file.dropped)
            file.check()
            model = self._model
        if model is not None and not file.settled:
            settle_language(file, model.multilingual)
        return model

    def _mel(self, file: FileWork, chunk: Offer) -> Mel:
        """The spectrogram of a chunk, once there is room for it."""
        with self._changed:
            self._changed.wait_for(lambda: self._out < self._limit or file.dropped)
            file.check()
        mel = chunk.mel()
        with self._changed:
            self._out += mel.shape[-1]
        return mel


def helpers(cores: int, engines: int) -> int:
    """How many processes read files for one of `engines` that share so many cores.

    A core is left to the engines themselves, whose threads feed the GPUs.
    """
    return max(1, min(MOST_HELPERS, (cores - 1) // engines))


def _offers(order: Order, hand: Hand, helper: Helper | None) -> Generator[Offer, None, None]:
    """The chunks of a file: made by the helper, or in this thread."""
    if helper is not None and helper.ready():
        return helper.offers(order, hand)
    return offers(order, hand)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
