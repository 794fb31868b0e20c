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
from speakeasy_tui.engine.textdecoder import LINED_UP


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
    end: int
    """The token."""

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

    def choose(self, chances: Chances, sums: Tensor, over: Tensor, luck: Tensor) -> Choice:
        """The likeliest of a window's texts with a token more.

        There are twice as many as texts: each can end in one way only, so enough go on.
        """
        windows, count = len(sums), chances.likely.shape[-1]
        texts = len(chances.likely) // windows
        so_far = sums[:, :texts] - chances.less.view(windows, texts)
        scores, codes = _likeliest(
            chances.likely.view(windows, texts, count), so_far, 2 * self.width
        )
        ended = codes % count == self.end
        sums, kept = scores.masked_fill(ended, NEVER).topk(self.width)
        own = slice(self.width)
        return Choice(codes[:, own], scores[:, own], ended[:, own], codes.gather(1, kept), sums)


@dataclass(frozen=True)
class Sampling(Way):
    """So many texts of each window, token by token as likely as the model finds them."""

    temperature: float

    def choose(self, chances: Chances, sums: Tensor, over: Tensor, luck: Tensor) -> Choice:
        """A token of each text, drawn."""
        windows, width = sums.shape
        likely, less = chances
        if len(likely) < windows * width:
            likely, less = (one.repeat_interleave(width, dim=0) for one in chances)
        below = (likely / self.temperature).softmax(dim=-1).cumsum(dim=-1, dtype=torch.float64)
        drawn = torch.searchsorted(below, luck.reshape(-1, 1) * below[:, -1:], right=True)
        # Where something is not a number nothing is found, and a place behind the last would end
        # the process, on a GPU.
        drawn = drawn.clamp(max=likely.shape[-1] - 1)
        gained = (likely.gather(1, drawn)[:, 0] - less).view_as(sums)
        tokens = torch.where(over, self.end, drawn.view_as(sums))
        sums = sums + torch.where(over, 0.0, gained)
        ended = (tokens == self.end) & ~over
        codes = tokens + torch.arange(width, device=tokens.device) * likely.shape[-1]
        return Choice(codes, sums, ended, codes, sums)


def _likeliest(likely: Tensor, so_far: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Scores and numbers (text · tokens + token) of what of a window's texts is likeliest with a
    token more, so many, the likeliest first.

    They are in the chunks with the likeliest tokens, so not all need be put in order.

    Args:
        likely: windows × texts × tokens, a multiple of `LINED_UP` of them.
        so_far: windows × texts, to be added.
        most: how many, of each window.
    """
    if most > LINED_UP:
        found: tuple[Tensor, Tensor] = (likely + so_far[:, :, None]).flatten(1).topk(most)
        return found
    chunks = likely.unflatten(-1, (LINED_UP, -1))
    size = chunks.shape[-1]
    best = (chunks.amax(dim=-1) + so_far[:, :, None]).flatten(1)
    which = best.topk(most).indices
    those = chunks.flatten(1, 2).gather(1, which[:, :, None].expand(-1, -1, size))
    scores = those + so_far.gather(1, which // LINED_UP)[:, :, None]
    scores, places = scores.flatten(1).topk(most)
    return scores, which.gather(1, places // size) * size + places % size
