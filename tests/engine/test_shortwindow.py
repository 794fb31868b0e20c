"""Windows that end soon after what is said: who gets one, and what becomes of what it gives."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speakeasy_tui.engine import decode
from speakeasy_tui.engine.batching import Ready
from speakeasy_tui.engine.decode import Decoder
from speakeasy_tui.engine.generation import most_tokens
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.outcome import Outcome
from speakeasy_tui.engine.passage import Span
from speakeasy_tui.engine.shortwindow import TAIL, TRIES, Lengths, few, is_clear, seconds
from speakeasy_tui.engine.steps import whole
from speakeasy_tui.engine.vram import TOKENS, TOKENS_SHORT, VOCABULARY
from speakeasy_tui.engine.wire import Meter
from speakeasy_tui.engine.work import Piece, Window

from .engine import load_command
from .pieces import made_file, made_piece, sentences, spoken_piece
from .test_packing import queues, words_of

SECONDS, FEW = seconds(3000), few(3000)
"""On a CPU, and where torch searches."""


def short(lengths: Lengths = SECONDS) -> Ready:
    """Of a model whose windows may be short."""
    ready = Ready()
    ready.lengths = lengths
    return ready


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(load_command(cpu_threads=2), Injector())


@pytest.fixture
def decoder(model: Model) -> Decoder:
    return Decoder(model, Meter(), Injector().check_device)


def said(piece: Piece) -> list[str]:
    return words_of("".join(one.text for one in piece.segments))


# ----------------------------------------------------------------- lengths


@pytest.mark.parametrize(
    ("seconds", "frames"),
    [(0.01, 500), (3.0, 700), (3.01, 800), (25.9, 3000), (26.0, 3000), (29.5, 3000)],
)
def test_a_window_is_the_speech_and_four_seconds(seconds: float, frames: int) -> None:
    assert SECONDS.of(made_piece(seconds=seconds)) == frames


@pytest.mark.parametrize(
    ("seconds", "frames"),
    [(0.01, 600), (2.0, 600), (2.01, 750), (7.0, 1200), (16.0, 2000), (16.01, 3000)],
)
def test_or_one_of_few_lengths(seconds: float, frames: int) -> None:
    assert FEW.of(made_piece(seconds=seconds)) == frames


def test_no_window_is_longer_than_the_model_s() -> None:
    assert few(1000).every == (600, 750, 1000)
    assert seconds(1000).of(made_piece(seconds=30.0)) == 1000


@pytest.mark.parametrize("other", [{"pack": False}, {"task": "translate"}], ids=str)
def test_some_get_full_windows_always(other: dict[str, Any]) -> None:
    assert SECONDS.of(made_piece(made_file(1, **other))) == 3000


@pytest.mark.parametrize(
    ("lengths", "frames"), [(SECONDS, [700, 900, 3000, 3000]), (FEW, [750, 1000, 3000, 3000])]
)
def test_after_two_tries_a_window_is_full(lengths: Lengths, frames: list[int]) -> None:
    piece = made_piece(seconds=3.0)
    found = []
    for piece.unclear in range(4):
        found.append(lengths.of(piece))
    assert found == frames


def test_a_rest_counts_by_what_is_left() -> None:
    piece = made_piece(seconds=20.0)
    piece.seek = 1700
    assert SECONDS.of(piece) == 300 + TAIL


def test_behind_the_speech_it_is_as_quiet_as_its_quietest() -> None:
    piece = made_piece(seconds=3.0)
    piece.mel[:, :100] = 0.25
    features = Window((piece,), length=700).features(700)
    assert features.shape == (2, 700)
    assert (features[:, :100] == 0.25).all()
    assert (features[:, 300:] == -0.5).all()


# ----------------------------------------------------------------- batches


@given(
    st.sampled_from([SECONDS, FEW]), queues(), st.integers(1, 8), st.integers(1, 4), st.randoms()
)
@settings(max_examples=200, deadline=None)
def test_no_piece_is_lost_and_windows_of_a_batch_are_alike(
    lengths: Lengths, pieces: list[Piece], size: int, share: int, chance: random.Random
) -> None:
    ready, done = short(lengths), []
    for piece in pieces:
        ready.add(piece)
    while len(ready):
        waiting = len(ready)
        batch = ready.next(size, share)
        given_out = [window.lone for window in batch]
        assert len(batch) >= 1
        length = batch[0].length or 3000
        assert len(batch) * (length if lengths.by_seconds else 3000) <= size * 3000
        assert len(ready) == waiting - len(given_out)
        assert len({piece.bucket() for piece in given_out}) == 1
        assert len({window.length for window in batch}) == 1
        needed = [lengths.of(piece) for piece in given_out]
        assert max(needed) == length
        assert max(needed) <= (1.5 if lengths.by_seconds else 1.5**2) * min(needed)
        again = [piece for piece in given_out if chance.random() < 0.3]
        done += [piece for piece in given_out if piece not in again]
        for piece in again:
            if chance.random() < 0.5:
                piece.unclear += 1
            else:
                piece.seek = min(piece.frames - 1, piece.seek + chance.randint(1, 300))
        ready.add_again(again)
    assert sorted(map(id, done)) == sorted(map(id, pieces))


def given_with(ready: Ready, pieces: Sequence[Piece], size: int) -> list[list[int]]:
    """Batches, by the pieces' places in `pieces`."""
    for piece in pieces:
        ready.add(piece)
    found = []
    while len(ready):
        found.append([pieces.index(window.lone) for window in ready.next(size)])
    return found


def test_the_oldest_goes_with_those_of_its_length() -> None:
    seconds = [3.0, 29.0, 9.0, 3.1, 28.0, 8.0]
    pieces = [made_piece(made_file(n), seconds=one) for n, one in enumerate(seconds)]
    assert given_with(short(), pieces, 2) == [[0, 3], [1, 4], [2, 5]]


def test_a_rest_waits_for_others_of_its_length() -> None:
    rest = made_piece(seconds=20.0)
    rest.seek = 1700
    pieces = [rest, *(made_piece(seconds=29.0) for _ in range(3))]
    assert given_with(short(), pieces, 4) == [[1, 2, 3], [0]]


def test_a_rest_does_not_wait_where_there_are_enough() -> None:
    rests = [made_piece(seconds=20.0) for _ in range(2)]
    for rest in rests:
        rest.seek = 1700
    pieces = [*rests, *(made_piece(seconds=29.0) for _ in range(3))]
    assert given_with(short(), pieces, 4) == [[0, 1], [2, 3, 4]]


def test_a_full_batch_has_as_many_seconds() -> None:
    seconds = [3.0] * 8 + [29.0] * 2 + [7.0] * 5
    pieces = [made_piece(made_file(n), seconds=one) for n, one in enumerate(seconds)]
    full = given_with(short(FEW), pieces, 2)
    assert full == [[*range(8)], [8, 9], [*range(10, 15)]]


def test_a_length_that_few_need_waits_for_others_like_it() -> None:
    pieces = [made_piece(seconds=20.0), *(made_piece(seconds=3.0) for _ in range(16))]
    assert given_with(short(FEW), pieces, 4) == [[*range(1, 17)], [0]]


def test_but_not_for_ever_and_then_shorter_ones_fill_its_batch() -> None:
    ready = short(FEW)
    lone = made_piece(seconds=7.0)
    ready.add(lone)
    for _ in range(8):
        for _ in range(8):
            ready.add(made_piece(seconds=3.0))
        assert lone not in [window.lone for window in ready.next(2)]
    for one in (3.0, 4.0, 4.0, 5.0):
        ready.add(made_piece(seconds=one))
    batch = ready.next(2)
    assert [window.lone.left for window in batch] == [700, 500, 400, 400]
    assert {window.length for window in batch} == {1200}


@pytest.mark.parametrize("other", [{"initial_prompt": "Names."}, {"beam_size": 1}], ids=str)
def test_only_what_shares_its_batch_counts_for_a_piece(other: dict[str, Any]) -> None:
    lone = made_piece(made_file(1, **other), seconds=3.0)
    pieces = [lone, *(made_piece(seconds=3.0) for _ in range(7))]
    ready = short(FEW)
    for piece in pieces:
        ready.add(piece)
    assert not ready.fills(2)
    assert [window.lone for window in ready.next(2)] == pieces[1:]


def test_a_whole_recording_waits_for_nobody() -> None:
    whole = made_piece(made_file(1, sequential=True), seconds=3.0)
    whole.samples, whole.room = np.zeros(48_000, np.int16), 300
    pieces = [whole, *(made_piece(seconds=3.0) for _ in range(16))]
    assert given_with(short(FEW), pieces, 4) == [[0], [*range(1, 17)]]


def test_as_many_seconds_of_a_length_as_full_windows_are_a_batch() -> None:
    ready = short(FEW)
    for one in [3.0] * 7 + [5.0] * 5:
        ready.add(made_piece(seconds=one))
    assert not ready.fills(2)
    batch = ready.next(2)
    assert len(batch) == 7
    assert not ready.is_full(batch, 2)
    for _ in range(8):
        ready.add(made_piece(seconds=3.0))
    assert ready.fills(2)
    assert ready.is_full(ready.next(2), 2)


def test_on_a_cpu_of_full_windows_alone_it_is_told_how_long_they_take() -> None:
    ready = short()
    for one in (3.0, 3.0, 29.0, 29.0):
        ready.add(made_piece(seconds=one))
    assert not ready.is_full(ready.next(2), 2)
    assert ready.is_full(ready.next(2), 2)


# ----------------------------------------------------------------- what it gives


def outcome(text: str, logprob: float = -0.3, tokens: int = 9, silence: float = 0.1) -> Outcome:
    return Outcome([7] * tokens, logprob, 1.0, silence, 0.0, text, room=100)


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("Ten of clubs.", False),
        ("Ten of clubs. Ten of clubs.", True),
        ("ten of clubs Ten of Clubs", True),
        ("Well: ten of clubs, ten of clubs", True),
        ("but I don't believe it, but I don't believe it, but I don'", True),
        ("ten of clubs, ten of hearts", False),
        ("No, no.", False),
        ("No, no, no.", True),
        ("5 5", False),
        ("5-5-5", True),
        ("1000", False),
        ("我想预订房间。我想预订房间。", True),
        ("我想预订房间。", False),
        ("", False),
        ("...", False),
    ],
)
def test_what_is_said_twice_at_the_end_repeats(text: str, repeats: bool) -> None:
    assert outcome(text).repeats is repeats


@pytest.mark.parametrize(
    ("found", "clear"),
    [
        (outcome("Ten of clubs."), True),
        (outcome("Ten of clubs. Ten of clubs."), False),
        (outcome("Ten of clubs.", logprob=-1.2), False),
        (outcome("Thank you.", logprob=-1.2, silence=0.9), False),
        (outcome("Ten of clubs.", tokens=99), False),
    ],
)
def test_what_is_suspicious_is_not_believed(found: Outcome, clear: bool) -> None:
    assert is_clear(found) is clear


def test_there_is_room_for_more_than_a_full_window_has() -> None:
    assert most_tokens(1200) >= 24 + 12 * 224 / 30
    assert most_tokens(300) < most_tokens(1200)
    assert most_tokens(3000) == 224


# ----------------------------------------------------------------- known sentences


def through(decoder: Decoder, ready: Ready, size: int = 8) -> list[list[int | None]]:
    """Decode all that waits; the lengths of the windows of each batch."""
    found = []
    while len(ready):
        batch = ready.next(size)
        found.append([window.length for window in batch])
        results = decoder.decode(batch)
        assert not any(result.error for result in results)
        ready.add_again(result.piece for result in results if not result.complete)
    return found


def test_known_sentences_are_heard_in_short_windows(model: Model, decoder: Decoder) -> None:
    known = sentences()
    order = list(range(len(known)))
    random.Random(1).shuffle(order)
    ready = short()
    pieces = {number: spoken_piece(model, known[number][1], number + 1) for number in order}
    for piece in pieces.values():
        ready.add(piece)
    frames = sum(piece.frames for piece in pieces.values())
    batches = through(decoder, ready)
    heard = sum(one or 3000 for batch in batches for one in batch)
    assert heard < frames + 700 * len(pieces), "not full windows"
    wanted = [" ".join(words_of(text)) for text, _ in known]
    texts = [" ".join(said(pieces[number])) for number in range(len(known))]
    assert jiwer.wer(wanted, texts) < 0.05
    for piece in pieces.values():
        last = max(one.end for one in piece.segments)
        assert last <= piece.own_end + 0.01, "nothing is said in the silence behind it"


def test_words_are_timed_in_short_windows(model: Model, decoder: Decoder) -> None:
    text, samples = sentences()[1]
    piece = spoken_piece(model, samples, word_timestamps=True)
    ready = short()
    ready.add(piece)
    frames = SECONDS.of(piece)
    assert through(decoder, ready) == [[frames]]
    words = [word for one in piece.segments for word in one.words or ()]
    assert words_of("".join(word.word for word in words)) == words_of(text)
    assert all(0 <= word.start <= word.end <= piece.own_end for word in words)


def test_what_goes_on_behind_the_end_is_heard_in_a_longer_window(
    model: Model, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Outcome] = []

    def doubting(found: Outcome) -> bool:
        asked.append(found)
        return len(asked) > TRIES and is_clear(found)

    monkeypatch.setattr(decode, "is_clear", doubting)
    text, samples = sentences()[1]
    piece = spoken_piece(model, samples)
    ready = short()
    ready.add(piece)
    first = SECONDS.of(piece)
    assert through(decoder, ready) == [[first], [first + 200], [None]]
    assert len(asked) == TRIES, "of a full window it is not asked"
    assert jiwer.wer(" ".join(words_of(text)), " ".join(said(piece))) < 0.2


def test_a_text_without_end_takes_no_longer_than_there_is_room(
    model: Model, decoder: Decoder
) -> None:
    """Without silence behind it tiny.en says a sentence again and again."""
    piece = spoken_piece(model, sentences()[0][1])
    piece.mel = piece.mel[:, 60:160]
    piece.speech = [Span(0, 16_000)]
    window = Window((piece,), length=100)
    encoded = model.encode([window.features(100)])
    (found,) = decoder.text.search([window], [0], encoded)
    assert len(found.tokens) == found.room == most_tokens(100)
    assert not is_clear(found)


def test_a_long_prompt_leaves_room_for_the_text(model: Model, decoder: Decoder) -> None:
    text, samples = sentences()[1]
    piece = spoken_piece(model, samples, initial_prompt="It was a quiet day at the sea. " * 40)
    ready = short()
    ready.add(piece)
    assert None not in through(decoder, ready)[0]
    assert jiwer.wer(" ".join(words_of(text)), " ".join(said(piece))) < 0.3


# ----------------------------------------------------------------- languages


class Detecting:
    """The model, but for the language that it hears: tiny.en knows one."""

    def __init__(self, model: Any, probabilities: Sequence[float]) -> None:
        self._model = model
        self._left = list(probabilities)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def detect_language(self, rows: Any) -> list[list[tuple[str, float]]]:
        count = rows.shape[0]
        found, self._left = self._left[:count], self._left[count:]
        return [[("<|en|>", probability)] for probability in found]


@pytest.mark.parametrize(
    ("probabilities", "lengths"),
    [
        pytest.param([0.9], [[800]], id="sure"),
        pytest.param([0.69, 0.3], [[800], [None]], id="unsure: in a full window it counts"),
    ],
)
def test_an_unsure_language_is_looked_for_in_a_full_window(
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    probabilities: list[float],
    lengths: list[list[int | None]],
) -> None:
    monkeypatch.setattr(model.whisper, "model", Detecting(model.whisper.model, probabilities))
    decoder = Decoder(model, Meter(), Injector().check_device)
    piece = spoken_piece(model, sentences()[0][1])
    piece.file.language = None
    ready = short()
    ready.add(piece)
    assert SECONDS.of(piece) == 800
    assert through(decoder, ready) == lengths
    assert piece.file.language_probability == probabilities[-1]
    assert piece.segments


# ----------------------------------------------------------------- which models


@pytest.mark.parametrize(
    ("chosen", "device", "searcher", "lengths"),
    [
        (None, "cpu", None, SECONDS),
        ("short", "cpu", None, SECONDS),
        ("shared", "cpu", None, None),
        (None, "cpu", object(), FEW),
        (None, "cuda", object(), None),
        ("short", "cuda", object(), FEW),
        ("short", "cuda", None, SECONDS),
    ],
)
def test_windows_are_short_on_a_cpu(
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    chosen: str | None,
    device: str,
    searcher: Any,
    lengths: Lengths | None,
) -> None:
    monkeypatch.delenv("SPEAKEASY_WINDOWS", raising=False)
    if chosen:
        monkeypatch.setenv("SPEAKEASY_WINDOWS", chosen)
    monkeypatch.setattr(model, "device", device)
    monkeypatch.setattr(model, "searcher", searcher)
    assert model.lengths == lengths


def test_torch_hears_known_sentences_in_short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, with windows of few lengths, and as many seconds of them in a batch."""
    monkeypatch.setenv("SPEAKEASY_TORCH", "all")
    monkeypatch.delenv("SPEAKEASY_WINDOWS", raising=False)
    rooms: set[int] = set()

    def noted(found: Outcome) -> bool:
        rooms.add(found.room)
        return is_clear(found)

    monkeypatch.setattr(decode, "is_clear", noted)
    model = Model(load_command(compute_type="float32", cpu_threads=2), Injector())
    assert model.lengths == FEW
    model.expect(4)
    assert model.searcher is not None
    assert model.searcher.tokens == TOKENS_SHORT
    decoder = Decoder(model, Meter(), Injector().check_device)
    known = sentences()
    ready = short(FEW)
    pieces = [spoken_piece(model, samples, n + 1) for n, (_, samples) in enumerate(known)]
    for piece in pieces:
        ready.add(piece)
    batches = through(decoder, ready, 4)
    assert any(len(batch) > 4 for batch in batches)
    lengths = {one for batch in batches for one in batch}
    assert lengths <= {*FEW.every, None}
    assert rooms == {most_tokens(one - TAIL) for one in lengths if one}
    wanted = [" ".join(words_of(text)) for text, _ in known]
    assert jiwer.wer(wanted, [" ".join(said(piece)) for piece in pieces]) < 0.05


@pytest.mark.parametrize("size", [1, 2, 5, 16, 64])
def test_short_windows_have_room_for_their_texts(size: int) -> None:
    """In the memory of which `vram.window_bytes` tells; a prompt without text has three tokens."""
    for length in FEW.every[:-1]:
        longest = whole(3 + most_tokens(length - TAIL) - 1)
        assert FEW.windows(size, length) * longest <= size * TOKENS_SHORT


def test_short_windows_take_more_memory_where_torch_searches(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "searcher", object())
    monkeypatch.setenv("SPEAKEASY_WINDOWS", "shared")
    full = model.window_bytes()
    monkeypatch.setenv("SPEAKEASY_WINDOWS", "short")
    more = 5 * 2 * (TOKENS_SHORT - TOKENS) * 384 * 4 + 2 * 4 * 5 * VOCABULARY * 6
    assert model.window_bytes() == full + 4 * more
