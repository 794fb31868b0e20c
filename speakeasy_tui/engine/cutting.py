"""A recording to chunks: decode, listen for speech, cut, make spectrograms.

What the front end does with one file, without its queue, its model and its reports: threads of
the engine and processes of their own (`engine.helperprocess`) do the same by it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from msgspec import Struct

from speakeasy_tui.core.job import JobWarning
from speakeasy_tui.engine.audio import RATE, Samples, open_recording
from speakeasy_tui.engine.doubt import Doubt
from speakeasy_tui.engine.loudness import Loudness
from speakeasy_tui.engine.melspec import LogMel
from speakeasy_tui.engine.passage import Passage, Span
from speakeasy_tui.engine.speech import Cutter
from speakeasy_tui.engine.vad import Listener
from speakeasy_tui.engine.work import SAME_START, Mel

_NOTHING: Samples = np.zeros(0, np.int16)


class Order(Struct, frozen=True):
    """What is wanted of a recording."""

    path: bytes
    vad: bool
    have: list[float] = []
    """Starts (s) of chunks that are stored already."""
    since: float = 0.0
    """Chunks that start before (s) are another engine's, as good as stored."""
    until: float = math.inf
    """Chunks that start here (s) or later are another engine's; it may be less by now."""

    def stored(self, start: float) -> bool:
        """Whether the chunk that starts at `start` (s) need not be decoded."""
        return start < self.since or any(abs(start - has) <= SAME_START for has in self.have)


class Known(Struct):
    """What is known of a recording so far."""

    audio_s: float = 0.0
    """Length, seconds: what the file promises, then, once decoded, what is there."""
    heard_s: float = 0.0
    """Seconds decoded so far."""
    speech_s: float = 0.0
    warnings: list[JobWarning] = []
    seconds: dict[str, float] = {}
    """Spent on it, by stage: `decode`, `vad`, `mel`."""


class RawChunk(NamedTuple):
    """A chunk as it is cut."""

    passage: Passage
    speech: list[Span]
    """Where somebody speaks in it, in its own time."""
    samples: Samples


class Cutting:
    """One recording on its way.

    Memory: the stretch between the decoder and the next chunk's start, less than a minute or two.
    """

    def __init__(
        self, path: bytes, alive: Callable[[float], None], told: Callable[[], None] = lambda: None
    ) -> None:
        """
        Args:
            path: the file.
            alive: called now and then while it is decoded; may raise to stop.
            told: called after each 30 s, when `known` is up to date; may raise to stop.
        """
        self._path = path
        self._alive = alive
        self._told = told
        self._loudness = Loudness()
        self.known = Known()

    @property
    def strip(self) -> str:
        """How loud it is, as far as it has been decoded (`Loudness.strip`)."""
        return self._loudness.strip()

    def chunks(self, vad: bool) -> Iterator[RawChunk]:
        """The chunks as soon as they are settled; without `vad`, consecutive windows.

        Raises:
            SourceError: the file cannot be read, or holds no sound.
            OSError: what else the operating system says.
        """
        known = self.known
        listener, doubt, cutter = Listener(), Doubt(), Cutter(vad)
        held: list[Samples] = []
        first = total = 0
        """Samples before `held`, and up to its end."""
        marked = passed = 0
        """Of the cutter's spans: marked in the strip, and lying before all chunks to come."""
        with open_recording(self._path, self._alive) as recording:
            known.audio_s = recording.expected_s or 0.0
            blocks = recording.blocks()
            last = False
            while not last:
                with self._timed("decode"):
                    block = next(blocks, None)
                last = block is None
                with self._timed("vad"):
                    if block is not None:
                        self._loudness.add(block)
                        held.append(block)
                        total += len(block)
                        heard = doubt.consider(block, listener.hear(block)) if vad else len(block)
                        found = cutter.feed(heard)
                    else:
                        rest = doubt.consider(_NOTHING, listener.end())
                        found = cutter.feed(rest) if vad else []
                        found += cutter.end(total)
                    for span in cutter.speech[marked:]:
                        self._loudness.mark(*span)
                        known.speech_s += (span.end - span.start) / RATE
                    marked = len(cutter.speech)
                known.heard_s = total / RATE
                if last:
                    known.audio_s = round(recording.seconds, 3)
                    known.warnings = recording.warnings
                self._told()
                for chunk in found:
                    while passed < marked and cutter.speech[passed].end <= chunk.start:
                        passed += 1
                    inside = [span for span in cutter.speech[passed:] if span.start < chunk.end]
                    if 0 <= cutter.speaking_from < chunk.end:
                        inside.append(Span(cutter.speaking_from, chunk.end))
                    yield RawChunk(chunk, chunk.own(inside), _samples(held, first, chunk))
                while held and first + len(held[0]) <= cutter.needed_from:
                    first += len(held.pop(0))

    def mel(self, maker: LogMel, samples: Samples) -> Mel:
        """The spectrogram of a chunk."""
        with self._timed("mel"):
            return maker.chunk(samples)

    def whole(self) -> Samples:
        """All of the recording at once, 115 MB per hour; raises what `chunks` does."""
        known = self.known
        data = bytearray()  # enlarged in place
        with self._timed("decode"), open_recording(self._path, self._alive) as recording:
            known.audio_s = recording.expected_s or 0.0
            for block in recording.blocks():
                self._loudness.add(block)
                data += block.data.cast("B")
        samples: Samples = np.frombuffer(data, np.int16)
        known.audio_s = round(recording.seconds, 3)
        known.heard_s = len(samples) / RATE
        known.warnings = recording.warnings
        self._told()
        return samples

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            seconds = self.known.seconds
            seconds[stage] = seconds.get(stage, 0.0) + time.monotonic() - begun


class Taker(Protocol):
    """Whoever wants the chunks of a file, whichever process makes them."""

    def check(self) -> None:
        """Raises when nobody wants them any more."""

    def alive(self, seconds: float) -> None:
        """Decoding goes on; raises as `check` does."""

    def told(self, known: Known) -> None:
        """Something more is known; raises as `check` does."""

    def loud(self, strip: str) -> None:
        """The recording was read to its end, and this is how loud it is."""

    def maker(self, wait: bool) -> LogMel | None:
        """What makes the spectrograms; None while it is not known and not to be waited for."""

    def lacks_language(self) -> bool:
        """Whether the first chunk is wanted for its language even where it is stored; asked once
        the maker is known."""


class Offer(NamedTuple):
    """A chunk that may be had."""

    passage: Passage
    speech: Sequence[Span]
    mel: Callable[[], Mel]
    """Makes its spectrogram, or receives it. Only for a chunk that is wanted."""


def offers(order: Order, taker: Taker) -> Generator[Offer, None, None]:
    """The chunks of a recording, made in this thread as they are taken."""
    cutting = Cutting(order.path, taker.alive, lambda: taker.told(cutting.known))
    try:
        for chunk in cutting.chunks(order.vad):
            yield Offer(chunk.passage, chunk.speech, partial(_made, cutting, chunk, taker))
    except Exception:
        taker.told(cutting.known)
        raise
    taker.loud(cutting.strip)


def _made(cutting: Cutting, chunk: RawChunk, taker: Taker) -> Mel:
    maker = taker.maker(wait=True)
    assert maker is not None
    mel = cutting.mel(maker, chunk.samples)
    taker.told(cutting.known)
    return mel


def _samples(blocks: Sequence[Samples], first: int, passage: Passage) -> Samples:
    """Samples of a passage out of `blocks` that follow each other from sample `first` on."""
    found: list[Samples] = []
    for start, end in passage.stretches:
        at = first
        for block in blocks:
            found.append(block[max(0, start - at) : max(0, end - at)])
            at += len(block)
    return np.concatenate(found)
