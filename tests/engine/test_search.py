"""torch's decoder finds what CTranslate2's does, which is Whisper's."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ctranslate2.specs import WhisperSpec
from ctranslate2.specs.model_spec import index_spec
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from speakeasy_tui.core.models import starter
from speakeasy_tui.engine import modelfile, withtorch
from speakeasy_tui.engine import steps as steps_module
from speakeasy_tui.engine.decode import Decoder
from speakeasy_tui.engine.encoded import Encoded
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.search import Searcher
from speakeasy_tui.engine.steps import AHEAD, Pool, Steps, whole
from speakeasy_tui.engine.textdecoder import Shape, Space
from speakeasy_tui.engine.vram import TOKENS, TOKENS_SHORT
from speakeasy_tui.engine.ways import Beam, Way
from speakeasy_tui.engine.wire import Meter
from speakeasy_tui.engine.work import Window
from tests.gpu.widened import read, write

from .engine import RADIO, Engine, load_command
from .pieces import sentences, spoken_piece


def speech(silence: bool = False) -> list[np.ndarray]:
    """Windows of different lengths, whose texts end at different steps."""
    said = [samples for _, samples in sentences()]
    parts = [np.concatenate(said[:2]), said[3], np.concatenate(said[8:11])]
    if silence:
        parts.append(np.zeros(16_000, np.int16))
    return [part.astype(np.float32) / 32768 for part in parts]


class Both:
    """A model, with both decoders, and windows that it has listened to."""

    def __init__(self, model: Model, *, silence: bool = False, frames: int = 3000) -> None:
        torch.set_num_threads(1)
        self.model = model
        whisper = model.whisper
        extract = whisper.feature_extractor
        self._parts = speech(silence)
        mels = [pad_or_trim(extract(part), frames) for part in self._parts]
        self.encoded = Encoded(whisper, mels)
        self.tokenizer = Tokenizer(whisper.hf_tokenizer, False, task="transcribe", language="en")
        self.unspoken = get_suppressed_tokens(self.tokenizer, [-1])

    def find(self, prompt: str = "", **how: Any) -> tuple[list[Any], list[Any]]:
        """What CTranslate2 finds, and what torch does."""
        every = range(len(self._parts))
        before = self.tokenizer.encode(prompt) if prompt else []
        prompts = [self.model.whisper.get_prompt(self.tokenizer, before)] * len(every)
        how = {"length_penalty": 1.0, "suppress_tokens": self.unspoken, **how}
        theirs = self.model.whisper.model.generate(
            self.encoded.rows(every),
            prompts,
            return_scores=True,
            return_no_speech_prob=True,
            max_initial_timestamp_index=50,
            **how,
        )
        assert self.model.searcher is not None
        start = self.tokenizer.sot
        return theirs, self.model.searcher.generate(
            self.encoded.tensor(every), prompts, start=start, **how
        )


def steps_of(searcher: Searcher) -> list[Steps]:
    """Those that it keeps for its next batches."""
    return [steps for desk in searcher._desks.values() for steps in desk._steps]


def small_steps(both: Both) -> Steps:
    """Of twelve windows of a second."""
    assert both.model.searcher is not None
    decoder, tokens = both.model.searcher._decoder, both.model.searcher._tokens
    shape = Shape(windows=12, frames=50, width=1, longest=64)
    space = Space(decoder, shape.states, shape.tokens)
    return Steps(decoder, tokens, space, shape, Pool(decoder.device))


def with_torch(monkeypatch: pytest.MonkeyPatch, **load: Any) -> Model:
    monkeypatch.setenv("SPEAKEASY_TORCH", "decoder")
    return Model(load_command(compute_type="float32", **load), Injector())


@pytest.fixture(scope="module")
def both() -> Both:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return Both(with_torch(monkeypatch))


CLOSE = 1e-3
"""Between scores: both add float32 up in orders of their own, and so does each CPU."""


def assert_same(theirs: list[Any], ours: list[Any]) -> None:
    """The same texts with the same scores; of those that are all but equally likely in any order,
    and the last of them may be others."""
    for one, other in zip(theirs, ours, strict=True):
        scores = dict(zip(map(tuple, other.sequences_ids), other.scores, strict=True))
        assert len(scores) == len(other.scores) == len(one.scores)
        assert other.scores == sorted(other.scores, reverse=True)
        for tokens, score in zip(map(tuple, one.sequences_ids), one.scores, strict=True):
            if tokens in scores:
                assert scores[tokens] == pytest.approx(score, abs=CLOSE)
            else:
                assert score < other.scores[-1] + CLOSE, "a text that was not found"
        assert other.scores[0] == pytest.approx(one.scores[0], abs=CLOSE)
        assert other.no_speech_prob == pytest.approx(one.no_speech_prob, abs=CLOSE)


@pytest.mark.parametrize("prompt", ["", " The lamp, the stairs and the fog."])
@pytest.mark.parametrize("patience", [1.0, 2.0])
def test_a_search_finds_the_same_texts_with_the_same_scores(
    both: Both, patience: float, prompt: str
) -> None:
    found = round(5 * patience)
    theirs, ours = both.find(prompt, beam_size=5, patience=patience, num_hypotheses=found)
    assert len(theirs[0].sequences_ids) == found
    assert_same(theirs, ours)


@pytest.mark.parametrize("beam", [1, 3])
def test_of_any_beam_and_with_nothing_kept_out(both: Both, beam: int) -> None:
    assert_same(*both.find(beam_size=beam, num_hypotheses=beam, suppress_tokens=[]))


def test_what_is_cut_off_counts_as_it_is(both: Both) -> None:
    theirs, ours = Both(both.model, silence=True).find(beam_size=5, num_hypotheses=5, max_length=16)
    assert max(len(tokens) for one in theirs for tokens in one.sequences_ids) == 8
    assert_same(theirs, ours)


def test_samples_of_no_warmth_are_the_likeliest_texts(both: Both) -> None:
    """At a temperature near 0 only the likeliest token is ever drawn."""
    theirs, ours = both.find(
        beam_size=1, num_hypotheses=5, sampling_topk=0, sampling_temperature=1e-4
    )
    for one, other in zip(theirs, ours, strict=True):
        assert other.sequences_ids == [list(tokens) for tokens in one.sequences_ids]
        assert len(set(map(tuple, other.sequences_ids))) == 1
        assert other.scores == pytest.approx(one.scores, abs=1e-3)


def test_samples_differ_and_come_with_their_scores(both: Both) -> None:
    _, ours = both.find(beam_size=1, num_hypotheses=5, sampling_topk=0, sampling_temperature=1.0)
    for one in ours:
        assert len(one.sequences_ids) == len(one.scores) == 5
        assert one.scores == sorted(one.scores, reverse=True)
    assert len({tuple(tokens) for tokens in ours[0].sequences_ids}) > 1
    begin = both.tokenizer.timestamp_begin
    assert all(tokens[0] >= begin for one in ours for tokens in one.sequences_ids)
    said = {token for one in ours for tokens in one.sequences_ids for token in tokens}
    assert said.isdisjoint(both.unspoken)


def test_weights_of_eight_bits_are_taken_as_ctranslate2_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = starter()
    assert bundled is not None
    folder = tmp_path / "model"
    shutil.copytree(bundled.path, folder)
    made = {}
    for name, values in read(bundled.path / "model.bin").items():
        if values.ndim == 2 and name.endswith("/weight"):
            scale = 127 / np.abs(values.astype(np.float32)).max(axis=1)
            made[name] = np.rint(values.astype(np.float32) * scale[:, None]).astype(np.int8)
            made[f"{name}_scale"] = scale.astype(np.float32)
        else:
            made[name] = values
    write(folder / "model.bin", made)
    small = Both(with_torch(monkeypatch, model=str(folder)))
    assert_same(*small.find(beam_size=5, num_hypotheses=5))


@pytest.mark.parametrize("quantization", ["int8", "int8_float16", "int16"])
def test_weights_that_ctranslate2s_converter_made_small_are_found_under_both_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quantization: str
) -> None:
    """The projection is another name of the embeddings there, and the scale's is in no file."""
    bundled = starter()
    assert bundled is not None
    folder = tmp_path / "model"
    shutil.copytree(bundled.path, folder)
    spec = WhisperSpec(4, 6, 4, 6)
    for name, values in read(bundled.path / "model.bin").items():
        scope, _, last = name.rpartition("/")
        setattr(index_spec(spec, scope), last, values.copy())
    spec.register_vocabulary(["?"] * spec.get_vocabulary_size())
    spec.validate()
    spec.optimize(quantization)
    spec._serialize(folder / "model.bin")
    small = Both(with_torch(monkeypatch, model=str(folder)))
    assert_same(*small.find(beam_size=5, num_hypotheses=5))


def test_a_batch_finds_nothing_of_the_one_before_in_its_room(both: Both) -> None:
    """One that is smaller, then the same again: what they find is the same."""
    searcher = both.model.searcher
    assert searcher is not None
    prompt = both.model.whisper.get_prompt(both.tokenizer, [])

    def find(which: list[int]) -> list[tuple[list[list[int]], float]]:
        found = searcher.generate(
            both.encoded.tensor(which),
            [prompt] * len(which),
            start=both.tokenizer.sot,
            num_hypotheses=5,
            suppress_tokens=both.unspoken,
        )
        return [(one.sequences_ids, pytest.approx(one.no_speech_prob, abs=1e-4)) for one in found]

    searcher.spare()
    first = find([0, 1, 2])
    (steps,) = steps_of(searcher)
    assert steps.shape.windows == 3
    assert find([2]) == first[2:]
    assert find([2, 0]) == [first[2], first[0]]
    assert find([0, 1, 2]) == first
    assert steps_of(searcher) == [steps], "the same room for all of them"
    searcher.spare()
    assert not steps_of(searcher)


def test_from_the_first_batch_on_there_is_room_for_a_full_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A small one comes first as a rule; in a larger room all steps have to be recorded again."""
    model = with_torch(monkeypatch)
    searcher = model.searcher
    assert searcher is not None
    model.expect(6)
    both = Both(model)
    assert_same(*both.find(beam_size=5, num_hypotheses=5))
    (steps,) = steps_of(searcher)
    assert steps.shape.windows == 6
    model.expect(3)
    both.find(beam_size=5, num_hypotheses=5)
    (steps,) = steps_of(searcher)
    assert steps.shape.windows == 3, "memory that no batch needs is given back"


@pytest.mark.parametrize("frames", [600, 1200])
def test_in_short_windows_the_same_is_found(both: Both, frames: int) -> None:
    short = Both(both.model, frames=frames)
    assert short.encoded.tensor([0]).shape[1] == frames // 2
    assert_same(*short.find(beam_size=5, num_hypotheses=5, max_length=100))


def test_windows_of_all_lengths_are_heard_in_the_same_memory(both: Both) -> None:
    """By turns, and none of them finds what another has left there."""
    searcher = both.model.searcher
    assert searcher is not None
    searcher.spare()
    both.model.expect(3)
    kinds = [(both, 448), (Both(both.model, frames=1000), 168), (Both(both.model, frames=600), 88)]
    searcher.tokens = TOKENS_SHORT
    try:
        assert_same(*both.find(beam_size=5, num_hypotheses=5))  # the others take more
        (desk,) = searcher._desks.values()
        places = desk.space.text[0].data_ptr()
        for kind, most in kinds * 2:
            assert_same(*kind.find(beam_size=5, num_hypotheses=5, max_length=most))
        shapes = {(steps.shape.windows, steps.shape.frames) for steps in steps_of(searcher)}
        assert shapes == {(3, 1500), (9, 500), (15, 300)}, "as many seconds in each"
        (same,) = searcher._desks.values()
        assert same is desk
        assert {steps.room.text[0].data_ptr() for steps in steps_of(searcher)} == {places}
    finally:
        searcher.tokens = TOKENS
        both.model.expect(1)
        searcher.spare()


def test_a_longer_prompt_comes_and_goes_in_the_same_room(both: Both) -> None:
    searcher = both.model.searcher
    assert searcher is not None
    searcher.spare()
    prompt = " The lamp, the stairs and the fog." * 8
    assert_same(*both.find(prompt, beam_size=5, num_hypotheses=5))
    kept = steps_of(searcher)
    assert_same(*both.find(beam_size=5, num_hypotheses=5))
    assert_same(*both.find(prompt, beam_size=5, num_hypotheses=5))
    assert steps_of(searcher) == kept


def test_with_a_long_prompt_fewer_short_windows_are_written_at_once(both: Both) -> None:
    """Each has it before its text, and there may be many of them."""
    searcher = both.model.searcher
    assert searcher is not None
    searcher.spare()
    short = Both(both.model, frames=600)
    prompt = " The lamp, the stairs and the fog." * 20
    assert_same(*short.find(prompt, beam_size=5, num_hypotheses=5, max_length=300))
    (steps,) = steps_of(searcher)
    assert steps.shape.windows == 1
    assert_same(*short.find(beam_size=5, num_hypotheses=5, max_length=88))
    searcher.spare()


def test_many_short_windows_get_no_room_for_the_long_prompts_of_a_few(both: Both) -> None:
    """Files with and without a prompt come by turns, and find their steps recorded."""
    searcher = both.model.searcher
    assert searcher is not None
    searcher.spare()
    both.model.expect(4)
    searcher.tokens = TOKENS_SHORT
    try:
        few = searcher._steps_for(5, 300, 5, 320)
        many = searcher._steps_for(20, 300, 5, 64)
        assert (few.shape.windows, many.shape.windows) == (5, 20)
        assert searcher._steps_for(4, 300, 5, 300) is few
        assert searcher._steps_for(20, 300, 5, 64) is many
        (desk,) = searcher._desks.values()
        assert desk.space.tokens == 5 * 5 * 320, "what the few take"
    finally:
        searcher.tokens = TOKENS
        both.model.expect(1)
        searcher.spare()


def test_what_is_not_a_number_spoils_its_own_batch_alone(both: Both) -> None:
    """As where a half float overflows: the process goes on, and so does the next batch."""
    searcher = both.model.searcher
    assert searcher is not None
    prompt = both.model.whisper.get_prompt(both.tokenizer, [])
    how = {"start": both.tokenizer.sot, "num_hypotheses": 5, "suppress_tokens": both.unspoken}
    encoded = both.encoded.tensor([0, 1])
    sound = searcher.generate(encoded, [prompt] * 2, **how)
    spoiled = encoded.clone()
    spoiled[1] = float("nan")
    beside, lost = searcher.generate(spoiled, [prompt] * 2, **how)
    assert beside.sequences_ids == sound[0].sequences_ids
    assert (lost.sequences_ids, lost.scores) == ([[]], [float("-inf")])
    drawn = {"sampling_topk": 0, "beam_size": 1}
    beside, lost = searcher.generate(spoiled, [prompt] * 2, **(how | drawn))
    assert len(beside.sequences_ids) == 5
    assert lost.sequences_ids == [[]]
    assert [one.sequences_ids for one in searcher.generate(encoded, [prompt] * 2, **how)] == [
        one.sequences_ids for one in sound
    ]


def test_a_window_whose_chances_are_not_numbers_has_no_text_and_its_file_a_warning(
    both: Both,
) -> None:
    windows = [Window((spoken_piece(both.model, sentences()[n][1], n),)) for n in (3, 4)]
    spoiled, sound = (window.lone for window in windows)
    spoiled.mel[:] = float("nan")
    decoder = Decoder(both.model, Meter(), lambda: None)
    results = {result.piece.file.job: result for result in decoder.decode(windows)}
    assert results[4].complete and sound.segments and not sound.file.warnings
    assert not results[3].complete, "it is to be sampled"
    (last,) = decoder.decode([windows[0]])
    assert last.complete and last.error is None
    assert not spoiled.segments
    assert [warning.kind for warning in spoiled.file.warnings] == ["unheard"]


def test_no_more_steps_are_taken_than_the_last_window_needs(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[int] = []
    step = Steps._step

    def noted(self: Steps, way: Way, windows: int, length: int) -> None:
        shapes.append(windows)
        step(self, way, windows, length)

    monkeypatch.setattr(Steps, "_step", noted)
    assert both.model.searcher is not None
    both.model.searcher.spare()  # the room of a larger batch
    theirs, _ = both.find(beam_size=5, num_hypotheses=5)
    longest = [max(map(len, one.sequences_ids)) for one in theirs]
    assert len(shapes) == max(longest), "the first token comes of the prompt, the last is the end"
    assert len(set(longest)) == 3
    assert shapes == sorted(shapes, reverse=True)
    assert {shapes[0], shapes[-1]} == {3, 1}, "what has ended is left behind"


def test_steps_that_are_asked_for_before_the_last_is_known_find_the_same(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: those behind the last are nobody's, and windows move some steps later."""
    monkeypatch.setitem(AHEAD, "cpu", AHEAD["cuda"])
    assert both.model.searcher is not None
    both.model.searcher.spare()
    for how in ({"beam_size": 5, "patience": 2.0, "num_hypotheses": 10}, {"max_length": 40}):
        assert_same(*both.find(**how))
    theirs, ours = both.find(
        beam_size=1, num_hypotheses=5, sampling_topk=0, sampling_temperature=1e-4
    )
    assert [one.sequences_ids for one in ours] == [one.sequences_ids for one in theirs]
    both.model.searcher.spare()


def test_a_step_calculates_with_all_a_half_or_a_quarter_of_the_windows(both: Both) -> None:
    """Few shapes, for each is recorded by itself on a GPU."""
    steps = small_steps(both)
    assert [steps._shape(going) for going in range(1, 13)] == [3, 3, 3, 6, 6, 6, *[12] * 6]
    assert [whole(count) for count in (1, 64, 65)] == [64, 64, 128]


def test_where_a_step_cannot_be_recorded_it_is_done_as_it_is(
    both: Both, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As on a GPU, of which this machine has none, whose recording fails."""
    asked: list[tuple[int, int]] = []

    def refused(self: Steps, way: Way, windows: int, length: int) -> Any:
        asked.append((windows, length))
        raise RuntimeError("operation not permitted when stream is capturing")

    written = Steps.write

    def write(self: Steps, *given: Any, **how: Any) -> Any:
        self._records = self._records or not asked
        return written(self, *given, **how)

    monkeypatch.setattr(Steps, "write", write)
    monkeypatch.setattr(Steps, "_capture", refused)
    theirs, ours = both.find(beam_size=5, num_hypotheses=5)
    assert_same(theirs, ours)
    assert len(asked) == 1, "it is not tried again"
    assert "steps are not recorded: operation not permitted" in capfd.readouterr().err


class Played:
    """In place of a CUDA graph, which this machine has not: it asks for the step again."""

    def __init__(self, step: Callable[[], None]) -> None:
        self.replay = step


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_recording_without_room_is_tried_again_and_then_the_batchs_error(
    both: Both, monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    """As on a GPU: then the batch is halved, and steps are recorded as before."""
    done: list[str] = []

    def capture(self: Steps, way: Way, windows: int, length: int) -> Any:
        done.append("record")
        if done.count("record") <= refusals:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")
        return Played(lambda: self._step(way, windows, length))

    written = Steps.write

    def write(self: Steps, *given: Any, **how: Any) -> Any:
        self._records = True
        return written(self, *given, **how)

    monkeypatch.setattr(Steps, "write", write)
    monkeypatch.setattr(Steps, "_capture", capture)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: done.append("give back"))
    assert both.model.searcher is not None
    both.model.searcher.spare()
    if refusals == 2:
        with pytest.raises(torch.OutOfMemoryError):
            both.find(beam_size=5, num_hypotheses=5)
        assert done == ["record", "give back", "record"]
    assert_same(*both.find(beam_size=5, num_hypotheses=5))
    assert done[:3] == ["record", "give back", "record"]
    assert all(steps._records for steps in steps_of(both.model.searcher))
    both.model.searcher.spare()


def records(monkeypatch: pytest.MonkeyPatch, ends: Callable[[], None]) -> list[Any]:
    """Have CUDA graphs recorded, which this machine has not; the pools into which they are."""
    pools: list[Any] = []
    handles = itertools.count(1)

    class Graph:
        def capture_begin(self, pool: Any, capture_error_mode: str) -> None:
            pools.append(pool)

        def capture_end(self) -> None:
            ends()

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, next(handles)))
    stream = SimpleNamespace(synchronize=lambda: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(Steps, "_step", lambda *_: None)
    return pools


def test_a_recording_that_cannot_be_ended_stays_and_is_the_last(
    both: Both, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """torch's allocator goes on asking it: once it had gone that would be nobody's memory."""

    def refused() -> None:
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture")

    monkeypatch.setattr(steps_module, "UNENDED", [])
    pools = records(monkeypatch, ends=lambda: None)
    steps = small_steps(both)
    assert steps._record(Beam(1, 1, 0), 12, 64) is not None
    assert not steps_module.UNENDED
    records(monkeypatch, ends=refused)
    assert steps._record(Beam(1, 1, 0), 6, 64) is None
    (lost,) = steps_module.UNENDED
    assert isinstance(lost, torch.cuda.CUDAGraph)
    beside = small_steps(both)
    assert beside._record(Beam(1, 1, 0), 12, 64) is None
    assert len(pools) == 1, "it was not tried"
    said = capfd.readouterr().err
    assert "not recorded: CUDA error: operation failed" in said
    assert "not recorded: a recording before could not be ended" in said


def test_a_recording_that_ran_out_of_room_leaves_its_pool(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch takes no other graph into one whose only graph has gone."""

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    pools = records(monkeypatch, ends=lambda: None)
    monkeypatch.setattr(Steps, "_step", full)
    steps, shared = small_steps(both), Pool(torch.device("cuda"))
    beside = small_steps(both)
    steps._pool = beside._pool = shared
    for one in (steps, beside):
        with pytest.raises(torch.OutOfMemoryError):
            one._record(Beam(1, 1, 0), 12, 64)
    assert pools == [(0, number) for number in (1, 2, 3, 4)]


def test_a_model_that_is_loaded_again_decodes_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_torch(monkeypatch)
    before = model.searcher
    model.reload()
    assert model.searcher is not None
    assert model.searcher is not before
    both = Both(model)
    assert_same(*both.find(beam_size=5, num_hypotheses=5))


def test_where_torch_cannot_ctranslate2_decodes(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def unknown(path: Path) -> Any:
        raise ValueError(f"{path.name} is of a later format")

    monkeypatch.setattr(modelfile, "variables", unknown)
    model = with_torch(monkeypatch)
    assert model.searcher is None
    assert "without torch's decoder: model.bin is of a later format" in capfd.readouterr().err


def test_where_there_is_no_room_for_torchs_weights_ctranslate2_decodes(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    says = "CUDA out of memory. Tried to allocate 2.00 GiB."

    def full(*_: Any) -> Any:
        raise RuntimeError(says)

    monkeypatch.setattr(withtorch, "TextDecoder", full)
    model = with_torch(monkeypatch)
    assert model.searcher is None
    assert f"without torch's decoder: {says}" in capfd.readouterr().err
    says = "CUDA error: an illegal memory access was encountered"
    with pytest.raises(RuntimeError, match="illegal memory access"):
        with_torch(monkeypatch)


@pytest.mark.parametrize("content", [b"", b"\6\0\0\0", b"\6\0\0\0\2\0W\0" + b"\xff" * 64])
def test_a_file_that_is_no_model_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(ValueError, match="model"):
        modelfile.variables(tmp_path / "model.bin")


def test_an_engine_hears_the_same_with_either(tmp_path: Path) -> None:
    heard = []
    for parts in ("decoder", "none"):
        engine = Engine("real", tmp_path / f"{parts}.log", SPEAKEASY_TORCH=parts)
        try:
            engine.load(compute_type="float32")
            engine.transcribe(1, RADIO, options={"word_timestamps": True})
            engine.end_of(1)
            heard.append([json.dumps([s.text for s in c.segments]) for c in engine.chunks(1)])
        finally:
            engine.close()
    assert heard[0] and heard[0] == heard[1]
