"""The bundled recordings are all there, small, and as long as their makers meant them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import av
import pytest
from faster_whisper.audio import decode_audio

from speakeasy_tui.engine.inject import parse
from speakeasy_tui.samples import reference_texts, sample_folder

LIMIT = 1_500_000  # bytes: they ship in the wheel
AUDIO = {".ogg", ".mp3", ".m4a", ".flac", ".wav"}
BROKEN = "notes/broken-tape.mp3"


def test_every_file_of_the_texts_is_there_and_every_recording_has_its_text() -> None:
    folder = sample_folder()
    recordings = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in AUDIO
    }
    assert recordings == set(reference_texts()) | {BROKEN}
    assert all(reference_texts().values())


def test_the_samples_stay_small() -> None:
    files = (path for path in sample_folder().rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in files if path.suffix != ".pyc") < LIMIT


def test_the_samples_come_in_several_folders_and_containers() -> None:
    names = [Path(name) for name in reference_texts()]
    assert {name.parent.name for name in names} >= {"interviews", "notes"}
    assert {name.suffix for name in names} == AUDIO


@pytest.mark.parametrize("name", sorted(reference_texts()))
def test_a_recording_decodes_to_the_length_of_its_text(name: str) -> None:
    seconds = len(decode_audio(str(sample_folder() / name))) / 16_000
    words = len(reference_texts()[name].split())
    assert 1.8 < words / seconds < 4  # words a second, pauses included


def test_the_broken_recording_cannot_be_opened() -> None:
    with pytest.raises(av.FFmpegError):
        av.open(str(sample_folder() / BROKEN))


def test_each_fault_of_the_readmes_example_strikes_a_recording_of_the_demo() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    found = re.search(r'SPEAKEASY_FAULTS="(.*)" speakeasy demo', readme.read_text())
    assert found is not None
    struck = [
        {
            name
            for name in reference_texts()
            if rule.applies(os.fsencode(sample_folder() / name), rule.tries)
        }
        for rule in parse(found[1])
    ]
    assert len(struck) == 2
    assert all(struck)
