"""Short clips of real speech, cut from the bundled samples."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import av
import numpy as np

from speakeasy_tui import samples

RATE = 16000


def cut(folder: Path, count: int) -> Path:
    """At least `count` wav clips of 2 to 6 s in `folder`, each with somebody speaking."""
    folder.mkdir(parents=True)
    number = 0
    lengths = (2.5, 4.0, 6.0, 3.0, 5.0)
    for source in sorted(Path(samples.__file__).parent.rglob("*.*")):
        if source.suffix not in {".mp3", ".ogg", ".flac", ".wav", ".m4a"}:
            continue
        if source.stem == "broken-tape":
            continue
        pcm = _pcm(source)
        at = 0
        while at < len(pcm) and number < count:
            piece = pcm[at : at + int(lengths[number % len(lengths)] * RATE)]
            at += len(piece)
            if len(piece) < 2 * RATE or np.abs(piece).mean() < 300:
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
