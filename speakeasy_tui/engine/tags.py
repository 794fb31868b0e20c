"""Tags in files that are a stream of packets: titles and pictures are not lost sound."""

from __future__ import annotations

import os
import re
from typing import BinaryIO

_TAG = re.compile(rb"ID3[\x02-\x04].[\x00-\xff][\x00-\x7f]{4}|APETAGEX|TAG", re.S)
_LAST = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"3DI")
"""How tags begin that stand at the end of a file."""
_ID3V1 = 128
"""Bytes of an ID3v1 tag."""
_APE = 32
"""Bytes of the head of an APEv2 tag, and of its foot."""
_PIECE = 2**20


def id3_size(path: bytes) -> int:
    """Bytes of the ID3v2 tag at the start of a file, 0 without one."""
    with open(path, "rb") as file:
        head = file.read(10)
    return _id3(head) if len(head) == 10 and head.startswith(b"ID3") else 0


def size_between(path: bytes, begin: int, end: int) -> int:
    """Bytes of the tags between two bytes of a file; where files were joined they are inside."""
    found, at = 0, begin
    with open(path, "rb") as file:
        while at < end and (tag := _next(file, at, end)) is not None:
            at, size = tag
            size = min(size, end - at)
            found += size
            at += size
    return found


def sound_end(path: bytes, end: int) -> int:
    """Up to where a file that was heard up to `end` holds sound: not beyond that, where tags stand
    at its end, else to the last byte."""
    with open(path, "rb") as file:
        file.seek(end)
        before = b""
        for _ in range(16):
            piece = before + file.read(_PIECE)
            if any(mark in piece for mark in _LAST):
                return end
            before = piece[-16:]
    return os.path.getsize(path)


def _next(file: BinaryIO, at: int, end: int) -> tuple[int, int] | None:
    """Place and size of the first tag from `at` on."""
    while at < end:
        file.seek(at)
        piece = file.read(min(_PIECE, end - at))
        for match in _TAG.finditer(piece):
            place = at + match.start()
            file.seek(place)
            if size := _size(file.read(_APE)):
                return place, size
        at += max(1, len(piece) - 16) if len(piece) == _PIECE else _PIECE
    return None


def _size(head: bytes) -> int:
    match head[:3]:
        case b"ID3":
            return _id3(head)
        case b"TAG":
            return _ID3V1
    if len(head) < _APE:
        return 0
    size, flags = (int.from_bytes(head[at : at + 4], "little") for at in (12, 20))
    is_head = flags >> 29 & 1  # else it is the foot, and what belongs to it came before
    return _APE + size if is_head else _APE


def _id3(head: bytes) -> int:
    """Its size in bits of which every eighth is 0 (id3.org, ID3v2.4 §3.1)."""
    a, b, c, d = (byte & 0x7F for byte in head[6:10])
    foot = 10 if head[5] & 0x10 else 0
    return 10 + (a << 21 | b << 14 | c << 7 | d) + foot
