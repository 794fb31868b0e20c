"""CTranslate2's model on a GPU, calls that fail for an error that is over made again.

After CUDA was out of memory, the next call of the same thread fails once more, with "invalid device
ordinal": CTranslate2 leaves the error with the runtime, and thrust, which meets it there, takes it
for one of the device it asks about (CUB's `CurrentDevice`; seen with CTranslate2 4.8 by others,
OpenNMT/CTranslate2#2064 has the text). Reading it has cleared it. An error that stays shows its
own text at the second try.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TRIES = 3
"""Threads share the device, and what one of them left may meet another."""
_CALLS = frozenset({"encode", "generate", "align", "detect_language"})
ECHO = "failed: cudaErrorInvalidDevice:"


class PastEchoes:
    """Stands for a `ctranslate2.models.Whisper`; its calls have no effect but their result."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        return _again(found) if name in _CALLS else found


def _again(call: Callable[..., Any]) -> Callable[..., Any]:
    def calls(*given: Any, **how: Any) -> Any:
        for _ in range(TRIES - 1):
            try:
                return call(*given, **how)
            except RuntimeError as error:
                if ECHO not in str(error):
                    raise
        return call(*given, **how)

    return calls
