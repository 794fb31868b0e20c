"""Words and where they were heard, as faster-whisper tells them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from faster_whisper.tokenizer import Tokenizer
from hypothesis import given
from hypothesis import strategies as st

from speakeasy_tui.engine.decode import Decoder
from speakeasy_tui.engine.encoded import Encoded
from speakeasy_tui.engine.heardwords import HeardWord, WordTokenizer
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.segments import add_words
from speakeasy_tui.engine.wire import Meter
from speakeasy_tui.engine.work import Window

from .engine import load_command
from .pieces import made_file, made_piece, sentences, spoken_piece

PARTS = [" Hello", ",", " 雨", "が", "…", " é", "🙂", " don't", " ", "-"]


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(load_command(), Injector())


def both(model: Model, language: str) -> tuple[WordTokenizer, Tokenizer]:
    how = {"task": "transcribe", "language": language}
    tokenizer = model.whisper.hf_tokenizer
    ours, theirs = WordTokenizer(tokenizer, True, **how), Tokenizer(tokenizer, True, **how)
    return ours, theirs


@given(
    text=st.one_of(
        st.text(max_size=40),
        st.lists(st.sampled_from(PARTS)).map("".join),
    ),
    cut=st.integers(0, 3),
    language=st.sampled_from(["en", "ja", "de"]),
)
def test_tokens_are_split_into_words_as_faster_whisper_does(
    model: Model, text: str, cut: int, language: str
) -> None:
    """Characters of several tokens and half characters at the end included."""
    ours, theirs = both(model, language)
    tokens = theirs.encode(text)
    tokens = [*tokens[: len(tokens) - cut], theirs.eot]
    for _ in range(2):  # what is known of a token must not change with its use
        assert ours.split_to_word_tokens(tokens) == theirs.split_to_word_tokens(tokens)


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (1,)])
def test_times_of_words_do_not_hang_on_which_chunk_comes_first(
    model: Model, order: tuple[int, ...]
) -> None:
    """Batches end in any order, and what is stored is not decoded again."""
    tokenizer = both(model, "en")[0]
    words, lengths = [" Hello", " there", " my", " friend"], [3.0, 0.3, 0.3, 0.3]
    file, found, at = made_file(), [], 0.0
    for word, length in zip(words, lengths, strict=True):
        found.append(HeardWord(word, tokenizer.encode(word), at, at + length, 0.9, True))
        at += length
    heard: Any = SimpleNamespace(align=lambda *_: [found])  # the model's answer, known beforehand
    pieces = [made_piece(file, 5.0, start) for start in (0.0, 5.0)]
    for number in order:
        tokens = [token for word in found for token in word.tokens]
        start = pieces[number].start
        one: dict[str, Any] = {"seek": 0, "start": start + 2, "end": start + 3.9, "tokens": tokens}
        add_words(model.whisper, heard, [0], tokenizer, [(pieces[number], [one])])
        first = one["words"][0]
        assert first["end"] == start + 3
        assert first["start"] == pytest.approx(start + 2.4), "behind a pause"


def test_words_are_heard_where_faster_whisper_hears_them(model: Model) -> None:
    decoder = Decoder(model, Meter(), lambda: None)
    said = sentences()[:4]
    windows = [Window((spoken_piece(model, samples),)) for _, samples in said]
    encoded = Encoded(model.whisper, [window.features(3000) for window in windows])
    tokenizer = decoder.text.tokenizer("en", "transcribe")
    texts = [tokenizer.encode(f" {text}") for text, _ in said]
    texts[1] = tokenizer.encode(" Café 🙂, he said… 雨")[:-1]  # ends in half a character
    texts[2] = tokenizer.encode(" well")
    frames = [len(samples) // 160 for _, samples in said]
    which = range(len(said))
    found = encoded.align(tokenizer, which, texts, frames)
    known = model.whisper.find_alignment(tokenizer, texts, encoded.rows(which), frames)
    assert all(found)
    for ours, theirs in zip(found, known, strict=True):
        assert [(w.text, w.tokens) for w in ours] == [(w["word"], w["tokens"]) for w in theirs]
        for name in ("start", "end", "probability"):
            times = [getattr(w, name) for w in ours]
            np.testing.assert_allclose(times, [w[name] for w in theirs], atol=1e-6)
    assert {w.text: w.spoken for w in found[1]}[","] is False
    assert found[0][0].spoken
