"""A batch size that nobody chose is remembered, and grown with care."""

from __future__ import annotations

from pathlib import Path

import pytest

from speakeasy_tui.core.engineprotocol import FullBatch, Loaded, SetBatch
from speakeasy_tui.core.job import Lane, State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.runner.batchsize import GROW_AFTER, TIMED, TIMED_S, WARM_UP, BatchSizes
from speakeasy_tui.runner.devices import Devices
from speakeasy_tui.runner.record import Request
from speakeasy_tui.runner.seat import Seat
from speakeasy_tui.runner.store import Store

from .conftest import Desk, promise

KEY = ("real", "tiny", "int8", "GPU-1")


@pytest.fixture
def sizes(tmp_path: Path) -> BatchSizes:
    return BatchSizes(Store(tmp_path / "queue.db"))


def model(start: int, most: int = 0) -> Loaded:
    """An engine's word on what fits."""
    return Loaded(device="cuda:0", compute_type="int8", batch_size=start, seconds=1.0, most=most)


def batches(sizes: BatchSizes, size: int, seconds: float = 1.0, at_most: int = 10_000) -> list[int]:
    """Full batches of a size until another is wanted: how many, and the new size; or nothing."""
    for count in range(1, at_most + 1):
        other = sizes.done(size, seconds)
        if other is not None:
            return [count, other]
    return []


WHOLE = WARM_UP + TIMED
"""Batches of a second or two that tell how fast a size is."""


def test_what_fits_is_used_and_what_overflowed_is_remembered(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    first = BatchSizes(store)
    assert first.begin(KEY, model(16), None) == 16
    assert first.overflowed(16) == 8
    assert BatchSizes(store).begin(KEY, model(16), None) == 8
    assert BatchSizes(store).begin(KEY, model(4), None) == 4  # less memory is free today
    assert BatchSizes(store).begin(("real", "large", "int8", "GPU-1"), model(16), None) == 16


def test_after_a_failure_it_goes_back_to_where_it_would_begin_and_not_beyond(
    sizes: BatchSizes,
) -> None:
    sizes.begin(KEY, model(12), None)
    sizes.overflowed(12)
    sizes.overflowed(6)
    assert batches(sizes, 3) == [GROW_AFTER * 4, 6]
    assert batches(sizes, 6) == [WHOLE, 12], "fitting is enough up to there"
    assert batches(sizes, 12) == []


def test_each_failure_doubles_the_patience(sizes: BatchSizes) -> None:
    sizes.begin(KEY, model(4), None)
    sizes.overflowed(4)
    assert batches(sizes, 2) == [GROW_AFTER * 2, 4]
    assert sizes.overflowed(4) == 2
    assert batches(sizes, 2) == [GROW_AFTER * 4, 4]


def test_a_size_that_a_person_chose_is_left_alone(sizes: BatchSizes) -> None:
    sizes.leave()
    assert sizes.overflowed(2) == 1
    assert batches(sizes, 2) == batches(sizes, 1) == []


def test_it_is_doubled_while_that_pays_and_what_was_found_is_remembered(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    sizes = BatchSizes(store)
    assert sizes.begin(KEY, model(16, 100), None) == 16
    assert batches(sizes, 16, seconds=2.0) == [WHOLE, 32]
    assert BatchSizes(store).begin(KEY, model(16, 100), None) == 16, "32 has not shown its worth"
    assert batches(sizes, 32, seconds=3.0) == [WHOLE, 64]
    assert BatchSizes(store).begin(KEY, model(16, 100), None) == 32
    assert batches(sizes, 64, seconds=6.0) == [WHOLE, 32], "as fast as 32"
    assert batches(sizes, 32, seconds=3.0) == []
    again = BatchSizes(store)
    assert again.begin(KEY, model(16, 100), None) == 32
    assert batches(again, 32, seconds=3.0) == []


def test_it_grows_no_further_than_memory_allows_which_may_change(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    sizes = BatchSizes(store)
    sizes.begin(KEY, model(16, 24), None)
    assert batches(sizes, 16, seconds=2.0) == [WHOLE, 24]
    assert batches(sizes, 24, seconds=2.0) == []
    less, more = BatchSizes(store), BatchSizes(store)
    assert less.begin(KEY, model(8, 8), None) == 8
    assert batches(less, 8) == []
    assert more.begin(KEY, model(16, 64), None) == 24
    assert batches(more, 24, seconds=2.0) == [WHOLE, 48]


def test_batches_that_are_soon_done_are_timed_for_longer(sizes: BatchSizes) -> None:
    sizes.begin(KEY, model(16, 64), None)
    assert batches(sizes, 16, seconds=TIMED_S / 80) == [WARM_UP + 80, 32]


def test_batches_that_are_not_full_and_the_first_ones_say_nothing(sizes: BatchSizes) -> None:
    sizes.begin(KEY, model(16, 64), None)
    assert batches(sizes, 15, seconds=5.0) == []
    assert batches(sizes, 16, seconds=2.0) == [WHOLE, 32]
    for _ in range(WARM_UP):
        assert sizes.done(32, 60.0) is None  # kernels are compiled
    assert batches(sizes, 32, seconds=3.0) == [TIMED, 64], "it pays all the same"


def test_what_overflows_while_it_is_tried_leaves_what_fits(sizes: BatchSizes) -> None:
    sizes.begin(KEY, model(16, 24), None)
    assert batches(sizes, 16, seconds=2.0) == [WHOLE, 24]
    assert sizes.overflowed(24) == 16
    assert batches(sizes, 16, seconds=2.0) == [GROW_AFTER * 2, 24]
    assert sizes.overflowed(24) == 16
    assert batches(sizes, 16, seconds=2.0) == [GROW_AFTER * 4, 24]
    assert batches(sizes, 24, seconds=3.0) == [WHOLE, 16], "beyond the start it must pay, too"


def test_a_batch_given_before_a_smaller_size_was_chosen_says_nothing_new(
    sizes: BatchSizes,
) -> None:
    sizes.begin(KEY, model(16, 64), None)
    assert batches(sizes, 16, seconds=2.0) == [WHOLE, 32]
    assert batches(sizes, 32, seconds=5.0) == [WHOLE, 16]
    assert sizes.overflowed(32) == 16
    assert sizes.overflowed(16) == 8


def test_a_lane_goes_on_with_the_size_that_is_found(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = Lane(number=0, device="cuda:0")
    sizes = BatchSizes(Store(tmp_path / "queue.db"))
    seat = Seat(home, view, Devices(), 2, 0, sizes, lambda *_: None)
    sent: list[object] = []
    monkeypatch.setattr(seat, "send", sent.append)
    seat.request = Request("real", "tiny", "cuda:0", "auto", "auto")
    seat.loaded(model(16, 64))
    assert view.batch_size == 16
    told = [seat.batch_done(FullBatch(windows=16, seconds=2.0)) for _ in range(WARM_UP + TIMED)]
    assert told == [False] * (WARM_UP + TIMED - 1) + [True]
    assert view.batch_size == 32
    assert seat.overflowed(32) == 16
    assert sent == [SetBatch(batch_size=32)]


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
