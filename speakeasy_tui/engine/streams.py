"""A queue of work on the GPU for each thread: what others have given it goes on beside it."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


class Streams:
    """CUDA streams of one device, one for each thread that asks; on a CPU nothing."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._own = threading.local()

    def own(self) -> AbstractContextManager[Any]:
        """What torch is told within goes into this thread's stream."""
        if self._device.type != "cuda":
            return nullcontext()
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self._device)
        # What the thread has asked for outside, a part of a batch, say, comes first.
        self._own.stream.wait_stream(torch.cuda.current_stream(self._device))
        beside: AbstractContextManager[Any] = torch.cuda.stream(self._own.stream)
        return beside

    def wait(self) -> None:
        """Until all that this thread has given has been done."""
        if hasattr(self._own, "stream"):
            self._own.stream.synchronize()
