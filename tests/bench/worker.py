"""What a worker does in Python for a batch of clips, its model's answers known beforehand.

    python -m tests.bench.worker FOLDER [--windows 16] [--short] [--turns 30] [--model FOLDER]

All threads of an engine share Python's lock, and beside a fast GPU this is what they hold it for
(docs/throughput.md). FOLDER's clips of up to 15 s, again and again, fill windows that are decoded
once by the real model; then the same batch is decoded with the answers that it gave. ``--short``
gives each clip a window of its own length, of the most that there are, and as many seconds of them.
Printed are
milliseconds of processor time of the thread, the median and the least of the turns, and how many
pieces and windows there were; what only a CPU needs, to put the encoder's rows together, is left
out.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speakeasy_tui.core.engineprotocol import Load
from speakeasy_tui.core.models import find_local
from speakeasy_tui.engine.audio import RATE
from speakeasy_tui.engine.decode import Decoder
from speakeasy_tui.engine.encoded import Encoded
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.packing import LONGEST, windows
from speakeasy_tui.engine.shortwindow import few
from speakeasy_tui.engine.wire import Meter
from speakeasy_tui.engine.work import Piece, Window
from tests.bench.cores import kinds
from tests.engine.pieces import spoken_piece

FULL = 3000
"""Frames of a window."""


class Answers:
    """CTranslate2's model, asked once for everything, and then no more."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._known: list[Any] = []
        self._at: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def rewind(self) -> None:
        """From now on give the answers that are known, from the first."""
        self._at = 0

    def generate(self, *asked: Any, **how: Any) -> Any:
        """As CTranslate2's."""
        return self._answer(self._model.generate, asked, how)

    def align(self, *asked: Any, **how: Any) -> Any:
        """As CTranslate2's."""
        return self._answer(self._model.align, asked, how)

    def _answer(self, ask: Any, asked: Any, how: Any) -> Any:
        if self._at is None:
            self._known.append(ask(*asked, **how))
            return self._known[-1]
        self._at += 1
        return self._known[self._at - 1]


class Listened(Encoded):
    """The encoder's output of a batch that comes again and again."""

    def rows(self, which: Sequence[int]) -> Any:
        """Made once, as it lies on a GPU."""
        if len(which) < len(self._features):
            return super().rows(which)
        self._all = self._all or super().rows(which)
        return self._all


def batch_of(model: Model, folder: Path, count: int, *, short: bool) -> list[Window]:
    """Windows of FOLDER's clips, each of which is its own file's; shared, or short."""
    from faster_whisper import decode_audio

    clips = kinds([folder])["short clips"]
    sounds = []
    for path in clips:
        samples = np.asarray(32767 * decode_audio(str(path)), np.int16)
        if len(samples) <= LONGEST * RATE // 100:
            sounds.append(samples)
    pieces = (
        spoken_piece(model, sound, job) for job, sound in enumerate(itertools.cycle(sounds), 1)
    )
    if short:
        return short_windows(pieces, count, len(sounds))
    taken: list[Piece] = []
    made: list[Window] = []
    while len(made) <= count:
        taken.append(next(pieces))
        made = windows(taken, FULL)
    return made[:count]


def short_windows(pieces: Iterator[Piece], count: int, kinds: int) -> list[Window]:
    """A batch as full as `count` full windows, of the length that most of `kinds` pieces have."""
    lengths = few(FULL)
    usual = Counter(map(lengths.of, itertools.islice(pieces, kinds)))
    ((length, _),) = usual.most_common(1)
    alike = (piece for piece in pieces if lengths.of(piece) == length)
    full = itertools.islice(alike, lengths.windows(count, length))
    return [Window((piece,), length=length) for piece in full]


def fresh(batch: Sequence[Window]) -> None:
    """As if nothing of it had been decoded."""
    for piece in (piece for window in batch for piece in window.pieces):
        piece.seek = piece.packings = piece.looks = piece.unclear = 0
        piece.tried, piece.gaps, piece.segments, piece.until = [], [], [], None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--model", type=Path)
    given = parser.parse_args()
    folder = given.model or find_local("tiny.en").path  # type: ignore[union-attr]
    load = Load(model=str(folder), name="", device="cpu", compute_type="int8", cpu_threads=0)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    model = Model(load, Injector())
    batch = batch_of(model, given.folder, given.windows, short=given.short)
    model.whisper.model = answers = Answers(model.whisper.model)
    heard = Listened(model.whisper, [one.features(one.length or FULL) for one in batch])
    model.encode = lambda *_: heard  # type: ignore[method-assign]
    decoder = Decoder(model, Meter(), lambda: None)
    results = decoder.decode(batch)
    took = []
    for _ in range(given.turns):
        fresh(batch)
        answers.rewind()
        begun = time.thread_time()
        results = decoder.decode(batch)
        took.append(1000 * (time.thread_time() - begun))
    done = sum(result.complete for result in results)
    print(
        f"{len(batch)} windows of {len(results)} clips, of which {done} are done: "
        f"{statistics.median(took):.1f} ms, least {min(took):.1f}; "
        f"{statistics.median(took) / len(results):.3f} a clip"
    )


if __name__ == "__main__":
    main()
