"""Speech that a window's text leaves out is found, and heard again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from speakeasy_tui.engine import decode, generation, missed
from speakeasy_tui.engine.encoded import Encoded
from speakeasy_tui.engine.heardwords import HeardWord
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.passage import Passage, Span
from speakeasy_tui.engine.wire import Meter
from speakeasy_tui.engine.work import Piece, Window

from .engine import load_command
from .pieces import made_file, made_piece, sentences, spoken_piece


def words(*times: tuple[float, float]) -> list[HeardWord]:
    """One token each."""
    return [HeardWord(" w", [1], a, b, 1.0, spoken=True) for a, b in times]


def test_a_stretch_of_speech_without_a_word_is_a_gap() -> None:
    piece = made_piece(seconds=20.0, start=100.0, speech=((1, 9), (10, 19)))
    spoken = words(*((at, at + 0.5) for at in (1.0, 1.6, 2.2, 11, 12, 13, 14, 15, 16, 17, 18)))
    assert missed.gaps(piece, spoken, 0, 2000) == [Span(280, 920)]
    assert missed.gaps(piece, spoken, 0, 400) == []  # the window ended there
    assert missed.gaps(piece, words((0.5, 19)), 0, 2000) == [Span(120, 920), Span(980, 1920)]


def test_pauses_and_short_stretches_are_no_gaps() -> None:
    piece = made_piece(seconds=20.0, speech=((0, 2), (12, 14)))
    assert missed.gaps(piece, words((0.2, 0.6), (12.1, 13.9)), 0, 2000) == []


def test_a_segment_lies_on_the_side_of_a_gap_on_which_most_of_its_words_do() -> None:
    segments = [{"start": 0.0, "end": 14.0}, {"start": 14.0, "end": 20.0}]
    spoken = words((0.2, 0.5), (11, 11.4), (11.4, 12), (14.2, 15), (15, 15.5))
    missed.narrow(segments, [3, 2], spoken, 0.0, [1.0])
    assert segments == [{"start": 11, "end": 12.3}, {"start": 14.2, "end": 15.8}]


def test_gaps_are_heard_one_after_the_other_and_nothing_else_of_the_piece() -> None:
    piece = made_piece(seconds=20.0)
    piece.seek = piece.frames
    piece.gaps = [Span(100, 400), Span(900, 1400)]
    assert piece.next_gap()
    assert (piece.seek, piece.left) == (100, 300)
    shown = Window((piece,)).features(3000)
    assert np.count_nonzero(shown[0]) == 300
    assert piece.next_gap()
    assert (piece.seek, piece.left) == (900, 500)
    assert not piece.next_gap()


def test_a_sentence_that_the_model_skips_is_heard_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real model, made to be silent about the middle one of three sentences."""
    injector = Injector()
    model = Model(load_command(), injector)
    chosen = sorted(sentences(), key=lambda one: len(one[1]))[-3:]
    pause = np.zeros(8_000, np.int16)
    parts = [part for _, samples in chosen for part in (samples, pause)]
    ends = np.cumsum([len(part) for part in parts])
    speech = [
        Span(int(end) - len(part), int(end))
        for part, end in zip(parts[::2], ends[::2], strict=True)
    ]
    sound = np.concatenate(parts)
    file = made_file(word_timestamps=True)
    mel = model.mel.chunk(sound)
    piece = Piece(file, 0, 0, Passage((Span(0, len(sound)),)), mel, speech)
    decoder = decode.Decoder(model, Meter(), injector.check_device)
    reference = [text_alone(decoder, model, samples) for _, samples in chosen]
    honest = generation.Generation._generate
    hide = slice(speech[1].start // 160, speech[1].end // 160)
    rounds: list[int] = []

    def skips(self: Any, pieces: Any, which: Any, encoded: Any, choose: Any, **how: Any) -> Any:
        rounds.append(pieces[0].seek)
        if len(rounds) == 1:
            hidden = mel.copy()
            hidden[:, hide] = mel.min()
            padded = np.zeros((mel.shape[0], 3000), np.float32)
            padded[:, : mel.shape[1]] = hidden
            encoded = SimpleNamespace(rows=lambda _: model.whisper.encode(padded))
        return honest(self, pieces, which, encoded, choose, **how)

    align = Encoded.align
    asked: list[tuple[int, int]] = []

    def aligns(self: Encoded, tokenizer: Any, which: Any, texts: Any, frames: Any) -> Any:
        if piece.until is not None:
            asked.append((frames[0], piece.until - rounds[-1]))
        return align(self, tokenizer, which, texts, frames)

    monkeypatch.setattr(generation.Generation, "_generate", skips)
    monkeypatch.setattr(Encoded, "align", aligns)
    results = decoder.decode([Window((piece,))])
    assert [result.complete for result in results] == [False]
    assert piece.until is not None
    while not results[0].complete:
        results = decoder.decode([Window((piece,))])
    text = "".join(segment.text for segment in piece.segments)
    places = [text.find(one) for one in reference]
    assert -1 not in places, (text, reference)
    assert places == sorted(places)
    times = [at for one in piece.segments for w in one.words or () for at in (w.start, w.end)]
    assert len(times) > 2 * len(text.split()) - 6
    assert times == sorted(times)
    assert asked, "the gap's words were placed"
    assert all(frames <= gap for frames, gap in asked), "within the gap"
    starts = [segment.start for segment in piece.segments]
    assert starts == sorted(starts)


def text_alone(decoder: Any, model: Any, samples: Any) -> str:
    """Some of the last words that the model makes of a sentence alone."""
    piece = spoken_piece(model, samples)
    decoder.decode([Window((piece,))])
    spoken = "".join(segment.text for segment in piece.segments).split()
    return " ".join(spoken[-4:-1])
