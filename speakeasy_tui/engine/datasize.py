"""How much sound the header of an uncompressed file says there is, and where that cannot be.

FFmpeg takes what is there, and does not say what is missing; and it stops where the header says,
also where the sound goes on.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

_HEAD = 64 * 1024
WAVS = (b"RIFF", b"RF64", b"BW64")
"""How a wav begins."""
_PCM = (1, 3, 0xFFFE)
"""Formats of a wav that are not squeezed: integers, floats, and what says more in an extension."""
_UNKNOWN = range(0x7FFFF000, 0x80000025)
"""What programs write that do not know the size yet, as large as it may be: SoX and arecord."""
_CHUNKS = (b"LIST", b"id3 ", b"ID3", b"TAG", b"APETAGEX", b"bext", b"cue ", b"fact", b"smpl",
           b"inst", b"iXML", b"axml", b"cart", b"JUNK", b"junk", b"PAD ", b"data")  # fmt: skip
"""What may follow the sound in a wav, whole or not."""
_MOST_CHUNKS = 100
"""That are looked at behind the sound."""
_TO_CAF, _TO_W64 = 12, 24
"""Bytes of the head of a chunk."""


class Data(NamedTuple):
    """The samples of a file."""

    at: int
    """Byte at which they begin."""
    size: int
    """Bytes that there should be."""
    rate: float
    """Bytes a second."""
    runs_on: bool = False
    """There is more than the header says, which is too small."""
    then: int = 0
    """Byte at which another wav begins, which was joined to this one; 0: none was."""

    @property
    def seconds(self) -> float:
        """How long they last."""
        return self.size / self.rate


def find(path: bytes, begin: int = 0) -> Data | None:
    """What the header of a wav, w64 or caf says of its samples.

    Args:
        path: the file.
        begin: byte at which it begins (`Data.then`).

    None for other files, and for sizes that mean "not known" in files that were streamed.
    """
    with open(path, "rb") as file:
        file.seek(begin)
        head = file.read(_HEAD)
    match head[:4]:
        case name if name in WAVS and head[8:12] == b"WAVE":
            return _wav(path, head, begin)
        case b"riff":
            return _w64(head)
        case b"caff":
            return _caf(head)
    return None


def _wav(path: bytes, head: bytes, begin: int) -> Data | None:
    at, rate = 12, 0
    long = 0
    size: int
    while at + 8 <= len(head):
        name, size = struct.unpack("<4sI", head[at : at + 8])
        if name == b"ds64" and at + 24 <= len(head):  # EBU Tech 3306
            long = int.from_bytes(head[at + 16 : at + 24], "little")
        if name == b"fmt " and at + 24 <= len(head):
            rate = _rate(head[at + 8 : at + 24])
        if name == b"data":
            there = os.path.getsize(path)
            if size == 0xFFFFFFFF and long:
                return Data(begin + at + 8, long, rate) if rate else None
            data, outer = begin + at + 8, struct.unpack("<I", head[4:8])[0]
            if rate and (then := _joined(path, data + size, begin + 8 + outer)):
                return Data(data, size, rate, then=then)
            placeholder = size in _UNKNOWN and there < size
            if placeholder or not (0 < size < 0xFFFFFF00 and rate):
                return None
            if _runs_on(path, data + size, there, rate):
                return Data(data, there - data, rate, runs_on=True)
            if 0 < outer < 0xFFFFFF00:  # the smaller of both: one of them may be damaged
                size = max(0, min(size, outer - at))
            return Data(data, size, rate)
        at += 8 + size + size % 2
    return None


def _rate(fmt: bytes) -> int:
    """Bytes a second by a wav's format; what it says of them itself is often wrong."""
    kind, _, hertz, told, block = struct.unpack("<HHIIH", fmt[:14])
    return (hertz * block if kind in _PCM else 0) or int(told)


def _joined(path: bytes, sound_end: int, end: int) -> int:
    """Byte at which another wav begins, behind the sound of one or behind all of it; 0: none."""
    with open(path, "rb") as file:
        for place in (sound_end, end):
            for at in {place, place + place % 2}:
                file.seek(at)
                head = file.read(12)
                if at >= sound_end and head[:4] in WAVS and head[8:] == b"WAVE":
                    return at
    return 0


def _runs_on(path: bytes, end: int, there: int, rate: int) -> bool:
    """Whether there is sound behind the `end` that a wav's header says.

    A size of 32 bits begins anew at 4 GiB, and a recorder that lost its power wrote it for the last
    time some seconds or minutes before.
    """
    if there - end <= max(rate, _HEAD):
        return False
    with open(path, "rb") as file:

        def read(at: int, size: int) -> bytes:
            file.seek(at)
            return file.read(size)

        for begin in {end, end + end % 2}:
            if read(begin, 8).startswith(_CHUNKS):
                return False
            at = begin
            for _ in range(_MOST_CHUNKS):
                if at + 8 > there:
                    break
                name, size = struct.unpack("<4sI", read(at, 8))
                if not (name.isascii() and name.decode().isprintable()):
                    break
                at += 8 + size + size % 2
            if begin < at and there <= at <= there + 1:
                return False
        # Room that was kept and not used is empty.
        looks = (end, (end + there) // 2, there - 4096)
        return any(read(at, 4096).strip(b"\0") for at in looks)


def _w64(head: bytes) -> Data | None:
    """Sony Wave64: as a wav, with names of 16 bytes and sizes of 8 that count their own head."""
    at, rate = 40, 0
    while at + _TO_W64 <= len(head):
        size = int.from_bytes(head[at + 16 : at + _TO_W64], "little")
        match head[at : at + 4]:
            case b"fmt " if at + _TO_W64 + 16 <= len(head):
                rate = _rate(head[at + _TO_W64 : at + _TO_W64 + 16])
            case b"data":
                known = _TO_W64 < size < 2**62 and rate
                return Data(at + _TO_W64, size - _TO_W64, rate) if known else None
        if size < _TO_W64:
            return None
        at += -(-size // 8) * 8
    return None


def _caf(head: bytes) -> Data | None:
    """Apple's Core Audio Format, where its packets are of one size."""
    at, rate = 8, 0.0
    while at + _TO_CAF <= len(head):
        name, size = struct.unpack(">4sq", head[at : at + _TO_CAF])
        if name == b"desc" and at + _TO_CAF + 24 <= len(head):
            hertz, _, _, packet, frames = struct.unpack(">d4sIII", head[at + 12 : at + 36])
            rate = hertz * packet / frames if frames and hertz >= 1.0 else 0.0
        if name == b"data":  # which begins with a number, how often it was edited
            known = size > 4 and rate > 0
            return Data(at + _TO_CAF + 4, size - 4, rate) if known else None
        if size < 0:  # only that of the last may be unknown
            return None
        at += _TO_CAF + size
    return None
