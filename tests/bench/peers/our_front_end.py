"""All that the benchmark of the front end knows of the engine's code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor

from speakeasy_tui.engine import audio, speech
from speakeasy_tui.engine.audio import RATE, floats


def front_end(paths: Sequence[Path]) -> float:
    """All windows of `paths` made and thrown away; seconds of audio.

    What `engine.frontend.FrontEnd` does for a file, without its thread, faults and reports.
    """
    extract = FeatureExtractor()
    seconds = 0.0

    def window(samples: audio.Samples) -> None:
        np.ascontiguousarray(extract(floats(samples))[..., :-1], dtype=np.float32)

    for path in paths:
        recording = audio.decode(os.fsencode(path))
        total = len(recording.samples)
        probability = speech.probabilities(recording.samples)
        for chunk in speech.cut(speech.spans(probability, total), probability, total):
            window(recording.samples[chunk.start : chunk.end])
        seconds += total / RATE
    return seconds
