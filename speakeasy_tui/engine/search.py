"""Texts for windows, with `engine.textdecoder`: beam search, or samples.

In place of CTranslate2's `Whisper.generate` on a GPU, with its options and the same results: there
each step of each text is looked at by itself on the CPU (docs/throughput.md), here all of a batch
in a few operations of the GPU.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from speakeasy_tui.engine import vram
from speakeasy_tui.engine.rules import Tokens
from speakeasy_tui.engine.steps import RECORDING, Pool, Steps, Written, whole
from speakeasy_tui.engine.streams import Streams
from speakeasy_tui.engine.textdecoder import Shape, Space, TextDecoder
from speakeasy_tui.engine.ways import Beam, Sampling, Way

LONGEST = 448
"""Tokens of a text and its prompt together, of every model of Whisper."""


@dataclass
class Found:
    """Texts of a window, the likeliest first; named as in CTranslate2's results."""

    no_speech_prob: float = 0.0
    sequences_ids: list[list[int]] = field(default_factory=list)
    """Tokens of each, without the end token."""
    scores: list[float] = field(default_factory=list)
    """Log-probability of each, the end token's included, by its length without that."""

    def add(self, tokens: list[int], score: float, penalty: float) -> None:
        """Another text; `score` is the sum over its tokens. One of no tokens has -inf."""
        length = float(len(tokens)) ** penalty
        self.sequences_ids.append(tokens)
        self.scores.append(score / length if length else float("-inf"))

    def sort(self, most: int) -> None:
        """The likeliest first, and no more than so many."""
        order = sorted(range(len(self.scores)), key=lambda n: -self.scores[n])[:most]
        self.sequences_ids = [self.sequences_ids[n] for n in order]
        self.scores = [self.scores[n] for n in order]


class Desk:
    """What one thread has for its batches."""

    def __init__(self, decoder: TextDecoder, tokens: Tokens, windows: int, space: Space) -> None:
        """
        Args:
            decoder: of the model.
            tokens: of the model that the rules speak of.
            windows: of a full batch, if they are full windows.
            space: for a batch.
        """
        self._decoder = decoder
        self._tokens = tokens
        self.windows = windows
        self.space = space
        self._pool = Pool(decoder.device)
        self._steps: list[Steps] = []
        """For batches of different shapes. Few short windows with long prompts and many with short
        ones are two: room for as many with long ones would be too much."""

    def steps(self, need: Shape) -> Steps:
        """Steps for a batch for which there is space."""
        for known in self._steps:
            if known.shape.holds(need):
                return known
        kept = [known for known in self._steps if not need.holds(known.shape)]
        if len(kept) < len(self._steps):
            self._pool.renew()
        self._steps = kept
        with RECORDING:
            made = Steps(self._decoder, self._tokens, self.space, need, self._pool)
        self._steps.append(made)
        return made


class Searcher:
    """Generates with one decoder; several threads may do so at the same time."""

    def __init__(self, decoder: TextDecoder, streams: Streams, tokens: Tokens) -> None:
        """
        Args:
            decoder: of the model.
            streams: of its device.
            tokens: of the model that the rules speak of.
        """
        self._decoder = decoder
        self._tokens = tokens
        self._streams = streams
        self.windows = 1
        """Of a full batch, if they are full windows: for so many, or for as many seconds of shorter
        ones, there is room from the first on, for in a new one all steps have to be recorded
        again."""
        self.tokens = vram.TOKENS
        """Of each text of those, or of those that short windows have in place of it; long prompts
        take more."""
        self._desks: dict[int, Desk] = {}
        """By thread."""

    def spare(self) -> None:
        """Let go of memory that is kept for the next batch; while none is under way."""
        self._desks.clear()

    def generate(
        self,
        encoded: Tensor,
        prompts: Sequence[Sequence[int]],
        *,
        start: int,
        beam_size: int = 5,
        patience: float = 1.0,
        num_hypotheses: int = 1,
        length_penalty: float = 1.0,
        max_length: int = LONGEST,
        suppress_tokens: Sequence[int] = (),
        max_initial_timestamp_index: int = 50,
        sampling_topk: int = 1,
        sampling_temperature: float = 1.0,
    ) -> list[Found]:
        """Texts with timestamps for windows; the options are CTranslate2's.

        Args:
            encoded: the encoder's output, windows × frames × width, on the decoder's device.
            prompts: tokens before each window's text; all of a length.
            start: the token that begins a transcript, which every prompt holds at the same place:
                what the model says there tells whether anybody speaks.
            sampling_topk: 1 to search with `beam_size`; 0 to sample `num_hypotheses` texts, at
                `sampling_temperature`.

        Returns:
            For each window `num_hypotheses` texts, or fewer. What is not a number is no text: where
            all are so, there is one of no tokens.
        """
        samples = sampling_topk == 0
        width = num_hypotheses if samples else beam_size
        most = min(max_length // 2, max_length - (len(prompts[0]) - 1))
        end = self._tokens.end
        way: Way = Beam(width, round(beam_size * patience), end)
        if samples:
            way = Sampling(width, width, end, sampling_temperature)
        frames, longest = encoded.shape[1], len(prompts[0]) + most - 1  # the last is never read
        found: list[Found] = []
        for part in self._parts(len(prompts), frames, longest):
            with torch.inference_mode(), self._streams.own():
                steps = self._steps_for(len(prompts[part]), frames, width, longest)
                steps.rules.bar(suppress_tokens)
                written = steps.write(
                    encoded[part],
                    prompts[part],
                    way,
                    start=start,
                    latest_first=max_initial_timestamp_index,
                    most=most,
                )
            if written.spoiled:
                # It stays in the room: hidden from other texts, it spoils them all the same.
                del self._desks[threading.get_ident()]
            own = [Found(float(probability)) for probability in written.silence]
            for window, tokens, score in texts_of(written, end, way.enough, most):
                if not math.isnan(score):
                    own[window].add(tokens, score, length_penalty)
            found += own
        for one in found:
            if not one.scores:
                one.add([], 0.0, length_penalty)
            one.sort(num_hypotheses)
        return found

    def _at_once(self, frames: int, longest: int) -> int:
        """Windows that are written together: as many seconds as full ones have, if with their
        prompts they take no more memory than the longest texts of those."""
        full = self.windows * self._decoder.frames // frames
        return max(1, min(full, self.windows * LONGEST // whole(longest)))

    def _parts(self, windows: int, frames: int, longest: int) -> list[slice]:
        """Those of a batch that are written one after another: short ones may be many."""
        if frames == self._decoder.frames:
            return [slice(windows)]
        at_once = self._at_once(frames, longest)
        size = -(-windows // -(-windows // at_once))
        return [slice(first, first + size) for first in range(0, windows, size)]

    def _steps_for(self, windows: int, frames: int, width: int, longest: int) -> Steps:
        """This thread's steps, with room for such a batch."""
        thread = threading.get_ident()
        most = max(windows, self._at_once(frames, longest))
        need = Shape(most, frames, width, whole(longest))
        states, tokens = self.windows * self._decoder.frames, self.windows * width * self.tokens
        desk = self._desks.get(thread)
        if desk is not None:
            if desk.windows <= self.windows:
                if desk.space.holds(need):
                    return desk.steps(need)
                states, tokens = desk.space.states, desk.space.tokens
            del self._desks[thread], desk  # its memory before there is more
        with RECORDING:
            space = Space(self._decoder, max(states, need.states), max(tokens, need.tokens))
        self._desks[thread] = Desk(self._decoder, self._tokens, self.windows, space)
        return self._desks[thread].steps(need)


def texts_of(
    written: Written, end: int, enough: int, most: int
) -> Iterator[tuple[int, list[int], float]]:
    """The texts that came to an end: their window, tokens without the end, and score.

    Args:
        written: of a batch.
        end: the token.
        enough: how many of a window count, and those that ended at the same step.
        most: tokens of a text; what has so many counts as it is.
    """
    ended = written.ended.copy()
    if len(ended) == most > 1:
        # Of those that went on though they had ended, nothing is a text.
        before = np.take_along_axis(written.tokens[-2], written.last_parents[-1], axis=1)
        ended[-1] = before != end
    count = ended.sum(axis=2).cumsum(axis=0)
    ended[1:] &= (count[:-1] < enough)[:, :, None]
    step, window, number = np.nonzero(ended)
    # Those that go on longest first: at each step the texts that have it are the first so many.
    order = np.argsort(-step, kind="stable")
    step, window, number = step[order], window[order], number[order]
    tokens = np.zeros((len(step), len(ended)), np.int64)
    tokens[np.arange(len(step)), step] = written.last_tokens[step, window, number]
    length = step + (written.last_tokens[step, window, number] != end)
    parent = written.last_parents[step, window, number]
    for at in range(len(ended) - 2, -1, -1):
        longer = np.searchsorted(-step, -at)
        of, text = window[:longer], parent[:longer]
        tokens[:longer, at] = written.tokens[at, of, text]
        parent[:longer] = written.parents[at, of, text]
    scores = written.scores[step, window, number]
    for n, row in enumerate(tokens):
        yield int(window[n]), row[: length[n]].tolist(), float(scores[n])
