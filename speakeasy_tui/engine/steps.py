"""The texts of a batch, a token of each at every step; on a GPU recorded and played again.

A step is many small operations. Asked for one by one they take Python twice as long
as the GPU (docs/throughput.md, "On a GPU"). So a step of so many windows and so many tokens is
recorded when it comes for the second time (a CUDA graph), and after that played at one request.
What it chooses (`engine.ways`) the next one finds where it left it, so some steps are asked for
before it is known whether any text goes on, and a GPU need not wait for Python.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from speakeasy_tui.engine.rules import Chances, Rules, Tokens
from speakeasy_tui.engine.textdecoder import Room, Shape, Space, TextDecoder
from speakeasy_tui.engine.ways import Choice, Way

_BLOCK = 64
"""Tokens by which what a step looks at of the texts grows."""
AHEAD = {"cuda": 4}
"""Steps that a device is asked for before it has said whether the first of them is the last."""
RECORDING = threading.Lock()
"""One at a time: the others' steps may go on meanwhile. While one records, torch does not give back
what memory it keeps for later, so none is asked for in larger pieces either."""

UNENDED: list[torch.cuda.CUDAGraph] = []
"""Recordings that torch could not end. Its allocator goes on asking them whether memory is theirs,
so they stay; and it gives back nothing meanwhile, so no other follows. An error that made a process
end would not do: where it is the machine's way, the next one would meet it at the same step."""


class Pool:
    """Memory of CUDA graphs that are never played at the same time; on a CPU nothing."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self.handle: tuple[int, int] | None = None
        """As torch names it."""
        self.renew()

    def renew(self) -> None:
        """Have other memory from now on: once all graphs of a pool are gone, torch takes no other
        into it."""
        if self._on_gpu:
            self.handle = torch.cuda.graph_pool_handle()


def whole(tokens: int) -> int:
    """So many tokens, in whole blocks."""
    return -(-tokens // _BLOCK) * _BLOCK


class Written(NamedTuple):
    """The texts of a batch, as they came to be: steps × windows × width, but for `silence`."""

    silence: np.ndarray
    """Of each window the probability that nobody speaks in it."""
    last_parents: np.ndarray
    """Of what was likeliest, that ended a text or not: the text of the window."""
    last_tokens: np.ndarray
    scores: np.ndarray
    """Sums of the log-probabilities of those."""
    ended: np.ndarray
    """Which of those are a text's end."""
    parents: np.ndarray
    """Of what the texts went on with: the text of the window."""
    tokens: np.ndarray
    spoiled: bool
    """Something was not a number, if only in what nobody asked for."""


class Texts:
    """Texts so far, of as many windows as there is room for, where they are calculated."""

    def __init__(self, shape: Shape, tokens: Tokens, device: torch.device) -> None:
        windows, _, width, longest = shape
        self._begin = tokens.begin
        self._end = tokens.end
        self._width = width

        def integers(*count: int) -> Tensor:
            return torch.zeros(count, dtype=torch.int64, device=device)

        self.clock = integers(2)
        """The place in the texts of the token to be read, and the number of the step."""
        self.parents = integers(windows * width)
        """The row of which each row is the continuation."""
        self.ends = integers(3, windows * width)
        """Of each row the last token, the one before it, and the first timestamp behind its own."""
        self.sums = torch.zeros((windows, width), device=device)
        self.found = integers(windows)
        """Texts that have ended."""
        self.going = torch.zeros(windows, dtype=torch.bool, device=device)
        """Which windows go on."""
        self.luck = torch.zeros((longest, windows, width), device=device)
        """Of each token, from 0 to below 1."""
        self._random = torch.Generator(device)
        """Torch's own may not be asked while a step is recorded, in whatever thread."""
        self._random.seed()
        self.codes = integers(longest, windows, 2 * width)
        """Of each step the likeliest and the chosen."""
        self.scores = torch.zeros((longest, windows, width), device=device)
        self.ended = torch.zeros((longest, windows, width), dtype=torch.bool, device=device)
        self._first_rows = torch.arange(windows, device=device)[:, None] * width

    def begin(self, windows: int, way: Way, prompt: int) -> None:
        """Texts of no token, of so many windows, behind prompts of so many."""
        self.clock[0], self.clock[1] = prompt - 1, -1
        self.ends.fill_(self._begin)
        self.sums.zero_()
        self.found.zero_()
        self.found[windows:] = way.enough
        self.luck.uniform_(generator=self._random)

    def over(self, windows: int) -> Tensor:
        """Which have ended, of those that went on all the same."""
        return self.ends[0, : windows * self._width].view(windows, -1) == self._end

    def chance(self, windows: int) -> Tensor:
        """The luck of this step."""
        return self.luck.index_select(0, self.clock[1:])[0, :windows]

    def add(self, choice: Choice, columns: int, enough: int) -> None:
        """Go on with what was chosen, with so many `columns` of tokens."""
        windows = len(choice.sums)
        rows, step = windows * self._width, self.clock[1:]
        codes = torch.cat((choice.likeliest, choice.chosen), dim=1)
        self.codes[:, :windows].index_copy_(0, step, codes[None])
        self.scores[:, :windows].index_copy_(0, step, choice.scores[None])
        self.ended[:, :windows].index_copy_(0, step, choice.ended[None])
        texts = choice.chosen // columns
        tokens = (choice.chosen - texts * columns).flatten()
        parents = (texts + self._first_rows[:windows]).flatten()
        last, _, free = self.ends.index_select(1, parents)
        free = torch.where(tokens >= self._begin, tokens + 1, free)
        self.ends[:, :rows] = torch.stack((tokens, last, free))
        self.parents[:rows] = parents
        self.sums[:windows] = choice.sums
        self.found[:windows] += choice.ended.sum(dim=1)
        torch.lt(self.found, enough, out=self.going)

    def move(self, which: Tensor) -> None:
        """Have these windows (numbers) lie at the beginning."""
        count = len(which)
        width = torch.arange(self._width, device=which.device)
        rows = (which[:, None] * self._width + width).flatten()
        self.parents[: len(rows)] = self.parents[rows]
        self.ends[:, : len(rows)] = self.ends[:, rows]
        for one in (self.sums, self.found):
            one[:count] = one[which]


class Steps:
    """Steps of one batch after another, of like shapes, in one thread."""

    def __init__(
        self, decoder: TextDecoder, tokens: Tokens, space: Space, shape: Shape, pool: Pool
    ) -> None:
        """
        Args:
            decoder: of the model.
            tokens: that the rules speak of.
            space: for the batch; others have it when this one is done.
            shape: of the batches, with `whole` blocks of tokens.
            pool: memory for what is recorded, shared with others that never go on meanwhile.
        """
        self._decoder = decoder
        self._tokens = tokens
        device = decoder.device
        self.shape = shape
        self.room = Room(decoder, space, shape)
        self.rules = Rules(tokens, decoder.columns, device, decoder.dtype)
        self._texts = Texts(shape, tokens, device)
        on_gpu = device.type == "cuda"
        self._ahead = AHEAD.get(device.type, 1)
        self._told = torch.zeros((self._ahead, shape.windows), dtype=torch.bool, pin_memory=on_gpu)
        """Which windows go on, after the last steps."""
        self._events = [torch.cuda.Event(blocking=True) for _ in self._told] if on_gpu else []
        self._records = on_gpu
        self._recorded: dict[tuple[Way, int, int], torch.cuda.CUDAGraph | None] = {}
        self._pool = pool

    def write(
        self,
        encoded: Tensor,
        prompts: Sequence[Sequence[int]],
        way: Way,
        *,
        start: int,
        latest_first: int,
        most: int,
    ) -> Written:
        """Write the texts of a batch.

        Args:
            encoded: the encoder's output, windows × frames × width.
            prompts: tokens before each window's text; all of a length.
            way: how tokens are chosen.
            start: the token in a prompt at which the model tells whether anybody speaks.
            latest_first: the last timestamp that may come first, in steps of 20 ms.
            most: tokens of a text, at most.
        """
        decoder, texts, count = self._decoder, self._texts, len(prompts)
        at = list(prompts[0]).index(start)
        asked = torch.tensor(prompts, device=decoder.device)
        read = decoder.begin(self.room, encoded.to(decoder.dtype), asked)
        speech = decoder.logits(read[:, at]).softmax(dim=-1, dtype=torch.float32)
        silence = speech[:, self._tokens.no_speech]
        texts.begin(count, way, len(prompts[0]))
        logits = decoder.logits(read[:, -1], self.rules.never)
        self._choose(way, self.rules.first(logits, latest_first), count)
        windows = self._shape(count)
        moved = [(0, np.arange(windows))]
        self._tell(0)
        step = 1
        while step < most:
            going = self._heard(step - self._ahead, since=moved[-1][0])
            if going is not None:
                going = going[:windows]
                if not going.any():
                    break
                if (fewer := self._shape(int(going.sum()))) < windows:
                    which = np.argsort(~going, kind="stable")[:fewer]
                    self._move(which, len(prompts[0]) + step - 1)
                    moved.append((step, moved[-1][1][which]))
                    windows = fewer
            self._play(way, windows, whole(len(prompts[0]) + step))
            self._tell(step)
            step += 1
        return self._written(silence, moved, step, count)

    def _shape(self, going: int) -> int:
        """With how many windows a step calculates where so many go on: all, a half or a quarter.

        Each has to be recorded, and a GPU does hardly less for still fewer.
        """
        windows = self.shape.windows
        for _ in range(2):
            if going <= (half := (windows + 1) // 2):
                windows = half
        return windows

    def _tell(self, step: int) -> None:
        """Have said which windows go on after a step."""
        told = self._told[step % self._ahead]
        told.copy_(self._texts.going, non_blocking=True)
        if self._events:
            self._events[step % self._ahead].record()

    def _heard(self, step: int, since: int) -> np.ndarray | None:
        """Which windows go on after a step; None: they lay elsewhere, or there was no such step."""
        if step < since:
            return None
        if self._events:
            self._events[step % self._ahead].synchronize()
        told: np.ndarray = self._told[step % self._ahead].numpy()
        return told

    def _move(self, which: np.ndarray, length: int) -> None:
        there = torch.from_numpy(which).to(self._decoder.device, non_blocking=True)
        self.room.move(there, length)
        self._texts.move(there)

    def _written(
        self, silence: Tensor, moved: list[tuple[int, np.ndarray]], steps: int, count: int
    ) -> Written:
        """What was written in so many steps; `moved`: from which on these windows lay first."""
        most, _, width, _ = self.shape
        codes = np.zeros((steps, most, 2 * width), np.int64)
        scores = np.zeros((steps, most, width))
        ended = np.zeros((steps, most, width), bool)
        texts = self._texts
        untils = [first for first, _ in moved[1:]] + [steps]
        for (first, windows), until in zip(moved, untils, strict=True):
            for made, kept in ((codes, texts.codes), (scores, texts.scores), (ended, texts.ended)):
                made[first:until, windows] = kept[first:until, : len(windows)].cpu().numpy()
        last, chosen = np.split(codes[:, :count], 2, axis=2)
        columns = self._decoder.columns
        return Written(
            silence.cpu().numpy(),
            *np.divmod(last, columns),
            scores[:, :count],
            ended[:, :count],
            *np.divmod(chosen, columns),
            spoiled=bool(np.isnan(scores).any()),
        )

    def _play(self, way: Way, windows: int, length: int) -> None:
        """A step, as it was recorded, or is recorded now, or as it is where it came never before:
        then kernels may have to be loaded."""
        key = way, windows, length
        if self._records and key in self._recorded:
            graph = self._recorded[key] or self._record(*key)
            self._recorded[key] = graph
            if graph is not None:
                graph.replay()
                return
        self._recorded.setdefault(key, None)
        self._step(*key)

    def _record(self, way: Way, windows: int, length: int) -> torch.cuda.CUDAGraph | None:
        """A step, recorded and not done; None where that cannot be, from then on for any.

        Raises:
            torch.OutOfMemoryError: there is no room for it, with nothing kept for later either.
        """
        try:
            with suppress(torch.OutOfMemoryError):
                return self._capture(way, windows, length)
            with RECORDING:  # meanwhile torch would give nothing back
                torch.cuda.empty_cache()
            return self._capture(way, windows, length)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            # The step itself shows whether it is the device that fails.
            self._records = False
            print(f"engine: steps are not recorded: {error}", file=sys.stderr, flush=True)
            return None

    def _capture(self, way: Way, windows: int, length: int) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        with RECORDING:
            if UNENDED:
                raise RuntimeError("a recording before could not be ended")
            torch.cuda.current_stream().synchronize()
            UNENDED.append(graph)
            # Other threads calculate meanwhile, CTranslate2's among them.
            graph.capture_begin(pool=self._pool.handle, capture_error_mode="thread_local")
            try:
                self._step(way, windows, length)
            except BaseException:
                self._pool.renew()  # this may have been its only graph
                raise
            finally:
                graph.capture_end()
                UNENDED.remove(graph)
        return graph

    def _step(self, way: Way, windows: int, length: int) -> None:
        """Read the token of each text, and choose the next."""
        rows, texts = windows * self.shape.width, self._texts
        last, before, free = texts.ends[:, :rows]
        read = self._decoder.step(self.room, length, last, texts.parents[:rows], texts.clock[:1])
        logits = self._decoder.logits(read, self.rules.never)
        self._choose(way, self.rules.later(logits, last, before, free), windows)

    def _choose(self, way: Way, chances: Chances, windows: int) -> None:
        texts = self._texts
        texts.clock += 1
        over, luck = texts.over(windows), texts.chance(windows)
        choice = way.choose(chances, texts.sums[:windows], over, luck)
        texts.add(choice, self._decoder.columns, way.enough)
