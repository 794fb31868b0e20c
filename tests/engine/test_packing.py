"""Short recordings that share a window: each gets its own text, or goes again."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speakeasy_tui.core.engineprotocol import Finished, SetBatch
from speakeasy_tui.engine import decode
from speakeasy_tui.engine.apart import Segment, tell_apart
from speakeasy_tui.engine.batching import Ready
from speakeasy_tui.engine.decode import Decoder
from speakeasy_tui.engine.heardwords import HeardWord
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.packing import GAP, LONGEST, TRIES, windows
from speakeasy_tui.engine.passage import Span
from speakeasy_tui.engine.wire import Meter
from speakeasy_tui.engine.work import Piece, Window

from .engine import Engine, load_command
from .pieces import made_file, made_piece, sentences, spoken_piece, write_sentences

# ----------------------------------------------------------------- known sentences


def words_of(text: str) -> list[str]:
    return re.sub(r"[^\w\s]", "", text.lower()).split()


def runs(text: str) -> set[tuple[str, ...]]:
    """Three words in a row: "in the" may be misheard anywhere."""
    words = words_of(text)
    return set(zip(words, words[1:], words[2:], strict=False))


class Spoken:
    """An engine, and a file for each known sentence."""

    def __init__(self, engine: Engine, paths: Sequence[Path]) -> None:
        self._engine = engine
        self._paths = paths
        self._jobs = itertools.count(1)

    def transcribe(self, order: Iterable[int], **options: Any) -> tuple[dict[int, str], int]:
        """Texts by sentence, and how many of them came out of a window that they shared."""
        jobs = {number: next(self._jobs) for number in order}
        for number, job in jobs.items():
            self._engine.transcribe(job, self._paths[number], options=options)
        for job in jobs.values():
            if not self._engine.said(Finished, job):
                assert isinstance(self._engine.end_of(job), Finished)
        # All segments of a window have its measure.
        measures = {
            job: {s.avg_logprob for chunk in self._engine.chunks(job) for s in chunk.segments}
            for job in jobs.values()
        }
        count = Counter(measure for own in measures.values() for measure in own)
        shared = sum(any(count[measure] > 1 for measure in own) for own in measures.values())
        return {number: self._engine.text(job) for number, job in jobs.items()}, shared


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spoken]:
    folder = tmp_path_factory.mktemp("sentences")
    engine = Engine("real", folder / "engine.log", SPEAKEASY_WINDOWS="shared")
    engine.load(workers=2)
    engine.send(SetBatch(batch_size=4))
    yield Spoken(engine, write_sentences(folder))
    engine.close()


@pytest.fixture(scope="module")
def alone(spoken: Spoken) -> dict[int, str]:
    texts, shared = spoken.transcribe(range(len(sentences())), pack=False)
    assert not shared
    return texts


@pytest.mark.parametrize("seed", range(2))
def test_in_any_order_no_file_gets_a_word_of_another(
    spoken: Spoken, alone: dict[int, str], seed: int
) -> None:
    known = {number: " ".join(words_of(text)) for number, (text, _) in enumerate(sentences())}
    order = list(known)
    random.Random(seed).shuffle(order)
    texts, shared = spoken.transcribe(order)
    assert shared > 0.7 * len(order), "most of them shared a window"
    for number, text in texts.items():
        said = " ".join(words_of(text))
        errors = {other: jiwer.cer(known[other], said) for other in known}
        assert min(errors, key=errors.__getitem__) == number, (text, known[number])
        assert errors[number] < 0.25, (text, known[number])
        assert len(said.split()) <= len(known[number].split()) + 1, (text, known[number])
        foreign = runs(said) - runs(known[number]) - runs(alone[number])
        for other in known.values():
            assert not foreign & runs(other), (text, known[number], other)
    joined = [" ".join(found[n] for n in known) for found in (texts, alone)]
    assert jiwer.wer(*(" ".join(words_of(text)) for text in joined)) < 0.05
    wanted = " ".join(known.values())
    assert jiwer.wer(wanted, " ".join(words_of(joined[0]))) < 0.05


# ----------------------------------------------------------------- telling texts apart

BEGIN = 50_363
TOKENIZER = SimpleNamespace(eot=50_256, timestamp_begin=BEGIN)


def word(text: str, start: float, end: float, sure: float = 0.9) -> HeardWord:
    """A word of one token."""
    return HeardWord(text, [7], start, end, sure, spoken=any(map(str.isalnum, text)))


def segment(start: float, end: float, count: int) -> Segment:
    """One with `count` words, between its two timestamps."""
    stamps = [BEGIN + round(at * 50) for at in (start, end)]
    return {"seek": 0, "start": start, "end": end, "tokens": [stamps[0], *[7] * count, stamps[1]]}


@pytest.fixture
def two() -> Window:
    """3 s of which 0.5–2.5 are spoken, at 10 s of its recording; a gap; 4 s of which 0.4–3.4 are,
    from the start of another: at 4.4–7.4 s of the window."""
    first = made_piece(made_file(1), start=10.0)
    second = made_piece(made_file(2), seconds=4.0, speech=((0.4, 3.4),))
    (window,) = windows([first, second], 3000)
    assert window.offsets == (0, 300 + GAP)
    return window


FIRST = [word(" one", 0.5, 1.2), word(" two", 1.2, 1.9), word(" three.", 1.9, 2.5)]
SECOND = [
    word(" four", 4.4, 5.1),
    word(" five", 5.1, 5.9),
    word(" six", 5.9, 6.7),
    word(" seven.", 6.7, 7.4),
]
RIGHT = [segment(0.4, 2.6, 3), segment(4.2, 7.6, 4)]


def test_each_piece_gets_its_segments_in_its_own_time(two: Window) -> None:
    first, second = tell_apart(two, RIGHT, FIRST + SECOND, TOKENIZER)
    assert first is not None and second is not None
    assert [(s["start"], s["end"]) for s in first] == [(10.4, 12.6)]
    assert [(round(s["start"], 3), round(s["end"], 3)) for s in second] == [(0.2, 3.6)]
    assert first[0]["tokens"] == [BEGIN + 20, 7, 7, 7, BEGIN + 130]
    assert second[0]["tokens"] == [BEGIN + 10, 7, 7, 7, 7, BEGIN + 180]


def test_times_beyond_a_piece_are_those_of_its_edges(two: Window) -> None:
    long = [segment(0.0, 3.4, 3), segment(3.8, 8.6, 4)]
    first, second = tell_apart(two, long, FIRST + SECOND, TOKENIZER)
    assert first is not None and second is not None
    assert (first[0]["end"], second[0]["start"], second[0]["end"]) == (13.0, 0.0, 4.0)
    assert (first[0]["tokens"][-1], second[0]["tokens"][0]) == (BEGIN + 150, BEGIN)
    assert second[0]["tokens"][-1] == BEGIN + 200


@pytest.mark.parametrize(
    ("segments", "words", "certain"),
    [
        pytest.param(
            [segment(0.4, 2.6, 4), segment(5.0, 7.6, 3)],
            FIRST + SECOND,
            [False, False],
            id="a word of the second in a segment of the first",
        ),
        pytest.param(
            [segment(0.4, 1.2, 1), segment(4.2, 7.6, 6)],
            FIRST + SECOND,
            [False, False],
            id="words of the first in a segment of the second",
        ),
        pytest.param(RIGHT[:1], FIRST, [True, False], id="no text for the second"),
        pytest.param(RIGHT[1:], SECOND, [False, True], id="no text for the first"),
        pytest.param([], [], [False, False], id="no text at all"),
        pytest.param(
            [RIGHT[0], segment(4.2, 7.6, 5)],
            FIRST + SECOND,
            [True, False],
            id="a token that is in no word",
        ),
        pytest.param(
            [RIGHT[0], segment(4.2, 5.2, 1)],
            [*FIRST, SECOND[0]],
            [True, False],
            id="two seconds of the second without a word",
        ),
        pytest.param(
            [RIGHT[0], segment(4.2, 7.6, 1)],
            [*FIRST, word(" four", 4.4, 7.4)],
            [True, False],
            id="one word that seems to last for seconds",
        ),
        pytest.param(
            RIGHT,
            [w._replace(probability=0.5) for w in FIRST] + SECOND,
            [False, True],
            id="words it is not sure of",
        ),
    ],
)
def test_what_is_not_certain_goes_again(
    two: Window, segments: list[Segment], words: list[dict[str, Any]], certain: list[bool]
) -> None:
    told = tell_apart(two, segments, words, TOKENIZER)
    assert [own is not None for own in told] == certain


def test_punctuation_heard_in_the_gap_belongs_to_the_word_before_it(two: Window) -> None:
    words = [*FIRST[:2], word(" three", 1.9, 2.5), word(".", 3.7, 4.3), *SECOND]
    told = tell_apart(two, [segment(0.4, 2.6, 4), RIGHT[1]], words, TOKENIZER)
    assert all(own is not None for own in told)


def test_a_piece_with_hardly_any_speech_may_have_no_text() -> None:
    click = made_piece(made_file(1), speech=((1.0, 1.2),))
    second = made_piece(made_file(2), seconds=4.0, speech=((0.4, 3.4),))
    (window,) = windows([click, second], 3000)
    told = tell_apart(window, RIGHT[1:], SECOND, TOKENIZER)
    assert told[0] == []
    assert told[1]


# ----------------------------------------------------------------- rests of chunks


@pytest.fixture
def rests(two: Window) -> Window:
    """The pieces of `two`, as what is left of chunks: of one whose first 7 s are done, and of one
    of which a gap is heard again."""
    first = made_piece(made_file(1), seconds=10.0, start=3.0, speech=((0.2, 5.0), (7.5, 9.5)))
    first.seek = 700
    second = made_piece(made_file(2), seconds=9.0, speech=((2.4, 5.4), (6.3, 9.0)))
    second.gaps = [Span(200, 600)]
    assert second.next_gap()
    (window,) = windows([first, second], 3000)
    assert window.offsets == two.offsets
    return window


def test_for_rests_it_counts_where_each_word_was_heard(rests: Window) -> None:
    """They begin and end inside a sentence: the model goes on with it across the silence."""
    told = tell_apart(rests, [segment(0.4, 7.6, 7)], FIRST + SECOND, TOKENIZER)
    first, second = ([(s["start"], s["end"], s["tokens"]) for s in own or ()] for own in told)
    assert first == [(pytest.approx(10.5), pytest.approx(12.5), [BEGIN + 25, 7, 7, 7, BEGIN + 125])]
    assert second == [
        (pytest.approx(2.4), pytest.approx(5.4), [BEGIN + 20, 7, 7, 7, 7, BEGIN + 170])
    ]


def test_times_of_a_rest_begin_where_what_is_done_ends(rests: Window) -> None:
    first, second = tell_apart(
        rests, [segment(0.0, 3.4, 3), segment(3.8, 8.6, 4)], FIRST + SECOND, TOKENIZER
    )
    assert first is not None and second is not None
    assert (first[0]["start"], first[0]["end"]) == (10.0, 13.0)
    assert (second[0]["start"], second[0]["end"]) == (2.0, 6.0)


@pytest.mark.parametrize(
    ("words", "certain"),
    [
        pytest.param(
            [*FIRST[:2], word(" three", 1.9, 4.5), *SECOND[1:]],
            [False, False],
            id="a word from one into the other",
        ),
        pytest.param(
            [word(" four", 0.5, 4.3), *SECOND[1:]],
            [False, False],
            id="the first has no text, and the second's first word seems to be its",
        ),
        pytest.param(
            [FIRST[0], *SECOND],
            [False, False],
            id="the first skips speech; its words may be others'",
        ),
        pytest.param(FIRST, [True, False], id="no text for the second"),
        pytest.param(
            FIRST + [w._replace(probability=0.5) for w in SECOND],
            [True, False],
            id="words it is not sure of",
        ),
    ],
)
def test_what_is_not_certain_of_a_rest_goes_again(
    rests: Window, words: list[dict[str, Any]], certain: list[bool]
) -> None:
    told = tell_apart(rests, [segment(0.4, 7.6, len(words))], words, TOKENIZER)
    assert [own is not None for own in told] == certain


ACROSS = [segment(0.4, 7.6, 7)]


def test_timestamps_may_cross_a_silence_where_the_words_beside_it_are_plain(two: Window) -> None:
    first, second = tell_apart(two, ACROSS, FIRST + SECOND, TOKENIZER)
    assert [(s["start"], s["end"]) for s in first or ()] == [(10.5, 12.5)]
    assert [(s["start"], s["end"]) for s in second or ()] == [
        (pytest.approx(0.4), pytest.approx(3.4))
    ]


def test_a_pause_may_seem_to_belong_to_the_word_beside_it(two: Window) -> None:
    words = [*FIRST[:2], word(" three.", 2.0, 3.8), word(" four", 3.8, 5.1), *SECOND[1:]]
    told = tell_apart(two, ACROSS, words, TOKENIZER)
    assert all(own is not None for own in told)


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param([word(" three.", 2.4, 4.3), SECOND[0]], id="the last word in the pause"),
        pytest.param([word(" three.", 2.9, 2.9), SECOND[0]], id="behind the speech"),
        pytest.param([FIRST[2], word(" four", 3.1, 4.5)], id="the first word in the pause"),
        pytest.param([word(" three.", 1.9, 2.5, 0.2), SECOND[0]], id="unlikely last word"),
        pytest.param([FIRST[2], word(" four", 4.4, 5.1, 0.2)], id="unlikely first word"),
        pytest.param(
            [word(" three.", 1.9, 2.2), word(" And", 2.2, 2.5), SECOND[0]],
            id="a sentence ends before the last word",
        ),
        pytest.param([FIRST[2], word(" four.", 4.4, 5.1)], id="one ends behind the first word"),
        pytest.param(
            [word(" 三", 1.9, 2.2), word("。", 2.2, 2.2), word("四", 2.2, 2.5), SECOND[0]],
            id="ends in other writing",
        ),
    ],
)
def test_words_that_are_not_plain_do_not_cut_whole_recordings_apart(
    two: Window, beside: list[dict[str, Any]]
) -> None:
    words = [*FIRST[:2], *beside, *SECOND[1:]]
    told = tell_apart(two, [segment(0.4, 7.6, len(words))], words, TOKENIZER)
    assert told == [None, None]


def test_beside_a_rest_the_words_of_a_whole_recording_must_be_plain(two: Window) -> None:
    two.pieces[0].gaps = [Span(0, 300)]
    two.pieces[0].next_gap()
    words = [*FIRST, word(" four", 4.4, 5.1, 0.2), *SECOND[1:]]
    told = tell_apart(two, ACROSS, words, TOKENIZER)
    assert [own is not None for own in told] == [True, False]


def test_cut_inside_sentences_no_rest_gets_a_word_of_another(model: Model) -> None:
    """Known sentences, of which a third to two thirds are done, in any order."""
    chance = random.Random(1)
    decoder = Decoder(model, Meter(), Injector().check_device)
    ready = Ready()
    pieces = {}
    order = list(range(len(sentences())))
    chance.shuffle(order)
    for number in order:
        piece = spoken_piece(model, sentences()[number][1], number + 1)
        piece.seek = round(piece.frames * chance.uniform(0.33, 0.67))
        pieces[number] = piece
        ready.add(piece)
    shared = 0
    while len(ready):
        batch = ready.next(4)
        packed = {id(piece) for one in batch if one.packed for piece in one.pieces}
        results = decoder.decode(batch)
        shared += sum(one.complete and id(one.piece) in packed for one in results)
        ready.add_again(one.piece for one in results if not one.complete)
    assert shared > 0.4 * len(pieces), "many of them shared a window"
    known = {number: runs(text) for number, (text, _) in enumerate(sentences())}
    for number, piece in pieces.items():
        said = runs("".join(one.text for one in piece.segments))
        for other, theirs in known.items():
            assert not said & (theirs - known[number]), (number, other, piece.segments)


def rest_of(seconds: float) -> Piece:
    piece = made_piece(seconds=20.0, speech=((0.5, 19.5),))
    piece.seek = 2000 - round(seconds * 100)
    return piece


def rounds_until(ready: Ready, piece: Piece) -> int:
    """Batches of two windows that go before that with `piece`."""
    return next(
        count
        for count in itertools.count()
        if any(piece in window.pieces for window in ready.next(2))
    )


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [
        pytest.param([3.0], 8, id="its file is all but finished: not for ever"),
        pytest.param([3.0, 9.0], 8, id="there is room for more"),
        pytest.param([3.0, 9.0, 9.0], 0, id="a window is full"),
        pytest.param([16.0], 0, id="too long to share one"),
    ],
)
def test_a_rest_waits_for_others_to_share_a_window(seconds: list[float], rounds: int) -> None:
    ready = Ready()
    for _ in range(40):
        ready.add(made_piece(seconds=20.0))
    rests = [rest_of(one) for one in seconds]
    ready.add_again(rests)
    assert rounds_until(ready, rests[0]) == rounds


def test_with_nothing_else_to_do_a_rest_does_not_wait() -> None:
    ready = Ready()
    ready.add(made_piece(seconds=20.0))
    rest = rest_of(3.0)
    ready.add_again([rest])
    assert rounds_until(ready, rest) == 0


# ----------------------------------------------------------------- who shares a window


def groups(pieces: Sequence[Piece]) -> list[list[int]]:
    """Which of `pieces` share windows, in all batches."""
    ready = Ready()
    for piece in pieces:
        ready.add(piece)
    found: list[list[int]] = []
    while len(ready):
        found += [[pieces.index(p) for p in window.pieces] for window in ready.next(16)]
    return found


def test_short_pieces_of_several_files_share_a_window() -> None:
    assert groups([made_piece(made_file(job)) for job in range(3)]) == [[0, 1, 2]]


@pytest.mark.parametrize(
    "other",
    [
        {"language": "de"},
        {"language": None},
        {"task": "translate"},
        {"initial_prompt": "Names: Ada."},
        {"beam_size": 1},
        {"word_timestamps": True},
        {"pack": False},
    ],
    ids=str,
)
def test_what_shapes_the_text_differently_never_shares_a_window(other: dict[str, Any]) -> None:
    files = [made_file(1), made_file(2, **other), made_file(3), made_file(4, **other)]
    found = groups([made_piece(file) for file in files])
    assert [0, 2] in found
    alone = other.keys() & {"task", "word_timestamps", "pack"} or other == {"language": None}
    assert ([1] in found and [3] in found) if alone else [1, 3] in found


def test_long_unheard_and_language_pieces_go_alone() -> None:
    long, asked = made_piece(seconds=LONGEST / 100 + 0.01), made_piece()
    asked.only_language = True
    unheard = made_piece(speech=())  # without voice detection nothing says that text is missing
    fits = made_piece(seconds=LONGEST / 100)
    found = groups([made_piece(), long, asked, unheard, fits])
    assert sorted(found) == [[0, 4], [1], [2], [3]]


def test_the_rest_of_a_window_is_as_quiet_as_its_quietest_piece() -> None:
    quiet, loud = made_piece(seconds=1.0), made_piece(seconds=2.0)
    quiet.mel[:] = -0.9
    (window,) = windows([quiet, loud], 3000)
    made = window.features(3000)
    assert window.frames == 300 + GAP
    assert np.all(made[:, : 100 + GAP] == np.float32(-0.9))
    assert np.all(made[:, 100 + GAP : 400] == np.float32(-0.5))
    assert np.all(made[:, 400:] == 0)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(load_command(cpu_threads=2), Injector())


def test_texts_that_cannot_be_told_apart_are_tried_again_and_at_last_alone(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    monkeypatch.setattr(decode, "tell_apart", lambda window, *_: [None] * len(window.pieces))
    decoder = Decoder(model, Meter(), Injector().check_device)
    ready, sizes, left = Ready(), [], 3
    pieces = [spoken_piece(model, sentences()[job][1], job) for job in (0, 1, 2)]
    for piece in pieces:
        ready.add(piece)
    while left:
        batch = ready.next(4)
        sizes.append([len(window.pieces) for window in batch])
        results = decoder.decode(batch)
        left -= sum(result.complete for result in results)
        ready.add_again(result.piece for result in results if not result.complete)
    assert sizes == [[3]] * TRIES + [[1, 1, 1]]
    for piece, (text, _) in zip(pieces, sentences(), strict=False):
        said = "".join(one.text for one in piece.segments)
        assert jiwer.wer(" ".join(words_of(text)), " ".join(words_of(said))) < 0.2


def test_a_window_whose_text_loops_is_not_shared_again(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    monkeypatch.setattr(decode, "needs_fallback", lambda outcome: True)
    decoder = Decoder(model, Meter(), Injector().check_device)
    pieces = [spoken_piece(model, sentences()[job][1], job) for job in (0, 1)]
    results = decoder.decode(windows(pieces, 3000))
    assert [result.complete for result in results] == [False, False]
    assert not any(piece.segments for piece in pieces)
    assert len(windows(pieces, 3000)) == 2


@st.composite
def queues(draw: st.DrawFn) -> list[Piece]:
    """Pieces of files that differ in all that matters."""
    some = st.fixed_dictionaries(
        {},
        optional={
            "language": st.sampled_from(["en", "de", None]),
            "task": st.sampled_from(["transcribe", "translate"]),
            "beam_size": st.sampled_from([1, 5]),
            "initial_prompt": st.sampled_from(["", "Ada"]),
            "word_timestamps": st.booleans(),
            "pack": st.sampled_from([True, True, False]),
        },
    )
    files = [made_file(job, **given) for job, given in enumerate(draw(st.lists(some, min_size=1)))]
    seconds = st.one_of(st.integers(1, 600), st.integers(1, 3000), st.just(LONGEST))
    return [
        made_piece(draw(st.sampled_from(files)), seconds=frames / 100, speech=((0.0, 0.01),))
        for frames in draw(st.lists(seconds, max_size=30))
    ]


@given(queues(), st.integers(1, 8), st.integers(1, 4), st.randoms())
@settings(max_examples=200, deadline=None)
def test_no_piece_is_lost_or_doubled_and_no_window_overflows(
    pieces: list[Piece], size: int, share: int, chance: random.Random
) -> None:
    ready, done = Ready(), []
    for piece in pieces:
        ready.add(piece)
    while len(ready):
        assert ready.pause(size, expecting=False) == 0.0
        waiting = len(ready)
        batch = ready.next(size, share)
        assert 1 <= len(batch) <= size
        assert len({piece.bucket() for window in batch for piece in window.pieces}) == 1
        given_out = [piece for window in batch for piece in window.pieces]
        assert len(ready) == waiting - len(given_out)
        for window in batch:
            check(window)
        again = [piece for piece in given_out if chance.random() < 0.3]
        done += [piece for piece in given_out if piece not in again]
        for piece in again:
            if chance.random() < 0.5:
                piece.packings += 1
            else:
                piece.seek = min(piece.frames - 1, piece.seek + chance.randint(1, 300))
        ready.add_again(again)
        fresh = Ready()
        for piece in ready._pieces:
            fresh.add(piece)
        assert all(ready.fills(size) == fresh.fills(size) for size in range(1, 32))
    assert sorted(map(id, done)) == sorted(map(id, pieces))


def check(window: Window) -> None:
    assert window.frames <= 3000
    ends = [at + piece.left for at, piece in zip(window.offsets, window.pieces, strict=True)]
    assert all(start == end + GAP for end, start in zip(ends, window.offsets[1:], strict=False))
    if window.packed:
        options = [piece.file.options for piece in window.pieces]
        assert all(one.pack and one.task == "transcribe" for one in options)
        assert not any(one.word_timestamps for one in options)
        assert len({piece.file.language for piece in window.pieces} | {None}) == 2
        assert all(piece.left <= LONGEST and piece.packings < TRIES for piece in window.pieces)
        assert window.features(3000).shape[-1] == 3000
