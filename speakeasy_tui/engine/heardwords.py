"""Words of a text, and where the decoder listened when it wrote each.

As faster-whisper's `WhisperModel.find_alignment` makes them of CTranslate2's alignment, in a third
of its time: of a batch of clips there are a thousand words, and all threads of the engine wait
for whoever holds Python's lock (docs/throughput.md).
"""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from faster_whisper.tokenizer import Tokenizer

_BROKEN = "\ufffd"
"""What stands for a part of a character."""
_STEPS = 50
"""Of a second, in which Whisper's encoder tells what it heard."""


class HeardWord(NamedTuple):
    """A word of a text, with the space before it; or punctuation."""

    text: str
    tokens: list[int]
    start: float
    """Seconds from the window's start."""
    end: float
    """Where the next one begins."""
    probability: float
    """Mean of its tokens'."""
    spoken: bool
    """It is not punctuation alone."""


class WordTokenizer(Tokenizer):  # type: ignore[misc]  # faster-whisper has no types
    """faster-whisper's tokenizer, which decodes each token by itself only once."""

    def __init__(self, *what: Any, **more: Any) -> None:
        super().__init__(*what, **more)
        self._texts: dict[int, str] = {}

    def split_tokens_on_unicode(self, tokens: list[int]) -> tuple[list[str], list[list[int]]]:
        """Texts of whole characters, and the tokens of each; as the base class does it, which
        decodes every token of every text."""
        texts = [self._text(token) for token in tokens]
        if any(_BROKEN in text for text in texts):
            broken: tuple[list[str], list[list[int]]] = super().split_tokens_on_unicode(tokens)
            return broken
        return texts, [[token] for token in tokens]

    def _text(self, token: int) -> str:
        text = self._texts.get(token)
        if text is None:
            text = self._texts[token] = self.decode_with_timestamps([token])
        return text


def heard_words(alignment: Any, text: list[int], tokenizer: Any) -> list[HeardWord]:
    """The words of a text in order; none where there is less than one.

    Args:
        alignment: CTranslate2's, of the text: pairs of a token's number and a time in steps of
            20 ms, and the tokens' probabilities.
        text: tokens, without timestamps.
        tokenizer: faster-whisper's, of the text's language.
    """
    words, tokens = tokenizer.split_to_word_tokens([*text, tokenizer.eot])
    if len(words) < 2:  # the end of the text is one
        return []
    lengths = [len(own) for own in tokens[:-1]]
    bounds = np.cumsum([0, *lengths])
    pairs = np.fromiter(chain.from_iterable(alignment.alignments), np.int64).reshape(-1, 2)
    first = np.diff(pairs[:, 0], prepend=-1) != 0
    times = pairs[first, 1] / _STEPS
    sums = np.add.reduceat(alignment.text_token_probs[: bounds[-1]], bounds[:-1])
    return [
        HeardWord(word, own, start, end, probability, any(map(str.isalnum, word)))
        for word, own, start, end, probability in zip(
            words,
            tokens,
            times[bounds[:-1]].tolist(),
            times[bounds[1:]].tolist(),
            (sums / lengths).tolist(),
            strict=False,  # of the end nothing was heard
        )
    ]
