"""A long file on which several lanes are at work."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from speakeasy_tui.client.foreground import foreground
from speakeasy_tui.client.link import Link
from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import Lane, State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.engine.sim import pretend_chunk
from speakeasy_tui.runner import dividing
from speakeasy_tui.runner.dividing import LEAST, Cut, middle

from .conftest import Desk, promise

SECONDS = 1515.0


@pytest.fixture
def long(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording that takes one lane 13 s."""
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "120")
    return promise(tmp_path / "long.wav", SECONDS)


class Near(Desk):
    """The client of a runner in this process, for which what `dividing` asks can be changed."""

    def __init__(self, home: Home) -> None:
        self._open = ExitStack()
        self._connect = self._open.enter_context(foreground(home))
        super().__init__(home)

    def _attach(self) -> Link:
        link = self._connect()
        link.request(say.Subscribe(events=True))
        return link

    def close(self) -> None:
        self.link.close()
        self._open.close()


@pytest.fixture
def near(home: Home, long: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Near]:
    """Where the recording takes one lane 3 s; it is divided for less than else."""
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "500")
    for name, value in {"LEAST": 10, "GAIN_S": 0.2, "LISTEN_SPEED": 3000.0}.items():
        monkeypatch.setattr(dividing, name, value)
    near = Near(home)
    yield near
    near.close()


def seed_that_strikes_late(name: str) -> str:
    """With it a fault of the first try strikes in the second half of what an engine has to do."""
    key = "{}:" + f"{name.encode()!r}:1"
    return next(str(n) for n in range(99) if 20 <= random.Random(key.format(n)).randrange(51) < 25)


def texts(path: Path) -> list[str]:
    """What one lane makes of the recording."""
    count = -(-int(SECONDS) // 30)
    ends = [min(SECONDS, (n + 1) * 30.0) for n in range(count)]
    chunks = [pretend_chunk(str(path), n, n * 30.0, end) for n, end in enumerate(ends)]
    return [segment.text.strip() for chunk in chunks for segment in chunk.segments]


def written(path: Path) -> list[str]:
    told = msgspec.json.decode(path.with_suffix(".json").read_bytes())
    return [segment["text"].strip() for segment in told["segments"]]


def helpers(desk: Desk) -> list[Lane]:
    return [lane for lane in desk.status().lanes if "helps" in lane.why]


def begin(desk: Desk, path: Path, lanes: int = 2, **options: object) -> int:
    """Queue the file beside as many that are too short to be divided as there are other lanes."""
    device = "cuda:" + ",".join(str(number) for number in range(lanes))
    others = [promise(path.parent / f"{n}.wav", 60) for n in range(lanes - 1)]
    given = {"device": device, "batch_size": 1, "format": ("json",)} | options
    return desk.add(path, *others, **given)[0]


def make_one_file(desk: Desk, long: Path, lanes: int) -> None:
    job = begin(desk, long, lanes)
    desk.until(lambda: len(helpers(desk)) == lanes - 1)
    assert all(lane.why == f"helps with file {job}" for lane in helpers(desk))
    done = desk.finish()["long.wav"]
    assert (done.state, done.attempts, done.warnings) == (State.DONE, 1, ())
    assert written(long) == texts(long)
    progress = [e.job.progress for e in desk.events if e.event == "progress" and e.job]
    assert max(progress, default=0.0) <= 1.0
    assert desk.kinds("long.wav") == ["queued", "started", "done"]
    assert not helpers(desk)


def test_what_two_lanes_make_of_a_file_is_what_one_makes(home: Home, long: Path) -> None:
    desk = Desk(home)
    try:
        make_one_file(desk, long, 2)
    finally:
        desk.close()


def test_what_three_lanes_make_of_a_file_is_what_one_makes(near: Near, long: Path) -> None:
    make_one_file(near, long, 3)


@pytest.mark.parametrize("seed", range(3))
def test_whichever_engine_dies_whenever_nothing_is_lost_or_there_twice(
    near: Near, long: Path, seed: int
) -> None:
    chance = random.Random(seed)
    job = begin(near, long, 2 + seed % 2)
    near.until(lambda: helpers(near))
    time.sleep(chance.uniform(0, 0.6))  # of about 1.2
    lane = chance.choice([lane for lane in near.status().lanes if lane.pid])
    alone = lane.state == "running"
    os.kill(lane.pid, signal.SIGKILL)
    done = near.finish()["long.wav"]
    assert done.state is State.DONE
    assert written(long) == texts(long)
    detail = near.ask(say.GetDetail(id=job))
    assert isinstance(detail, say.Detail)
    tries = [(attempt.outcome, attempt.charged) for attempt in detail.attempts]
    assert tries in ([("crash", alone), ("done", True)], [("done", True)])
    assert len(detail.chunks) == len({chunk.start for chunk in detail.chunks}) == 51


@pytest.mark.parametrize("fault", ["cuda", "sticky", "oom"])
def test_a_fault_on_either_lane_ends_the_try_on_both(
    near: Near, long: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_FAULTS", f"{fault}:long.wav")
    monkeypatch.setenv("SPEAKEASY_FAULTS_SEED", seed_that_strikes_late(long.name))
    job = begin(near, long)
    near.until(lambda: helpers(near) or near.jobs()["long.wav"].attempts == 2)
    assert near.finish()["long.wav"].state is State.DONE
    assert written(long) == texts(long)
    detail = near.ask(say.GetDetail(id=job))
    assert isinstance(detail, say.Detail)
    assert [attempt.outcome for attempt in detail.attempts] == [fault, "done"]
    assert near.kinds("long.wav") == ["queued", "started", "retry", "started", "done"]


def test_a_lane_without_the_model_loads_it_when_that_is_worth_it(
    home: Home, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "40")
    desk = Desk(home)
    try:
        desk.add(long, device="cuda:0,1", batch_size=1)
        desk.until(lambda: helpers(desk))
    finally:
        desk.close()


def test_cancel_reaches_every_lane(home: Home, long: Path) -> None:
    desk = Desk(home)
    try:
        job = begin(desk, long)
        desk.until(lambda: helpers(desk))
        desk.ask(say.Cancel(ids=[job]))
        desk.until(lambda: {lane.state for lane in desk.status().lanes} == {"ready"})
        assert desk.jobs()["long.wav"].state is State.CANCELLED
        assert not helpers(desk)
    finally:
        desk.close()


def test_hold_and_release_goes_on_with_what_all_lanes_have_done(near: Near, long: Path) -> None:
    job = begin(near, long)
    near.until(lambda: helpers(near))
    held = near.job(job).progress + 0.2
    near.until(lambda: near.job(job).progress > held)
    near.ask(say.Hold(ids=[job]))
    assert near.jobs()["long.wav"].state is State.HELD
    near.ask(say.Release(ids=[job]))
    assert near.finish()["long.wav"].state is State.DONE
    assert written(long) == texts(long)


def test_times_of_words_are_no_obstacle(near: Near, long: Path) -> None:
    begin(near, long, word_timestamps=True)
    near.until(lambda: helpers(near))
    assert near.finish()["long.wav"].state is State.DONE
    assert written(long) == texts(long)


def test_what_depends_on_the_window_before_stays_on_one_lane(near: Near, long: Path) -> None:
    begin(near, long, sequential=True)
    seen: Callable[[], bool] = lambda: bool(helpers(near))  # noqa: E731
    while near.jobs()["long.wav"].progress < 0.5:
        assert not seen()
        time.sleep(0.05)


def test_half_of_what_is_left_goes_and_what_is_in_the_model_stays() -> None:
    whole = 2 * LEAST * 30.0
    assert middle([], 0, whole, 60) == Cut(whole / 2, whole / 2)
    assert middle([(0, 30)], 0, whole + 30, 60) == Cut(whole / 2 + 30, whole / 2)
    assert middle([], 0, whole, whole - 30) == Cut(whole - 30, 30)
    assert middle([], 0, whole, whole) is None


def test_gaps_that_earlier_lanes_left_are_counted_and_nothing_outside_the_part() -> None:
    # 300 s, then 600 s from 600 s on.
    stored = [(300.0, 600.0), (1200.0, 2000.0)]
    assert middle(stored, 0, 2000, 60) == Cut(750.0, 450.0)
    assert middle(stored, 0, 900, 60) == Cut(600.0, 300.0)
    assert middle(stored, 600, 1190, 60) is None  # less than LEAST windows
