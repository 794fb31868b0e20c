"""Log-mel spectrograms of chunks: those of faster-whisper's `FeatureExtractor`, sooner.

Its frames, windows and filters (from openai/whisper, MIT), in float32 throughout and in blocks
that fit a core's cache: chunks of 30 s take 0.8 of its time, 0.6 while other cores are busy, and
clips of 5 s the same (tests/bench/speech.py). Values differ by less than 1e-4.
"""

from __future__ import annotations

import threading

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor

from speakeasy_tui.engine.audio import Samples
from speakeasy_tui.engine.fourier import Floats, Fourier, Room

_FRAME, _HOP = 400, 160
_SILENCE = 160
"""Samples of silence behind a chunk."""
_BLOCK = 256
"""Frames per matrix product."""
_FLOOR = 1e-10
_RANGE = 8.0
"""Decades of power below the loudest that are kept."""


class LogMel:
    """Spectrograms for models with `mels` bands. Several threads may use it at once."""

    def __init__(self, mels: int) -> None:
        self.mels = mels
        """Bands."""
        at = np.arange(_FRAME)
        turns = np.arange(_FRAME // 2 + 1)[:, None] * at * (2 * np.pi / _FRAME)
        window = (0.5 - 0.5 * np.cos(at * (2 * np.pi / _FRAME))) / 32768  # samples come as int16
        self._fourier = Fourier(
            (np.cos(turns) * window).astype(np.float32), (np.sin(turns) * window).astype(np.float32)
        )
        filters = FeatureExtractor(feature_size=mels).mel_filters
        # Three quarters of the bands lie in the lower half of the bins, which come first.
        self._low_bins = self._fourier.quarter + 1
        self._low = int(np.argmax(filters[:, self._low_bins :].any(axis=1)))
        filters = filters[:, self._fourier.bins]
        self._low_filters: Floats = np.ascontiguousarray(filters[: self._low, : self._low_bins])
        self._high_filters: Floats = np.ascontiguousarray(filters[self._low :])
        self._room = Room(_FRAME, _BLOCK)
        self._own = _Powers()

    def chunk(self, samples: Samples) -> Floats:
        """(mels, frames) of 10 ms each, a frame per whole `_HOP` samples.

        Args:
            samples: int16, mono, 16 kHz; at most a window is meant.
        """
        frames = len(samples) // _HOP
        found = np.empty((self.mels, frames), np.float32)
        padded = np.pad(samples, (0, _SILENCE)).astype(np.float32)
        padded = np.pad(padded, _FRAME // 2, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP]
        for at in range(0, frames, _BLOCK):
            end = min(frames, at + _BLOCK)
            powers = self._own.powers[: end - at]
            self._fourier.powers(windows[at:end], powers, self._room)
            low = powers[:, : self._low_bins]
            np.matmul(self._low_filters, low.T, out=found[: self._low, at:end])
            np.matmul(self._high_filters, powers.T, out=found[self._low :, at:end])
        if found.size:
            _log(found)
        return found


class _Powers(threading.local):
    """Memory for a block, of one thread."""

    def __init__(self) -> None:
        self.powers = np.empty((_BLOCK, _FRAME // 2 + 1), np.float32)


def _log(mel: Floats) -> None:
    """Powers to what Whisper was trained on, in place: about -1 to 1."""
    np.maximum(mel, np.float32(_FLOOR), out=mel)
    np.log(mel, out=mel)
    np.multiply(mel, np.float32(0.25 / np.log(10)), out=mel)
    np.maximum(mel, mel.max() - np.float32(_RANGE / 4), out=mel)
    np.add(mel, np.float32(1), out=mel)
