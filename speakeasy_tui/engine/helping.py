"""What a helper does: reads files, one after another, and hands over their chunks."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time

import msgspec

from speakeasy_tui.engine.cutting import Cutting, Known, RawChunk
from speakeasy_tui.engine.handover import (
    LENGTH,
    Alive,
    Ask,
    Broke,
    Chunk,
    End,
    Make,
    Message,
    Read,
    ToHelper,
    framed,
    to_helper,
)
from speakeasy_tui.engine.melspec import LogMel
from speakeasy_tui.engine.tape import RATE
from speakeasy_tui.engine.trouble import trouble
from speakeasy_tui.engine.work import Mel

ALIVE_EVERY = 1.0
"""Seconds of silence after which to say that decoding goes on."""


class Helping:
    """A helper's work. The pipe holds it up when the engine does not take what it has made."""

    def __init__(self, orders: int, replies: int) -> None:
        """Descriptors: what is wanted comes in on `orders`, and chunks go out on `replies`."""
        self._orders = orders
        self._replies = replies
        self._inbox: queue.SimpleQueue[ToHelper] = queue.SimpleQueue()
        self._said = 0.0
        self._maker: LogMel | None = None
        self._known = Known()
        """Of the file in hand."""

    def run(self) -> None:
        """Read what is asked for; the end of the orders ends the process, whatever it does."""
        threading.Thread(target=self._listen, name="orders", daemon=True).start()
        while True:
            order = self._inbox.get()
            assert isinstance(order, Read), order
            try:
                self._read(order)
            except Exception as error:
                self._send(Broke(self._known, trouble(error)))

    def _listen(self) -> None:
        with open(self._orders, "rb", closefd=False) as stream:
            while len(length := stream.read(LENGTH)) == LENGTH:
                try:
                    message = to_helper.decode(stream.read(int.from_bytes(length, "little")))
                except msgspec.MsgspecError as error:
                    print(f"helper: not an order: {error}", file=sys.stderr, flush=True)
                    os._exit(2)
                self._inbox.put(message)
        os._exit(0)

    def _read(self, read: Read) -> None:
        order, make = read.order, read.make
        self._said = time.monotonic()
        cutting = Cutting(order.path, self._alive)
        self._known = cutting.known
        self._send(Alive(self._known))  # what ends this process from here on is the file's doing
        for index, chunk in enumerate(cutting.chunks(order.vad)):
            if make is None:
                make = self._ask()
            start = chunk.passage.start / RATE
            if start >= order.until:
                self._hand_over(chunk, last=True)
                return
            if order.stored(start) and not (index == 0 and make.lacks_language):
                self._hand_over(chunk)
                continue
            if self._maker is None or self._maker.mels != make.mels:
                self._maker = LogMel(make.mels)
            self._hand_over(chunk, cutting.mel(self._maker, chunk.samples))
        self._send(End(self._known, cutting.strip))

    def _alive(self, _: float) -> None:
        if time.monotonic() - self._said >= ALIVE_EVERY:
            self._send(Alive(self._known))

    def _ask(self) -> Make:
        self._send(Ask(self._known))
        make = self._inbox.get()
        assert isinstance(make, Make), make
        return make

    def _hand_over(self, chunk: RawChunk, mel: Mel | None = None, last: bool = False) -> None:
        frames = None if mel is None else mel.shape[-1]
        message = Chunk(self._known, chunk.passage, chunk.speech, frames, last)
        self._send(message, mel.data.cast("B") if mel is not None and mel.size else b"")

    def _send(self, message: Message, mel: bytes | memoryview = b"") -> None:
        for part in (memoryview(framed(message)), memoryview(mel)):
            left = part
            while left:
                left = left[os.write(self._replies, left) :]
        self._said = time.monotonic()
