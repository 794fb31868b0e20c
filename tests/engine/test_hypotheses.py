"""Which of the beam's hypotheses counts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from speakeasy_tui.engine.generation import Generation
from speakeasy_tui.engine.hypotheses import furthest
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.segments import end_of
from speakeasy_tui.engine.wire import Meter
from speakeasy_tui.engine.work import Piece, Window

from .engine import load_command
from .pieces import made_file, made_piece

SAID = {10: 5.0, 11: 5.0, 9: 0.45, 20: 0.0, 21: 0.0, 15: 2.0, 16: 1.9}
"""By their numbers of tokens: seconds of speech that texts leave unsaid."""


@pytest.mark.parametrize(
    ("lengths", "scores", "chosen"),
    [
        pytest.param([10, 11, 20], [-0.2, -0.21, -0.25], 2, id="goes on to the end"),
        pytest.param([20, 10, 21], [-0.2, -0.21, -0.22], 0, id="the best one does"),
        pytest.param([10, 20, 21], [-0.2, -0.25, -0.24], 1, id="the first that does"),
        pytest.param([10, 15, 20], [-0.2, -0.21, -0.25], 2, id="the furthest"),
        pytest.param([10, 15, 16], [-0.2, -0.21, -0.21], 1, id="hardly further is not further"),
        pytest.param([10, 15, 20], [-0.2, -0.21, -0.5], 1, id="what it adds is unlikely"),
        pytest.param([21, 20], [-0.2, -0.25], 0, id="nothing is unsaid"),
        pytest.param([9, 20], [-0.2, -0.21], 0, id="no more than a breath"),
    ],
)
def test_of_likely_texts_the_one_that_leaves_least_unsaid_counts(
    lengths: list[int], scores: list[float], chosen: int
) -> None:
    texts = [[7] * length for length in lengths]
    assert furthest(texts, scores, lambda text: SAID[len(text)]) == chosen


def test_a_shorter_text_that_jumps_to_the_end_does_not_count() -> None:
    unsaid = {30: 2.2, 12: 0.0}
    assert furthest([[7] * 30, [7] * 12], [-0.2, -0.21], lambda text: unsaid[len(text)]) == 0


def test_a_text_without_a_last_timestamp_goes_on_to_the_end() -> None:
    assert end_of([100, 7, 7, 150], 100) == 100
    assert end_of([100, 7, 150, 7], 100) is None
    assert end_of([], 100) is None


def test_speech_behind_the_end_counts_in_all_pieces_of_a_window() -> None:
    first = made_piece(made_file(1), speech=((0.5, 2.5),))
    second = made_piece(made_file(2), seconds=4.0, speech=((0.4, 3.4),))
    window = Window((first, second), (0, 400))
    assert window.unsaid(None) == 0.0
    assert window.unsaid(0) == pytest.approx(5.0)
    assert window.unsaid(200) == pytest.approx(3.5)
    assert window.unsaid(500) == pytest.approx(2.4)
    assert window.unsaid(800) == 0.0


@pytest.fixture(scope="module")
def generation() -> Generation:
    """With the starter model."""
    return Generation(Model(load_command(), Injector()), Meter(), lambda: None)


@pytest.fixture
def piece() -> Piece:
    """20 s of English."""
    file = made_file(1)
    file.language = "en"
    return made_piece(file, seconds=20.0, speech=((0.5, 19.5),))


def test_what_goes_on_is_taken_from_the_beam_unless_it_loops(
    generation: Generation, piece: Piece
) -> None:
    """What CTranslate2 finds is made up: which texts a beam holds differs between machines."""
    tokenizer = generation.tokenizer("en", "transcribe")

    def text(said: str, end: float) -> list[int]:
        begin = tokenizer.timestamp_begin
        return [begin, *tokenizer.encode(said), begin + round(end * 50)]

    first = text(" So she sat down.", 9.0)
    more = text(" So she sat down. Then the kettle began to sing on the stove.", 19.4)
    loops = text(" So she sat down." + " And down." * 40, 19.4)

    def chosen(*texts: list[int]) -> list[int]:
        found = SimpleNamespace(sequences_ids=list(texts), scores=[-0.2, -0.22], no_speech_prob=0.0)
        return generation._furthest(Window((piece,)), found).tokens

    assert chosen(first, more) == more
    assert chosen(more, first) == more
    assert chosen(first, loops) == first


def test_of_sampled_texts_one_that_does_not_loop_counts_if_it_is_likely(
    generation: Generation, piece: Piece
) -> None:
    """Made up, as above."""
    tokenizer = generation.tokenizer("en", "transcribe")
    loops, sound = (
        tokenizer.encode(said)
        for said in (" And down." * 40, " Then the kettle began to sing on the stove.")
    )

    def chosen(*scores: float, no_speech: float = 0.0) -> list[int]:
        texts = [loops, *[sound] * (len(scores) - 1)]
        found = SimpleNamespace(sequences_ids=texts, scores=list(scores), no_speech_prob=no_speech)
        return generation._likeliest(piece, found, 0.2).tokens

    assert chosen(-0.1, -0.5) == sound
    assert chosen(-0.1, -1.5) == loops, "which is suspicious: the next temperature follows"
    assert chosen(-0.1, -1.5, no_speech=0.9) == loops, "silence is not one of several texts"
