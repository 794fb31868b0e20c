"""Pieces and recordings for tests: made up, or cut from the samples."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from speakeasy_tui.core.engineprotocol import Transcribe
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.engine import audio
from speakeasy_tui.engine.audio import RATE, Samples
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.passage import Passage, Span
from speakeasy_tui.engine.work import FileWork, Piece

from .engine import SAMPLES, write_wav

# Seconds, each in the middle of a pause: where the sentences of a sample end.
ENDS = {
    "interviews/lighthouse-keeper.ogg": (
        *(3.06, 5.84, 8.96, 14.72, 18.4, 21.74, 24.19, 26.77, 29.09, 34.37, 37.17, 40.29, 43.39),
        *(46.14, 50.1, 53.7, 56.35, 61.5, 65.58, 67.95, 72.24, 75.6, 78.66, 80.42, 82.24, 87.81),
        *(89.09, 91.49),
    ),
    "interviews/radio-repair.mp3": (
        *(3.62, 5.44, 9.71, 15.26, 17.74, 19.5, 22.54, 24.9, 26.59, 29.26, 33.89, 37.6, 38.93),
        *(41.15, 44.22),
    ),
    "notes/green-box.ogg": (2.02, 5.44, 10.74, 13.06, 14.96, 19.38, 22.38, 26.19, 28.98),
    "notes/weather-log.m4a": (2.22, 5.81, 9.98, 13.71, 15.62, 19.41),
    "notes/evening-list.flac": (2.43, 8.87),
    "notes/shelf-count.wav": (3.56,),
    "field/river-bank.mp3": (4.03, 7.98, 10.34, 15.54),
}
TEXTS = dict(
    line.split("\t", 1) for line in (SAMPLES / "texts.tsv").read_text("utf-8").splitlines()
)


@functools.cache
def sentences() -> list[tuple[str, Samples]]:
    """All sentences of the samples: text, and int16 mono at 16 kHz."""
    found: list[tuple[str, Samples]] = []
    for name, ends in ENDS.items():
        samples = audio.decode(os.fsencode(SAMPLES / name)).samples
        texts = re.split(r"(?<=[.?!]) ", TEXTS[name].strip())
        for text, start, end in zip(texts, (0.0, *ends), ends, strict=False):
            found.append((text, samples[round(start * RATE) : round(end * RATE)]))
        assert len(texts) == len(ends)
    return found


def write_sentences(folder: Path) -> list[Path]:
    """A wav file for each of `sentences`."""
    paths = [folder / f"{number:02}.wav" for number in range(len(sentences()))]
    for path, (_, samples) in zip(paths, sentences(), strict=True):
        write_wav(path, samples.tobytes())
    return paths


def made_file(job: int = 1, language: str | None = "en", **options: Any) -> FileWork:
    """A file in flight that nobody decodes."""
    command = Transcribe(job=job, attempt=1, path=b"x", options=JobOptions(**options))
    return FileWork(command, Injector().trap(b"x", 1), language=language)


def made_piece(
    file: FileWork | None = None,
    seconds: float = 3.0,
    start: float = 0.0,
    speech: tuple[tuple[float, float], ...] = ((0.5, 2.5),),
) -> Piece:
    """A piece `start` seconds into its recording; `speech` in seconds from its own start."""
    spans = [Span(round((start + a) * RATE), round((start + b) * RATE)) for a, b in speech]
    span = Span(round(start * RATE), round((start + seconds) * RATE))
    mel = np.full((2, round(seconds * 100)), -0.5, np.float32)
    return Piece(file or made_file(), 0, 0, Passage((span,)), mel, spans)


def spoken_piece(model: Any, samples: Samples, job: int = 1, **options: Any) -> Piece:
    """A piece of real speech, all of it taken for spoken."""
    span = Span(0, len(samples))
    mel = model.mel.chunk(samples)
    return Piece(made_file(job, **options), 0, 0, Passage((span,)), mel, [span])
