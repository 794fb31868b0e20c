"""The threads that send batches through the model."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from speakeasy_tui.engine.decode import Decoder, Result
from speakeasy_tui.engine.trouble import Trouble, unjudged
from speakeasy_tui.engine.wire import Mailbox
from speakeasy_tui.engine.work import FileWork, Window


@dataclass(frozen=True)
class Decoded:
    """A batch has been through the model; or what went wrong with it as a whole."""

    windows: Sequence[Window]
    size: int
    """Of a full batch when this one was given."""
    results: Sequence[Result] = ()
    seconds: float = 0.0
    sampled: bool = False
    """Of windows whose text was suspicious: it takes as many rounds as it takes."""
    error: Trouble | None = None

    def share_out(self) -> None:
        """Count its time as that of its files."""
        share = self.seconds / len(self.windows)
        for window in self.windows:
            whole = sum(piece.frames for piece in window.pieces) or 1
            for piece in window.pieces:
                if piece.samples is None:  # else counted as it got on
                    piece.file.model_s += share * piece.frames / whole


@dataclass(frozen=True)
class Advanced:
    """A whole recording that is being decoded has got on."""

    file: FileWork


_Given = tuple[Decoder, Sequence[Window], int]
"""A batch on its way to a worker, and of how many windows a full one is."""


class Crew:
    """So many workers; each takes a batch, and leaves a `Decoded` in the mailbox.

    CTranslate2 has one replica of the model for each, over the same weights; several batches in
    flight keep a GPU busy while Python looks at the text of one of them, and on a CPU several
    workers of one thread beat one of several (docs/throughput.md).
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._batches: queue.SimpleQueue[_Given] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.size = 1
        """Batches that may be under way at once."""
        self.busy = 0
        """Batches given and not yet taken back by `back`."""

    @property
    def idle(self) -> int:
        """Batches that could be given now."""
        return max(0, self.size - self.busy)

    def grow(self, size: int) -> None:
        """Have `size` workers, or more if there are more already."""
        self.size = size
        while len(self._threads) < size:
            name = f"worker-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def give(self, decoder: Decoder, windows: Sequence[Window], size: int) -> None:
        """Have a batch decoded, of which `size` windows make a full one; only when `idle`."""
        self.busy += 1
        self._batches.put((decoder, windows, size))

    def back(self) -> None:
        """A `Decoded` has been read."""
        self.busy -= 1

    def _work(self) -> None:
        while True:
            decoder, windows, size = self._batches.get()
            begun, sampled = time.monotonic(), bool(windows[0].first.tried)
            try:
                with decoder.meter.working():
                    results = self._decode(decoder, windows)
            except Exception as error:
                trouble = unjudged(error)
                print(trouble.detail, file=sys.stderr, flush=True)
                done = Decoded(windows, size, error=trouble)
            else:
                done = Decoded(windows, size, results, time.monotonic() - begun, sampled)
                del results
            self._mailbox.put(done)
            # The next batch may be long in coming, and memory is short meanwhile.
            del decoder, windows, done

    def _decode(self, decoder: Decoder, windows: Sequence[Window]) -> list[Result]:
        """Decode what no injected fault has struck."""
        struck, sound = _strike(windows)
        if not sound:
            return struck
        first = sound[0].first
        if first.samples is not None:
            tell = partial(self._mailbox.put, Advanced(first.file))
            return [*struck, decoder.decode_whole(first, tell)]
        return struck + decoder.decode(sound)


def _strike(windows: Sequence[Window]) -> tuple[list[Result], list[Window]]:
    """Where an injected fault names a file, that one only comes back with its error."""
    struck: list[Result] = []
    sound: list[Window] = []
    for window in windows:
        try:
            for piece in window.pieces:
                if not piece.only_language and not piece.file.dropped:
                    piece.file.trap.at_chunk(piece.number)
        except OSError as error:
            struck.append(Result(piece, complete=False, error=unjudged(error)))
            struck.extend(
                Result(other, complete=False) for other in window.pieces if other is not piece
            )
        else:
            sound.append(window)
    return struck, sound
