"""Models that do not fit: the real engine and starter model, on a GPU that is not there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from speakeasy_tui.core.job import LaneState, State
from speakeasy_tui.core.paths import Home

from .conftest import Desk, silence

FAKE_GPU = Path(__file__).with_name("fake_gpu")
Holding = Callable[..., Desk]


@pytest.fixture
def holding(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Holding]:
    """A client of a runner whose GPU holds the starter model only in these compute types."""
    opened: list[Desk] = []

    def start(types: str, *, dies: bool = False) -> Desk:
        path = os.pathsep.join(filter(None, (str(FAKE_GPU), os.environ.get("PYTHONPATH"))))
        monkeypatch.setenv("PYTHONPATH", path)
        monkeypatch.setenv("FAKE_GPU_HOLDS", types)
        if dies:
            monkeypatch.setenv("FAKE_GPU_DIES", "1")
        opened.append(Desk(home))
        return opened[-1]

    yield start
    for desk in opened:
        desk.close()


def add(desk: Desk, path: Path, compute_type: str = "auto") -> None:
    desk.add(path, engine="real", model="tiny.en", device="cuda:0", compute_type=compute_type)


@pytest.mark.parametrize("dies", [False, True])
def test_a_model_that_does_not_fit_is_loaded_in_a_smaller_compute_type(
    holding: Holding, tmp_path: Path, dies: bool
) -> None:
    desk = holding("int8_float16", dies=dies)
    add(desk, silence(tmp_path / "a.wav"))
    assert desk.finish()["a.wav"].state is State.DONE
    (lane,) = desk.status().lanes
    assert (lane.compute_type, lane.respawns) == ("int8_float16", 1)
    assert "int8_float16" in lane.warning
    assert desk.jobs()["a.wav"].attempts == 1, "loading is no try at a file"


@pytest.mark.parametrize(("asked", "holds"), [("float16", "int8_float16"), ("auto", "none")])
def test_one_that_fits_in_no_way_that_was_left_open_says_what_to_do(
    holding: Holding, tmp_path: Path, asked: str, holds: str
) -> None:
    desk = holding(holds)
    add(desk, silence(tmp_path / "a.wav"), asked)
    desk.until(lambda: desk.status().batch.why is not None, 60)
    status = desk.status()
    assert status.batch.why is not None
    assert "tiny.en does not fit into memory" in status.batch.why.message
    assert "--model" in status.batch.why.hint
    (lane,) = status.lanes
    assert (lane.state, lane.respawns) == (LaneState.RETIRED, 2), "three engines, and no more"
    job = desk.jobs()["a.wav"]
    assert (job.state, job.attempts) == (State.QUEUED, 0)
