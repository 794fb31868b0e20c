"""Long recordings of real sentences: clips joined in random orders, with pauses between them.

    python -m tests.bench.peers.joined OUT FOLDER… [--minutes 11,11] [--clips 0]

Each FOLDER holds clips and ``references.tsv`` (a file's name, a tab, what is said in it); OUT gets
wav files and a ``references.tsv`` of its own, for ``python -m tests.bench.peers --clips OUT``.
Sentences come again in another order when there are not enough. Pauses last 0.3 to 2 s, and are
nearly silent. With ``--passages`` clips whose names differ in their number alone stay together, in
order, as they were read: somebody who speaks goes on from sentence to sentence, and Whisper ends
fewer windows early. ``--clips 60 --minutes 1,1.5,2,2,2.5,3,3.5,4,4.5,5,30`` makes a mixed folder.
"""

from __future__ import annotations

import argparse
import random
import re
import wave
from itertools import groupby
from pathlib import Path

import numpy as np
from faster_whisper import decode_audio

from tests.bench.accuracy import references

RATE = 16_000
FAINT = 1e-4
"""Level of the noise in a pause, of full scale."""
Clip = tuple[np.ndarray, str]


def passages_of(folders: list[Path]) -> list[list[Clip]]:
    """Samples, floats at 16 kHz, and text of clips; those of a passage together."""
    found: list[list[Clip]] = []
    for folder in folders:
        for _, those in groupby(
            references(folder), lambda line: re.sub(r"\d+(?=\.\w+$)", "", line[0])
        ):
            found.append(
                [(np.asarray(decode_audio(str(folder / name))), text) for name, text in those]
            )
    return found


def join(passages: list[list[Clip]], seconds: float, seed: int) -> Clip:
    """One recording of at least so many seconds, the passages in random orders."""
    chance, noise = random.Random(seed), np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    texts: list[str] = []
    length = 0.0
    while length < seconds:
        order = passages[:]
        chance.shuffle(order)
        for samples, text in (clip for passage in order for clip in passage):
            pause = chance.uniform(0.3, 2.0)
            parts += [samples, noise.normal(0, FAINT, int(pause * RATE)).astype(np.float32)]
            texts.append(text)
            length += len(samples) / RATE + pause
            if length >= seconds:
                break
    return np.concatenate(parts), " ".join(texts)


def write(path: Path, samples: np.ndarray) -> None:
    """A wav of 16 bits."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description="Join clips into long recordings.")
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--minutes", default="11,11", help="of each recording")
    parser.add_argument("--clips", type=int, default=0, help="so many clips by themselves, too")
    parser.add_argument("--passages", action="store_true", help="keep sentences in their order")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    passages = passages_of(given.folders)
    clips = [clip for passage in passages for clip in passage]
    if not given.passages:
        passages = [[clip] for clip in clips]
    rows = []
    for number in range(given.clips):
        samples, text = clips[number % len(clips)]
        write(given.out / f"clip-{number:02}.wav", samples)
        rows.append(f"clip-{number:02}.wav\t{text}\n")
    for number, minutes in enumerate(given.minutes.split(",")):
        samples, text = join(passages, float(minutes) * 60, number + 11)
        write(given.out / f"{number}.wav", samples)
        rows.append(f"{number}.wav\t{text}\n")
    (given.out / "references.tsv").write_text("".join(rows), "utf-8")


if __name__ == "__main__":
    main()
