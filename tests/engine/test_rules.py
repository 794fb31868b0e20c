"""The rules of timestamps for many texts at once are those for one, as Whisper has them."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speakeasy_tui.engine.rules import NEVER, NO_TIME, Rules, Tokens

TOKENS = Tokens(end=6, no_timestamps=9, no_speech=8, begin=10)
"""Words 0 to 5, then tokens of Whisper's own, then ten timestamps."""
VOCABULARY = 20
UNSPOKEN = [2, 7, 8]
NOT_FIRST = [0, 6]


def rules() -> Rules:
    made = Rules(TOKENS, VOCABULARY, torch.device("cpu"))
    made.bar(never=UNSPOKEN, not_first=NOT_FIRST)
    return made


def ruled_out(text: list[int], logits: np.ndarray) -> set[int]:
    """What openai/whisper's decoding.py rules out for one text, step by step as it is there."""
    begin, end = TOKENS.begin, TOKENS.end
    out = {*UNSPOKEN, TOKENS.no_timestamps}
    if not text:
        return out | {*NOT_FIRST, *range(begin), *range(begin + 3 + 1, VOCABULARY)}
    last_was_time = text[-1] >= begin
    penultimate_was_time = len(text) < 2 or text[-2] >= begin
    if last_was_time:
        out |= set(range(begin, VOCABULARY)) if penultimate_was_time else set(range(end))
    times = [token for token in text if token >= begin]
    if times and not (last_was_time and penultimate_was_time):
        # The same again only as the second of a pair.
        out |= set(range(begin, times[-1] if last_was_time else times[-1] + 1))
    if last_was_time and penultimate_was_time:
        return out
    left = np.where(np.isin(np.arange(VOCABULARY), list(out)), -np.inf, logits)
    if np.logaddexp.reduce(left[begin:]) > left[:begin].max():
        out |= set(range(begin))
    return out


tokens = st.integers(0, VOCABULARY - 1)
texts = st.integers(1, 6).flatmap(
    lambda length: st.lists(
        st.lists(tokens, min_size=length, max_size=length), min_size=1, max_size=5
    )
)


@settings(max_examples=200, deadline=None)
@given(texts, st.integers(0, 2**32 - 1))
def test_each_text_is_ruled_as_if_it_were_alone(rows: list[list[int]], seed: int) -> None:
    given_logits = np.random.default_rng(seed).normal(0, 3, (len(rows), VOCABULARY))
    logits = torch.from_numpy(given_logits.astype(np.float32))
    known = np.array(rows, np.int64).reshape(len(rows), -1)
    times = np.array(
        [next((t for t in reversed(row) if t >= TOKENS.begin), NO_TIME) for row in rows]
    )
    ours = rules()
    bounds = ours.bounds(known[:, -1], known[:, max(0, known.shape[1] - 2)], times)
    ours.later(logits, torch.from_numpy(bounds))
    for row, text, before in zip(logits.numpy(), rows, given_logits, strict=True):
        assert set(np.flatnonzero(row == NEVER)) == ruled_out(text, before.astype(np.float32))


def test_a_text_begins_with_an_early_timestamp() -> None:
    logits = torch.zeros((2, VOCABULARY))
    rules().first(logits, latest=3)
    for row in logits.numpy():
        assert set(np.flatnonzero(row == NEVER)) == ruled_out([], row)
        assert list(np.flatnonzero(row == 0)) == [10, 11, 12, 13]
