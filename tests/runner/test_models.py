"""Models: found, downloaded, given up, not to be had. The hub is a stand-in on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import LaneState, RunnerState, State
from speakeasy_tui.core.models import starter
from speakeasy_tui.core.paths import Home
from speakeasy_tui.samples import sample_folder
from tests.engine.hub import FakeHub

from .conftest import Desk

CLIP = sample_folder() / "notes" / "shelf-count.wav"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """The starter's weights under the name of `base`, in an empty cache."""
    bundled = starter()
    assert bundled is not None
    files = {file.name: file.read_bytes() for file in bundled.path.iterdir()}
    hub = FakeHub("Systran/faster-whisper-base", files)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return hub


def test_auto_downloads_what_it_prefers_and_says_why(
    hub: FakeHub, home: Home, tmp_path: Path
) -> None:
    desk = Desk(home)
    try:
        desk.add(CLIP, engine="real", output_dir=str(tmp_path / "out"), format=("txt",))
        job = desk.finish(90)["shelf-count.wav"]
        assert job.state is State.DONE
        assert job.model == "base"
        lane = next(lane for lane in desk.status().lanes if lane.model)
        assert lane.why.startswith("auto: ")
    finally:
        desk.close()


def test_a_download_shows_its_progress_and_can_be_given_up(
    hub: FakeHub, home: Home, tmp_path: Path
) -> None:
    hub.delay = 0.02
    desk = Desk(home)
    try:
        desk.add(CLIP, engine="real", model="base", output_dir=str(tmp_path), format=("txt",))
        desk.until(lambda: any((lane.progress or 0) > 0.05 for lane in desk.status().lanes))
        lane = next(lane for lane in desk.status().lanes if lane.progress)
        assert lane.state is LaneState.DOWNLOADING
        assert "base" in lane.why
        answer = desk.ask(say.CancelDownload())
        assert isinstance(answer, say.Ok)
        assert answer.count == 1
        desk.until(lambda: desk.status().batch.state is RunnerState.PAUSED)
        assert desk.jobs()["shelf-count.wav"].state is State.QUEUED
        hub.delay = 0.0
        desk.ask(say.Resume())
        assert desk.finish(90)["shelf-count.wav"].state is State.DONE
    finally:
        desk.close()


def test_without_a_hub_auto_takes_the_starter_and_warns(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    desk = Desk(home)
    try:
        desk.add(CLIP, engine="real", output_dir=str(tmp_path / "out"), format=("txt",))
        assert desk.finish(90)["shelf-count.wav"].model == "tiny.en"
        lane = next(lane for lane in desk.status().lanes if lane.model)
        assert "English only" in lane.warning
    finally:
        desk.close()


def test_a_name_that_cannot_be_had_fails_what_asked_for_it_and_the_rest_goes_on(
    home: Home, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    desk = Desk(home)
    try:
        desk.add(CLIP, engine="real", model="large-v3", output_dir=str(tmp_path / "out"))
        desk.add(clips)
        jobs = desk.finish(60)
        failed = jobs.pop("shelf-count.wav")
        assert failed.error is not None
        assert failed.error.kind == "model"
        assert "HF_ENDPOINT" in failed.error.hint
        assert {job.state for job in jobs.values()} == {State.DONE}
    finally:
        desk.close()
