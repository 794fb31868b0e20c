"""A batch size that nobody chose is remembered, and grown with care."""

from __future__ import annotations

from pathlib import Path

import pytest

from speakeasy_tui.core.job import State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.runner.batchsize import GROW_AFTER, BatchSizes
from speakeasy_tui.runner.store import Store

from .conftest import Desk, promise

KEY = ("real", "tiny", "int8", "GPU-1")


@pytest.fixture
def sizes(tmp_path: Path) -> BatchSizes:
    return BatchSizes(Store(tmp_path / "queue.db"))


def windows_until_growth(sizes: BatchSizes) -> tuple[int, int]:
    """How many windows it takes, and the new size."""
    for count in range(1, 100_000):
        size = sizes.done(1.0)
        if size is not None:
            return count, size
    raise AssertionError("it does not grow")


def test_what_fits_is_used_and_what_overflowed_is_remembered(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    first = BatchSizes(store)
    assert first.begin(KEY, 16, None) == 16
    first.overflowed(8)
    assert BatchSizes(store).begin(KEY, 16, None) == 8
    assert BatchSizes(store).begin(KEY, 4, None) == 4  # less memory is free today
    assert BatchSizes(store).begin(("real", "large", "int8", "GPU-1"), 16, None) == 16


def test_it_grows_to_what_fits_and_not_beyond(sizes: BatchSizes) -> None:
    sizes.begin(KEY, 12, None)
    sizes.overflowed(4)
    assert windows_until_growth(sizes) == (GROW_AFTER * 4 * 2, 8)
    assert windows_until_growth(sizes) == (GROW_AFTER * 8 * 2, 12)
    assert all(sizes.done(1.0) is None for _ in range(GROW_AFTER * 12 * 8))


def test_each_failure_doubles_the_patience(sizes: BatchSizes) -> None:
    sizes.begin(KEY, 4, None)
    sizes.overflowed(2)
    windows_until_growth(sizes)
    sizes.overflowed(2)
    assert windows_until_growth(sizes) == (GROW_AFTER * 2 * 4, 4)


def test_a_size_that_a_person_chose_is_left_alone(sizes: BatchSizes) -> None:
    sizes.leave()
    sizes.overflowed(2)
    assert sizes.done(1e9) is None


def test_the_next_runner_begins_with_what_survived(
    home: Home, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_FAULTS", "oom:clip-3.wav")
    desk = Desk(home)
    desk.add(clips)
    assert {job.state for job in desk.finish().values()} == {State.DONE}
    assert desk.status().lanes[0].batch_size == 2
    desk.close()
    desk = Desk(home)
    try:
        desk.add(clips / "a" / "clip-1.wav", overwrite=True)
        desk.finish()
        assert desk.status().lanes[0].batch_size == 2
        desk.add(clips / "a" / "clip-1.wav", overwrite=True, batch_size=3)
        desk.until(lambda: desk.status().lanes[0].batch_size == 3)
        desk.finish()
    finally:
        desk.close()


def test_after_many_batches_without_a_fault_it_grows_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_FAULTS", "oom:first.wav")
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "50000")
    desk = Desk(home)
    try:
        desk.add(promise(tmp_path / "first.wav", 600))
        desk.finish()
        assert desk.status().lanes[0].batch_size == 2
        desk.add(*(promise(tmp_path / f"{number}.wav", 1800) for number in range(8)))
        desk.finish()
        assert desk.status().lanes[0].batch_size == 4
    finally:
        desk.close()
