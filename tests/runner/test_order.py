"""Which waiting file is begun next, and who takes over what from whom."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.runner.lengths import Lengths
from speakeasy_tui.runner.order import Order
from speakeasy_tui.runner.queueing import Found
from speakeasy_tui.runner.sharing import spare
from speakeasy_tui.runner.store import Store

from .conftest import Desk, silence
from .test_feeder import flight


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "queue.db")


def fill(store: Store, *lengths: float | None) -> list[int]:
    """Queue files of these lengths (s)."""
    found = [Found(b"/%d.wav" % number) for number in range(len(lengths))]
    ids = store.add(found, JobOptions()).new
    store.lengths({job: s for job, s in zip(ids, lengths, strict=True) if s is not None})
    return ids


def drawn(store: Store, ids: list[int], setting: str, lanes: int) -> list[int]:
    """The order in which everything would be begun, by place in `ids`."""
    order, taken = Order(store, setting), []
    requests = [request.text() for request in store.requests()]
    while claim := order.next(requests, taken, suspects=True, lanes=lanes):
        taken.append(claim.id)
        store.turn([claim.id], frozenset({State.QUEUED}), State.HELD)
    return [ids.index(job) for job in taken]


def test_one_lane_takes_files_as_the_table_has_them(store: Store) -> None:
    assert drawn(store, fill(store, 10, 900, 20), "auto", 1) == [0, 1, 2]


def test_with_several_lanes_a_file_that_would_outlast_the_others_goes_first(store: Store) -> None:
    ids = fill(store, 10, 10, 10, 10, 900)
    assert drawn(store, ids, "auto", 2) == [4, 0, 1, 2, 3]


def test_the_tables_order_holds_while_much_is_left(store: Store) -> None:
    ids = fill(store, *[60.0] * 40, 120.0)
    assert drawn(store, ids, "auto", 2)[:20] == list(range(20))


def test_longest_first_when_a_person_wants_it_and_unknown_lengths_last(store: Store) -> None:
    ids = fill(store, 10, None, 30, 20)
    assert drawn(store, ids, "longest", 1) == [2, 3, 0, 1]
    assert drawn(store, fill(store), "queued", 2) == []


def test_what_a_person_has_moved_keeps_its_place(store: Store) -> None:
    ids = fill(store, 10, 20, 30, 40, 900)
    store.move([ids[2]], -1)  # 0 2 1 3 4
    assert drawn(store, ids, "longest", 2) == [0, 2, 4, 3, 1]


def test_a_file_moved_to_the_end_stays_there(store: Store) -> None:
    ids = fill(store, 900, 10, 20)
    store.move([ids[0]], 5)
    assert drawn(store, ids, "longest", 2) == [2, 1, 0]


def test_lengths_of_waiting_files_are_found_from_their_headers(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "b.wav"
    bad.write_bytes(b"this is no recording")
    desk = Desk(home)
    try:
        desk.add(silence(tmp_path / "a.wav", 90), bad, silence(tmp_path / "c.wav"), start=False)
        desk.until(lambda: desk.jobs()["c.wav"].audio_s is not None)
        jobs = desk.jobs()
        assert (jobs["a.wav"].audio_s, jobs["c.wav"].audio_s) == (90.0, 2.0)
        assert (jobs["b.wav"].state, jobs["b.wav"].audio_s) == (State.QUEUED, None)
        assert desk.status().batch.audio_s == 92.0
    finally:
        desk.close()


async def test_a_file_that_ends_the_process_is_passed_over(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    class Runner:
        def may_measure(self) -> bool:
            return True

        def changed(self, job: int) -> None:
            told.append(job)

    paths = [silence(tmp_path / f"{number}.wav", 10 + number) for number in range(3)]
    os.mkfifo(tmp_path / "never.wav")  # not a file: said to have no audio
    found = [Found(os.fsencode(path)) for path in (*paths, tmp_path / "never.wav")]
    ids = store.add(found, JobOptions()).new
    lengths = Lengths(store, Runner())
    await lengths._go_through()
    assert [job.audio_s for job in store.jobs(ids)] == [10.0, 11.0, 12.0, None]
    assert sorted(told) == ids[:3]
    assert store.unmeasured(lengths._seen, 9) == []


def test_nothing_is_measured_before_the_first_transcript(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "20")
    desk = Desk(home)
    try:
        desk.add(*(silence(tmp_path / f"{number}.wav", 30) for number in range(30)), batch_size=1)
        desk.until(lambda: desk.status().batch.counts["running"] > 0)
        first = desk.jobs()["29.wav"]
        assert (first.state, first.audio_s) == (State.QUEUED, None)
        desk.until(lambda: desk.jobs()["29.wav"].audio_s == 30.0)
        assert desk.status().batch.counts["done"] < 30
    finally:
        desk.close()


def test_what_is_in_the_model_or_begun_is_not_given_away() -> None:
    flights = [flight(60.0, chunks=2) for _ in range(4)]
    flights[3].worked = True
    assert spare(flights, 3) == flights[2:3]
    assert spare(flights, 0) == flights[:3]  # of an engine that is stuck
    assert spare([flight(60.0, suspect=True)], 0) == []


def test_files_behind_one_that_hangs_are_taken_over_by_the_idle_lane(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_FAULTS", "hang:stuck.wav")
    monkeypatch.setenv("SPEAKEASY_STALL_S", "600")
    desk = Desk(home)
    try:
        files = [silence(tmp_path / "stuck.wav", 40)]
        files += [silence(tmp_path / f"{number}.wav", 40) for number in range(9)]
        desk.add(*files, batch_size=1, device="cuda:0,1", start=False)
        ids = {name: job.id for name, job in desk.jobs().items()}
        desk.ask(say.Start())
        # One may be in the model beside it, or next.
        desk.until(lambda: desk.status().batch.counts["done"] >= 8)
        assert desk.jobs()["stuck.wav"].state is State.RUNNING
        desk.ask(say.Cancel(ids=[ids["stuck.wav"]]))
    finally:
        desk.close()


def test_what_a_dead_lane_had_goes_on_at_once(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_FAULTS", "device:gone.wav")
    desk = Desk(home)
    try:
        files = [silence(tmp_path / "gone.wav", 40)]
        files += [silence(tmp_path / f"{number}.wav", 40) for number in range(9)]
        desk.add(*files, device="cuda:0,1")
        begun = time.monotonic()
        assert {job.state for job in desk.finish().values()} == {State.DONE}
        assert time.monotonic() - begun < 20
        assert "paused" not in desk.kinds()
    finally:
        desk.close()
