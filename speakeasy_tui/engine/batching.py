"""Which pieces go through the model next, and in which windows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

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
        """Frames of all others."""
        self._alike: Counter[tuple[tuple[Any, ...], int]] = Counter()
        """Where windows may be short: pieces by what they must agree in, and their window's
        length; without those that are to be sampled."""
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
        lengths = self.lengths
        if lengths is not None and lengths.by_seconds and self._suspicious < size:
            return any(
                count >= lengths.windows(size, length) for (_, length), count in self._alike.items()
            )
        return max(self._suspicious, self._alone + self._short // self.frames) >= size

    def is_full(self, batch: Sequence[Window], size: int) -> bool:
        """Whether a batch was as full as one of `size` windows can be; not for those on a CPU that
        are short, of which nobody asks."""
        length = batch[0].length
        if length is None:
            return len(batch) == size and batch[0].is_full
        lengths = self.lengths
        if lengths is None or not lengths.by_seconds:
            return False
        return len(batch) == lengths.windows(size, length)

    def _count(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if piece.tried:
                self._suspicious += 1
            elif self.lengths is None and may_share(piece):
                self._short += piece.left
            else:
                self._alone += 1
                if self.lengths is not None:
                    self._alike[piece.bucket(), self.lengths.of(piece)] += 1

    def _keep(self, pieces: list[Piece]) -> None:
        """These wait, and no others."""
        self._pieces = pieces
        self._suspicious = self._alone = self._short = 0
        self._alike.clear()
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
        oldest = next(ready, None) or self._usual()
        bucket = oldest.bucket()
        same = (piece for piece in self._pieces if piece.bucket() == bucket)
        if self.lengths is not None:
            batch = self._of_a_length(self.lengths, oldest, list(same), size, share)
        else:
            enough = self._enough(same, max(_CHOICE, share) * size)
            made = sorted(windows(enough, self.frames), key=self._waits)
            batch = made[: min(size, max(1, -(-len(made) // share)))]
        taken = {id(piece) for window in batch for piece in window.pieces}
        self._keep([piece for piece in self._pieces if id(piece) not in taken])
        for piece in self._pieces:
            piece.overtaken += 1
        return batch

    def _usual(self) -> Piece:
        """The oldest piece; where a batch has windows of one length, of those that need the length
        of which there is most."""
        lengths = self.lengths
        if lengths is None or not lengths.by_seconds or not self._alike:
            return self._pieces[0]
        key = max(self._alike, key=lambda key: self._alike[key] * key[1])
        return next(
            piece
            for piece in self._pieces
            if not piece.tried and (piece.bucket(), lengths.of(piece)) == key
        )

    def _of_a_length(
        self, lengths: Lengths, oldest: Piece, same: list[Piece], size: int, share: int
    ) -> list[Window]:
        """Windows of one length for the oldest piece and those that need about as much."""
        own = lengths.of(oldest)
        near = [piece for piece in same if lengths.are_near(lengths.of(piece), own)]
        near.sort(key=lambda piece: abs(piece.left - oldest.left))
        full = lengths.windows(size, own)
        if len(near) < full:
            others = [piece for piece in same if lengths.fill_up(lengths.of(piece), own)]
            near += sorted(others, key=lambda piece: -piece.left)
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
        if not piece.tried:
            if lengths is None or piece.overtaken >= _OVERTAKEN or piece.samples is not None:
                return False
            if not (piece.is_rest or lengths.by_seconds):
                return False
            return self._near(lengths, piece) < lengths.windows(size, lengths.of(piece)) // 2
        if piece.overtaken >= min(size // 2, _OVERTAKEN):
            return False
        bucket = piece.bucket()
        return sum(other.bucket() == bucket for other in self._pieces) < size

    def _near(self, lengths: Lengths, piece: Piece) -> int:
        """How many could share a batch with a piece, itself among them."""
        bucket, own = piece.bucket(), lengths.of(piece)
        return sum(
            count
            for (other, length), count in self._alike.items()
            if other == bucket and lengths.are_near(length, own)
        )

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
