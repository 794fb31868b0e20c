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
"""Channels up to which FFmpeg mixes all that matters; it leaves out those above one's head."""
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

    def prepared(self, frame: Any) -> Any:
        """`frame`, which may be written to, or another in its stead.

        What has more than two channels and does not say which is where is averaged: FFmpeg takes
        the fourth of six for a subwoofer, for one, and leaves it out. So is what has more than it
        has rules for. Of two channels that cancel each other out (one leg of a microphone's
        balanced line is inverted) the first stands for both.
        """
        count = channels(frame)
        unnamed = count > 2 and frame.layout.name == f"{count} channels"
        if self.always or unnamed or count > _NAMED:
            return mean(frame)
        if count == 2:
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
    views = _views(frame)
    total = np.zeros(frame.samples, np.float64)
    for view in views:
        total += view
    total = total / len(views) - silence
    if issubclass(kind, np.integer):
        total /= 2.0 ** (8 * np.dtype(kind).itemsize - 1)
    made = av.AudioFrame.from_ndarray(total.astype(np.float32)[None], "fltp", "mono")
    made.sample_rate = frame.sample_rate
    return made


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
