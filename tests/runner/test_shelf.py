"""Taking back what a person did to the queue."""

from __future__ import annotations

from pathlib import Path

from speakeasy_tui.core.job import State
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.runner.queueing import Found
from speakeasy_tui.runner.store import Store


def test_removed_rows_come_back_as_they_were(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    ids = store.add([Found(b"/a/%d.wav" % n) for n in range(4)], JobOptions()).new
    store.begin(ids[1], lane=0, device="cpu", model="m", made_of="x")
    store.give_back(ids[1], outcome="cuda", message="a CUDA error", charged=True)
    before = store.jobs(), store.attempts(ids[1]), store.tallies()
    assert store.remove(ids[1:3]) == ids[1:3]
    assert [job.id for job in store.jobs()] == [ids[0], ids[3]]
    assert store.restore(ids) == ids[1:3]
    assert (store.jobs(), store.attempts(ids[1]), store.tallies()) == before
    assert store.restore(ids) == []


def test_tries_come_back_though_others_were_made_meanwhile(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    first, second = store.add([Found(b"/a.wav"), Found(b"/b.wav")], JobOptions()).new
    for job in (first, second):
        store.begin(job, lane=0, device="cpu", model="m", made_of="x")
        store.give_back(job, outcome="cuda", message="a CUDA error")
        if job == first:
            store.remove([first])
    assert store.restore([first]) == [first]
    assert [len(store.attempts(job)) for job in (first, second)] == [1, 1]


def test_a_removed_row_that_was_queued_anew_stays_away(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    (old,) = store.add([Found(b"/a.wav")], JobOptions()).new
    store.remove([old])
    (new,) = store.add([Found(b"/a.wav")], JobOptions()).new
    assert store.restore([old]) == []
    assert [job.id for job in store.jobs()] == [new]


def test_a_row_is_not_given_the_place_of_another(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    ids = store.add([Found(b"/a/%d.wav" % n) for n in range(4)], JobOptions()).new
    assert store.place([ids[3], ids[0], ids[1], ids[2]], [1, 2, 3, 4]) is not None
    assert [job.id for job in store.jobs()] == [ids[3], *ids[:3]]
    assert store.place([ids[0]], [1]) is None, "another stands there"
    assert store.place([ids[0], 99], [8, 9]) is None, "one is not there"
    assert all(job.state is State.QUEUED for job in store.jobs())
