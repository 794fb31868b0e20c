"""Messages between processes: one JSON object a line."""

from __future__ import annotations

import msgspec
from msgspec import Struct

MAX_LINE = 16 * 2**20
"""Bytes; a longer line closes the connection it came from."""

_encoder = msgspec.json.Encoder()


def encode(message: Struct) -> bytes:
    """`message` as one line, newline included."""
    return _encoder.encode(message) + b"\n"
