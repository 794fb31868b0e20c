"""What one lane's work must not do to the rest: hold it up, lose it, or end the lane."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions, Settings
from speakeasy_tui.runner.engineprocess import EngineProcess
from speakeasy_tui.runner.office import Office
from speakeasy_tui.runner.queueing import Found
from speakeasy_tui.runner.runner import Runner
from speakeasy_tui.runner.server import Server
from speakeasy_tui.runner.store import Store
from speakeasy_tui.runner.writing import StoreFullError

from .conftest import Desk, silence

Opened = Callable[..., Runner]


@pytest.fixture
async def open_runner(home: Home) -> AsyncIterator[Opened]:
    """Makes a runner on the test's own loop."""
    opened: list[Runner] = []

    def start(*files: Path, **settings: object) -> Runner:
        runner = Runner(home, Settings(**settings), Server())  # type: ignore[arg-type]
        Office(runner, runner.server)
        opened.append(runner)
        runner.store.add([Found(os.fsencode(file)) for file in files], JobOptions(engine="sim"))
        return runner

    yield start
    for runner in opened:
        await runner.lanes.close("given back")
        runner.store.close()


async def until(condition: Callable[[], bool], timeout: float = 20.0) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.02)


def test_a_pause_and_a_stop_are_obeyed_while_thousands_are_skipped(
    desk: Desk, tmp_path: Path
) -> None:
    folder = tmp_path / "done before"
    one = silence(folder / "0000.wav", 1.0)
    for number in range(4000):
        if number:
            os.link(one, folder / f"{number:04}.wav")
        (folder / f"{number:04}.txt").touch()
    desk.add(folder, format=("txt",))
    desk.until(lambda: desk.status().batch.counts["skipped"] > 50)
    desk.ask(say.PauseQueue())
    time.sleep(0.1)  # those that are looked at just then
    skipped = desk.status().batch.counts["skipped"]
    assert skipped < 4000
    time.sleep(0.5)
    assert desk.status().batch.counts["skipped"] == skipped
    desk.ask(say.Resume())
    begun = time.monotonic()
    desk.ask(say.Stop(now=True))
    assert time.monotonic() - begun < 2
    assert desk.status().batch.counts["skipped"] < 4000


def test_a_disk_that_does_not_answer_holds_up_nothing_that_is_at_work(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe in a recording's place stands for it: opening it does not return either."""
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "20")
    desk = Desk(home)
    long, dead = silence(tmp_path / "long.wav", 120), silence(tmp_path / "over there.wav")
    ids = desk.add(long, dead, start=False)
    dead.unlink()
    os.mkfifo(dead)
    desk.ask(say.Start())
    desk.until(lambda: desk.jobs()["long.wav"].state is State.DONE)
    desk.ask(say.Stop(now=True))
    desk.ask(say.Cancel(ids=[ids[1]]))
    desk.ask(say.Resume())
    desk.add(silence(tmp_path / "other.wav"))
    assert desk.finish()["other.wav"].state is State.DONE
    desk.close()


def test_a_stored_chunk_that_cannot_be_read_is_done_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "40")
    desk = Desk(home)
    desk.add(silence(tmp_path / "long.wav", 300), format=("txt",))
    desk.until(lambda: desk.job(1).progress > 0.3)
    desk.close()
    with closing(sqlite3.connect(home.database)) as db, db:
        kept = "SELECT MIN(start) FROM chunks"
        db.execute(f"UPDATE chunks SET segments = '[{{}}]' WHERE start = ({kept})")
    desk = Desk(home)
    desk.add(silence(tmp_path / "other.wav"))
    detail = desk.ask(say.GetDetail(id=1))
    assert isinstance(detail, say.Detail) and detail.chunks
    jobs = desk.finish()
    assert {job.state for job in jobs.values()} == {State.DONE}
    assert jobs["long.wav"].attempts == 2
    whole = (tmp_path / "long.txt").read_text()
    desk.ask(say.Remove(ids=[1]))
    (tmp_path / "long.txt").unlink()
    desk.add(tmp_path / "long.wav", format=("txt",))
    desk.finish()
    assert (tmp_path / "long.txt").read_text() == whole
    desk.close()


async def test_a_lane_outlives_whatever_fails_when_its_files_are_given_back(
    open_runner: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = open_runner(silence(tmp_path / "a.wav"), silence(tmp_path / "b.wav"))

    def full(*_: object) -> None:
        raise StoreFullError("database or disk is full")

    def unreadable(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(runner.store, "claim_outputs", full)
        broken.setattr(runner.store, "staged", unreadable)  # as SQLite says it on reading
        runner.start()
        await until(lambda: bool(runner.watch.cut_off))
        await asyncio.sleep(0.1)
        assert not any(lane.task.done() for lane in runner.lanes)
    runner.start()
    await until(lambda: runner.store.tallies()[State.DONE].jobs == 2)


async def test_a_mistake_of_the_programs_gives_all_files_back_and_costs_one_engine(
    open_runner: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [silence(tmp_path / f"{number}.wav") for number in range(6)]
    runner = open_runner(*files)
    begin, seen = Store.begin, []

    def mistaken(store: Store, job: int, **rest: str) -> int:
        seen.append(job)
        if len(seen) == 3:  # those before it are of the same transaction, and not begun either
            raise KeyError("a mistake")
        return begin(store, job, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "begin", mistaken)
    runner.start()
    await until(lambda: runner.store.tallies()[State.DONE].jobs == 6)


async def test_an_engine_that_not_even_a_kill_ends_does_not_keep_its_lane(
    open_runner: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in: no process here can be stuck in a driver as one on a dead GPU is."""
    monkeypatch.setenv("SPEAKEASY_FAULTS", "hang:a.wav")
    monkeypatch.setattr(EngineProcess, "kill", lambda engine: None)
    runner = open_runner(silence(tmp_path / "a.wav"), stall_s=0.2)
    runner.start()
    await until(lambda: runner.store.state(1) is State.DONE, 40)
    assert [one.outcome for one in runner.store.attempts(1)] == ["hang", "done"]


async def test_a_disk_that_does_not_answer_keeps_nobody_waiting(
    open_runner: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for a network share whose server is gone: statfs does not return."""
    free = shutil.disk_usage("/")

    def silent(path: str) -> object:
        time.sleep(3)
        return free

    monkeypatch.setattr(shutil, "disk_usage", silent)
    runner = open_runner()
    watching = asyncio.create_task(runner.watch.watch_disks())
    begun = time.monotonic()
    for _ in range(5):
        runner.batch()
        await asyncio.sleep(0.01)
    assert time.monotonic() - begun < 1
    await until(lambda: runner.batch().disk_free == free.free)
    watching.cancel()
