"""Windows that end soon after what is said in them.

Whisper learned from windows of 30 s, and a clip of 3 s wastes nine tenths of one. Its encoder takes
shorter ones, too, and so does the decoder, if some seconds of silence follow the speech: without
them it does not know where to end, and says all of it again (ggml-org/whisper.cpp#1951). It does so
now and then all the same, so a text that repeats itself, or is suspicious otherwise, is searched
for again in a longer window, at last in a full one. Measured in docs/throughput.md.
"""

from __future__ import annotations

from speakeasy_tui.engine.outcome import Outcome, needs_fallback
from speakeasy_tui.engine.work import Piece

TAILS = (400, 600)
"""Frames (10 ms) of silence behind the speech, at the first try and the second."""
STEP = 100
"""Frames: lengths are whole seconds, so that many are alike."""
ALIKE = 1.5
"""How many times longer or shorter than the oldest piece's a window in its batch may be."""
SURE_OF_LANGUAGE = 0.7
"""Probability from which on the language that a short window seems to be in is believed."""


def length(piece: Piece, full: int) -> int:
    """Frames of the window that a piece gets; `full` is the model's own."""
    if not piece.takes_any_window or piece.unclear >= len(TAILS):
        return full
    return min(full, -(-(piece.left + TAILS[piece.unclear]) // STEP) * STEP)


def is_clear(outcome: Outcome) -> bool:
    """Whether what a short window gave is to be believed."""
    return not (outcome.cut_off or outcome.repeats or outcome.silent or needs_fallback(outcome))
