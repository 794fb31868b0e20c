"""Which tokens a text of Whisper may go on with: the rules of timestamps, for many texts at once.

Those of Whisper (openai/whisper, decoding.py, `ApplyTimestampRules`) as CTranslate2 has them
(src/models/whisper.cc), which is what faster-whisper transcribes with: timestamps come in pairs
and do not decrease, one comes first, and one comes where together they are likelier than any word.
"""

from __future__ import annotations

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

    def __init__(
        self,
        tokens: Tokens,
        vocabulary: int,
        device: torch.device,
        *,
        never: list[int],
        not_first: list[int],
        latest_first: int,
    ) -> None:
        """
        Args:
            tokens: of the model.
            vocabulary: number of tokens.
            device: where logits are.
            never: tokens that must not come.
            not_first: tokens that must not come first.
            latest_first: the last timestamp that may come first, in steps of 20 ms.
        """
        self._tokens = tokens
        self._never = torch.tensor([*never, tokens.no_timestamps], device=device)
        self._not_first = torch.tensor(not_first, dtype=torch.int64, device=device)
        self._latest_first = latest_first
        self._numbers = torch.arange(vocabulary, device=device)

    def first(self, logits: Tensor) -> None:
        """Rule out (`NEVER`) what no text may begin with, in `logits` (rows × vocabulary)."""
        begin = self._tokens.begin
        logits[:, self._never] = NEVER
        logits[:, self._not_first] = NEVER
        logits[:, :begin] = NEVER
        logits[:, begin + self._latest_first + 1 :] = NEVER

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
        logits[:, self._never] = NEVER
        word, time, undecided = bounds[:, :, None]
        words, times = logits[:, :begin], logits[:, begin:]
        words.masked_fill_(self._numbers[:begin] < word, NEVER)
        times.masked_fill_(self._numbers[begin:] < time, NEVER)
        likelier = times.logsumexp(dim=1, keepdim=True) > words.amax(dim=1, keepdim=True)
        words.masked_fill_(likelier & (undecided > 0), NEVER)
