"""Which tokens a text of Whisper may go on with: the rules of timestamps, for many texts at once.

Those of Whisper (openai/whisper, decoding.py, `ApplyTimestampRules`) as CTranslate2 has them
(src/models/whisper.cc), which is what faster-whisper transcribes with: timestamps come in pairs
and do not decrease, one comes first, and one comes where together they are likelier than any word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

NEVER = float("-inf")


@dataclass(frozen=True)
class Tokens:
    """Those that the rules speak of."""

    end: int
    """End of the text: ``<|endoftext|>``."""
    no_timestamps: int
    no_speech: int
    begin: int
    """The first timestamp; all tokens from it on are timestamps."""


class Chances(NamedTuple):
    """Of what texts may go on with."""

    likely: Tensor
    """Log-probabilities in float32, rows × tokens, once `less` is taken from them."""
    less: Tensor
    """For each row."""


class Rules:
    """For a batch of texts, a row each. Everything stays in its place: a GPU may play it again."""

    def __init__(self, tokens: Tokens, count: int, device: torch.device, dtype: torch.dtype):
        """
        Args:
            tokens: of the model.
            count: of tokens, with what fills the logits up behind them.
            device: where logits are.
            dtype: theirs.
        """
        self._tokens = tokens
        self._count = count
        self._unspoken = frozenset[int]()
        self.never = torch.zeros(count, dtype=dtype, device=device)
        """To be added to logits: what must never come is `NEVER` then."""
        self._times = torch.arange(tokens.begin, count, device=device)
        self.bar(())

    def bar(self, never: Iterable[int]) -> None:
        """From now on these tokens must not come."""
        unspoken = frozenset(never) | {self._tokens.no_timestamps}
        if unspoken == self._unspoken:
            return
        self._unspoken = unspoken
        self.never.zero_()
        self.never[torch.tensor(sorted(unspoken), device=self.never.device)] = NEVER

    def first(self, logits: Tensor, latest: int) -> Chances:
        """What texts may begin with: timestamps, so of the tokens that must not come first, and
        are all words, nothing need be known.

        Args:
            logits: rows × tokens, changed in place.
            latest: the last timestamp that may come first, in steps of 20 ms.
        """
        begin = self._tokens.begin
        logits[:, :begin] = NEVER
        logits[:, begin + latest + 1 :] = NEVER
        likely = _log_softmax(logits)
        return Chances(likely, likely.new_zeros(len(likely)))

    def later(self, logits: Tensor, last: Tensor, before: Tensor, free: Tensor) -> Chances:
        """What texts of at least a token may go on with.

        Args:
            logits: rows × tokens, changed in place.
            last: the last token of each.
            before: the one before it; a timestamp where there is none.
            free: the first timestamp behind all of its own.
        """
        begin, end = self._tokens.begin, self._tokens.end
        after_time = last >= begin
        paired = after_time & (before >= begin)
        opened = after_time ^ paired
        # The same again only as the second of a pair.
        earliest = torch.where(paired, self._count, free - opened.long())
        logits[:, :end].masked_fill_(opened[:, None], NEVER)
        logits[:, begin:].masked_fill_(self._times < earliest[:, None], NEVER)
        likely = _log_softmax(logits)
        words = likely[:, :begin]
        together = likely[:, begin:].exp().sum(dim=1).log()
        likelier = together > words.amax(dim=1)
        words.masked_fill_(likelier[:, None], NEVER)
        return Chances(likely, torch.where(likelier, together, 0.0))


def _log_softmax(logits: Tensor) -> Tensor:
    return logits.log_softmax(dim=-1, dtype=torch.float32)
