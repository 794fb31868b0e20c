"""What the engine and its helpers say to each other (`engine.helper`, `engine.helperprocess`).

Each message is a declared struct in MessagePack behind its length (4 bytes, little-endian), and is
validated by decoding it as one of its side's union. A spectrogram follows its `Chunk` as it lies
in memory, so that neither side copies it: float32, band by band.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Struct

from speakeasy_tui.engine.cutting import Known, Order
from speakeasy_tui.engine.passage import Passage, Span
from speakeasy_tui.engine.trouble import Trouble

LENGTH = 4
"""Bytes before a message that say how long it is."""
LONGEST = 2**24
"""Bytes of a message; a longer one is none."""
_Count = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
"""A window has 3,000 frames."""


class Message(Struct, tag=True, frozen=True):
    """One of those below."""


class Make(Message, frozen=True):
    """To a helper: how the spectrograms of the file in hand are to be."""

    mels: _Count
    """Bands."""
    lacks_language: bool
    """The first chunk's is wanted even where it is stored."""


class Read(Message, frozen=True):
    """To a helper: read this file; answered at once by `Alive`, then by it, `Ask` and `Chunk`, and
    at the end by one `End`, `Broke` or `Chunk` that is the last."""

    order: Order
    make: Make | None = None
    """None: the model is not there yet; the helper asks when it has its first chunk."""


class Alive(Message, frozen=True):
    """Decoding goes on."""

    known: Known


class Ask(Message, frozen=True):
    """The first chunk is there: answered by `Make`, or by the helper's end."""

    known: Known


class Chunk(Message, frozen=True):
    """A chunk. Its spectrogram follows."""

    known: Known
    passage: Passage
    speech: list[Span]
    frames: _Count | None = None
    """Of its spectrogram; None: there is none, for the chunk is stored or another engine's."""
    last: bool = False
    """It is another engine's, as are all that follow: no more is read of the file."""


class End(Message, frozen=True):
    """The file was read to its end."""

    known: Known
    strip: str


class Broke(Message, frozen=True):
    """The file cannot be read."""

    known: Known
    trouble: Trouble


ToHelper = Read | Make
FromHelper = Alive | Ask | Chunk | End | Broke

to_helper: msgspec.msgpack.Decoder[ToHelper] = msgspec.msgpack.Decoder(ToHelper)
from_helper: msgspec.msgpack.Decoder[FromHelper] = msgspec.msgpack.Decoder(FromHelper)
_encoder = msgspec.msgpack.Encoder()


def framed(message: Message) -> bytes:
    """A message as it goes through the pipe."""
    body = _encoder.encode(message)
    return len(body).to_bytes(LENGTH, "little") + body
