"""Looking for speech and making spectrograms: x real time of one core, beside faster-whisper.

    python -m tests.bench.speech FILES…

Each file is run whole, and as clips of 2–10 s. Both sides take turns, each on one thread; what
counts is the process's CPU time, the least of some rounds. Decoding is not counted. Ours gets
recordings block by block, as the engine does.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported

import argparse
import random
import time
from collections.abc import Callable, Sequence

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.vad import VadOptions, get_speech_timestamps, get_vad_model

from speakeasy_tui.engine.audio import RATE, Samples, decode, floats
from speakeasy_tui.engine.doubt import Doubt
from speakeasy_tui.engine.melspec import LogMel
from speakeasy_tui.engine.speech import WINDOW, Cutter
from speakeasy_tui.engine.vad import STEP, Listener

BLOCK = 5 * RATE
ROUNDS = 5
OPTIONS = {"min_silence_duration_ms": 160}

Work = Callable[[Samples], object]


def their_network(samples: Samples) -> None:
    """Probabilities alone."""
    get_vad_model()(np.pad(floats(samples), (0, -len(samples) % STEP)))


def our_network(samples: Samples) -> None:
    """Probabilities alone."""
    listener = Listener()
    for at in range(0, len(samples), BLOCK):
        listener.hear(samples[at : at + BLOCK])
    listener.end()


def their_spans(samples: Samples) -> None:
    """Where speech is."""
    get_speech_timestamps(floats(samples), VadOptions(**OPTIONS))


def our_spans(samples: Samples) -> None:
    """Where speech is, and the chunks."""
    listener, doubt, cutter = Listener(), Doubt(), Cutter(vad=True)
    for at in range(0, len(samples), BLOCK):
        block = samples[at : at + BLOCK]
        cutter.feed(doubt.consider(block, listener.hear(block)))
    cutter.feed(doubt.consider(samples[:0], listener.end()))
    cutter.end(len(samples))


def spectrograms(mels: int) -> tuple[Work, Work]:
    """Theirs and ours, by windows."""
    extractor, own = FeatureExtractor(feature_size=mels), LogMel(mels)

    def theirs(samples: Samples) -> None:
        for at in range(0, len(samples), WINDOW):
            mel = extractor(floats(samples[at : at + WINDOW]))[..., :-1]
            np.ascontiguousarray(mel, dtype=np.float32)

    def ours(samples: Samples) -> None:
        for at in range(0, len(samples), WINDOW):
            own.chunk(samples[at : at + WINDOW])

    return theirs, ours


def clips(samples: Samples) -> list[Samples]:
    """Stretches of 2–10 s, one after the other; the same each time."""
    chance = random.Random(1)
    found = []
    at = 0
    while at < len(samples):
        end = at + int(chance.uniform(2, 10) * RATE)
        found.append(samples[at:end])
        at = end
    return found


def cpu_seconds(work: Work, pieces: Sequence[Samples]) -> float:
    """CPU time of `work` on each piece."""
    begun = time.process_time()
    for piece in pieces:
        work(piece)
    return time.process_time() - begun


def main() -> None:
    """Measure and print a table per file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--minutes", type=float, default=10, help="of each file, at most")
    given = parser.parse_args()
    rows: list[tuple[str, tuple[Work, Work]]] = [
        ("VAD: the network", (their_network, our_network)),
        ("VAD: spans", (their_spans, our_spans)),
        ("mel, 80 bands", spectrograms(80)),
        ("mel, 128 bands", spectrograms(128)),
    ]
    for path in given.files:
        samples = decode(os.fsencode(path)).samples[: int(given.minutes * 60 * RATE)]
        for how, pieces in (("whole", [samples]), ("clips of 2–10 s", clips(samples))):
            print(f"{path}, {len(samples) / RATE:.0f} s, {how}: x real time of one core")
            for name, both in rows:
                for work in both:
                    work(pieces[0])
                times = [[cpu_seconds(work, pieces) for work in both] for _ in range(ROUNDS)]
                theirs, ours = (
                    len(samples) / RATE / min(each) for each in zip(*times, strict=True)
                )
                print(f"  {name:18} theirs {theirs:6.0f}   ours {ours:6.0f}   {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
