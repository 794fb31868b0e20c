"""Which pieces share a window.

Whisper always pays for 30 s, so a clip of 3 s, or the last 3 s of a chunk that must be heard
again, wastes nine tenths of the encoder. Pieces of which up to half a window is left and that
agree in everything that shapes the text share one, with a second of silence between them.
`engine.apart` tells their texts apart again; a piece of which that is not certain goes through
the model once more. Measured in docs/throughput.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from speakeasy_tui.engine.work import Piece, Window

GAP = 100
"""Frames (10 ms) of silence between two pieces."""
LONGEST = 1500
"""Frames left of a piece that shares a window: more leave no room worth it."""
TRIES = 2
"""Windows a piece may share before it gets one of its own."""


def may_share(piece: Piece) -> bool:
    """Whether a piece can be put into a window with others."""
    return (
        piece.takes_any_window
        and bool(piece.speech)  # without, nothing says whether its text is missing
        and piece.file.language is not None
        and not piece.file.options.word_timestamps
        and piece.packings < TRIES
        and piece.left <= LONGEST
    )


def windows(pieces: Iterable[Piece], length: int) -> list[Window]:
    """Put `pieces`, which agree in their `bucket`, into windows of `length` frames, first fit.

    A window stands where its first piece stood.
    """
    made: list[list[Piece]] = []
    ends: list[int] = []
    open_: dict[str | None, list[int]] = {}
    """By language: numbers of windows that may take more."""
    for piece in pieces:
        if not may_share(piece):
            made.append([piece])
            ends.append(length)
            continue
        places = open_.setdefault(piece.file.language, [])
        for number in places:
            if ends[number] + GAP + piece.left <= length:
                made[number].append(piece)
                ends[number] += GAP + piece.left
                break
        else:
            places.append(len(made))
            made.append([piece])
            ends.append(piece.left)
    return [Window(tuple(group), _offsets(group)) for group in made]


def _offsets(pieces: Sequence[Piece]) -> tuple[int, ...]:
    places = [0]
    for piece in pieces[:-1]:
        places.append(places[-1] + piece.left + GAP)
    return tuple(places)
