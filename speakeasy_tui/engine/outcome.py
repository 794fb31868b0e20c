"""What the model made of a window, and whether that is to be believed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

# openai/whisper, transcribe.py: the defaults of the command line.
COMPRESSION_RATIO = 2.4
LOGPROB = -1.0
NO_SPEECH = 0.6
TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""At which a suspicious result is sampled again, until one is not."""
SURE = -0.6
"""Mean log-probability from which on text is believed that could as well be left out. Of gaps that
were heard again, in tests/bench, true ones had -0.4 and invented ones -0.8."""

_PHRASE = 4
"""Letters of what is said twice, at least."""
_THRICE = re.compile(r"\b(\w+)(\W+\1){2}\W*$", re.IGNORECASE)

MOST = 224
"""Tokens of a text that fit (half of Whisper's 448)."""
_BARELY = 4
"""Tokens fewer than fit with which a text may have been cut off."""


@dataclass(frozen=True)
class Outcome:
    """What the model made of one window, with Whisper's measures of how sure it is."""

    tokens: list[int]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float
    text: str = ""
    """Of the tokens, without timestamps."""
    room: int = MOST
    """Tokens for which there was room."""

    @property
    def loops(self) -> bool:
        """The text repeats itself."""
        return self.compression_ratio > COMPRESSION_RATIO

    @property
    def repeats(self) -> bool:
        """The text ends with the same words twice, or with one thrice.

        By letters and digits; of something as short as "no, no" it says nothing.
        """
        said = "".join(sign for sign in self.text.casefold() if sign.isalnum())
        lengths = range(_PHRASE, len(said) // 2 + 1)
        twice = any(said.endswith(2 * said[-length:]) for length in lengths)
        return twice or _THRICE.search(self.text) is not None

    @property
    def cut_off(self) -> bool:
        """There may have been no room for all of the text."""
        return len(self.tokens) >= self.room - _BARELY

    @property
    def unheard(self) -> bool:
        """The model's answer was not a number."""
        return self.avg_logprob == -math.inf

    @property
    def silent(self) -> bool:
        """Nobody speaks: the model says so, and what it wrote all the same is unlikely."""
        return self.no_speech_prob > NO_SPEECH and self.avg_logprob <= LOGPROB


def needs_fallback(outcome: Outcome) -> bool:
    """Whether Whisper decodes such a result again at a higher temperature."""
    return not outcome.silent and (outcome.loops or outcome.avg_logprob < LOGPROB)


def is_sure(outcome: Outcome) -> bool:
    """Whether a result counts that only fills a gap: text invented there is worse than none."""
    return not outcome.loops and outcome.avg_logprob > SURE
