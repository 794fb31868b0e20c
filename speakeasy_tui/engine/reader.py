"""A media file's packets, in order and to the end, whatever is broken on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import av

from speakeasy_tui.engine import datasize, promise, tags
from speakeasy_tui.engine.opening import audio_stream, open_media
from speakeasy_tui.engine.promise import ELEMENTARY, Promise
from speakeasy_tui.engine.source import SourceError
from speakeasy_tui.engine.tape import Samples
from speakeasy_tui.engine.timeline import GAP, LONGEST_GAP, Timeline

_RETRIES = 100
"""Times a container may break in a row before its end is believed."""
_ALIVE_PACKETS = 2_000
"""Packets after which to say so, whether anything came of them or not."""
_SURPLUS = 1.0
"""Seconds, by the bytes that hold them, that may be damaged without leaving a gap."""
_JOINT = 60.0
"""Seconds; a longer gap in a transport stream is a joint."""


class Reader:
    """Packets to samples, going on behind damage."""

    def __init__(
        self,
        path: bytes,
        container: Any,
        stream: Any,
        promised: Promise,
        alive: Callable[[float], None],
    ) -> None:
        self._path = path
        self._container = container
        self._stream = stream
        self.promised = promised
        self._alive = alive
        self._size = os.path.getsize(path)
        self._unit = float(stream.time_base) if stream.time_base else 0.0
        self._origin = (container.start_time or 0) / 1_000_000  # AV_TIME_BASE
        self._broadcast = container.format.name == "mpegts"
        end = None if promised.seconds is None else promised.seconds + self._origin + 2.0
        # Where recordings of broadcasts are joined, or cut, the clock jumps and nothing is lost.
        self._line = Timeline(end, _JOINT if self._broadcast else LONGEST_GAP, alive)
        self._begun = False
        self._lost_some = False
        """A packet could not be decoded since the last frame."""
        self._good_end: int | None = None
        """Byte behind the last packet that could be decoded."""
        self._heard_end = 0
        """Byte behind the last packet that gave sound."""
        self._good_bytes = self._bad_bytes = 0
        self._tail = 0.0
        """Seconds that are missing at the end by the bytes that are."""
        self.unplaced = 0
        """Bytes that could not be decoded; how long they are, and where, may not be known."""
        self._other_end = 0.0
        """Seconds up to which other tracks of the container go."""
        self.damaged = 0
        """Packets that could not be decoded."""
        self.decoded = False
        """Whether there was any sound at all."""

    @property
    def seconds(self) -> float:
        """Length of the sound so far, and of silence in its place."""
        return self._line.seconds

    def blocks(self) -> Iterator[Samples]:
        """Decode everything, a block at a time."""
        bytes_tell = self._container.format.name in ELEMENTARY
        flac = self._container.format.name == "flac"
        line = self._line
        for container, stream in self._parts():
            decode = stream.codec_context.decode
            bytes_or_order_tell = bytes_tell or container is not self._container
            # This runs for every 20 to 70 ms of sound.
            for packet in self._packets(container, stream):
                try:
                    frames = decode(packet)
                except av.error.EOFError:
                    break
                except MemoryError:
                    raise
                except av.error.FFmpegError:
                    self._broken()
                    self._bad_bytes += packet.size
                    continue
                if bytes_tell and packet.size:
                    self._follow_bytes(packet, bool(frames))
                elif frames and packet.pos is not None:
                    self._good_end = packet.pos + packet.size
                    self._good_bytes += packet.size
                for frame in frames:
                    at = None
                    if flac and not self._begun and frame.sample_rate:
                        self._learn_unit(frame.sample_rate)
                    if not bytes_or_order_tell and (pts := frame.pts) is not None:
                        at = pts * self._unit - self._origin
                        if not self._begun:
                            at = self._first(at, packet)
                    self._begun = True
                    if not self.decoded and frame.samples:
                        self.decoded = True
                    line.add(frame, at, self._lost_some)
                    self._lost_some = False
                if line.ready:
                    yield from line.blocks()
        if self._good_end is not None:
            if bytes_tell and self.promised.seconds is None:
                self._tail = self._lost(self._left_over(self._good_end))
            elif not bytes_tell and self._alone():
                self.unplaced = self._unplaced(self._good_end)
        yield from line.blocks(last=True)
        self.damaged += line.bad
        self.decoded = self.decoded and (line.heard or not line.bad)

    def _learn_unit(self, rate: int) -> None:
        """A flac's clock counts samples, and each frame says anew how long they are."""
        stretch = 1 / (rate * self._unit or 1.0)
        self._unit *= stretch
        if self.promised.seconds is not None:
            seconds = self.promised.seconds * stretch
            self.promised = self.promised._replace(seconds=seconds)

    def _broken(self) -> None:
        self.damaged += 1
        self._lost_some = True

    def _first(self, at: float, packet: Any) -> float:
        """Make room before the first frame, which says `at`; its place."""
        own = self._stream.start_time
        begins = own * self._unit - self._origin if own is not None else 0.0
        limit = self.promised.seconds
        if (limit is not None and at > limit) or at > LONGEST_GAP:
            return at  # a damaged time; the timeline will see whether it stays
        if at > GAP:
            # What the track itself leaves out is silence; packets that gave nothing are lost.
            self._line.start_at(min(begins, at))
            self._line.start_at(at, missing=self.damaged > 0 or self._alone())
        elif self._origin > GAP and limit and packet.pos and self._alone():
            # The container seems to begin late: when the bytes that should hold the time
            # before are there, that is because they are damaged.
            share = self._origin / (self._origin + limit)
            if packet.pos / self._size > share / 2 and self._origin < LONGEST_GAP:
                at += self._origin
                self._line.start_at(at, missing=True)
                self.promised = self.promised._replace(seconds=limit + self._origin)
                self._origin = 0.0
        return at

    def _alone(self) -> bool:
        return not promise.company(self._container, self._stream)

    def _follow_bytes(self, packet: Any, gave_sound: bool) -> None:
        """In a format without a clock: bytes that gave no sound stand for the time they had."""
        pos = packet.pos
        if pos is None:
            return
        if pos == self._good_end:
            lost = 0
        elif self._good_end is None:
            lost = pos if tags.id3_size(self._path) == 0 else 0
        else:
            lost = pos - self._good_end
            if lost > 0:  # a decoder may have taken the beginning of a tag for a packet
                silent = pos - self._heard_end
                lost = min(lost, silent - tags.size_between(self._path, self._heard_end, pos))
        size = packet.size
        self._good_end = pos + size
        if gave_sound:
            self._heard_end = pos + size
        self._good_bytes += size
        if lost > 0:
            self._line.skip(self._lost(lost))

    def _left_over(self, good_end: int) -> int:
        """Bytes behind `good_end` that are no tags, and gave no sound."""
        left = tags.sound_end(self._path, good_end) - good_end
        # In an aac packets are counted as if nothing lay between them, so what does is left over.
        begin = tags.id3_size(self._path) if self._container.format.name == "aac" else good_end
        return left and left - tags.size_between(self._path, begin, self._size)

    def _unplaced(self, good_end: int) -> int:
        """Bytes that gave no sound, though the format is none whose bytes are counted."""
        left = self._bad_bytes
        if self._lost_some:
            left = max(left, self._left_over(good_end))
        elif not left:  # FFmpeg is content, as with an index at the end
            another = promise.joined(self._path, self._container.format.name, good_end)
            left = self._size - another if another else 0
        return left if self._lost(left) > _SURPLUS else 0

    def _lost(self, count: int) -> float:
        """Seconds that `count` bytes hold, at the rate so far or the one FFmpeg names."""
        nominal = (self._container.bit_rate or 0) / 8
        rate = self._good_bytes / self._line.at if self._line.at > 1.0 else 0.0
        rate = max(rate, nominal if rate == 0.0 else 0.0)
        return max(0, count) / rate if rate else 0.0

    def _parts(self) -> Iterator[tuple[Any, Any]]:
        """The container and its track, then those of all wavs that were joined to it."""
        yield self._container, self._stream
        then = self.promised.then
        while then:
            self._alive(self._line.at)
            try:
                with open_media(self._path, then) as container:
                    yield container, audio_stream(container)[0]
            except SourceError:
                self._broken()  # how much it promised is missing in the end
            data = datasize.find(self._path, then)
            then = data.then if data is not None else 0

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        """All packets of a track; a broken stretch of the container is stepped over."""
        count = failed = 0
        while failed < _RETRIES:
            try:
                for packet in container.demux(stream):
                    yield packet
                    failed = 0
                    count += 1
                    if count == _ALIVE_PACKETS:
                        count = 0
                        self._alive(self._line.at)
                return
            except av.error.EOFError:
                return
            except OSError as error:
                if not isinstance(error, av.error.FFmpegError):
                    raise
                # FFmpeg reports a container that breaks off like a disk that fails.
                _read_through(self._path, self._alive)
                self._broken()
                failed += 1
            except av.error.FFmpegError:
                self._broken()
                failed += 1

    # ------------------------------------------------------------- the reckoning

    def look_at_other_tracks(self) -> None:
        """Find how far the rest of the container goes: the sound may end before the picture."""
        last = 0.0
        # Opened anew, for not every format can be wound back.
        try:
            with open_media(self._path) as container:
                for number, packet in enumerate(container.demux()):
                    if number % _ALIVE_PACKETS == 0:
                        self._alive(self._line.at)
                    if packet.pts is not None and packet.time_base:
                        last = max(last, float(packet.pts * packet.time_base) - self._origin)
        except (SourceError, av.error.FFmpegError):
            pass
        self._other_end = last

    def missing(self) -> float:
        """Seconds that could not be decoded; 0.0 when it is as good as none."""
        inside = self._line.missing if self._line.missing >= GAP else 0.0
        return inside + self.missing_at_end()

    def missing_at_end(self) -> float:
        """Seconds of what is promised that lie behind the end."""
        seconds = self.promised.seconds
        if seconds is None:
            return self._tail if self._tail >= GAP else 0.0
        if self._broadcast:
            seconds += self._line.shift  # the promise is the last time less the first
        left = seconds - max(self._line.at, self._other_end)
        return left if left > self.promised.slack else 0.0


def _read_through(path: bytes, alive: Callable[[float], None]) -> None:
    """Read the whole file; raises OSError when the disk it lies on does."""
    with open(path, "rb") as file:
        while file.read(2**20):
            alive(0.0)
