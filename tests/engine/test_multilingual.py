"""Languages: detected for each file, kept apart in shared batches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from speakeasy_tui.core.engineprotocol import Finished, Opened
from speakeasy_tui.core.settings import LANGUAGES

from . import multilingual
from .engine import LIST, RADIO, SHELF, Engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("multilingual")
    multilingual.write(folder / "model")
    process = Engine("real", folder / "engine.log")
    assert process.load(model=str(folder / "model")).multilingual
    yield process
    process.close()


def test_the_language_is_detected_and_told_before_the_file_is_done(engine: Engine) -> None:
    engine.transcribe(1, SHELF)
    finished = engine.end_of(1)
    assert isinstance(finished, Finished)
    assert finished.language in LANGUAGES
    first, *_, last = engine.said(Opened, 1)
    assert first.language is None
    assert last.language == finished.language
    assert 0 < (last.language_probability or 0) <= 1


def test_files_of_several_languages_and_tasks_share_batches(engine: Engine) -> None:
    engine.transcribe(10, SHELF, options={"language": "de"})
    engine.transcribe(11, LIST, options={"language": "fr", "task": "translate"})
    engine.transcribe(12, SHELF, options={"word_timestamps": True})
    engine.transcribe(13, LIST, options={"language": "ja", "word_timestamps": True})
    languages = {}
    for _ in range(4):  # in any order
        finished = engine.wait_for(Finished)
        languages[finished.job] = finished.language
        assert finished.warnings == []
    assert (languages[10], languages[11], languages[13]) == ("de", "fr", "ja")
    assert languages[12] == engine.opened(1).language


def test_the_language_is_that_of_the_first_chunk_also_when_that_one_is_stored(
    engine: Engine,
) -> None:
    engine.transcribe(20, RADIO)
    whole = engine.end_of(20)
    assert isinstance(whole, Finished)
    chunks = engine.chunks(20)
    engine.transcribe(21, RADIO, have=[chunks[0].start])
    rest = engine.end_of(21)
    assert isinstance(rest, Finished)
    assert rest.language == whole.language
    assert [chunk.index for chunk in engine.chunks(21)] == [1]


def test_of_a_file_whose_chunks_are_all_stored_the_language_is_found_before_it_is_finished(
    engine: Engine,
) -> None:
    engine.transcribe(30, RADIO)
    whole = engine.end_of(30)
    assert isinstance(whole, Finished)
    starts = [chunk.start for chunk in engine.chunks(30)]
    engine.transcribe(31, RADIO, have=starts)
    engine.transcribe(32, SHELF)
    engine.end_of(32)
    if not engine.said(Finished, 31):
        engine.end_of(31)
    assert engine.chunks(31) == []
    assert [report.language for report in engine.said(Finished, 31)] == [whole.language]
