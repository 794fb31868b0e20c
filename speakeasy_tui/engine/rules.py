"""Which tokens a text of Whisper may go on with: the rules of timestamps, for many texts at once.

Those of Whisper (openai/whisper, decoding.py, `ApplyTimestampRules`) as CTranslate2 has them
(src/models/whisper.cc), which is what faster-whisper transcribes with: timestamps come in pairs
and do not decrease, one comes first, and one comes where together they are likelier than any word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

NEVER = float("-inf")
NO_TIME = -1


@dataclass(frozen=True)
class Tokens:
    """Those that the rules speak of."""

    end: int
    """End of the text: ``<|endoftext|>``."""
    no_timestamps: int
    no_speech: int
    begin: int
    """The first timestamp; all tokens from it on are timestamps."""


class Rules:
    """For a batch of texts, a row each."""

    def __init__(self, tokens: Tokens, vocabulary: int, device: torch.device) -> None:
        """
        Args:
            tokens: of the model.
            vocabulary: number of tokens.
            device: where logits are.
        """
        self._tokens = tokens
        self._never = self._not_first = frozenset[int]()
        # Changed where they are: what a GPU plays again looks there.
        self._is_never, self._is_not_first = torch.zeros(
            (2, vocabulary), dtype=torch.bool, device=device
        )
        self._numbers = torch.arange(vocabulary, device=device)
        self.bar(never=(), not_first=())

    def bar(self, never: Iterable[int], not_first: Iterable[int]) -> None:
        """From now on the tokens `never` must not come, and `not_first` must not come first."""
        unspoken = frozenset(never) | {self._tokens.no_timestamps}
        if unspoken != self._never:
            self._never = _mark(self._is_never, unspoken)
        if (opening := unspoken | frozenset(not_first)) != self._not_first:
            self._not_first = _mark(self._is_not_first, opening)

    def first(self, logits: Tensor, latest: int) -> None:
        """Rule out (`NEVER`) what no text may begin with, in `logits` (rows × vocabulary).

        Args:
            logits: of the first token.
            latest: the last timestamp that may come first, in steps of 20 ms.
        """
        begin = self._tokens.begin
        logits.masked_fill_(self._is_not_first, NEVER)
        logits[:, :begin] = NEVER
        logits[:, begin + latest + 1 :] = NEVER

    def bounds(self, last: np.ndarray, before: np.ndarray, time: np.ndarray) -> np.ndarray:
        """What is known of texts with at least one token, for `later`; each argument has a number
        for each row.

        Args:
            last: the last token.
            before: the one before it, or the last where there is only one.
            time: the latest timestamp, or `NO_TIME`.

        Returns:
            3 × rows, int64: the first word that may come, the first timestamp that may come, and
            1 where timestamps may be likelier than words.
        """
        end, begin = self._tokens.end, self._tokens.begin
        after_time = last >= begin
        paired = after_time & (before >= begin)
        opened = after_time & ~paired
        words = np.where(opened, end, 0)
        earliest = np.where(opened, last, np.where(time == NO_TIME, begin, time + 1))
        times = np.where(paired, len(self._numbers), earliest)
        return np.stack([words, times, ~paired]).astype(np.int64)

    def later(self, logits: Tensor, bounds: Tensor) -> None:
        """Rule out what texts may not go on with, by their `bounds`."""
        begin = self._tokens.begin
        logits.masked_fill_(self._is_never, NEVER)
        word, time, undecided = bounds[:, :, None]
        words, times = logits[:, :begin], logits[:, begin:]
        words.masked_fill_(self._numbers[:begin] < word, NEVER)
        times.masked_fill_(self._numbers[begin:] < time, NEVER)
        likelier = times.logsumexp(dim=1, keepdim=True) > words.amax(dim=1, keepdim=True)
        words.masked_fill_(likelier & (undecided > 0), NEVER)


def _mark(flags: Tensor, numbers: frozenset[int]) -> frozenset[int]:
    flags.zero_()
    flags[torch.tensor(sorted(numbers), dtype=torch.int64, device=flags.device)] = True
    return numbers
