"""Files that are looked at, begun and committed together, each with its own outcome."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from speakeasy_tui.core.job import ErrorKind, JobError, State
from speakeasy_tui.core.settings import JobOptions, Settings
from speakeasy_tui.core.transcript import Chunk, Segment
from speakeasy_tui.runner import outputs, staging
from speakeasy_tui.runner.commit import CHANGED, commit
from speakeasy_tui.runner.feeder import MOST_TOGETHER, Feeder, Room
from speakeasy_tui.runner.flight import Flight, Prepared
from speakeasy_tui.runner.modelfinder import Found as Model
from speakeasy_tui.runner.queueing import Found
from speakeasy_tui.runner.record import Claim
from speakeasy_tui.runner.store import Store
from speakeasy_tui.runner.work import Work
from speakeasy_tui.runner.writing import StoreFullError

SIMULATED = Model("simulated", "", "simulated engine")


class Nobody:
    """Is told, and remembers the events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int | None]] = []

    def emit(self, event: str, job: int | None = None, detail: Any = None) -> None:
        self.events.append((event, job))

    def changed(self, job: int) -> None: ...
    def disk_full(self, folder: bytes, error: JobError) -> None: ...
    def store_full(self, error: Exception) -> None: ...
    def wake(self) -> None: ...
    def try_over(self, job: int) -> None: ...


class Shop:
    """A queue, its files, and one feeder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "queue.db")
        self.told = Nobody()
        self.work = Work(self.store, self.told, Settings())
        self.finder: Any = None
        self.feeder = Feeder(self, "cpu", lambda *_: None, lambda _: None, lambda: None)

    def add(self, *names: str, audio_s: float | None = 5.0, **options: Any) -> list[int]:
        paths = [self.folder / name for name in names]
        for path in paths:
            path.parent.mkdir(exist_ok=True)
            path.write_text(path.name)
        options = {"engine": "sim", "format": ("txt",)} | options
        new = [Found(os.fsencode(path)) for path in paths]
        jobs = self.store.add(new, JobOptions(**options)).new
        if audio_s is not None:
            self.store.lengths(dict.fromkeys(jobs, audio_s))
        return jobs

    def claims(self, jobs: list[int]) -> list[Claim]:
        claims = [self.work.claim_one(job) for job in jobs]
        return [claim for claim in claims if claim is not None]

    def prepare(self, jobs: list[int]) -> list[Prepared]:
        return asyncio.run(self.work.prepare(self.claims(jobs), SIMULATED))

    def begin(self, jobs: list[int]) -> list[Flight]:
        """Flights that are finished but for their outputs."""
        flights = [self.work.begin(one, lane=0, device="cpu") for one in self.prepare(jobs)]
        for flight in flights:
            said = Segment(0.0, 1.0, f" number {flight.id}")
            self.store.store_chunk(flight.id, Chunk(0, 0.0, 1.0, (said,)))
        return flights

    def states(self, jobs: list[int]) -> list[State]:
        return [job.state for job in self.store.jobs(jobs)]

    def files(self) -> list[str]:
        found = (path for path in self.folder.rglob("*") if path.suffix in {".txt", ".part"})
        return sorted(str(path.relative_to(self.folder)) for path in found)

    # a feeder's owner, and all its lanes

    @property
    def lanes(self) -> Shop:
        return self

    def requests_for(self, device: str) -> list[str]:
        return [request.text() for request in self.store.requests()]

    def at_work(self) -> int:
        return 1

    def request(self, text: str) -> Any:
        return JobOptions(engine="sim")

    def model_missing(self, request: str, error: JobError) -> None: ...
    def download_cancelled(self, model: str) -> None: ...


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_of_those_that_want_the_same_output_each_gets_its_own(shop: Shop, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    jobs = shop.add("a/talk.wav", "b/talk.wav", "b/other.wav", "c/talk.mp3", output_dir=out)
    plans = {one.claim.id: one.plan.paths["txt"] for one in shop.prepare(jobs)}
    assert len(set(plans.values())) == 4
    assert os.path.basename(plans[jobs[0]]) == b"talk.txt"
    assert os.path.basename(plans[jobs[1]]) == b"talk.wav.txt"
    assert os.path.basename(plans[jobs[3]]) == b"talk.mp3.txt"


def test_what_is_done_or_cannot_be_does_not_hold_up_the_others(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    first = shop.add("a.wav", "b.wav")
    barred = shop.add("c.wav", output_dir=str(tmp_path / "file"))
    last = shop.add("d.wav")
    (tmp_path / "b.txt").write_text("from somewhere")
    prepared = shop.prepare([*first, *barred, *last])
    assert [one.claim.id for one in prepared] == [first[0], last[0]]
    skipped, failed = shop.store.jobs([first[1], *barred])
    assert (skipped.state, failed.state) == (State.SKIPPED, State.FAILED)
    assert failed.error is not None and "is a file, not a folder" in failed.error.message
    assert ("skipped", first[1]) in shop.told.events and ("failed", barred[0]) in shop.told.events


def test_a_mistake_of_the_programs_is_that_files_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = outputs.plan

    def mistaken(path: bytes, *rest: Any) -> outputs.Plan:
        if path.endswith(b"b.wav"):
            raise KeyError("b")
        return plan(path, *rest)

    monkeypatch.setattr(outputs, "plan", mistaken)
    jobs = shop.add("a.wav", "b.wav", "c.wav")
    assert [one.claim.id for one in shop.prepare(jobs)] == [jobs[0], jobs[2]]
    error = shop.store.jobs([jobs[1]])[0].error
    assert error is not None and "internal error" in error.message


def test_what_is_held_while_it_is_looked_at_is_let_go(shop: Shop) -> None:
    jobs = shop.add("a.wav", "b.wav")

    async def both() -> list[Prepared]:
        looking = asyncio.create_task(shop.work.prepare(shop.claims(jobs), SIMULATED))
        await asyncio.sleep(0)
        shop.store.turn([jobs[0]], frozenset({State.QUEUED}), State.HELD)
        return await looking

    assert [one.claim.id for one in asyncio.run(both())] == [jobs[1]]
    shop.store.turn([jobs[0]], frozenset({State.HELD}), State.QUEUED)
    assert shop.work.claim_one(jobs[0]) is not None


def test_what_one_commit_meets_is_its_own(shop: Shop, tmp_path: Path) -> None:
    jobs = shop.add("a.wav", "b.wav", "c.wav", "d.wav", "e.wav")
    flights = shop.begin(jobs)
    (tmp_path / "b.txt").write_text("another home's")
    (tmp_path / "c.wav").write_text("sung anew")
    shop.store.cancel_running(jobs[3])  # which nothing in the program does then
    errors = asyncio.run(commit(shop.store, flights))
    assert errors[0] is None and errors[4] is None
    assert errors[1] is not None and "appeared or was changed meanwhile" in errors[1].message
    assert errors[2] is CHANGED
    assert errors[3] is not None and "internal error" in errors[3].message
    done = State.DONE
    states = [done, State.RUNNING, State.RUNNING, State.CANCELLED, done]
    assert shop.states(jobs) == states
    # The fourth's got its name before the mistake, and is known as its own.
    assert shop.files() == ["a.txt", "b.txt", "d.txt", "e.txt"]
    assert (tmp_path / "a.txt").read_text() == f"number {jobs[0]}\n"
    assert (tmp_path / "e.txt").read_text() == f"number {jobs[4]}\n"
    assert (tmp_path / "b.txt").read_text() == "another home's"


def test_all_is_told_of_those_that_end_together(shop: Shop, tmp_path: Path) -> None:
    jobs = shop.add("a.wav", "b.wav", "c.wav")
    flights = shop.begin(jobs)
    (tmp_path / "b.txt").write_text("another home's")
    asyncio.run(shop.work.finish(flights))
    assert shop.states(jobs) == [State.DONE, State.FAILED, State.DONE]
    ends = [event for event in shop.told.events if event[0] != "started"]
    assert ends == [("done", jobs[0]), ("failed", jobs[1]), ("done", jobs[2])]
    assert not shop.work.flights


def test_changes_that_go_together_are_kept_together_or_not_at_all(shop: Shop) -> None:
    def kept() -> tuple[str | None, str | None]:
        return shop.store.get("a"), shop.store.get("b")

    with pytest.raises(ZeroDivisionError), shop.store.together():
        shop.store.put("a", "1")
        shop.store.put("b", str(1 // 0))
    assert kept() == (None, None)
    with shop.store.together(durable=False):
        shop.store.put("a", "1")
        shop.store.put("b", "2")
        with sqlite3.connect(shop.folder / "queue.db") as other:
            assert not other.execute("SELECT * FROM meta WHERE key = 'a'").fetchall()
    assert kept() == ("1", "2")
    with pytest.raises(ZeroDivisionError):
        shop.store.put("a", str(1 // 0))
    shop.store.put("a", "3")
    assert kept() == ("3", "2")


def fed(shop: Shop, batch_size: int = 4, workers: int = 1) -> list[list[int]]:
    """The lots in which an engine without work gets the files that wait, until it has enough."""

    async def feed() -> list[list[int]]:
        flights: list[Flight] = []
        lots: list[list[int]] = []
        while True:
            room = Room(flights, batch_size, workers)
            if await shop.feeder.reach(room=room, suspects=not flights) is None:
                if shop.feeder.empty and not shop.feeder.settled:
                    return lots
                await asyncio.sleep(0.01)
                continue
            lot = list(shop.feeder.take())
            lots.append([one.claim.id for one in lot])
            for one in lot:
                flight = Flight(one, 1, 0, 0.0, audio_s=one.claim.audio_s)
                shop.work.flights[flight.id] = flight
                flights.append(flight)

    return asyncio.run(feed())


def test_an_engine_gets_as_many_as_one_by_one_and_the_first_soon(shop: Shop) -> None:
    jobs = shop.add(*(f"{number:02}.wav" for number in range(60)), audio_s=5.0)
    lots = fed(shop)
    assert [job for lot in lots for job in lot] == jobs[: 6 * 4 * 2]
    assert [len(lot) for lot in lots[:4]] == [1, 2, 4, 8]
    assert max(len(lot) for lot in lots) == MOST_TOGETHER
    assert shop.work.claim_one(jobs[48]) is not None  # nothing more is kept back


def test_files_of_which_nothing_is_known_are_taken_one_by_one(shop: Shop) -> None:
    shop.add(*(f"{number}.wav" for number in range(4)), audio_s=None)
    assert [len(lot) for lot in fed(shop)] == [1, 1, 1, 1]


def test_a_lot_is_for_one_model(shop: Shop) -> None:
    jobs = shop.add("a.wav", "b.wav")
    jobs += shop.add("c.wav", model="base")
    jobs += shop.add("d.wav")
    lots = fed(shop)
    assert lots == [[jobs[0]], [jobs[1]], [jobs[2]], [jobs[3]]]


def test_a_full_disk_in_the_middle_leaves_nothing_claimed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = shop.add("a.wav", "b.wav", "c.wav")
    claims = shop.claims(jobs)
    kept = shop.store.claim_outputs

    def full(job: int, paths: list[bytes]) -> None:
        if job == jobs[1]:
            raise sqlite3.OperationalError("database or disk is full")
        kept(job, paths)

    monkeypatch.setattr(shop.store, "claim_outputs", full)
    monkeypatch.setattr(shop.feeder, "_next", lambda *_: claims)
    monkeypatch.setattr(shop.feeder, "_models", {claims[0].request: SIMULATED})
    with pytest.raises(Exception, match="full"):
        asyncio.run(shop.feeder.reach(room=Room([], 4, 1), suspects=True))
    monkeypatch.undo()
    assert len(shop.claims(jobs)) == 3
    assert not shop.store.owner(os.fsencode(shop.folder / "a.txt"))
    assert shop.feeder.empty


@pytest.mark.parametrize("one_by_one", [False, True])
def test_a_disk_that_fills_up_between_several_commits_hides_no_done(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, one_by_one: bool
) -> None:
    jobs = shop.add("a.wav", "b.wav", "c.wav")
    flights = shop.begin(jobs)
    kept, calls = shop.store.done, 0

    def full(job: int, message: str) -> None:
        nonlocal calls
        calls += 1
        if one_by_one and calls == 1:  # then each is tried by itself
            raise sqlite3.OperationalError("of another kind")
        if calls == 3:
            raise StoreFullError("database or disk is full")
        kept(job, message)

    with monkeypatch.context() as small:
        small.setattr(shop.store, "done", full)
        asyncio.run(shop.work.finish(flights))
    shop.work.recover("the disk of the queue was full")
    assert [shop.store.state(job) for job in jobs] == [State.DONE] * 3
    assert sorted(shop.told.events[-3:]) == [("done", job) for job in jobs]
    assert sum(event == "done" for event, _ in shop.told.events) == 3


def test_outputs_that_find_no_room_are_told_as_a_retry_that_is_not_charged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    [job] = shop.add("a.wav")
    [flight] = shop.begin([job])

    def full(*_: object, **__: object) -> None:
        raise outputs.OutputError(JobError(ErrorKind.DISK, "no room"))

    with monkeypatch.context() as small:
        small.setattr(staging, "write_parts", full)
        asyncio.run(shop.work.finish([flight]))
    assert shop.told.events[-1] == ("retry", job)
    assert shop.store.state(job) is State.QUEUED
    assert shop.store.charged(job) == (0, 0)


def test_what_is_not_taken_out_of_the_hand_stays_there_when_something_fails(shop: Shop) -> None:
    jobs = shop.add("a.wav", "b.wav", "c.wav")
    shop.feeder._hands = shop.prepare(jobs)
    with pytest.raises(ZeroDivisionError):
        for hand in shop.feeder.take():
            shop.work.unclaim(hand.claim)  # as it is begun
            raise ZeroDivisionError
    shop.feeder.let_go()
    assert len(shop.claims(jobs)) == 3


def test_a_transcript_with_a_hole_is_not_written(shop: Shop) -> None:
    jobs = shop.add("a.wav", "b.wav")
    flights = shop.begin(jobs)
    flights[0].done = 2  # of which one is stored
    errors = asyncio.run(commit(shop.store, flights))
    assert errors[0] is not None and "of 2 chunks 1 can be read" in errors[0].message
    assert errors[1] is None and shop.files() == ["b.txt"]
