"""Texts for windows, with `engine.textdecoder`: beam search, or samples.

In place of CTranslate2's `Whisper.generate` on a GPU, with its options and the same results: there
each step of each text is looked at by itself on the CPU (docs/throughput.md), here all of a batch
in a few operations of the GPU.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from speakeasy_tui.engine.rules import NO_TIME, Rules, Tokens
from speakeasy_tui.engine.streams import Streams
from speakeasy_tui.engine.textdecoder import State, TextDecoder

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
        end, begin = self._tokens.end, self._tokens.begin
        way: Way
        if sampling_topk == 0:
            width = num_hypotheses
            way = Sampling(found, end, sampling_temperature, length_penalty)
        else:
            width = beam_size
            way = Beam(found, end, round(beam_size * patience), length_penalty)
        steps = min(max_length // 2, max_length - (len(prompts[0]) - 1))
        with torch.inference_mode(), self._streams.own():
            rules = Rules(
                self._tokens,
                self._decoder.vocabulary,
                self._decoder.device,
                never=list(suppress_tokens),
                not_first=self._not_first,
                latest_first=max_initial_timestamp_index,
            )
            decoder = self._decoder
            state = decoder.begin(encoded.to(decoder.dtype))
            read = decoder.step(state, torch.tensor(prompts, device=decoder.device))
            at = list(prompts[0]).index(start)
            silence = decoder.logits(read[:, at]).softmax(dim=-1)[:, self._tokens.no_speech]
            for one, probability in zip(found, silence.tolist(), strict=True):
                one.no_speech_prob = probability
            texts = Texts(len(found), width, steps, begin)
            self._write(texts, state, read[:, -1], rules, way, steps)
        for one in found:
            one.sort(num_hypotheses)
        return found

    def _write(
        self, texts: Texts, state: State, read: Tensor, rules: Rules, way: Way, steps: int
    ) -> None:
        """Token by token, until no window goes on."""
        decoder = self._decoder
        for step in range(steps):
            logits = decoder.logits(read)
            if step:
                rules.later(logits, self._there(rules.bounds(*texts.ends())))
            else:
                rules.first(logits)
            likely = logits.log_softmax(dim=-1)
            parents, tokens, going = way.choose(likely, texts, last=step + 1 == steps)
            if not going.size:
                break
            texts.add(parents, tokens)
            self._go_on(state, texts, parents, going, first=not step)
            read = decoder.step(state, self._there(texts.ends()[0][:, None]))[:, -1]

    def _go_on(
        self, state: State, texts: Texts, parents: np.ndarray, going: np.ndarray, first: bool
    ) -> None:
        """Have the decoder's state follow: the rows of `parents`, of the windows `going` alone."""
        # At first there is one row for each window.
        rows = np.arange(len(parents))[:, None] * (1 if first else texts.width)
        rows = np.broadcast_to(rows + (0 if first else parents), parents.shape)[going].ravel()
        windows = None if len(going) == len(parents) else self._there(going)
        state.keep(self._there(rows), windows)
        texts.keep(going)

    def _there(self, numbers: np.ndarray) -> Tensor:
        """On the decoder's device."""
        return torch.from_numpy(np.ascontiguousarray(numbers)).to(self._decoder.device)


class Way(ABC):
    """How the next tokens are chosen."""

    def __init__(self, found: list[Found], end: int, penalty: float) -> None:
        self._found = found
        self._end = end
        self._penalty = penalty

    @abstractmethod
    def choose(
        self, likely: Tensor, texts: Texts, last: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the texts go on with.

        Args:
            likely: log-probabilities, rows × vocabulary; at first a row for each window.
            texts: so far.
            last: no further token may come.

        Returns:
            Parents and tokens (windows × width), and the places of the windows that go on.
        """


class Beam(Way):
    """Beam search as CTranslate2's (src/decoding.cc), which goes on until it has found so many
    texts."""

    def __init__(self, found: list[Found], end: int, enough: int, penalty: float) -> None:
        super().__init__(found, end, penalty)
        self._enough = enough
        self._scores: Tensor | None = None
        """Of the texts so far: windows × width."""

    def choose(
        self, likely: Tensor, texts: Texts, last: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        windows, width, size = len(texts.windows), texts.width, likely.shape[-1]
        if self._scores is not None:
            likely += self._scores.reshape(-1, 1)
        # Twice as many as there are texts: if those that end are the likelier half, enough go on.
        best, places = likely.reshape(windows, -1).topk(2 * width)
        scores, flat = best.cpu().numpy(), places.cpu().numpy()
        parents, tokens = flat // size, flat % size
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
        kept = np.array(going, np.int64)
        self._scores = best.gather(1, torch.from_numpy(chosen).to(best.device))[
            torch.from_numpy(kept).to(best.device)
        ]
        return parents[rows, chosen], tokens[rows, chosen], kept


class Sampling(Way):
    """So many texts of each window, token by token as likely as the model finds them."""

    def __init__(self, found: list[Found], end: int, temperature: float, penalty: float) -> None:
        super().__init__(found, end, penalty)
        self._temperature = temperature
        self._scores: np.ndarray | None = None
        self._ended: np.ndarray | None = None

    def choose(
        self, likely: Tensor, texts: Texts, last: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        windows, width = len(texts.windows), texts.width
        if self._scores is None or self._ended is None:
            likely = likely.repeat_interleave(width, dim=0)
            self._scores = np.zeros((windows, width))
            self._ended = np.zeros((windows, width), bool)
        drawn = (likely / self._temperature).softmax(dim=-1).multinomial(1)
        shape = (windows, width)
        tokens = drawn.cpu().numpy().reshape(shape)
        gained = likely.gather(1, drawn).cpu().numpy().reshape(shape)
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
        return parents, tokens, going
