"""The rules of timestamps for many texts at once are those for one, as Whisper has them."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speakeasy_tui.engine.rules import NEVER, Rules, Tokens

TOKENS = Tokens(end=6, no_timestamps=9, no_speech=8, begin=10)
"""Words 0 to 5, then tokens of Whisper's own, then ten timestamps."""
VOCABULARY = 20
UNSPOKEN = [2, 7, 8]
NOT_FIRST = [0, 6]


def rules() -> Rules:
    made = Rules(TOKENS, VOCABULARY, torch.device("cpu"), torch.float32)
    made.bar(UNSPOKEN)
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
    begin = TOKENS.begin
    last = torch.tensor([row[-1] for row in rows])
    before = torch.tensor([row[-2] if len(row) > 1 else begin for row in rows])
    free = [next((t + 1 for t in reversed(row) if t >= begin), begin) for row in rows]
    ours = rules()
    logits = torch.from_numpy(given_logits.astype(np.float32)) + ours.never
    likely, less = ours.later(logits, last, before, torch.tensor(free))
    found = (likely - less[:, None]).numpy()
    for row, text, was in zip(found, rows, given_logits.astype(np.float32), strict=True):
        out = ruled_out(text, was)
        assert set(np.flatnonzero(row == NEVER)) == out
        left = np.where(np.isin(np.arange(VOCABULARY), list(out)), -np.inf, was)
        if len(out) < VOCABULARY:
            assert np.allclose(row, left - np.logaddexp.reduce(left), atol=1e-5)


def test_a_text_begins_with_an_early_timestamp() -> None:
    ours = rules()
    likely, less = ours.first(torch.zeros((2, VOCABULARY)) + ours.never, latest=3)
    for row in (likely - less[:, None]).numpy():
        assert set(np.flatnonzero(row == NEVER)) == ruled_out([], row)
        assert list(np.flatnonzero(row != NEVER)) == [10, 11, 12, 13]
