"""Windows that end soon after what is said in them.

Whisper learned from windows of 30 s, and a clip of 3 s wastes nine tenths of one. Its encoder takes
shorter ones, too, and so does the decoder, if some seconds of silence follow the speech: without
them it does not know where to end, and says all of it again (ggml-org/whisper.cpp#1951). It does so
now and then all the same, so a text that repeats itself, or is suspicious otherwise, is searched
for again in a window of full length. Measured in docs/throughput.md.
"""

from __future__ import annotations

from speakeasy_tui.engine.outcome import Outcome, needs_fallback
from speakeasy_tui.engine.work import Piece

TAILS = (400, 600)
"""Frames (10 ms) of silence behind the speech, at the first try and the second."""
STEP = 100
"""Frames: lengths are whole seconds, so that many are alike."""
ALIKE = 1.5
"""How much longer the longest window of a batch may be than the shortest would be by itself."""
SURE_OF_LANGUAGE = 0.7
"""Probability from which on the language that a short window seems to be in is believed."""


def may_be_short(piece: Piece) -> bool:
    """Whether a piece may have a window shorter than the model's."""
    options = piece.file.options
    return (
        options.pack
        and piece.samples is None
        and options.task == "transcribe"
        and not (piece.only_language or piece.tried)
        and piece.unclear < len(TAILS)
    )


def length(piece: Piece, full: int) -> int:
    """Frames of the window that a piece gets; `full` is the model's own."""
    if not may_be_short(piece):
        return full
    return min(full, -(-(piece.left + TAILS[piece.unclear]) // STEP) * STEP)


def is_clear(outcome: Outcome) -> bool:
    """Whether what a short window gave is to be believed."""
    return not (outcome.cut_off or outcome.repeats or outcome.silent or needs_fallback(outcome))
