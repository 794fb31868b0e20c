"""Which pieces go through the model next, and in which windows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from speakeasy_tui.engine.packing import may_share, windows
from speakeasy_tui.engine.shortwindow import Lengths
from speakeasy_tui.engine.work import Piece, Window

PATIENCE = 0.25
"""Seconds to wait for pieces that would fill a batch, while the front end makes some."""
_CHOICE = 3
"""Batches of windows out of which the next one is put together, at least."""
_FULL = 0.75
"""Of a window, from which on one of rests does not wait for more of them."""
_OVERTAKEN = 8
"""Batches that may go before a piece that waits for others: its file is all but finished."""


class Ready:
    """Pieces that wait for a place in a batch, oldest first."""

    def __init__(self, frames: int = 3000) -> None:
        self.frames = frames
        """Of a window."""
        self.lengths: Lengths | None = None
        """Those that windows may have; None: all are full, and short pieces share them."""
        self._pieces: list[Piece] = []
        self._suspicious = self._alone = 0
        """Of them, those that are to be sampled, and others that need a window of their own."""
        self._short = 0
        """Frames of all others, or of their windows."""
        self._full_by = 0.0
        """Until then (monotonic) a batch waits to become full."""

    def __len__(self) -> int:
        return len(self._pieces)

    def add(self, piece: Piece) -> None:
        """A new piece."""
        self._pieces.append(piece)
        self._count([piece])

    def add_again(self, pieces: Iterable[Piece]) -> None:
        """Pieces that are not done yet: they come first, so that files finish, the last of them
        before the others, for the model may have ended before it in a window that they shared.
        Short rests wait a little for others to share one with."""
        for piece in pieces:
            piece.overtaken = 0
            self._pieces.insert(0, piece)
        self._keep(self._pieces)  # of others the language may be known by now

    def pause(self, size: int, expecting: bool) -> float | None:
        """Seconds to wait before the next batch of `size`: 0 is now, None until told more."""
        if not self._pieces:
            self._full_by = 0.0
            return None
        if not expecting or self.fills(size):
            return 0.0
        now = time.monotonic()
        self._full_by = self._full_by or now + PATIENCE
        return max(0.0, self._full_by - now)

    def fills(self, size: int) -> bool:
        """Whether there are so many windows at least, if pieces agree in their `bucket`."""
        return max(self._suspicious, self._alone + self._short // self.frames) >= size

    def _count(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if piece.tried:
                self._suspicious += 1
            elif self.lengths is None and may_share(piece):
                self._short += piece.left
            elif self.lengths is not None and self.lengths.by_seconds:
                self._short += self.lengths.of(piece)
            else:
                self._alone += 1

    def _keep(self, pieces: list[Piece]) -> None:
        """These wait, and no others."""
        self._pieces = pieces
        self._suspicious = self._alone = self._short = 0
        self._count(pieces)

    def next(self, size: int, share: int = 1) -> list[Window]:
        """Take the oldest piece and those that may share a batch of `size` windows with it.

        Short rests wait for others to fill a window with, and pieces that are to be sampled for
        others to fill a batch with, but not while there is nothing else to do.

        Args:
            size: windows in a full batch.
            share: batches over which what there is should be spread when it fills fewer.
        """
        self._full_by = 0.0
        ready = (piece for piece in self._pieces if not self._too_few(piece, size))
        oldest = next(ready, self._pieces[0])
        bucket = oldest.bucket()
        same = (piece for piece in self._pieces if piece.bucket() == bucket)
        if self.lengths is not None:
            batch = self._alike(self.lengths, oldest, list(same), size, share)
        else:
            enough = self._enough(same, max(_CHOICE, share) * size)
            made = sorted(windows(enough, self.frames), key=self._waits)
            batch = made[: min(size, max(1, -(-len(made) // share)))]
        taken = {id(piece) for window in batch for piece in window.pieces}
        self._keep([piece for piece in self._pieces if id(piece) not in taken])
        for piece in self._pieces:
            piece.overtaken += 1
        return batch

    def _alike(
        self, lengths: Lengths, oldest: Piece, same: list[Piece], size: int, share: int
    ) -> list[Window]:
        """Windows of one length for the oldest piece and those that need about as much."""
        near = _near(lengths, oldest, same)
        near.sort(key=lambda piece: abs(piece.left - oldest.left))
        full = lengths.windows(size, lengths.of(oldest))
        chosen = near[: min(full, max(1, -(-len(same) // share)))]
        length = max(map(lengths.of, chosen))
        short = None if length >= self.frames else length
        return [Window((piece,), length=short) for piece in chosen]

    def _enough(self, pieces: Iterable[Piece], count: int) -> Iterator[Piece]:
        """The first pieces that fill so many windows, which are enough to choose from.

        Thousands of clips may wait, and all this time there is a worker that does nothing.
        """
        left = count * self.frames
        for piece in pieces:
            yield piece
            left -= piece.left if may_share(piece) else self.frames
            if left < 0:
                return

    def _too_few(self, piece: Piece, size: int) -> bool:
        """Whether a piece is to be sampled, and there are not enough of them yet; or needs a window
        of another length than most, and few others are to go into its batch.

        What is sampled takes longer than anything else, so it must not be left for the end: the
        smaller the batches, the less there is to win by waiting.
        """
        lengths = self.lengths
        if lengths is not None and not piece.tried and piece.overtaken < _OVERTAKEN:
            if not (piece.is_rest or lengths.by_seconds):
                return False
            full = lengths.windows(size, lengths.of(piece))
            return len(_near(lengths, piece, self._pieces)) < full // 2
        if not piece.tried or piece.overtaken >= min(size // 2, _OVERTAKEN):
            return False
        bucket = piece.bucket()
        return sum(other.bucket() == bucket for other in self._pieces) < size

    def _waits(self, window: Window) -> bool:
        """Whether a window of rests has room for more of them, and others may go first."""
        first = window.first
        return (
            first.is_rest
            and may_share(first)
            and window.frames < _FULL * self.frames
            and first.overtaken < _OVERTAKEN
        )

    def forget(self) -> list[Piece]:
        """Take out pieces that are not wanted any more."""
        gone = [piece for piece in self._pieces if not piece.wanted]
        self._keep([piece for piece in self._pieces if piece.wanted])
        return gone


def _near(lengths: Lengths, oldest: Piece, pieces: Iterable[Piece]) -> list[Piece]:
    """Those of `pieces` whose windows may be in a batch with that of the oldest."""
    own = lengths.of(oldest)
    return [piece for piece in pieces if lengths.are_near(lengths.of(piece), own)]
