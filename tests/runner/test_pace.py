"""How fast a lane is."""

from __future__ import annotations

import pytest

from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.paths import Home
from speakeasy_tui.runner.pace import Pace

from .conftest import Desk, silence


class Clock:
    """A clock that is turned by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(30.0, clock)


def test_there_is_no_speed_before_anything_is_finished(pace: Pace, clock: Clock) -> None:
    assert pace.speed(working=False) is None
    pace.begin()
    clock.now += 5
    assert pace.speed(working=True) is None


def test_a_batch_counts_from_the_beginning_of_its_work(pace: Pace, clock: Clock) -> None:
    pace.begin()
    for _ in range(2):
        clock.now += 20
        pace.add(30.0)
    assert pace.speed(working=True) == pytest.approx(1.5)


def test_what_is_older_than_the_window_no_longer_counts(pace: Pace, clock: Clock) -> None:
    pace.begin()
    for _ in range(60):
        clock.now += 1
        pace.add(10.0)
    for _ in range(60):
        clock.now += 1
        pace.add(2.0)
    assert pace.speed(working=True) == pytest.approx(2.0, rel=0.01)


def test_the_speed_falls_while_nothing_gets_finished(pace: Pace, clock: Clock) -> None:
    pace.begin()
    clock.now += 10
    pace.add(100.0)
    clock.now += 90
    assert pace.speed(working=True) == pytest.approx(1.0)


def test_half_a_minute_after_the_end_of_work_there_is_none(pace: Pace, clock: Clock) -> None:
    pace.begin()
    clock.now += 1
    pace.add(100.0)
    clock.now += 29
    assert pace.speed(working=False) is not None
    clock.now += 2
    assert pace.speed(working=False) is None


def test_after_the_end_of_work_the_speed_stays_what_it_was(pace: Pace, clock: Clock) -> None:
    pace.begin()
    for _ in range(5):
        clock.now += 2
        pace.add(100.0)
    for _ in range(3):
        clock.now += 9
        assert pace.speed(working=False) == pytest.approx(50.0)


def test_a_time_without_work_does_not_count(pace: Pace, clock: Clock) -> None:
    pace.begin()
    clock.now += 2
    pace.add(20.0)
    clock.now += 20
    pace.begin()
    assert pace.speed(working=True) is None
    clock.now += 2
    pace.add(20.0)
    assert pace.speed(working=True) == pytest.approx(10.0)


def test_going_from_file_to_file_is_work(pace: Pace, clock: Clock) -> None:
    for _ in range(10):
        pace.begin()
        clock.now += 2
        pace.add(20.0)
    assert pace.speed(working=True) == pytest.approx(10.0)


def test_many_small_reports_keep_the_list_short(pace: Pace, clock: Clock) -> None:
    pace.begin()
    for _ in range(100_000):
        clock.now += 0.001
        pace.add(0.01)
    assert len(pace._marks) < 100
    assert pace.speed(working=True) == pytest.approx(10.0, rel=0.1)


def test_a_running_lane_tells_its_speed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "60")
    desk = Desk(home)
    try:
        desk.add(silence(home.state / "long.wav", 900.0))
        desk.until(lambda: any(lane.speed for lane in desk.status().lanes))
        (speed,) = [lane.speed for lane in desk.status().lanes if lane.speed]
        assert 20 < speed < 80
        desk.ask(say.Stop(now=True))
    finally:
        desk.close()
