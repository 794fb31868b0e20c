"""The option `sequential`: what faster-whisper itself makes of a recording."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel

from speakeasy_tui.core.engineprotocol import (
    Abandon,
    Failed,
    Fault,
    Finished,
    Heard,
    Progress,
    SetBatch,
)
from speakeasy_tui.core.models import starter
from speakeasy_tui.core.transcript import Segment
from speakeasy_tui.engine import audio
from speakeasy_tui.engine.inject import TEXTS
from speakeasy_tui.engine.sequential import _InBlocks as InBlocks
from speakeasy_tui.engine.sequential import hear

from . import multilingual
from .engine import RADIO, RIVER, SHELF, Engine, write_wav
from .pieces import made_file, made_piece


@pytest.fixture(scope="module")
def whisper() -> WhisperModel:
    model = starter()
    assert model is not None
    return WhisperModel(str(model.path), device="cpu", compute_type="int8", cpu_threads=1)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    # The same arithmetic as the model in this process, whose texts are compared with its.
    log = tmp_path_factory.mktemp("sequential") / "engine.log"
    process = Engine("real", log, CT2_FORCE_CPU_ISA="")
    process.load(cpu_threads=1, workers=2)
    yield process
    process.close()


def theirs(whisper: WhisperModel, path: Path, **options: Any) -> list[Any]:
    """What faster-whisper makes of a file; where it samples at random, nothing can be compared."""
    samples = audio.floats(audio.decode(str(path).encode()).samples)
    found = list(whisper.transcribe(samples, condition_on_previous_text=True, **options)[0])
    assert {segment.temperature for segment in found} == {0.0}
    return found


def end_of(engine: Engine, job: int) -> Finished | Failed | Fault:
    """How a file ends, which it may have done before another one."""
    known: list[Finished | Failed] = [*engine.said(Finished, job), *engine.said(Failed, job)]
    return known[0] if known else engine.end_of(job)


def ours(engine: Engine, job: int) -> tuple[Segment, ...]:
    assert isinstance(end_of(engine, job), Finished)
    (chunk,) = engine.chunks(job)
    assert (chunk.index, chunk.start) == (0, 0.0)
    assert chunk.end == pytest.approx(engine.opened(job).audio_s, abs=0.001)
    return chunk.segments


def plain(segments: Any) -> list[tuple[float, float, str]]:
    return [(round(one.start, 3), round(one.end, 3), one.text) for one in segments]


def test_a_long_recording_comes_out_as_from_faster_whisper(
    engine: Engine, whisper: WhisperModel
) -> None:
    engine.transcribe(1, RADIO, options={"sequential": True, "vad": False})
    found = ours(engine, 1)
    wanted = theirs(whisper, RADIO)
    assert plain(found) == plain(wanted)
    assert [list(one.tokens) for one in found] == [one.tokens for one in wanted]
    assert [one.avg_logprob for one in found] == pytest.approx(
        [one.avg_logprob for one in wanted], abs=1e-3
    )


def test_with_vad_a_prompt_and_words_it_is_the_same_beside_files_in_batches(
    engine: Engine, whisper: WhisperModel
) -> None:
    engine.send(SetBatch(batch_size=2))
    asked = {"sequential": True, "word_timestamps": True, "initial_prompt": "Radio repair."}
    engine.transcribe(2, RADIO, options=asked)
    engine.transcribe(3, SHELF)
    engine.transcribe(4, RIVER, options={"sequential": True})
    found = ours(engine, 2)
    wanted = theirs(
        whisper, RADIO, vad_filter=True, word_timestamps=True, initial_prompt="Radio repair."
    )
    assert plain(found) == plain(wanted)
    assert [(w.start, w.end, w.word) for one in found for w in one.words or ()] == [
        (w.start, w.end, w.word) for one in wanted for w in one.words
    ]
    assert plain(ours(engine, 4)) == plain(theirs(whisper, RIVER, vad_filter=True))
    assert isinstance(end_of(engine, 3), Finished)
    assert "shelf" in engine.text(3)


def test_progress_is_told_window_by_window(engine: Engine) -> None:
    engine.transcribe(10, RADIO, options={"sequential": True, "beam_size": 1})
    ours(engine, 10)
    told = engine.said(Progress, 10)
    shares = [report.progress for report in told]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert len({share for share in shares if 0 < share < 1}) >= 1
    spent = [report.work_s for report in told if report.stage == "transcribe"]
    assert spent == sorted(spent)
    assert len(set(spent)) >= 3
    assert engine.said(Heard, 10)


def test_an_abandoned_one_stops_and_leaves_room_for_others(engine: Engine) -> None:
    for job in range(20, 26):
        engine.transcribe(job, RADIO, options={"sequential": True})
    engine.wait_for(Progress, lambda report: report.progress > 0)
    for job in range(20, 26):
        engine.send(Abandon(job=job))
    engine.transcribe(30, SHELF, options={"sequential": True, "beam_size": 1})
    assert ours(engine, 30)
    assert not any(engine.chunks(job) for job in range(20, 26))


def test_silence_is_a_warning(engine: Engine, tmp_path: Path) -> None:
    write_wav(tmp_path / "silent.wav", np.zeros(160_000, np.int16).tobytes())
    engine.transcribe(40, tmp_path / "silent.wav", options={"sequential": True})
    finished = engine.end_of(40)
    assert isinstance(finished, Finished)
    assert [warning.kind for warning in finished.warnings] == ["no_speech"]


def test_a_fault_of_the_device_is_one_of_the_batch_and_another_try_works(tmp_path: Path) -> None:
    engine = Engine("real", tmp_path / "log", SPEAKEASY_FAULTS="cuda:radio-repair.mp3")
    try:
        engine.load()
        engine.transcribe(1, RADIO, options={"sequential": True, "beam_size": 1})
        fault = engine.end_of(1)
        assert isinstance(fault, Fault)
        assert (fault.jobs, fault.text) == ([1], TEXTS["cuda"])
        engine.transcribe(1, RADIO, attempt=2, options={"sequential": True, "beam_size": 1})
        assert ours(engine, 1)
    finally:
        engine.close()


def test_a_fault_of_others_is_told_while_a_whole_recording_is_under_way(tmp_path: Path) -> None:
    engine = Engine("real", tmp_path / "log", SPEAKEASY_FAULTS="cuda:shelf-count.wav")
    try:
        engine.load(workers=2)
        engine.transcribe(1, RADIO, options={"sequential": True})
        engine.wait_for(Progress, lambda report: report.progress > 0)
        engine.transcribe(2, SHELF)
        fault = engine.wait_for(Fault)
        assert fault.jobs == [2]
        assert not engine.chunks(1)
        engine.send(SetBatch(batch_size=1, go_on=True))
        assert ours(engine, 1)
    finally:
        engine.close()


def test_the_language_is_detected_and_told(tmp_path: Path) -> None:
    multilingual.write(tmp_path / "model")
    engine = Engine("real", tmp_path / "log")
    try:
        engine.load(model=str(tmp_path / "model"))
        engine.transcribe(1, SHELF, options={"sequential": True})
        finished = engine.end_of(1)
        assert isinstance(finished, Finished)
        assert engine.opened(1).language == finished.language
        assert 0 < (finished.language_probability or 0) <= 1
    finally:
        engine.close()


@pytest.mark.parametrize("length", [1_463_769, 480_000, 481, 100, 0])
def test_spectrograms_made_in_blocks_are_those_of_faster_whisper(
    whisper: WhisperModel, length: int
) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, length).astype(np.float32)
    own = whisper.feature_extractor
    assert np.array_equal(InBlocks(own, lambda: None)(noise), own(noise))


class Asked:
    """In place of faster-whisper's model: the temperatures it is asked to try."""

    def __init__(self) -> None:
        self.feature_extractor = None
        self.temperatures: list[float | list[float]] = []

    def encode(self, features: Any) -> Any:
        raise AssertionError

    def transcribe(self, samples: Any, *, temperature: Any, **_: Any) -> Any:
        self.temperatures.append(temperature)
        return [], SimpleNamespace(duration_after_vad=0.0)


def test_it_samples_at_higher_temperatures_unless_that_is_not_wanted() -> None:
    asked = Asked()
    for fallback in (True, False):
        piece = made_piece(made_file(sequential=True, fallback=fallback))
        piece.samples = np.zeros(48_000, np.int16)
        hear(asked, piece, lambda: None)
    default = inspect.signature(WhisperModel.transcribe).parameters["temperature"].default
    assert asked.temperatures == [default, [0.0]]
