"""Texts for windows, with `engine.textdecoder`: beam search, or samples.

In place of CTranslate2's `Whisper.generate` on a GPU, with its options and the same results: there
each step of each text is looked at by itself on the CPU (docs/throughput.md), here all of a batch
in a few operations of the GPU.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from speakeasy_tui.engine.rules import NO_TIME, Tokens
from speakeasy_tui.engine.steps import Likely, Steps
from speakeasy_tui.engine.streams import Streams
from speakeasy_tui.engine.textdecoder import TextDecoder

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

    def add(self, tokens: np.ndarray, score: float, penalty: float) -> None:
        """Another text; `score` is the sum over its tokens."""
        length = float(len(tokens)) ** penalty
        self.sequences_ids.append([int(token) for token in tokens])
        self.scores.append(score / length if length else float("-inf"))

    def sort(self, most: int) -> None:
        """The likeliest first, and no more than so many."""
        order = sorted(range(len(self.scores)), key=lambda n: -self.scores[n])[:most]
        self.sequences_ids = [self.sequences_ids[n] for n in order]
        self.scores = [self.scores[n] for n in order]


class Texts:
    """The texts of a batch so far: for each window that goes on, `width` of them."""

    def __init__(self, windows: int, width: int, most: int, begin: int) -> None:
        self.width = width
        self.windows = np.arange(windows)
        """Their numbers in the batch."""
        self.length = 0
        self._begin = begin
        self._tokens = np.zeros((windows, width, most), np.int64)
        self._times = np.full((windows, width), NO_TIME, np.int64)

    def add(self, parents: np.ndarray, tokens: np.ndarray) -> None:
        """Go on: each text (windows × width) is that of a parent in its window and a token."""
        rows = np.arange(len(parents))[:, None]
        self._tokens = self._tokens[rows, parents]
        self._times = self._times[rows, parents]
        self._tokens[:, :, self.length] = tokens
        self._times = np.where(tokens >= self._begin, tokens, self._times)
        self.length += 1

    def keep(self, which: np.ndarray) -> None:
        """Go on with these windows alone, of those that there are."""
        self.windows = self.windows[which]
        self._tokens, self._times = self._tokens[which], self._times[which]

    def so_far(self, window: int, number: int) -> np.ndarray:
        """Tokens of a text, of the window in that place."""
        found: np.ndarray = self._tokens[window, number, : self.length]
        return found

    def ends(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For `Rules.bounds`, row by row."""
        last = self._tokens[:, :, self.length - 1]
        before = self._tokens[:, :, max(0, self.length - 2)]
        return last.ravel(), before.ravel(), self._times.ravel()


class Chosen(NamedTuple):
    """What a batch's texts go on with; the first three are windows × width."""

    parents: np.ndarray
    """Which of its window's texts each goes on with."""
    tokens: np.ndarray
    scores: np.ndarray
    """To be added to what comes next."""
    going: np.ndarray
    """Places of the windows that go on, of those that there are."""


class Searcher:
    """Generates with one decoder; several threads may do so at the same time."""

    def __init__(
        self, decoder: TextDecoder, streams: Streams, tokens: Tokens, not_first: list[int]
    ) -> None:
        """
        Args:
            decoder: of the model.
            streams: of its device.
            tokens: of the model that the rules speak of.
            not_first: tokens that must not come first (`suppress_ids_begin` of its configuration).
        """
        self._decoder = decoder
        self._tokens = tokens
        self._not_first = not_first
        self._streams = streams
        self._steps: dict[int, Steps] = {}
        """Of each thread."""

    def spare(self) -> None:
        """Let go of memory that is kept for the next batch; while none is under way."""
        self._steps.clear()

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
            encoded: the encoder's output, windows × 1500 × width, on the decoder's device.
            prompts: tokens before each window's text; all of a length.
            start: the token that begins a transcript, which every prompt holds at the same place:
                what the model says there tells whether anybody speaks.
            sampling_topk: 1 to search with `beam_size`; 0 to sample `num_hypotheses` texts, at
                `sampling_temperature`.

        Returns:
            For each window `num_hypotheses` texts, or fewer.
        """
        found = [Found() for _ in prompts]
        samples = sampling_topk == 0
        width = num_hypotheses if samples else beam_size
        most = min(max_length // 2, max_length - (len(prompts[0]) - 1))
        with torch.inference_mode(), self._streams.own():
            steps = self._steps_for(len(found), width, len(prompts[0]) + most)
            steps.rules.bar(never=suppress_tokens, not_first=self._not_first)
            silence, likely = steps.begin(encoded, prompts, start, max_initial_timestamp_index)
            for one, probability in zip(found, silence, strict=True):
                one.no_speech_prob = probability
            way: Way
            if samples:
                warmth = sampling_temperature
                way = Sampling(found, self._tokens.end, warmth, length_penalty, steps.random)
            else:
                enough = round(beam_size * patience)
                way = Beam(found, self._tokens.end, enough, length_penalty)
            texts = Texts(len(found), width, most, self._tokens.begin)
            self._write(steps, likely, texts, way, most)
        for one in found:
            one.sort(num_hypotheses)
        return found

    def _steps_for(self, windows: int, width: int, longest: int) -> Steps:
        """This thread's steps, with room for so much."""
        thread = threading.get_ident()
        known = self._steps.get(thread)
        if known is not None:
            if known.fits(windows, width, longest):
                return known
            if width == known.room.width:
                windows = max(windows, known.room.windows)
                longest = max(longest, known.room.longest)
            del self._steps[thread]  # its memory before there is more
            del known
        made = Steps(self._decoder, self._tokens, windows, width, longest)
        self._steps[thread] = made
        return made

    @staticmethod
    def _write(steps: Steps, likely: Likely, texts: Texts, way: Way, most: int) -> None:
        """Token by token, until no window goes on."""
        for step in range(most):
            chosen = way.choose(likely, texts, last=step + 1 == most)
            if not chosen.going.size:
                break
            texts.add(chosen.parents, chosen.tokens)
            texts.keep(chosen.going)
            parents, tokens, scores = (one[chosen.going] for one in chosen[:3])
            bounds = steps.rules.bounds(*texts.ends())
            likely = steps.go_on(chosen.going, parents, tokens, bounds, scores)


class Way(ABC):
    """How the next tokens are chosen."""

    def __init__(self, found: list[Found], end: int, penalty: float) -> None:
        self._found = found
        self._end = end
        self._penalty = penalty

    @abstractmethod
    def choose(self, likely: Likely, texts: Texts, last: bool) -> Chosen:
        """What the texts so far go on with; `last`: no further token may come."""


class Beam(Way):
    """Beam search as CTranslate2's (src/decoding.cc), which goes on until it has found so many
    texts."""

    def __init__(self, found: list[Found], end: int, enough: int, penalty: float) -> None:
        super().__init__(found, end, penalty)
        self._enough = enough

    def choose(self, likely: Likely, texts: Texts, last: bool) -> Chosen:
        """The likeliest of a window's texts with a token more.

        There are twice as many as texts: if those that end are the likelier half, enough go on.
        """
        windows, width = len(texts.windows), texts.width
        scores, parents, tokens = likely.scores, likely.parents, likely.tokens
        chosen = np.tile(np.arange(width), (windows, 1))
        going = []
        ends = tokens == self._end
        for place, number in enumerate(texts.windows):
            found = self._found[number]
            spare = iter(n for n in range(width, 2 * width) if not ends[place, n])
            for n in range(width):
                if not (ends[place, n] or last):
                    continue
                text = texts.so_far(place, parents[place, n])
                if not ends[place, n]:
                    text = np.append(text, tokens[place, n])
                found.add(text, float(scores[place, n]), self._penalty)
                chosen[place, n] = next(spare, n)
            if not last and len(found.scores) < self._enough:
                going.append(place)
        rows = np.arange(windows)[:, None]
        parents, tokens, scores = (one[rows, chosen] for one in (parents, tokens, scores))
        return Chosen(parents, tokens, scores, np.array(going, np.int64))


class Sampling(Way):
    """So many texts of each window, token by token as likely as the model finds them."""

    def __init__(
        self,
        found: list[Found],
        end: int,
        temperature: float,
        penalty: float,
        random: torch.Generator,
    ) -> None:
        super().__init__(found, end, penalty)
        self._temperature = temperature
        self._random = random
        self._scores: np.ndarray | None = None
        self._ended: np.ndarray | None = None

    def choose(self, likely: Likely, texts: Texts, last: bool) -> Chosen:
        """A token of each text, drawn."""
        windows, width = len(texts.windows), texts.width
        every = likely.every()
        if self._scores is None or self._ended is None:
            every = every.repeat_interleave(width, dim=0)
            self._scores = np.zeros((windows, width))
            self._ended = np.zeros((windows, width), bool)
        chances = (every / self._temperature).softmax(dim=-1)
        drawn = chances.multinomial(1, generator=self._random)
        shape = (windows, width)
        tokens = drawn.cpu().numpy().reshape(shape)
        gained = every.gather(1, drawn).cpu().numpy().reshape(shape)
        self._scores = self._scores + np.where(self._ended, 0.0, gained)
        for place, n in np.argwhere(~self._ended & ((tokens == self._end) | last)):
            text = texts.so_far(place, n)
            if tokens[place, n] != self._end:
                text = np.append(text, tokens[place, n])
            found = self._found[texts.windows[place]]
            found.add(text, float(self._scores[place, n]), self._penalty)
        self._ended = self._ended | (tokens == self._end)
        going = np.flatnonzero(~self._ended.all(axis=1)) if not last else np.zeros(0, np.int64)
        parents = np.tile(np.arange(width), (windows, 1))
        self._scores, self._ended = self._scores[going], self._ended[going]
        return Chosen(parents, tokens, np.zeros(shape), going)
