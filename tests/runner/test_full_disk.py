"""The queue's disk is full: nothing is lost, rows tell the truth, and the batch goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from speakeasy_tui.client.link import RefusedError
from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import ErrorKind, JobError, Pause, RunnerState, State
from speakeasy_tui.core.leaving import NO_ROOM
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions, Settings
from speakeasy_tui.runner.office import Office
from speakeasy_tui.runner.queueing import Found
from speakeasy_tui.runner.reader import read_jobs
from speakeasy_tui.runner.runner import Runner
from speakeasy_tui.runner.server import Server
from speakeasy_tui.runner.watch import VITALS_S
from speakeasy_tui.runner.writing import StoreFullError

from .conftest import Desk, silence, wait_gone
from .smalldisk import MOUNT, UNSHARE


@contextlib.contextmanager
def no_room(pid: int) -> Iterator[None]:
    """As a full disk: a process can write to no file. SQLite says *disk I/O error* to that, as
    it does where the write-ahead log finds no room."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@pytest.fixture
def at_work(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A runner whose engine has files in flight."""
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "20")
    desk = Desk(home)
    desk.add(*(silence(tmp_path / f"{number}.wav", 60) for number in range(4)))
    desk.until(lambda: desk.status().batch.counts["running"] >= 2)
    yield desk
    desk.close()


def paused(desk: Desk) -> bool:
    why = desk.status().batch.why
    return why is not None and why.kind == "disk" and "full" in why.message


def test_what_a_full_disk_cut_off_is_never_said_to_run_and_goes_on_by_itself(
    at_work: Desk,
) -> None:
    with no_room(at_work.pid):
        at_work.until(lambda: paused(at_work))
        at_work.until(lambda: at_work.status().batch.counts["running"] == 0, 3)
        states = {job.state for job in at_work.jobs().values()}
        assert states <= {State.QUEUED, State.DONE}
        assert at_work.status().batch.counts["queued"] >= 2
    done = at_work.finish()
    assert {job.state for job in done.values()} == {State.DONE}
    assert {job.attempts for job in done.values()} >= {2}


def test_a_batch_that_waits_for_room_outlasts_everybodys_leaving(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "20")
    monkeypatch.setenv("SPEAKEASY_LINGER_S", "0.5")
    desk = Desk(home)
    desk.add(*(silence(tmp_path / f"{number}.wav", 60) for number in range(3)))
    desk.until(lambda: desk.status().batch.counts["running"] >= 2)
    with no_room(desk.pid):
        desk.until(lambda: paused(desk))
        desk.link.close()
        time.sleep(3 * VITALS_S)
        os.kill(desk.pid, 0)  # it is there
    wait_gone(desk.pid, 60)
    assert {job.state for job in read_jobs(home)} == {State.DONE}


@pytest.mark.parametrize("request_", [say.Resume(), say.Start()])
def test_who_resumes_while_the_disk_is_full_is_told_and_loses_nothing(
    at_work: Desk, request_: say.AnyRequest
) -> None:
    with no_room(at_work.pid):
        at_work.until(lambda: paused(at_work))
        with pytest.raises(RefusedError, match=r"disk of the queue .* is full"):
            at_work.ask(request_)
        assert paused(at_work)
    assert {job.state for job in at_work.finish().values()} == {State.DONE}


def test_who_resumes_once_there_is_room_need_not_wait(at_work: Desk) -> None:
    with no_room(at_work.pid):
        at_work.until(lambda: paused(at_work))
    at_work.ask(say.Resume())
    assert at_work.status().batch.state is RunnerState.RUNNING
    assert {job.state for job in at_work.finish().values()} == {State.DONE}


def test_a_change_that_finds_no_room_is_refused_in_words(desk: Desk, tmp_path: Path) -> None:
    clip = silence(tmp_path / "clip.wav")
    with no_room(desk.pid), pytest.raises(RefusedError, match=r"disk of the queue .* is full"):
        desk.add(clip, start=False)
    assert desk.status().batch.state is RunnerState.STOPPED  # nobody had started it
    desk.add(clip, start=False)


@pytest.mark.parametrize("ended", ["killed", "stopped"])
def test_a_runner_starts_on_a_full_disk_by_the_reserve_and_without_it_says_why_not(
    home: Home, tmp_path: Path, ended: str
) -> None:
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces for this user: no disk can be mounted")
    disk = tmp_path / "disk"
    disk.mkdir()
    program = [sys.executable, "-m", "tests.runner.smalldisk", str(disk), ended]
    subprocess.run([*UNSHARE, "sh", "-c", MOUNT, str(disk), *program], check=True, timeout=120)


async def test_a_runner_that_cannot_give_back_at_its_start_does_so_later(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Runner(home, Settings(), Server())
    before.store.add([Found(b"/r/a.wav")], JobOptions(engine="sim"))
    before.store.begin(1, lane=0, device="cpu", model="m", made_of="x")
    before._set(RunnerState.RUNNING)
    before.store.close()

    def full(*_: object) -> None:
        raise StoreFullError("database or disk is full")

    runner = Runner(home, Settings(), Server())
    try:
        with monkeypatch.context() as small:
            small.setattr(runner.store, "give_back_running", full)
            runner.recover()
            assert runner.pause is not None and runner.pause.kind == "disk"
            assert [job.state for job in runner.work.jobs(None)] == [State.QUEUED]
        await runner.watch.look_at_disks()
        assert runner.store.state(1) is State.QUEUED
        assert runner.wanted is RunnerState.RUNNING
    finally:
        await runner.lanes.close("given back")
        runner.store.close()


def test_a_runner_that_can_write_nothing_from_the_start_leaves_the_queue_alone(
    home: Home, tmp_path: Path
) -> None:
    desk = Desk(home)
    desk.add(silence(tmp_path / "a.wav"), start=False)
    desk.close()
    command = [sys.executable, "-m", "speakeasy_tui.runner"]
    for name in ("state", "config", "cache"):
        command += [f"--{name}", str(home.state)]

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=small, check=False)
    assert done.returncode == NO_ROOM
    assert "Traceback" not in done.stderr
    with home.runner_log.open("ab") as log:  # where its last words find no room either
        unheard = subprocess.run(command, stdout=log, stderr=log, preexec_fn=small, check=False)
    assert unheard.returncode == NO_ROOM
    assert [job.state for job in read_jobs(home)] == [State.QUEUED]
    assert not list(home.state.glob("queue.damaged*"))


async def test_a_persons_pause_outlasts_a_full_disk(home: Home) -> None:
    runner = Runner(home, Settings(), Server())
    try:
        runner.store.add([Found(b"/r/a.wav")], JobOptions(engine="sim"))
        person = Pause("person", "paused", "resume goes on")
        runner.pause_batch(person)
        runner.store_full(StoreFullError("database or disk is full"))
        runner.watch.look()
        await runner.watch.look_at_disks()
        assert runner.pause == person
    finally:
        runner.store.close()


async def test_a_persons_pause_outlasts_a_full_disk_of_the_outputs(home: Home) -> None:
    runner = Runner(home, Settings(), Server())
    try:
        runner.store.add([Found(b"/r/a.wav")], JobOptions(engine="sim"))
        person = Pause("person", "paused", "resume goes on")
        runner.pause_batch(person)
        runner.disk_full(os.fsencode(home.state), JobError(ErrorKind.DISK, "no room", ""))
        await runner.watch.look_at_disks()
        assert runner.pause == person
    finally:
        runner.store.close()


async def test_a_full_disk_that_several_files_meet_is_told_as_one_pause(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner(home, Settings(), Server())
    told: list[str] = []
    monkeypatch.setattr(runner, "emit", lambda event, **_: told.append(event))
    try:
        runner.start()
        for name in ("a.txt", "b.txt", "c.txt"):
            runner.disk_full(
                os.fsencode(home.state), JobError(ErrorKind.DISK, f"{name}: no room", "")
            )
        assert runner.pause is not None and runner.pause.message == "a.txt: no room"
        await runner.watch.look_at_disks()  # there is room
        assert told == ["paused", "resumed"]
    finally:
        runner.store.close()


async def test_a_file_that_met_the_full_disk_before_its_try_is_taken_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner(home, Settings(), Server())
    Office(runner, runner.server)
    runner.store.add([Found(os.fsencode(silence(tmp_path / "a.wav")))], JobOptions(engine="sim"))

    def full(*_: object) -> None:
        raise StoreFullError("database or disk is full")

    try:
        with monkeypatch.context() as small:
            small.setattr(runner.store, "claim_outputs", full)
            runner.start()
            await until(lambda: runner.wanted is RunnerState.PAUSED)
        await runner.watch.look_at_disks()
        await until(lambda: runner.store.state(1) is State.DONE)
    finally:
        await runner.lanes.close("given back")
        runner.store.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)
