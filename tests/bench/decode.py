"""Decoding alone: ours beside faster-whisper's `decode_audio`, on the same files by turns.

    python -m tests.bench.decode [FILE…] [--turns 7] [--minutes 10]

Without files they are made of the bundled recordings with PyAV. Printed is × real time per core:
seconds of audio by seconds of CPU time, the best of the turns, which are taken alternately in one
process. "blocks" is our decoder as the engine uses it; "whole" keeps the samples as one array, as
faster-whisper does.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from speakeasy_tui.engine.audio import RATE, decode, open_recording
from tests.fuzz.corpus import speech


class Kind(NamedTuple):
    """How to make a file."""

    suffix: str
    codec: str
    container: str
    rate: int
    layout: str
    bit_rate: int | None = None


KINDS = {
    "mp3": Kind("mp3", "libmp3lame", "mp3", 44_100, "stereo", 128_000),
    "mp3 16k mono": Kind("mp3", "libmp3lame", "mp3", RATE, "mono", 48_000),
    "m4a": Kind("m4a", "aac", "mp4", 44_100, "stereo", 128_000),
    "opus": Kind("ogg", "libopus", "ogg", 48_000, "mono", 32_000),
    "flac": Kind("flac", "flac", "flac", 44_100, "stereo"),
    "wav": Kind("wav", "pcm_s16le", "wav", 44_100, "stereo"),
    "wav 16k mono": Kind("wav", "pcm_s16le", "wav", RATE, "mono"),
}


def make(folder: Path, kind: Kind, name: str, seconds: float) -> Path:
    """A file of speech; where it is stereo, the second channel is later and softer."""
    first = speech(seconds)
    second = np.roll(first, 7) // 2
    channels = [first, second] if kind.layout == "stereo" else [first]
    frame = av.AudioFrame.from_ndarray(np.stack(channels), format="s16p", layout=kind.layout)
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    path = folder / f"{name}.{kind.suffix}"
    with av.open(str(path), "w", format=kind.container) as out:
        stream = out.add_stream(kind.codec, rate=kind.rate, layout=kind.layout)
        if kind.bit_rate:
            stream.bit_rate = kind.bit_rate
        context = stream.codec_context
        context.open()
        resampler = av.AudioResampler(
            format=context.format.name,
            layout=kind.layout,
            rate=kind.rate,
            frame_size=context.frame_size or 4096,
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            part.pts = None
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return path


def theirs(path: Path) -> float:
    """faster-whisper; seconds of audio."""
    from faster_whisper import decode_audio

    return len(decode_audio(str(path))) / RATE


def whole(path: Path) -> float:
    """Ours, as one array."""
    return decode(os.fsencode(path)).seconds


def blocks(path: Path) -> float:
    """Ours, as a stream."""
    with open_recording(os.fsencode(path)) as recording:
        return sum(map(len, recording.blocks())) / RATE


WAYS: dict[str, Callable[[Path], float]] = {
    "faster-whisper": theirs,
    "ours, whole": whole,
    "ours, blocks": blocks,
}


def measure(path: Path, turns: int) -> tuple[float, list[float]]:
    """Seconds of audio, and the least CPU seconds of each way."""
    best = [float("inf")] * len(WAYS)
    seconds = 0.0
    for _ in range(turns):
        for number, way in enumerate(WAYS.values()):
            begun = time.process_time()
            seconds = way(path)
            best[number] = min(best[number], time.process_time() - begun)
    return seconds, best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=10.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files: Sequence[Path] = given.files or [
            make(Path(folder), kind, name, 60 * given.minutes) for name, kind in KINDS.items()
        ]
        for way in WAYS.values():  # imports
            way(files[0])
        print(f"| × real time per core | {' | '.join(WAYS)} | blocks ÷ faster-whisper |")
        print("|---|" + "--:|" * (len(WAYS) + 1))
        for path in files:
            seconds, best = measure(path, given.turns)
            cells = " | ".join(f"{seconds / cpu:,.0f}" for cpu in best)
            print(f"| {path.stem} | {cells} | {best[0] / best[-1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
