"""The GPU worker: coalescing, answers, reconnecting, leaving while it is busy."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from speakeasy_tui.client.board import Changes
from speakeasy_tui.client.link import Link, Unusable
from speakeasy_tui.core import protocol as p
from speakeasy_tui.core.job import Job, State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.tui.gpu_worker import GpuWorker, LinkNews, Then

from .conftest import ScriptedRunner, batch_of, make_app, ready, screen_text, until


class Receiver:
    """Stands in for the application: calls back at once and keeps what it was given."""

    def __init__(self) -> None:
        self.changes: list[tuple[float, Changes]] = []
        self.news: list[LinkNews] = []
        self.errors: list[Exception] = []
        self.gone = False

    def call_from_thread(self, callback: Callable[..., Any], *args: Any) -> Any:
        if self.gone:
            raise RuntimeError("App is not running")
        return callback(*args)

    def apply_changes(self, changes: Changes) -> None:
        self.changes.append((time.monotonic(), changes))

    def answered(self, answers: list[tuple[Then, p.AnyMessage]]) -> None:
        for then, message in answers:
            then(message)

    def link_changed(self, news: LinkNews) -> None:
        self.news.append(news)

    def worker_failed(self, error: Exception) -> None:
        self.errors.append(error)


def wait(what: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def working(runner: ScriptedRunner) -> Iterator[tuple[GpuWorker, Receiver]]:
    receiver = Receiver()
    worker = GpuWorker(runner.connect, receiver)
    worker.start()
    wait(lambda: any(changes.synced for _, changes in receiver.changes))
    yield worker, receiver
    worker.stop()
    assert not worker.is_alive()


def test_a_flood_of_updates_is_told_ten_times_a_second_at_most(
    working: tuple[GpuWorker, Receiver], runner: ScriptedRunner
) -> None:
    _, receiver = working
    receiver.changes.clear()
    began = time.monotonic()
    for step in range(600):
        runner.tell(p.Rows(jobs=[Job(id=5, path="/a", state=State.RUNNING, progress=step / 600)]))
        time.sleep(0.001)
    took = time.monotonic() - began
    wait(lambda: receiver.changes[-1][1].jobs[5].progress == 599 / 600)
    assert len(receiver.changes) <= took / 0.1 + 2
    times = [at for at, _ in receiver.changes]
    assert all(later - at > 0.09 for at, later in pairwise(times))


def test_a_single_update_is_told_at_once(
    working: tuple[GpuWorker, Receiver], runner: ScriptedRunner
) -> None:
    _, receiver = working
    time.sleep(0.15)
    receiver.changes.clear()
    began = time.monotonic()
    runner.change(Job(id=5, path="/a"))
    wait(lambda: receiver.changes)
    assert receiver.changes[0][0] - began < 0.05


def test_an_answer_reaches_the_one_who_asked(
    working: tuple[GpuWorker, Receiver], runner: ScriptedRunner
) -> None:
    worker, _ = working
    answers: list[p.AnyMessage] = []
    runner.answers[p.Hold] = lambda request: p.Ok(count=7, note="two were final")
    worker.ask(p.Hold(ids=[1]), answers.append)
    wait(lambda: answers)
    assert isinstance(answers[0], p.Ok) and answers[0].count == 7


def test_what_is_asked_while_the_runner_is_away_is_refused_not_kept(
    working: tuple[GpuWorker, Receiver], runner: ScriptedRunner
) -> None:
    worker, receiver = working
    runner.refuse_connections = True
    runner.hang_up()
    wait(lambda: not receiver.news[-1].up)
    answers: list[p.AnyMessage] = []
    worker.ask(p.Cancel(ids=[1]), answers.append)
    wait(lambda: answers)
    assert isinstance(answers[0], p.Refused) and "runner" in answers[0].message
    runner.refuse_connections = False
    wait(lambda: receiver.news[-1].up)
    time.sleep(0.05)
    assert not runner.asked_of(p.Cancel)


def test_rows_that_went_while_the_link_was_down_are_gone_afterwards(
    working: tuple[GpuWorker, Receiver], runner: ScriptedRunner
) -> None:
    _, receiver = working
    del runner.jobs[3]
    receiver.changes.clear()
    runner.hang_up()
    wait(lambda: any(changes.synced for _, changes in receiver.changes))
    assert set().union(*(changes.gone for _, changes in receiver.changes)) == {3}


def test_a_goodbye_is_told_with_its_reason(
    working: tuple[GpuWorker, Receiver], runner: ScriptedRunner
) -> None:
    _, receiver = working
    runner.refuse_connections = True
    runner.tell(p.Goodbye(reason="stopped by ana"))
    wait(lambda: not receiver.news[-1].up)
    assert "stopped by ana" in receiver.news[1].why and receiver.news[1].stopped


def test_a_runner_that_was_stopped_is_joined_again_but_not_started(
    runner: ScriptedRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speakeasy_tui.tui.gpu_worker.RETRY", 0.05)
    receiver = Receiver()
    started: list[int] = []
    joined: list[int] = []

    def start() -> Link:
        started.append(1)
        return runner.connect()

    def rejoin() -> Link:
        joined.append(1)
        return runner.connect()

    worker = GpuWorker(start, receiver, rejoin=rejoin)
    worker.start()
    wait(lambda: receiver.changes)
    runner.refuse_connections = True
    runner.tell(p.Goodbye(reason="stopped"))
    wait(lambda: len(joined) > 2)
    runner.refuse_connections = False
    wait(lambda: receiver.news[-1].up)
    assert len(started) == 1
    worker.stop()


def test_it_ends_quietly_when_the_application_has_gone(runner: ScriptedRunner) -> None:
    receiver = Receiver()
    worker = GpuWorker(runner.connect, receiver)
    worker.start()
    wait(lambda: receiver.changes)
    receiver.gone = True
    runner.pulse()
    worker.join(2)
    assert not worker.is_alive()


def test_an_answer_that_came_right_before_the_break_is_told(
    working: tuple[GpuWorker, Receiver], runner: ScriptedRunner
) -> None:
    worker, receiver = working
    answers: list[p.AnyMessage] = []

    def hang_up_behind_it(request: p.Hold) -> p.AnyMessage:
        runner.refuse_connections = True
        threading.Timer(0.02, runner.hang_up).start()
        return p.Ok(count=1)

    runner.answers[p.Hold] = hang_up_behind_it
    runner.pulse()  # what follows within a tenth of a second is kept for the next hand-over
    worker.ask(p.Hold(ids=[1]), answers.append)
    wait(lambda: answers)
    wait(lambda: not receiver.news[-1].up)
    assert [type(answer) for answer in answers] == [p.Ok]


def test_a_runner_that_cannot_start_is_tried_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("speakeasy_tui.tui.gpu_worker.RETRY", 0.01)
    monkeypatch.setattr("speakeasy_tui.tui.gpu_worker.RETRY_MOST", 0.08)

    def refuse() -> Link:
        raise Unusable("the runner did not start: the disk of the queue is full")

    receiver = Receiver()
    worker = GpuWorker(refuse, receiver)
    worker.start()
    wait(lambda: len(receiver.news) > 5)
    worker.stop()
    assert [news.retry_s for news in receiver.news[:5]] == [0.01, 0.02, 0.04, 0.08, 0.08]


@pytest.mark.parametrize("where", ["connecting", "sending"])
def test_what_nobody_foresaw_is_told_and_does_not_end_a_thread_unseen(
    where: str, runner: ScriptedRunner
) -> None:
    def fail() -> Link:
        raise ZeroDivisionError

    receiver = Receiver()
    worker = GpuWorker(fail if where == "connecting" else runner.connect, receiver)
    worker.start()
    if where == "sending":
        wait(lambda: receiver.changes)
        worker.ask(object(), lambda answer: None)  # type: ignore[arg-type]
    wait(lambda: receiver.errors)
    worker.stop()


async def test_what_ends_the_worker_ends_the_window(runner: ScriptedRunner, home: Home) -> None:
    app = make_app(runner, home)
    with pytest.raises(AttributeError):
        async with app.run_test() as pilot:
            await ready(app, pilot)
            app.worker.ask(object(), lambda answer: None)  # type: ignore[arg-type]
            await until(lambda: not app.is_running, pilot)


async def test_with_another_queue_what_named_files_by_the_old_ids_is_forgotten(
    runner: ScriptedRunner, home: Home
) -> None:
    runner.queue = "one"
    app = make_app(runner, home)
    async with app.run_test(size=(110, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press("G", "h")
        await until(lambda: ": held" in screen_text(app), pilot)
        await pilot.press("space", "enter")
        assert app.board.table.marks and len(app.screen_stack) > 1
        runner.queue = "other"
        runner.jobs = {1: Job(id=1, position=1, path="/data/another.wav")}
        runner.hang_up()
        await until(lambda: runner.connections == 2 and app.link.up, pilot)
        await until(lambda: len(app.board.table.jobs) == 1, pilot)
        assert not app.board.table.marks
        assert app.screen is app.board
        await pilot.press("u")
        await until(lambda: "Nothing to take back" in screen_text(app), pilot)
        # With the same queue again they stay.
        await pilot.press("space")
        runner.hang_up()
        await until(lambda: runner.connections == 3 and app.link.up, pilot)
        assert app.board.table.marks == {1}


async def test_leaving_while_updates_pour_in_takes_no_time(
    runner: ScriptedRunner, home: Home
) -> None:
    jobs = [Job(id=n, position=n, path=f"/data/{n}.wav") for n in range(2000)]
    busy = ScriptedRunner(jobs, batch_of(jobs), [])
    app = make_app(busy, home)
    pouring = threading.Event()

    def pour() -> None:
        step = 0
        while not pouring.is_set():
            step += 1
            try:
                busy.change(*[Job(id=n, position=n, path=f"/{n}.wav", progress=step % 100 / 100,
                                  state=State.RUNNING) for n in range(200)])  # fmt: skip
            except OSError:
                return

    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        thread = threading.Thread(target=pour, daemon=True)
        thread.start()
        await asyncio.sleep(0.3)
        began = time.monotonic()
        await pilot.press("q")
        await until(lambda: not app.is_running, pilot)
        took = time.monotonic() - began
        pouring.set()
    assert took < 1.5
    assert not app.worker.is_alive()
