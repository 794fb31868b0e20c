"""Several channels to one, where FFmpeg's own mixing would lose some of them."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import numpy.typing as npt

_OPPOSED, _AGREED = 0.01, 1.0
"""Energy of the sum of two channels, as a share of that of the softer one: below the first they
cancel each other out, above the second they do not. Of two with nothing in common it is 2 or more.
"""
_LOOKED_AT = 1_000
"""Samples of a frame by which that is judged: all would cost as much as to resample them."""
_NAMED = 8
"""Channels up to which FFmpeg is asked to mix; of more it leaves out too many."""
_MIXED = frozenset(
    ("FL", "FR", "FC", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TFL", "TFR", "DL", "DR")
)
"""Loudspeakers that FFmpeg's rules for mono know (auto_matrix, libswresample/rematrix.c); others,
the subwoofer and most above one's head among them, it leaves out without a word."""
_RUMBLE = 200.0
"""Hz; the mean (of squares, by energy) of what is meant for a subwoofer lies below: films' ends at
120. That of speech lies at 500 and more."""
_FAINT = 1e-4
"""Of full scale, as the root of the mean square; below it there is only what encoders add."""
_TYPES: dict[str, tuple[type[np.generic], int]] = {
    "u8": (np.uint8, 128), "s16": (np.int16, 0), "s32": (np.int32, 0), "s64": (np.int64, 0),
    "flt": (np.float32, 0), "dbl": (np.float64, 0),
}  # fmt: skip
"""FFmpeg's sample formats in numpy's terms, and what silence is in them."""


class Mixer:
    """Changes the frames of one shape, so that nothing is lost when FFmpeg makes them mono."""

    def __init__(self) -> None:
        self.always = False
        """All frames are averaged here: FFmpeg cannot."""
        self._opposed = False
        self._unmixed: list[int] | None = None
        """Of named channels, the numbers of those that FFmpeg leaves out; None: not known yet."""

    def prepared(self, frame: Any) -> Any:
        """`frame`, which may be written to, or another in its stead.

        What has more than two channels and does not say which is where is averaged: FFmpeg takes
        the fourth of six for a subwoofer, for one, and leaves it out. So is what has more than it
        has rules for. Recorders name their tracks after loudspeakers, too, the fourth after a
        subwoofer: where one that FFmpeg leaves out holds more than rumble, all are made equal. Of
        two channels that cancel each other out (one leg of a microphone's balanced line is
        inverted) the first stands for both.
        """
        count = channels(frame)
        unnamed = frame.layout.name == f"{count} channels"
        if self.always or (unnamed and count > 2) or count > _NAMED:
            return mean(frame)
        if self._unmixed is None:
            self._unmixed = [] if unnamed else _unmixed(frame)
        if any(_more_than_rumble(frame, number) for number in self._unmixed):
            _make_equal(frame)
        elif count == 2:
            self._opposed = _cancels(frame, _AGREED if self._opposed else _OPPOSED)
            if self._opposed:
                first, second = _views(frame)
                second[:] = first
        return frame


def channels(frame: Any) -> int:
    """How many a frame has."""
    return int(frame.layout.nb_channels)


def mean(frame: Any) -> Any:
    """The average of a frame's channels, as a frame of float32."""
    kind, silence = _TYPES[frame.format.name.removesuffix("p")]
    average = (_average(_views(frame)) - silence) / _full_scale(kind)
    made = av.AudioFrame.from_ndarray(average.astype(np.float32)[None], "fltp", "mono")
    made.sample_rate = frame.sample_rate
    return made


def _make_equal(frame: Any) -> None:
    """Put the average of a frame's channels into each: so it stays of its shape."""
    kind, _ = _TYPES[frame.format.name.removesuffix("p")]
    views = _views(frame)
    average = _average(views)
    if issubclass(kind, np.integer):
        average = np.rint(average)
    for view in views:
        view[:] = average


def _average(views: list[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    total = np.zeros(len(views[0]), np.float64)
    for view in views:
        total += view
    return total / len(views)


def _full_scale(kind: type[np.generic]) -> float:
    """The largest sample of a type."""
    return 2.0 ** (8 * np.dtype(kind).itemsize - 1) if issubclass(kind, np.integer) else 1.0


def _unmixed(frame: Any) -> list[int]:
    """Numbers of the named channels that FFmpeg leaves out of mono."""
    if channels(frame) == 1:
        return []
    names = [channel.name for channel in frame.layout.channels]
    return [number for number, name in enumerate(names) if name not in _MIXED]


def _more_than_rumble(frame: Any, number: int) -> bool:
    """Whether a channel holds what was not made for a subwoofer."""
    kind, silence = _TYPES[frame.format.name.removesuffix("p")]
    view = _views(frame)[number]
    step = max(2, frame.samples // _LOOKED_AT)
    # A signal's change from sample to sample has the energy of its frequencies squared.
    after = view[1::step].astype(np.float64) - silence
    change = after - (view[::step][: len(after)].astype(np.float64) - silence)
    energy = float(after @ after)
    faint = _FAINT * _full_scale(kind)
    if energy <= len(after) * faint * faint:
        return False
    frequency = frame.sample_rate / (2 * np.pi) * (float(change @ change) / energy) ** 0.5
    return bool(frequency > _RUMBLE)


def _views(frame: Any) -> list[npt.NDArray[Any]]:
    """Each channel of a frame, as it lies in its memory."""
    kind, _ = _TYPES[frame.format.name.removesuffix("p")]
    count = channels(frame)
    if frame.format.is_planar:
        # PyAV lists one too many where there are eight.
        return [np.frombuffer(plane, kind, frame.samples) for plane in frame.planes[:count]]
    together = np.frombuffer(frame.planes[0], kind, frame.samples * count)
    return [together[number::count] for number in range(count)]


def _cancels(frame: Any, share: float) -> bool:
    """Whether the sum of two channels has less than `share` of the softer one's energy."""
    _, silence = _TYPES[frame.format.name.removesuffix("p")]
    step = frame.samples // _LOOKED_AT or 1
    first, second = (view[::step].astype(np.float64) - silence for view in _views(frame))
    both = first + second
    return bool(both @ both < share * min(first @ first, second @ second))
