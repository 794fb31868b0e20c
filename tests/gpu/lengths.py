"""Windows of several lengths by turns: what a batch of each takes, and whether texts stay the same.

    python -m tests.gpu.lengths MODEL FOLDER [--batches 16] [--turns 6]

Clips of FOLDER in windows that are as short as they may be (`engine.shortwindow.few`), as many
seconds of them as a batch of full windows has. Each length is searched by itself first, in memory
of its own, then all by turns in the same, where a GPU plays what it recorded of each. Printed for
each are the windows, steps, milliseconds (the median of the turns) of torch's encoder and search,
and how many texts differ between both; then the memory that torch holds and whether steps are
recorded. Exit code 1: texts differ. ``--device cpu`` tries it without a GPU, where nothing is
recorded. Beside it, for clips in shared windows: `tests.gpu.sweep` with ``SPEAKEASY_WINDOWS``.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from faster_whisper import decode_audio
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from speakeasy_tui.core.engineprotocol import Load
from speakeasy_tui.engine.generation import most_tokens
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.outcome import MOST
from speakeasy_tui.engine.shortwindow import TAIL, few
from speakeasy_tui.engine.vram import TOKENS_SHORT
from speakeasy_tui.engine.work import Window
from tests.bench.cores import kinds
from tests.engine.pieces import spoken_piece
from tests.gpu.sweep import options

FULL = 3000
"""Frames of a window."""


class Batch(NamedTuple):
    """Windows of one length, and what is said in them if nothing else is heard beside."""

    length: int
    features: list[np.ndarray]
    options: dict[str, Any]

    def hear(self, model: Model) -> tuple[list[list[int]], float, float]:
        """The likeliest text of each window; seconds of the encoder and of the search."""
        assert model.searcher is not None
        begun = time.monotonic()
        encoded = model.encode(self.features).tensor(range(len(self.features)))
        between = time.monotonic()
        found = model.searcher.generate(encoded, **self.options)
        ended = time.monotonic()
        return [one.sequences_ids[0] for one in found], between - begun, ended - between


def batches_of(model: Model, folder: Path, size: int) -> list[Batch]:
    """One for each length that clips of FOLDER need, as full as `size` full windows."""
    lengths = few(FULL)
    tokenizer = Tokenizer(model.whisper.hf_tokenizer, model.multilingual, "transcribe", "en")
    own: dict[int, list[np.ndarray]] = {}
    for path in kinds([folder])["short clips"]:
        samples = np.asarray(32767 * decode_audio(str(path)), np.int16)
        piece = spoken_piece(model, samples)
        length = lengths.of(piece)
        features = Window((piece,), length=length).features(length)
        own.setdefault(length, []).append(features)
    made = []
    for length, features in sorted(own.items()):
        count = lengths.windows(size, length)
        most = MOST if length == FULL else most_tokens(length - TAIL)
        options = {
            "prompts": [model.whisper.get_prompt(tokenizer, [])] * count,
            "start": tokenizer.sot,
            "num_hypotheses": 5,
            "max_length": 2 * most,
            "suppress_tokens": get_suppressed_tokens(tokenizer, [-1]),
        }
        made.append(
            Batch(length, list(itertools.islice(itertools.cycle(features), count)), options)
        )
    return made


def main() -> None:
    """Measure, compare and print."""
    parser = options(__doc__, batches="16")
    parser.add_argument("--turns", type=int, default=6)
    given = parser.parse_args()
    os.environ.setdefault("SPEAKEASY_TORCH", "all")
    load = Load(
        model=str(given.model), name="", device=given.device, compute_type=given.compute_type
    )
    model = Model(load, Injector())
    searcher = model.searcher
    assert searcher is not None
    wrong = 0
    for size in map(int, given.batches.split(",")):
        batches = batches_of(model, given.folder, size)
        model.expect(size)
        searcher.tokens = TOKENS_SHORT
        alone = []
        for batch in batches:
            model.spare()
            alone.append(batch.hear(model)[0])
        model.spare()
        turns = [[batch.hear(model) for batch in batches] for _ in range(given.turns)]
        print(f"\na batch of {size} full windows")
        print("| frames | windows | steps | encoder ms | search ms | texts that differ |")
        print("|--:|--:|--:|--:|--:|--:|")
        for batch, texts, *heard in zip(batches, alone, *turns, strict=True):
            others = sum(
                one != text for found, _, _ in heard for one, text in zip(found, texts, strict=True)
            )
            encoder, search = (
                1000 * statistics.median(one[place] for one in heard) for place in (1, 2)
            )
            print(
                f"| {batch.length} | {len(texts)} | {max(map(len, texts)) + 1} | {encoder:.1f} | "
                f"{search:.1f} | {others} of {len(texts) * given.turns} |",
                flush=True,
            )
            wrong += others
        kept = [steps for desk in searcher._desks.values() for steps in desk._steps]
        print(f"steps are recorded: {all(steps._records for steps in kept)}")
        if torch.cuda.is_available():
            print(f"torch holds {torch.cuda.memory_reserved(model.index) >> 20} MB")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
