"""The recordings of a storm, the faults that await them, and the text each must end in."""

from __future__ import annotations

import difflib
import math
import os
import random
import wave
from dataclasses import dataclass
from pathlib import Path

import msgspec

from speakeasy_tui.core.settings import Format
from speakeasy_tui.core.text import printable
from speakeasy_tui.engine.sim import CHUNK_S, pretend_chunk

RATE = 100
"""Samples a second: the simulated engine reads a wav file's header only."""
FORMATS: tuple[Format, ...] = ("txt", "json")

WEIGHTS = {
    "oom": 4,
    "cuda": 4,
    "sticky": 4,
    "kill": 4,
    "abort": 4,
    "segv": 4,
    "hang": 2,
    "disk": 2,
    "device": 2,
}
"""How often each fault is dealt: those that stop the whole batch for seconds are rarer."""
TRIES = {"oom": 2, "cuda": 2, "sticky": 2, "disk": 3, "device": 3}
"""How many tries of one file a fault may strike at most, else one: more, and the file would
rightly fail or be quarantined."""


@dataclass
class Recording:
    """One file of the queue."""

    source: Path
    fault: str
    """``kind-tries``, or empty."""
    stem: Path
    """Its outputs, without their endings."""
    audio_s: float = 0.0
    """Seconds; of the simulated engine's."""
    words: str = ""
    """What a run without faults made of it; the real engine only."""

    @property
    def kind(self) -> str:
        """The kind of its fault, or empty."""
        return self.fault.partition("-")[0]

    @property
    def outcome(self) -> str:
        """What a try ends by that its fault strikes."""
        return "crash" if self.kind in {"kill", "abort", "segv"} else self.kind

    def outputs(self) -> list[Path]:
        """The files that must be there, and no others."""
        return [self.stem.with_name(f"{self.stem.name}.{ending}") for ending in FORMATS]

    def said(self) -> list[str]:
        """The texts of the simulated segments, in order."""
        name = printable(os.fspath(self.source))
        starts = [CHUNK_S * number for number in range(math.ceil(self.audio_s / CHUNK_S))]
        chunks = [
            pretend_chunk(name, index, start, min(self.audio_s, start + CHUNK_S))
            for index, start in enumerate(starts)
        ]
        return [segment.text.strip() for chunk in chunks for segment in chunk.segments]

    def wrong(self) -> str:
        """What is wrong with the outputs' content; empty when nothing is."""
        txt, json = self.outputs()
        try:
            document = msgspec.json.decode(json.read_bytes())
            heard = [segment["text"].strip() for segment in document["segments"]]
            lines = txt.read_text().splitlines()
        except (OSError, ValueError, LookupError) as error:
            return f"{json.name}: {error!r}"
        if lines != heard:
            return f"{txt.name} and {json.name} differ"
        if not self.words:
            return "" if heard == self.said() else f"{txt.name} is not this file's text"
        likeness = difflib.SequenceMatcher(None, " ".join(heard), self.words).ratio()
        return "" if likeness > 0.8 else f"{txt.name} is like its text by {likeness:.2f} only"


def deal(count: int, share: float, rng: random.Random) -> list[str]:
    """A fault and how many tries it strikes (``kind-2``), or none, for each of `count` files."""
    faulty = round(count * share)
    kinds = list(WEIGHTS)
    every = kinds * min(5, faulty // len(kinds))  # each kind, as far as there are enough
    faults = every + rng.choices(kinds, list(WEIGHTS.values()), k=faulty - len(every))
    faults = [f"{kind}-{rng.randint(1, TRIES.get(kind, 1))}" for kind in faults]
    faults += [""] * (count - faulty)
    rng.shuffle(faults)
    return faults


def spread(faults: list[str]) -> list[str]:
    """The same, as far apart as can be: a fault cuts off the first try of all that are in flight
    with it, and those that were dealt one themselves would not meet theirs."""
    dealt = [fault for fault in faults if fault]
    apart = [""] * len(faults)
    for number, fault in enumerate(dealt):
        apart[(2 * number + 1) * len(faults) // (2 * len(dealt))] = fault
    return apart


def rules() -> str:
    """``SPEAKEASY_FAULTS``: a file's name says which rule is meant for it."""
    return ";".join(
        f"{kind}:*.{kind}-{tries}.*:{tries}"
        for kind in WEIGHTS
        for tries in range(1, TRIES.get(kind, 1) + 1)
    )


def named(number: int, fault: str) -> str:
    """A file's name without its ending."""
    return f"tape-{number:04d}{'.' + fault if fault else ''}"


def sow(folder: Path, out: Path, count: int, share: float, rng: random.Random) -> list[Recording]:
    """Make `count` recordings of 2 to 95 s in twenty folders below `folder`."""
    recordings = []
    for number, fault in enumerate(deal(count, share, rng)):
        below = Path(f"reel-{number % 20:02d}")
        name = named(number, fault)
        source = folder / below / f"{name}.wav"
        source.parent.mkdir(parents=True, exist_ok=True)
        frames = round(rng.choice((rng.uniform(2, 30), rng.uniform(30, 95))) * RATE)
        with wave.open(os.fspath(source), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(1)
            file.setframerate(RATE)
            file.writeframes(rng.randbytes(frames))
        recordings.append(Recording(source, fault, out / below / name, frames / RATE))
    return recordings


def adopt(
    clips: Path, folder: Path, out: Path, share: float, rng: random.Random
) -> list[Recording]:
    """Bring the recordings in `clips` (a flat folder) under names that say their faults."""
    files = sorted(clips.iterdir())
    recordings = []
    folder.mkdir(parents=True, exist_ok=True)
    faults = spread(deal(len(files), share, rng))
    for number, (clip, fault) in enumerate(zip(files, faults, strict=True)):
        name = named(number, fault)
        source = folder / f"{name}{clip.suffix}"
        source.write_bytes(clip.read_bytes())
        recordings.append(Recording(source, fault, out / name))
    return recordings
