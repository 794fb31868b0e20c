"""Files that are given to an engine before its model is there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import ErrorKind, LaneState, State
from speakeasy_tui.core.paths import Home

from .conftest import Desk, silence


def seed_that_strikes_while_decoding(name: str) -> str:
    """With it a fault that ends the process does so before the file's first chunk."""
    key = "{}:" + f"{name.encode()!r}:1"
    return next(str(n) for n in range(99) if random.Random(key.format(n)).random() < 0.2)


@pytest.fixture
def desk(
    request: pytest.FixtureRequest, home: Home, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    """A client of a runner whose models take 0.2 s, so that much can be decoded meanwhile.

    Its parameter, if any, is a fault that strikes a file before the first chunk.
    """
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "25")
    if rule := getattr(request, "param", ""):
        monkeypatch.setenv("SPEAKEASY_FAULTS", rule)
        seed = seed_that_strikes_while_decoding(rule.split(":")[1])
        monkeypatch.setenv("SPEAKEASY_FAULTS_SEED", seed)
    desk = Desk(home)
    yield desk
    desk.close()


def strikes(rule: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("desk", [rule], indirect=True)


def outcomes(desk: Desk, name: str) -> list[tuple[str, bool]]:
    detail = desk.ask(say.GetDetail(id=desk.jobs()[name].id))
    assert isinstance(detail, say.Detail)
    return [(attempt.outcome, attempt.charged) for attempt in detail.attempts]


@strikes("segv:bad.wav")
def test_a_death_while_the_model_loads_is_nobodys_and_the_next_one_tells_whose(
    desk: Desk, tmp_path: Path
) -> None:
    desk.add(silence(tmp_path / "bad.wav"))
    assert desk.finish()["bad.wav"].state is State.DONE
    assert outcomes(desk, "bad.wav") == [("crash", True), ("done", True)]
    assert desk.status().lanes[0].respawns == 2


@strikes("segv:bad.wav:99")
def test_a_file_that_ends_every_engine_costs_no_lane(desk: Desk, tmp_path: Path) -> None:
    desk.add(silence(tmp_path / "bad.wav"), *(silence(tmp_path / f"{n}.wav") for n in range(5)))
    jobs = desk.finish()
    assert jobs.pop("bad.wav").state is State.QUARANTINED
    assert {job.state for job in jobs.values()} == {State.DONE}
    assert desk.status().lanes[0].state is not LaneState.RETIRED


@strikes("disk:full.wav")
def test_what_goes_wrong_with_a_file_meanwhile_is_dealt_with_when_the_model_is_there(
    desk: Desk, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.wav"
    empty.touch()
    desk.add(silence(tmp_path / "full.wav"), empty)
    jobs = desk.finish()
    assert outcomes(desk, "full.wav") == [("disk", False), ("done", True)]
    assert jobs["empty.wav"].error is not None
    assert jobs["empty.wav"].error.kind is ErrorKind.INPUT
    assert desk.kinds("empty.wav") == ["queued", "started", "failed"]


def test_a_row_waits_until_the_model_is_there_and_can_be_taken_back(
    desk: Desk, tmp_path: Path
) -> None:
    desk.add(silence(tmp_path / "a.wav"), silence(tmp_path / "b.wav"), start=False)
    ids = {name: job.id for name, job in desk.jobs().items()}
    desk.ask(say.Start())
    desk.until(lambda: desk.status().lanes[0].state is LaneState.LOADING)
    assert {job.state for job in desk.jobs().values()} == {State.QUEUED}
    desk.ask(say.Cancel(ids=[ids["a.wav"]]))
    jobs = desk.finish()
    assert (jobs["a.wav"].state, jobs["a.wav"].attempts) == (State.CANCELLED, 0)
    assert (jobs["b.wav"].state, jobs["b.wav"].attempts) == (State.DONE, 1)


def test_a_pause_while_the_model_loads_begins_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.add(silence(tmp_path / "a.wav"), silence(tmp_path / "b.wav"))
    desk.until(lambda: desk.status().lanes[0].state is LaneState.LOADING)
    desk.ask(say.PauseQueue())
    desk.until(lambda: desk.status().lanes[0].state is LaneState.READY)
    assert "started" not in desk.kinds()
    desk.ask(say.Resume())
    assert {job.attempts for job in desk.finish().values()} == {1}


def test_a_model_that_cannot_be_loaded_leaves_no_try_behind(home: Home, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (model / name).write_text("{}")
    desk = Desk(home)
    try:
        desk.add(silence(tmp_path / "a.wav"), engine="real", device="cpu", model=str(model))
        job = desk.finish()["a.wav"]
        assert job.error is not None
        assert (job.error.kind, job.attempts) == (ErrorKind.MODEL, 0)
        assert "started" not in desk.kinds()
    finally:
        desk.close()
