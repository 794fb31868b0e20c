"""All that the benchmark of the front end knows of the engine's code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from speakeasy_tui.engine.audio import RATE, Samples, open_recording
from speakeasy_tui.engine.doubt import Doubt
from speakeasy_tui.engine.melspec import LogMel
from speakeasy_tui.engine.passage import Passage
from speakeasy_tui.engine.speech import Cutter
from speakeasy_tui.engine.vad import Listener

_NOTHING: Samples = np.zeros(0, np.int16)


def front_end(paths: Sequence[Path]) -> float:
    """All spectrograms of `paths` made and thrown away; seconds of audio.

    What `engine.frontend.FrontEnd` does for a file, without its thread, faults and reports.
    """
    mel = LogMel(80)
    return sum(_one(path, mel) for path in paths)


def _one(path: Path, mel: LogMel) -> float:
    listener, doubt, cutter = Listener(), Doubt(), Cutter(vad=True)
    held = _NOTHING
    first = 0
    with open_recording(os.fsencode(path), lambda _: None) as recording:
        for block in recording.blocks():
            held = np.concatenate([held, block])
            chunks = cutter.feed(doubt.consider(block, listener.hear(block)))
            for chunk in chunks:
                mel.chunk(_of(chunk, held, first))
            held, first = held[cutter.needed_from - first :], cutter.needed_from
    total = first + len(held)
    chunks = cutter.feed(doubt.consider(_NOTHING, listener.end())) + cutter.end(total)
    for chunk in chunks:
        mel.chunk(_of(chunk, held, first))
    return total / RATE


def _of(chunk: Passage, held: Samples, first: int) -> Samples:
    return np.concatenate([held[start - first : end - first] for start, end in chunk.stretches])
