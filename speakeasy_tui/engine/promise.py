"""What a file says of its own length, and whether that can be believed."""

from __future__ import annotations

import os
import re
import struct
from typing import Any, NamedTuple

from speakeasy_tui.engine import datasize, tags
from speakeasy_tui.engine.timeline import LONGEST

ELEMENTARY = frozenset({"mp3", "aac", "ac3", "eac3", "dts", "truehd", "amr", "amrnb", "amrwb"})
"""Formats without a clock: FFmpeg counts packets and guesses the length from a bit rate."""

_EXACT = {
    "mov,mp4,m4a,3gp,3g2,mj2": 1.0,
    "matroska,webm": 1.0,
    "wav": 1.0,
    "w64": 1.0,
    "flac": 1.0,
    "ogg": 1.0,
    "aiff": 1.0,
    "caf": 1.0,
    "mp3": 1.0,
    "tta": 1.0,
    "wv": 1.0,
    "au": 1.0,
}
"""Seconds by which the sound may be shorter than these formats promise. Encoders add and cut
a few frames at both ends."""
_COUNTED = frozenset({"wav", "w64", "aiff", "caf", "au", "flac"})
"""Those that say how many samples there are; what is not squeezed, or without loss, has as many."""
_SAMPLES = 0.05
"""Seconds by which it may be shorter all the same."""
_ROUGH = frozenset({"mpegts", "avi", "asf", "flv"})
"""Their promise is that of the whole container, or rounded: 2 % of it may be missing."""

_BEGINS = {
    "mov,mp4,m4a,3gp,3g2,mj2": re.compile(rb"\0\0\0.ftyp", re.S),
    "aiff": re.compile(rb"FORM.{4}AIF[FC]", re.S),
    "flv": re.compile(rb"FLV\x01"),
    "tta": re.compile(rb"TTA1"),
}
"""How files begin of formats of which FFmpeg hears only the first of those that were joined."""
_MOST_BEHIND = 2**24
"""Bytes behind the sound in which another is looked for: an index is shorter."""
_MOST_JOINED = 10_000
"""Files in one that are looked at beforehand; more are heard all the same."""

_HEAD = 64 * 1024
_XING = re.compile(rb"(?:Xing|Info)\0\0\0[\x01\x03\x05\x07\x09\x0b\x0d\x0f](.{4})", re.S)
_VBRI = re.compile(rb"VBRI.{10}(.{4})", re.S)


class Promise(NamedTuple):
    """What the file promises."""

    seconds: float | None
    """Length of the sound, from the container's first moment; None: no promise worth the name."""
    slack: float = 1.0
    """Seconds that may be missing of it before it counts as broken."""
    shared: bool = False
    """It is the length of the container, and there are other tracks that may be longer."""
    unended: bool = False
    """The format marks its end, and the mark is missing: what came after is not known."""
    then: int = 0
    """As `datasize.Data`: where the next of joined wavs begins."""


def read(path: bytes, container: Any, stream: Any) -> Promise:
    """The promise of an open file about its audio `stream`."""
    name = str(container.format.name)
    origin = (container.start_time or 0) / 1_000_000  # AV_TIME_BASE
    own = _own(stream)
    codec = str(stream.codec_context.name)
    match name:
        case "mp3":
            said = _xing(path)
            # FFmpeg disbelieves the header of joined files, and guesses.
            return Promise(said if said and own and abs(said - own) < 1.0 else None)
        case "wav" | "w64" | "caf":
            data = datasize.find(path)
            said = data.seconds if data and data.seconds <= LONGEST else None
            seconds = max(said, own or 0.0) if said else own
            if data and data.then and seconds is not None:
                seconds = _with_joined(path, data.then, seconds)
            then = data.then if data else 0
            return Promise(seconds, _slack(name, codec, seconds or 0.0), then=then)
        case "ogg":
            ended, last = _ogg_end(path)
            if own and last is not None and not company(container, stream):
                # FFmpeg looks at less than this when the last pages are damaged.
                said = float(last * stream.time_base) - origin
                own = said if own < said < 2 * own + 60 else own
            return Promise(own, unended=not ended)
    if name not in _EXACT and name not in _ROUGH:
        return Promise(None)
    if name == "matroska,webm" and (end := _tag(stream)) is not None:
        return Promise(end - origin if end > origin else end)  # the tag says when it ends
    # Where a track has no length of its own FFmpeg gives it the container's, save in MP4.
    shared = company(container, stream) and not name.startswith("mov,")
    if own is not None:
        start = stream.start_time
        if start is not None:
            own += max(0.0, float(start * stream.time_base) - origin)
        if shared and container.duration:
            own = min(own, container.duration / 1_000_000)
        return Promise(own, _slack(name, codec, own), shared)
    if container.duration:
        whole = container.duration / 1_000_000
        return Promise(whole, _slack(name, codec, whole), shared)
    return Promise(None)


def _with_joined(path: bytes, then: int, seconds: float) -> float | None:
    """`seconds` and those of all wavs from byte `then` on; None: one does not say."""
    for _ in range(_MOST_JOINED):
        data = datasize.find(path, then)
        if data is None:
            return None
        seconds += data.seconds
        then = data.then
        if not then:
            break
    return seconds


def _slack(name: str, codec: str, seconds: float) -> float:
    if name in _COUNTED and (codec == "flac" or codec.startswith("pcm_")):
        return _SAMPLES
    # Windows Media counts its preroll, 3 s or so, as length.
    return _EXACT.get(name) or max(4.0 if name == "asf" else 1.0, 0.02 * seconds)


def company(container: Any, stream: Any) -> bool:
    """Whether there are other tracks than `stream` that run along with time."""
    return any(_moves(other) for other in container.streams if other.index != stream.index)


def _moves(stream: Any) -> bool:
    """A cover picture or a font, for one, does not."""
    picture = "attached_pic" in str(getattr(stream, "disposition", "")).lower()
    return stream.type in ("audio", "video") and not picture


def _own(stream: Any) -> float | None:
    if stream.duration is None or stream.time_base is None or stream.duration <= 0:
        return None
    return float(stream.duration * stream.time_base)


def _tag(stream: Any) -> float | None:
    """Matroska's DURATION of the track, e.g. 00:01:02.345000000."""
    found = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if not found:
        return None
    hours, minutes, seconds = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _head(path: bytes, size: int = _HEAD, at: int = 0) -> bytes:
    with open(path, "rb") as file:
        file.seek(at)
        return file.read(size)


def joined(path: bytes, name: str, end: int) -> int:
    """Byte at which another file of the format `name` begins behind byte `end`; 0: none does."""
    begins = _BEGINS.get(name)
    if begins is not None and (found := begins.search(_head(path, _MOST_BEHIND, end))):
        return end + found.start()
    return 0


def _xing(path: bytes) -> float | None:
    """Seconds by the count of frames in an mp3's Xing, Info or VBRI header, if it has one.

    Layout as in FFmpeg's mp3dec.c: the marker, flags of which bit 0 says that a count follows.
    """
    data = _head(path, 4096, tags.id3_size(path))
    frame = re.search(rb"\xff[\xe2-\xff][\x10-\xef]", data)
    if frame is None:
        return None
    header = struct.unpack(">I", data[frame.start() : frame.start() + 4].ljust(4, b"\0"))[0]
    version, rate = header >> 19 & 3, header >> 10 & 3
    if rate == 3 or version == 1:
        return None
    hertz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 1152 if version == 3 else 576
    found = _XING.search(data) or _VBRI.search(data)
    frames = int.from_bytes(found.group(1), "big") if found else 0
    return frames * samples / hertz if frames else None


def _ogg_end(path: bytes) -> tuple[bool, int | None]:
    """Whether the last page of an Ogg file is marked as the last (RFC 3533, section 6), and
    the time it says; None when it is of another stream than the first, or says none."""
    size = os.path.getsize(path)
    head = _head(path, 18)
    tail = _head(path, 2 * 65_307, max(0, size - 2 * 65_307))  # a page has at most 65,307 bytes
    at = tail.rfind(b"OggS\0")
    page = tail[at : at + 18] if at >= 0 else b""
    if len(page) < 18:
        return False, None
    granule = int.from_bytes(page[6:14], "little", signed=True)
    mine = page[14:18] == head[14:18] and granule > 0
    return bool(page[5] & 4), granule if mine else None
