"""The filter: words that a row must hold, ``state:failed``, ``lang:de``, ``!word``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from speakeasy_tui.core.job import Job, State

FAILED = frozenset({State.FAILED, State.QUARANTINED})

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600}
_LENGTH = re.compile(r"audio([<>])(\d+(?:\.\d+)?)(s|min|m|h)")

Test = Callable[[Job], bool]


def compile_filter(text: str, only_failed: bool = False, inverted: bool = False) -> Test | None:
    """A test for rows; None when every row passes.

    Words are separated by blanks and all must match. A plain word is looked for in the path,
    the message, the warnings and the error, whatever its case and however its accents are
    spelled (macOS takes names apart, keyboards do not); ``state:``, ``lang:`` and ``kind:`` (of
    an error) look at the beginning of those; ``has:warning`` and ``audio>1h`` are what they say;
    ``!`` before any of them turns it round, `inverted` the whole text.
    """
    tests = [_term(word) for word in folded(text).split()]
    if inverted and tests:
        terms = tests
        tests = [lambda job: not all(test(job) for test in terms)]
    if only_failed:
        tests.append(lambda job: job.state in FAILED)
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda job: all(test(job) for test in tests)


def _term(word: str) -> Test:
    if word.startswith("!") and len(word) > 1:
        test = _term(word[1:])
        return lambda job: not test(job)
    key, colon, value = word.partition(":")
    if colon and key == "state":
        return lambda job: job.state.value.startswith(value)
    if colon and key in {"lang", "language"}:
        return lambda job: (job.language or "").startswith(value)
    if colon and key == "kind":
        return lambda job: job.error is not None and job.error.kind.value.startswith(value)
    if word == "has:warning":
        return lambda job: bool(job.warnings)
    if length := _LENGTH.fullmatch(word):
        bound = float(length[2]) * _UNITS[length[3]]
        if length[1] == ">":
            return lambda job: job.audio_s is not None and job.audio_s > bound
        return lambda job: job.audio_s is not None and job.audio_s < bound
    return lambda job: (
        word in folded(job.path)
        or word in folded(job.message)
        or any(word in folded(warning.message) for warning in job.warnings)
        or (job.error is not None and word in folded(job.error.message))
    )


def folded(text: str) -> str:
    """`text` as it is compared: in small letters, accents put together (NFC)."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return text.lower()
