"""A runner that is told to end, or that nobody can need any more, ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from speakeasy_tui.client import launch
from speakeasy_tui.client.link import Link
from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import ErrorKind, LaneState, Pause, RunnerState, State
from speakeasy_tui.core.leaving import ANOTHER_RUNS
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions, Settings
from speakeasy_tui.runner import lanes, watch
from speakeasy_tui.runner.lane import Lane
from speakeasy_tui.runner.lock import HomeLock
from speakeasy_tui.runner.office import Office
from speakeasy_tui.runner.queueing import Found
from speakeasy_tui.runner.runner import Runner
from speakeasy_tui.runner.server import Server
from speakeasy_tui.runner.writing import StoreFullError

from .conftest import Desk, silence, wait_gone


@pytest.fixture
async def runner(home: Home) -> AsyncIterator[Runner]:
    """A runner on the test's own loop, which nobody has started."""
    runner = Runner(home, Settings(linger_s=0), Server())
    Office(runner, runner.server)
    yield runner
    runner.store.close()


def engines(desk: Desk) -> list[int]:
    return [lane.pid for lane in desk.status().lanes if lane.pid]


@pytest.mark.parametrize("turns", range(5))
async def test_a_lane_that_hears_something_just_then_is_closed(runner: Runner, turns: int) -> None:
    lane = Lane(runner, 0, "cpu", 1, 1)
    await asyncio.sleep(0.01)  # it waits for news
    lane.wake()
    for _ in range(turns):
        await asyncio.sleep(0)
    closing = asyncio.create_task(lane.close("given back"))
    await asyncio.wait([closing], timeout=5)
    assert closing.done() and lane.task.cancelled()


async def test_a_lane_that_does_not_close_holds_up_nobody(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "CLOSE_PATIENCE_S", 0.2)
    stuck, well = Lane(runner, 0, "cuda:0", 1, 1), Lane(runner, 1, "cuda:1", 1, 1)
    runner.lanes._all = [stuck, well]

    async def never(message: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(stuck, "close", never)
    runner.end("told to")
    await asyncio.wait_for(runner.run(), 5)
    assert well.task.cancelled()
    stuck.task.cancel()


@pytest.mark.parametrize("hang", [True, False])
def test_a_runner_at_work_whose_home_was_removed_ends_and_so_do_its_engines(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hang: bool
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "5")
    if hang:
        monkeypatch.setenv("SPEAKEASY_FAULTS", "hang:*:99")
    desk = Desk(home)
    desk.add(*(silence(tmp_path / f"{number}.wav", 60) for number in range(4)), device="cuda:0,1")
    desk.until(lambda: desk.status().batch.counts["running"] >= 2 and len(engines(desk)) == 2)
    pids = [desk.pid, *engines(desk)]
    shutil.rmtree(home.state)
    for pid in pids:
        wait_gone(pid)


@pytest.mark.parametrize("removed", ["all", "socket and lock"])
def test_a_runner_whose_home_another_has_taken_ends_and_leaves_that_one_alone(
    home: Home, removed: str
) -> None:
    old = Desk(home)
    os.kill(old.pid, signal.SIGSTOP)  # it does not see the moment between the two
    if removed == "all":
        shutil.rmtree(home.state)
    else:
        home.socket.unlink()
        home.lock.unlink()
    new = Desk(home)
    try:
        assert new.pid != old.pid
        os.kill(old.pid, signal.SIGCONT)
        wait_gone(old.pid)
        assert Link.connect(home).welcome.pid == new.pid
    finally:
        new.close()


def test_a_runner_whose_socket_was_removed_listens_anew(home: Home, desk: Desk) -> None:
    home.socket.unlink()
    desk.until(home.socket.exists, 10)
    link = Link.connect(home)
    assert link.welcome.pid == desk.pid
    link.close()
    assert isinstance(desk.status(), say.Status)  # who was connected still is


async def test_a_runner_that_can_write_nothing_ends_when_told_and_when_idle(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def readonly(key: str, value: str) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(runner.store, "put", readonly)
    runner.wanted = RunnerState.RUNNING
    await asyncio.sleep(0.01)
    runner.watch.end_if_idle()
    assert runner.ended.is_set()


@pytest.mark.parametrize(("kind", "ends"), [("person", True), ("disk", False), ("device", False)])
async def test_a_runner_that_nobody_looks_at_stays_for_what_goes_on_by_itself(
    runner: Runner, kind: str, ends: bool
) -> None:
    runner.store.add([Found(b"/r/a.wav")], JobOptions(engine="sim"))
    runner.pause_batch(Pause(kind, "why"))
    await asyncio.sleep(0.01)
    runner.watch.end_if_idle()
    assert runner.ended.is_set() is ends


async def test_a_runner_with_nothing_queued_waits_for_no_device(runner: Runner) -> None:
    runner.pause_batch(Pause("device", "gone"))
    await asyncio.sleep(0.01)
    runner.watch.end_if_idle()
    assert runner.ended.is_set()


async def test_a_runner_ends_when_idle_though_looking_after_the_rest_fails(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "VITALS_S", 0.01)

    def broken() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(runner.watch, "look", broken)
    await runner.server.listen()
    await asyncio.wait_for(runner.run(), 5)


async def test_outputs_that_cannot_be_committed_fail_their_file_and_leave_nothing_in_flight(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when somebody else locks the database for longer than the runner waits."""

    def locked(*_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(runner.store, "done", locked)
    runner.store.add([Found(os.fsencode(silence(tmp_path / "a.wav")))], JobOptions(engine="sim"))
    runner.start()
    deadline = time.monotonic() + 20
    while runner.store.state(1) is not State.FAILED and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    (job,) = runner.work.jobs([1])
    assert job.error is not None and job.error.kind is ErrorKind.OUTPUT
    assert "database is locked" in job.error.message
    await asyncio.sleep(0)
    assert not runner.active()
    await runner.lanes.close("given back")


async def test_a_disk_with_room_that_cannot_be_written_is_tried_again(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def readonly(why: str) -> None:
        raise StoreFullError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(runner.work, "recover", readonly)
        runner.wanted = RunnerState.RUNNING
        runner.store_full(StoreFullError("disk I/O error"))
        await runner.watch.look_at_disks()
    assert runner.wanted is RunnerState.PAUSED
    await runner.watch.look_at_disks()
    assert runner.wanted is RunnerState.RUNNING


def test_a_command_that_meets_a_runner_about_to_end_starts_the_next(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = HomeLock(home)  # it listens no more and has the home for a moment yet
    codes: list[int] = []

    start = launch.spawn

    def spawn(home: Home, *, begin: bool) -> subprocess.Popen[bytes]:
        process = start(home, begin=begin)
        if not codes:
            codes.append(process.wait())
            ending.release()
        return process

    monkeypatch.setattr(launch, "spawn", spawn)
    desk = Desk(home)
    assert codes == [ANOTHER_RUNS]
    desk.close()


def test_a_thread_that_never_returns_does_not_keep_the_process(home: Home) -> None:
    """As one on a disk or in a driver that does not answer."""
    program = f"""
        import asyncio, runpy, sys, time
        from speakeasy_tui.runner.runner import Runner
        at_work = Runner.run
        async def run(runner):
            asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
            await at_work(runner)
        Runner.run = run
        folder = {str(home.state)!r}
        sys.argv = ["runner", "--state", folder, "--config", folder, "--cache", folder]
        runpy.run_module("speakeasy_tui.runner", run_name="__main__")
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])
    try:
        deadline = time.monotonic() + 20
        while not home.socket.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        Link.connect(home).request(say.Shutdown())
        assert process.wait(10) == 0
    finally:
        process.kill()


def test_a_lane_whose_last_file_failed_is_ready_not_running(desk: Desk, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"")
    (job,) = desk.add(bad)
    desk.finish()
    desk.ask(say.Rerun(ids=[job]))
    desk.until(lambda: desk.job(job).attempts == 1 and desk.finish())
    desk.until(lambda: desk.status().lanes[0].state is LaneState.READY, 5)
    assert desk.status().batch.state is RunnerState.IDLE
