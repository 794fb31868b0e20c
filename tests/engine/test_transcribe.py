"""What the real engine makes of real speech."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jiwer
import pytest

from speakeasy_tui.core.engineprotocol import (
    EngineFacts,
    Finished,
    Heard,
    Loaded,
    LoadFailed,
    Opened,
    Progress,
    Ready,
    SetBatch,
)
from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.core.models import starter

from .engine import LIST, RADIO, RIVER, SAMPLES, SHELF, Engine, load_command, write_wav

Start = Callable[..., Engine]
TEXTS = dict(
    line.split("\t", 1) for line in (SAMPLES / "texts.tsv").read_text("utf-8").splitlines()
)


def plain(text: str) -> str:
    return re.sub(r"[^\w\s]", "", text.lower())


def said(path: Path) -> str:
    return plain(TEXTS[str(path.relative_to(SAMPLES))])


def test_files_that_share_batches_each_get_their_own_text_in_order(real: Engine) -> None:
    real.send(SetBatch(batch_size=8))
    paths = [SHELF, RADIO, LIST, RIVER]
    for job, path in enumerate(paths, 100):
        real.transcribe(job, path)
    for job in range(100, 100 + len(paths)):
        if not real.said(Finished, job):  # they end in any order
            real.end_of(job)
        (finished,) = real.said(Finished, job)
        assert finished.work_s > real.opened(job).audio_s / 300, "its share of the batches counts"
    for job, path in enumerate(paths, 100):
        assert jiwer.wer(said(path), plain(real.text(job))) < 0.12, path
        segments = [s for chunk in real.chunks(job) for s in chunk.segments]
        assert [s.start for s in segments] == sorted(s.start for s in segments)
        assert all(0 <= s.start <= s.end <= real.opened(job).audio_s for s in segments)
        assert all(s.tokens and s.compression_ratio > 0 for s in segments)


def test_how_loud_a_recording_is_is_told_with_where_somebody_speaks(real: Engine) -> None:
    real.transcribe(140, RADIO)
    assert isinstance(real.end_of(140), Finished)
    (heard,) = real.said(Heard, 140)
    assert 80 <= len(heard.strip) <= 160
    spoken = [digit >= "8" for digit in heard.strip]
    assert any(spoken) and not all(spoken)


def test_progress_rises_from_0_by_chunks_and_the_end_stands_for_1(real: Engine) -> None:
    real.send(SetBatch(batch_size=1))
    real.transcribe(200, RADIO)
    assert isinstance(real.end_of(200), Finished)
    shares = [report.progress for report in real.said(Progress, 200)]
    assert shares == sorted(shares)
    assert shares[0] == 0.0 and shares[-1] < 1
    assert len(set(shares)) == real.opened(200).chunks


def test_of_a_short_recording_all_lengths_are_told_at_once(real: Engine) -> None:
    real.transcribe(210, SHELF)
    real.end_of(210)
    (opened,) = real.said(Opened, 210)
    assert opened.chunks == 1 and 0 < opened.speech_s <= opened.audio_s <= 30


def test_the_text_does_not_depend_on_the_batch(real: Engine) -> None:
    texts: set[str] = set()
    for job, size in ((300, 1), (301, 3)):
        real.send(SetBatch(batch_size=size))
        real.transcribe(job, RADIO)
        real.end_of(job)
        texts.add(real.text(job))
    assert len(texts) == 1


def test_words_have_times_inside_their_segment(real: Engine) -> None:
    real.transcribe(400, RADIO, options={"word_timestamps": True})
    real.transcribe(401, SHELF, options={"word_timestamps": True})
    real.end_of(400)
    real.end_of(401)
    for job in (400, 401):
        segments = [s for chunk in real.chunks(job) for s in chunk.segments]
        assert segments
        for segment in segments:
            assert segment.words
            assert "".join(w.word for w in segment.words).strip() == segment.text.strip()
            assert segment.start <= segment.words[0].start + 0.011
            assert segment.words[-1].end <= segment.end + 0.011
        starts = [w.start for s in segments for w in s.words or ()]
        assert starts == sorted(starts)
    assert real.chunks(400)[1].segments[0].words[0].start >= real.chunks(400)[1].start  # type: ignore[index]


@pytest.mark.parametrize("word_timestamps", [False, True])
def test_a_long_pause_is_left_out_and_the_times_are_the_recordings(
    real: Engine, tmp_path: Path, word_timestamps: bool
) -> None:
    from speakeasy_tui.engine import audio

    spoken = audio.decode(str(SHELF).encode()).samples
    seconds, pause = len(spoken) / 16_000, 26.0
    path = tmp_path / "pause.wav"
    write_wav(path, spoken.tobytes() + bytes(int(pause * 16_000) * 2) + spoken.tobytes())
    job = 450 + word_timestamps
    real.transcribe(job, path, options={"word_timestamps": word_timestamps})
    assert isinstance(real.end_of(job), Finished)
    (chunk,) = real.chunks(job)
    assert chunk.end > pause + seconds
    first = [s for s in chunk.segments if s.start < pause]
    second = [s for s in chunk.segments if s.start >= pause]
    for part, at in ((first, 0.0), (second, seconds + pause)):
        assert jiwer.wer(said(SHELF), plain(" ".join(s.text for s in part))) < 0.2
        assert at - 0.1 <= part[0].start < at + 1.0
        assert at + seconds - 1.5 < part[-1].end <= at + seconds + 0.5
        for word in (w for s in part for w in s.words or ()):
            assert at - 0.1 <= word.start <= word.end <= at + seconds + 0.5


def test_without_vad_windows_follow_each_other(real: Engine) -> None:
    real.transcribe(500, RADIO, options={"vad": False})
    real.end_of(500)
    assert [(c.start, round(c.end)) for c in real.chunks(500)] == [(0.0, 30), (30.0, 44)]
    assert jiwer.wer(said(RADIO), plain(real.text(500))) < 0.2


def test_an_initial_prompt_and_greedy_search_work_beside_other_files(real: Engine) -> None:
    real.send(SetBatch(batch_size=4))
    real.transcribe(
        600, SHELF, options={"initial_prompt": "Tape archive, shelves.", "beam_size": 1}
    )
    real.transcribe(601, SHELF)
    real.end_of(600)
    real.end_of(601)
    assert "shelf" in real.text(600)
    assert "shelf" in real.text(601)


def test_an_english_model_warns_of_other_languages_and_of_translation(real: Engine) -> None:
    real.transcribe(700, SHELF, options={"language": "de", "task": "translate"})
    finished = real.end_of(700)
    assert isinstance(finished, Finished)
    assert finished.language == "en"
    assert [warning.kind for warning in finished.warnings] == ["language", "language"]


def test_a_folder_without_a_model_is_a_failed_load_and_another_load_works(
    start: Start, tmp_path: Path
) -> None:
    engine = start("real")
    engine.wait_for(Ready)
    engine.send(load_command(model=str(tmp_path)))
    report = engine.wait_for(LoadFailed)
    assert report.kind is ErrorKind.MODEL
    assert report.hint
    engine.send(load_command(compute_type="float16"))
    report = engine.wait_for(LoadFailed)
    assert "float16" in report.text
    assert "int8" in report.hint
    engine.send(load_command(compute_type="float32"))
    assert engine.wait_for(Loaded).compute_type == "float32"


def test_a_damaged_model_is_a_failed_load_of_kind_model(start: Start, tmp_path: Path) -> None:
    model = starter()
    assert model is not None
    shutil.copytree(model.path, tmp_path / "model")
    weights = (tmp_path / "model" / "model.bin").read_bytes()
    (tmp_path / "model" / "model.bin").write_bytes(weights[: len(weights) // 2])
    engine = start("real")
    engine.wait_for(Ready)
    engine.send(load_command(model=str(tmp_path / "model")))
    report = engine.wait_for(LoadFailed)
    assert report.kind is ErrorKind.MODEL


def test_a_changed_starter_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from speakeasy_tui.core import models
    from speakeasy_tui.engine.inject import Injector
    from speakeasy_tui.engine.model import Model
    from speakeasy_tui.engine.modelfolder import LoadError

    monkeypatch.setattr(models, "STARTER_SHA256", "0" * 64)
    with pytest.raises(LoadError, match="SHA-256") as caught:
        Model(load_command(), Injector())
    assert caught.value.kind is ErrorKind.MODEL


def test_cuda_without_the_library_or_a_device_is_a_failed_load_that_says_what_to_do(
    start: Start,
) -> None:
    engine = start("real", CUDA_VISIBLE_DEVICES="")
    engine.wait_for(Ready)
    engine.send(load_command(device="cuda:0"))
    report = engine.wait_for(LoadFailed)
    assert report.kind is ErrorKind.DEVICE
    assert report.hint


def test_a_suspicious_result_is_sampled_again_at_rising_temperatures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from speakeasy_tui.core.engineprotocol import Transcribe
    from speakeasy_tui.core.settings import JobOptions
    from speakeasy_tui.engine import audio, decode, generation
    from speakeasy_tui.engine.inject import Injector
    from speakeasy_tui.engine.model import Model
    from speakeasy_tui.engine.passage import Passage, Span
    from speakeasy_tui.engine.wire import Meter
    from speakeasy_tui.engine.work import FileWork, Piece, Window

    injector = Injector()
    model = Model(load_command(), injector)
    samples = audio.decode(str(SHELF).encode()).samples
    command = Transcribe(job=1, attempt=1, path=b"x", options=JobOptions())
    whole = Passage((Span(0, len(samples)),))
    file = FileWork(command, injector.trap(b"x", 1), language="en")
    mel = model.whisper.feature_extractor(audio.floats(samples))[..., :-1]
    tried: list[float] = []

    def suspicious(outcome: decode.Outcome) -> bool:
        tried.append(outcome.temperature)
        return outcome.temperature < 0.3

    for module in (decode, generation):
        monkeypatch.setattr(module, "needs_fallback", suspicious)
    piece = Piece(file, 0, 0, whole, mel)
    decoder = decode.Decoder(model, Meter(), injector.check_device)
    assert [result.complete for result in decoder.decode([Window((piece,))])] == [False]
    assert not piece.segments, "it is put aside, to be sampled together with others"
    assert [result.complete for result in decoder.decode([Window((piece,))])] == [True]
    assert tried == [0.0, 0.2, 0.4]
    assert {segment.temperature for segment in piece.segments} == {0.4}


def test_inspect_prints_one_line_of_facts() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "speakeasy_tui.engine.inspect"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.count(b"\n") == 1
    facts = EngineFacts(**json.loads(done.stdout))
    assert facts.ctranslate2 and facts.faster_whisper and facts.av and facts.torch
    assert "int8" in facts.cpu_compute_types
