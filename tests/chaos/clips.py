"""Short clips of real speech, cut from the bundled samples."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import av
import numpy as np

from speakeasy_tui import samples

RATE = 16000
LENGTHS = ((9.0, 13.0, 11.0, 14.0, 10.0), (12.0, 9.5, 13.5), (10.5, 14.0, 8.5, 11.5))
"""Seconds: longer ones let fewer be in flight, so that a fault cuts off fewer first tries."""
QUIET = 300
"""Mean of the samples' magnitudes (of 32,768) below which a piece counts as silent."""


def cut(folder: Path, count: int) -> Path:
    """Up to `count` wav clips of 2 to 14 s in `folder`, in each of which somebody speaks."""
    folder.mkdir(parents=True)
    number = 0
    sources = [
        _pcm(source)
        for source in sorted(Path(samples.__file__).parent.rglob("*.*"))
        if source.suffix in {".mp3", ".ogg", ".flac", ".wav", ".m4a"}
        and source.stem != "broken-tape"
    ]
    for lengths in LENGTHS:  # each turn cuts elsewhere
        for pcm in sources:
            at = 0
            while at < len(pcm) and number < count:
                piece = pcm[at : at + int(lengths[number % len(lengths)] * RATE)]
                at += len(piece)
                if len(piece) < 2 * RATE or np.abs(piece).mean() < QUIET:
                    continue
                with wave.open(str(folder / f"clip-{number:03d}.wav"), "wb") as file:
                    file.setnchannels(1)
                    file.setsampwidth(2)
                    file.setframerate(RATE)
                    file.writeframes(piece.tobytes())
                number += 1
    return folder


def _pcm(source: Path) -> np.ndarray:
    resampler = av.AudioResampler("s16", "mono", RATE)
    blocks = io.BytesIO()
    with av.open(str(source)) as container:
        for frame in container.decode(audio=0):
            for block in resampler.resample(frame):
                blocks.write(block.to_ndarray().tobytes())
    return np.frombuffer(blocks.getvalue(), np.int16)
