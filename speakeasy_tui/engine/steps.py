"""What the texts of a batch may go on with, a step at a time; on a GPU recorded and played again.

A step is many small operations. Asked for one by one they take Python twice as long
as the GPU (docs/throughput.md, "On a GPU"). So a step of so many windows and so many tokens is
recorded when it comes for the second time (a CUDA graph), and after that played at one request. For
that all it reads and writes stays in its place.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from speakeasy_tui.engine.rules import Rules, Tokens
from speakeasy_tui.engine.textdecoder import Room, TextDecoder

_BLOCK = 64
"""Tokens by which what a step looks at of the texts grows."""
_RECORDING = threading.Lock()
"""One at a time: the others' steps may go on meanwhile."""
_PARENT, _TOKEN, _AT, _BOUNDS, _SCORE, _GIVEN = 0, 1, 2, slice(3, 6), 6, 7
"""What is given for each row, all in one array: whole numbers below 2**53, and a float32."""


@dataclass(frozen=True)
class Likely:
    """What may come next."""

    scores: np.ndarray
    """Windows × 2·width: of the best that any of a window's texts may go on with."""
    parents: np.ndarray
    """Which of the window's texts."""
    tokens: np.ndarray
    _all: Tensor
    _rows: np.ndarray

    def every(self) -> Tensor:
        """Log-probabilities, rows × vocabulary; of a batch's first tokens a row for each window."""
        return self._all.index_select(0, torch.from_numpy(self._rows).to(self._all.device))


class Steps:
    """Steps of one batch after another, in one thread."""

    def __init__(
        self, decoder: TextDecoder, tokens: Tokens, windows: int, width: int, longest: int
    ) -> None:
        """
        Args:
            decoder: of the model.
            tokens: that the rules speak of.
            windows: of a batch at most.
            width: texts of a window.
            longest: tokens of a text at most, its prompt's among them.
        """
        self._decoder = decoder
        self._tokens = tokens
        longest = -(-longest // _BLOCK) * _BLOCK
        device, rows = decoder.device, windows * width
        self.room = Room(decoder, windows, width, longest)
        self.rules = Rules(tokens, decoder.vocabulary, device)
        on_gpu = device.type == "cuda"
        self.random = torch.Generator(device)
        """Torch's own may not be asked while a step is recorded, in whatever thread."""
        self.random.seed()
        self._here = torch.zeros((rows, _GIVEN), dtype=torch.float64, pin_memory=on_gpu)
        self._given = torch.zeros((rows, _GIVEN), dtype=torch.float64, device=device)
        self._likely = torch.zeros((rows, decoder.vocabulary), device=device)
        self._best = torch.zeros((windows, 2, 2 * width), device=device)
        self._places = np.zeros(0, np.int64)
        """Of the windows that go on, in the room."""
        self._windows = self._length = 0
        self._records = on_gpu
        self._recorded: dict[tuple[int, int], torch.cuda.CUDAGraph | None] = {}
        self._pool = torch.cuda.graph_pool_handle() if on_gpu else None

    def fits(self, windows: int, width: int, longest: int) -> bool:
        """Whether there is room for such a batch."""
        room = self.room
        return width == room.width and windows <= room.windows and longest <= room.longest

    def begin(
        self, encoded: Tensor, prompts: Sequence[Sequence[int]], start: int, latest_first: int
    ) -> tuple[list[float], Likely]:
        """Begin with a batch: the probability of silence in each window, and what texts may begin
        with.

        Args:
            encoded: the encoder's output, windows × 1500 × width.
            prompts: tokens before each window's text; all of a length.
            start: the token in a prompt at which the model tells whether anybody speaks.
            latest_first: the last timestamp that may come first, in steps of 20 ms.
        """
        decoder = self._decoder
        at = list(prompts[0]).index(start)
        asked = torch.tensor(prompts, device=decoder.device)
        read = decoder.begin(self.room, encoded.to(decoder.dtype), asked)
        speech = decoder.logits(read[:, at]).softmax(dim=-1)
        silence: list[float] = speech[:, self._tokens.no_speech].tolist()
        logits = decoder.logits(read[:, -1])
        self.rules.first(logits, latest_first)
        count = len(prompts)
        self._note(logits.log_softmax(dim=-1), count)
        self._places = np.arange(count)
        self._windows, self._length = self._shape(count), len(prompts[0])
        return silence, self._found(self._places)

    def go_on(
        self,
        going: np.ndarray,
        parents: np.ndarray,
        tokens: np.ndarray,
        bounds: np.ndarray,
        scores: np.ndarray,
    ) -> Likely:
        """Read a token of each text, and say what may come next.

        Args:
            going: which of the windows so far go on, ascending; all that follows is of those.
            parents: which text of the window each goes on with (windows × width).
            tokens: the token that it goes on with.
            bounds: what the rules have to know (`Rules.bounds`).
            scores: to be added to what comes next.
        """
        width = self.room.width
        places = self._places[going]
        rows = places[:, None] * width + parents
        windows = self._shape(len(going))
        if windows < self._windows:
            self._windows = windows
            self.room.move(torch.from_numpy(places).to(self._decoder.device))
            places = np.arange(len(going))
        self._places = places
        size = self._windows * width
        here = self._here.numpy()[:size]
        here[:, _PARENT] = np.arange(size)
        here[:, _TOKEN] = self._tokens.end
        here[:, _BOUNDS] = 0
        here[:, _AT] = self._length
        own = (places[:, None] * width + np.arange(width)).ravel()
        here[own, _PARENT] = rows.ravel()
        here[own, _TOKEN] = tokens.ravel()
        here[own, _BOUNDS] = bounds.T
        here[own, _SCORE] = scores.ravel()
        self._given[:size].copy_(self._here[:size], non_blocking=True)
        self._length += 1
        self._play(self._windows, -(-self._length // _BLOCK) * _BLOCK)
        return self._found(own)

    def _shape(self, going: int) -> int:
        """With how many windows a step calculates where so many go on: all, a half, a quarter …"""
        windows = self.room.windows
        while going <= (half := (windows + 1) // 2) < windows:
            windows = half
        return windows

    def _play(self, windows: int, length: int) -> None:
        """A step, as it was recorded, or is recorded now, or as it is where it came never before:
        then kernels may have to be loaded."""
        key = windows, length
        if self._records and key in self._recorded:
            graph = self._recorded[key] or self._record(windows, length)
            self._recorded[key] = graph
            if graph is not None:
                graph.replay()
                return
        self._recorded.setdefault(key, None)
        self._step(windows, length)

    def _record(self, windows: int, length: int) -> torch.cuda.CUDAGraph | None:
        """A step, recorded and not done; None where that cannot be, from now on for any."""
        try:
            return self._capture(windows, length)
        except RuntimeError as error:
            # The step itself shows whether it is the device that fails.
            self._records = False
            print(f"engine: steps are not recorded: {error}", file=sys.stderr, flush=True)
            return None

    def _capture(self, windows: int, length: int) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        with _RECORDING:
            torch.cuda.current_stream().synchronize()
            # Other threads calculate meanwhile, CTranslate2's among them.
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                self._step(windows, length)
            except BaseException:
                with suppress(RuntimeError):
                    graph.capture_end()
                raise
            graph.capture_end()
        return graph

    def _step(self, windows: int, length: int) -> None:
        given = self._given[: windows * self.room.width]
        numbers = given[:, :_SCORE].long()
        parents, tokens, at = numbers[:, _PARENT], numbers[:, _TOKEN], numbers[:1, _AT]
        read = self._decoder.step(self.room, length, tokens, parents, at)
        logits = self._decoder.logits(read)
        self.rules.later(logits, numbers[:, _BOUNDS].T)
        self._note(logits.log_softmax(dim=-1) + given[:, _SCORE:].float(), windows)

    def _note(self, likely: Tensor, windows: int) -> None:
        """Keep what may come next (rows × vocabulary), and the best of each window."""
        self._likely[: len(likely)] = likely
        # Of each text as many as there are places, then of those of a window: that asks more of a
        # GPU at once than to look for them in all at once.
        most = self._best.shape[-1]
        scores, tokens = likely.topk(most)
        found, places = scores.reshape(windows, -1).topk(most)
        tokens = tokens.reshape(windows, -1).gather(1, places)
        self._best[:windows, 0] = found
        self._best[:windows, 1] = places // most * likely.shape[-1] + tokens

    def _found(self, rows: np.ndarray) -> Likely:
        """What has been noted of these rows, the windows' one after the other."""
        best = self._best[: self._windows].cpu().numpy()[self._places]
        scores, flat = best[:, 0], best[:, 1].astype(np.int64)
        size = self._decoder.vocabulary
        return Likely(scores, flat // size, flat % size, self._likely, rows)
