"""A whole recording, window after window, each knowing the text before it.

This is `WhisperModel.transcribe` of faster-whisper itself, its options left at their defaults, so
that results are the same. It is only watched: whoever waits is told whenever a window begins,
and may end it there. And the spectrogram is made piece by piece, to the same values: at once it
would take 3 GB per hour.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from speakeasy_tui.core.job import JobWarning
from speakeasy_tui.core.text import printable
from speakeasy_tui.core.transcript import Segment, Word
from speakeasy_tui.engine.audio import floats
from speakeasy_tui.engine.outcome import TEMPERATURES
from speakeasy_tui.engine.segments import clean, finite
from speakeasy_tui.engine.work import Piece

_BLOCK = 3000
"""Frames of a spectrogram made at a time, at most."""


def hear(whisper: Any, piece: Piece, next_window: Callable[[], None]) -> None:
    """Fill the segments of `piece`, and what its file is to know.

    Args:
        whisper: a `WhisperModel`; others may use it at the same time.
        piece: one with `samples`.
        next_window: called before every window, when the language is known, at the end and while
            the spectrogram is made; may raise to stop.
    """
    file, options = piece.file, piece.file.options
    begun, before = time.monotonic(), piece.file.model_s
    watched = copy.copy(whisper)

    def advance() -> None:
        file.model_s = before + time.monotonic() - begun
        next_window()

    def encode(features: Any) -> Any:
        advance()
        return whisper.encode(features)

    watched.encode = encode
    watched.feature_extractor = _InBlocks(whisper.feature_extractor, advance)
    assert piece.samples is not None
    found, info = watched.transcribe(
        floats(piece.samples),
        language=file.language,
        task=options.task,
        beam_size=options.beam_size,
        temperature=[0.0, *TEMPERATURES] if options.fallback else [0.0],
        initial_prompt=options.initial_prompt.strip() or None,
        word_timestamps=options.word_timestamps,
        vad_filter=options.vad,
        condition_on_previous_text=True,
    )
    if file.language is None:
        file.language = printable(info.language)
        file.language_probability = round(float(info.language_probability), 4)
    file.speech_s = float(info.duration_after_vad)
    advance()
    for one in found:
        piece.segments.append(_segment(one))
        file.ahead_s = min(float(one.end), piece.end)
    advance()
    if not piece.segments:
        file.warnings.append(JobWarning("no_speech", "no speech was found in the recording"))


class _InBlocks:
    """faster-whisper's `FeatureExtractor`, to the bit, whose transforms take a few MB at a time."""

    def __init__(self, own: Any, next_block: Callable[[], None]) -> None:
        self._own = own
        self._next_block = next_block

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def __call__(self, audio: Any, padding: int = 160, chunk_length: None = None) -> Any:
        """Log-mel, (mels, frames of 10 ms), of float32 samples."""
        own, size, hop = self._own, self._own.n_fft, self._own.hop_length
        window = np.hanning(size + 1)[:-1].astype(np.float32)
        frames = (len(audio) + padding) // hop
        audio = np.pad(np.pad(audio, (0, padding)), size // 2, mode="reflect")
        power = np.empty((size // 2 + 1, frames), np.float32, order="F")
        edges = np.linspace(0, frames, max(1, -(-frames // _BLOCK)) + 1).astype(int)
        for at, end in pairwise(edges):
            self._next_block()
            part = audio[at * hop : (end - 1) * hop + size]
            found = own.stft(part, size, hop, window=window, center=False, return_complex=True)
            power[:, at:end] = np.abs(found.astype(np.complex64)) ** 2
        # At once: of a product in parts, some BLAS kernels round the columns differently.
        mel = own.mel_filters @ power
        del power
        np.clip(mel, 1e-10, None, out=mel)
        np.log10(mel, out=mel)
        np.maximum(mel, mel.max() - 8.0, out=mel)
        mel += 4.0
        mel /= 4.0
        return mel


def _segment(one: Any) -> Segment:
    """faster-whisper's segment as ours."""
    words = one.words
    return Segment(
        start=round(float(one.start), 3),
        end=round(float(one.end), 3),
        text=clean(one.text),
        tokens=tuple(int(token) for token in one.tokens),
        temperature=float(one.temperature),
        avg_logprob=finite(float(one.avg_logprob), -99.0),
        compression_ratio=finite(float(one.compression_ratio), 0.0),
        no_speech_prob=finite(float(one.no_speech_prob), 0.0),
        words=None if words is None else tuple(_word(word) for word in words),
    )


def _word(word: Any) -> Word:
    return Word(
        start=round(float(word.start), 3),
        end=round(float(word.end), 3),
        word=clean(word.word),
        probability=finite(float(word.probability), 0.0),
    )
