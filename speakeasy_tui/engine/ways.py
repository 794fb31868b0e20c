"""How the next tokens of texts are chosen, where the texts are: beam search, or samples.

On a GPU whoever asks waits until it has answered, and it for the next question. So all that a step
needs of the one before stays there, and Python reads the texts when they are done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from speakeasy_tui.engine.rules import NEVER, Chances

_CHUNKS = 256
"""In which the likeliest tokens are looked for: the most likely are in the chunks with the most
likely ones. 66 instead of 97 µs for 80 rows (docs/throughput.md)."""


class Choice(NamedTuple):
    """Of each window's texts (windows × width), as a number for a text of the window and a token:
    text · tokens + token."""

    likeliest: Tensor
    """What there was to choose from: those that are an end count as texts."""
    scores: Tensor
    """Sums of the log-probabilities of those."""
    ended: Tensor
    """Which of those are a text's end."""
    chosen: Tensor
    """What the texts go on with."""
    sums: Tensor
    """Sums of the log-probabilities of those."""


@dataclass(frozen=True)
class Way(ABC):
    """How the next tokens are chosen; the same for two that are equal."""

    width: int
    """Texts of a window."""
    enough: int
    """How many texts of a window are to be found."""

    @abstractmethod
    def choose(self, chances: Chances, sums: Tensor, over: Tensor, luck: Tensor) -> Choice:
        """What texts go on with.

        Args:
            chances: a row for each text; of the first tokens one for each window.
            sums: of the log-probabilities so far (windows × width).
            over: which have ended (windows × width).
            luck: of each from 0 to below 1, float32 (windows × width).
        """


@dataclass(frozen=True)
class Beam(Way):
    """Beam search as CTranslate2's (src/decoding.cc), which goes on until it has found so many
    texts."""

    end: int

    def choose(self, chances: Chances, sums: Tensor, over: Tensor, luck: Tensor) -> Choice:
        """The likeliest of a window's texts with a token more.

        There are twice as many as texts: each can end in one way only, so enough go on.
        """
        windows, count = len(sums), chances.likely.shape[-1]
        texts = len(chances.likely) // windows
        # Of each text as many as there are places, then of those of a window: that asks more of a
        # GPU at once than to look for them in all at once.
        most = 2 * self.width
        scores, tokens = _likeliest(chances.likely, most)
        scores = (scores - chances.less[:, None]).unflatten(0, (windows, texts))
        scores = scores + sums[:, :texts, None]
        numbers = torch.arange(texts, device=tokens.device) * count
        codes = tokens.unflatten(0, (windows, texts)) + numbers[:, None]
        scores, places = scores.flatten(1).topk(most)
        codes = codes.flatten(1).gather(1, places)
        ended = codes % count == self.end
        sums, kept = scores.masked_fill(ended, NEVER).topk(self.width)
        own = slice(self.width)
        return Choice(codes[:, own], scores[:, own], ended[:, own], codes.gather(1, kept), sums)


@dataclass(frozen=True)
class Sampling(Way):
    """So many texts of each window, token by token as likely as the model finds them."""

    end: int
    temperature: float

    def choose(self, chances: Chances, sums: Tensor, over: Tensor, luck: Tensor) -> Choice:
        """A token of each text, drawn."""
        windows, width = sums.shape
        likely, less = chances
        if len(likely) < windows * width:
            likely, less = (one.repeat_interleave(width, dim=0) for one in chances)
        below = (likely / self.temperature).softmax(dim=-1).cumsum(dim=-1, dtype=torch.float64)
        drawn = torch.searchsorted(below, luck.reshape(-1, 1) * below[:, -1:], right=True)
        gained = (likely.gather(1, drawn)[:, 0] - less).view_as(sums)
        tokens = torch.where(over, self.end, drawn.view_as(sums))
        sums = sums + torch.where(over, 0.0, gained)
        ended = (tokens == self.end) & ~over
        codes = tokens + torch.arange(width, device=tokens.device) * likely.shape[-1]
        return Choice(codes, sums, ended, codes, sums)


def _likeliest(likely: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Log-probabilities and tokens of so many of each row (rows × tokens), the likeliest first."""
    if most > _CHUNKS or likely.shape[-1] % _CHUNKS:
        found: tuple[Tensor, Tensor] = likely.topk(most)
        return found
    chunks = likely.unflatten(-1, (_CHUNKS, -1))
    size = chunks.shape[-1]
    which = chunks.amax(dim=-1).topk(most).indices
    those = chunks.gather(1, which[:, :, None].expand(-1, -1, size)).flatten(1)
    scores, places = those.topk(most)
    return scores, which.gather(1, places // size) * size + places % size
