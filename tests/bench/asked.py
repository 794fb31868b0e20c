"""What clips ask of a GPU, counted on a CPU: windows of their own length beside shared ones.

    python -m tests.bench.asked FOLDER [--clips 480] [--batch 16] [--model NAME|FOLDER]

FOLDER holds clips and references.tsv; they are taken again and again, in a random order that is
always the same. torch listens and writes the text, as on a GPU, one batch after another. Printed
are the windows and their seconds, which is what the encoder costs; the steps of the search, and of
how many texts each is; how often words are aligned; and the word error rate. Nothing is timed.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jiwer
import numpy as np

from speakeasy_tui.core.engineprotocol import Load
from speakeasy_tui.core.models import find_local
from speakeasy_tui.engine.audio import Samples
from speakeasy_tui.engine.batching import Ready
from speakeasy_tui.engine.decode import Decoder
from speakeasy_tui.engine.encoded import Encoded
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.shortwindow import Lengths, few
from speakeasy_tui.engine.soundencoder import SoundEncoder
from speakeasy_tui.engine.steps import Steps
from speakeasy_tui.engine.wire import Meter
from tests.bench.accuracy import normal, references
from tests.engine.pieces import spoken_piece


class Counting:
    """Counts calls of methods, and how much each was about."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._was: list[tuple[type, str, Any]] = []

    def watch(self, owner: type, method: str, much: Callable[..., dict[str, int]]) -> None:
        """From now on add what `much` makes of each call's arguments."""
        original = getattr(owner, method)
        self._was.append((owner, method, original))

        def counted(*given: Any, **how: Any) -> Any:
            self.counts.update(much(*given, **how))
            return original(*given, **how)

        setattr(owner, method, counted)

    def close(self) -> None:
        """Count no more."""
        for owner, method, original in self._was:
            setattr(owner, method, original)


def hear(
    model: Model, clips: list[tuple[Samples, str]], size: int, lengths: Lengths | None
) -> tuple[Counter[str], float]:
    """What was counted, and the word error rate."""
    counting = Counting()
    counting.watch(
        SoundEncoder,
        "__call__",
        lambda _, mels: {"windows": len(mels), "frames": sum(mel.shape[-1] for mel in mels)},
    )
    counting.watch(
        Steps,
        "_step",
        lambda steps, _, windows, __: {"steps": 1, "rows": windows * steps.shape.width},
    )
    counting.watch(Encoded, "align", lambda *_, **__: {"alignments": 1})
    assert model.searcher is not None
    model.searcher.spare()
    model.expect(size)
    decoder = Decoder(model, Meter(), lambda: None)
    ready = Ready()
    ready.lengths = lengths
    pieces = [spoken_piece(model, sound, job) for job, (sound, _) in enumerate(clips, 1)]
    for number in np.random.default_rng(0).permutation(len(pieces)):
        ready.add(pieces[number])
    while len(ready):
        counting.counts["batches"] += 1
        results = decoder.decode(ready.next(size))
        ready.add_again(result.piece for result in results if not result.complete)
    counting.close()
    said = [normal("".join(one.text for one in piece.segments)) for piece in pieces]
    return counting.counts, jiwer.wer([normal(text) for _, text in clips], said)


def main() -> None:
    """Count and print."""
    from faster_whisper import decode_audio

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=480)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--model", default="tiny.en")
    given = parser.parse_args()
    os.environ["SPEAKEASY_TORCH"] = "all"
    folder = find_local(given.model).path  # type: ignore[union-attr]
    load = Load(model=str(folder), name="", device="cpu", compute_type="float32", cpu_threads=0)
    model = Model(load, Injector())
    known = [
        (np.asarray(32767 * decode_audio(str(given.folder / path)), np.int16), text)
        for path, text in references(given.folder)
    ]
    clips = [known[number % len(known)] for number in range(given.clips)]
    print("| windows | batches | | seconds | steps | rows each | alignments | WER % |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, lengths in (("shared", None), ("short", few(3000))):
        found, wrong = hear(model, clips, given.batch, lengths)
        print(
            f"| {name} | {found['batches']} | {found['windows']} | {found['frames'] / 100:,.0f} | "
            f"{found['steps']} | {found['rows'] / found['steps']:.0f} | {found['alignments']} | "
            f"{100 * wrong:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
