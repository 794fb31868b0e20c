"""The first full picture that a client gets of a queue."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from speakeasy_tui.client.launch import attach
from speakeasy_tui.client.link import Link, LinkError
from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import Job, State
from speakeasy_tui.core.lines import MAX_LINE, encode
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.runner.queueing import Found
from speakeasy_tui.runner.store import Store

from .conftest import Desk, silence

SIM = JobOptions(engine="sim")


def fill(home: Home, paths: list[bytes], root: bytes, outputs: int = 0) -> list[Job]:
    """Queue `paths` before there is a runner; the rows as stored."""
    home.make()
    store = Store(home.database)
    for job in store.add([Found(path, root) for path in paths], SIM).new:
        named = [b"%s/%d-%d" % (root, job, number) for number in range(outputs)]
        store.adopt_outputs(job, named, "x")
    jobs = store.jobs()
    store.close()
    return jobs


def picture(link: Link) -> list[Job]:
    """All rows until the picture is complete, in the order in which they came."""
    told: list[Job] = []
    while True:
        message = link.read(30)
        assert message is not None
        if isinstance(message, say.Rows):
            told += message.jobs
            if message.synced:
                return told


def test_rows_read_ahead_are_all_there_in_order(home: Home) -> None:
    stored = fill(home, [f"/r/tape {number}.wav".encode() for number in range(30_000)], b"/r")
    link = attach(home)
    link.subscribe()
    link.read_ahead()
    time.sleep(0.2)  # whoever reads ahead is busy elsewhere
    assert picture(link) == stored
    assert isinstance(link.request(say.GetStatus()), say.Status)
    link.request(say.Shutdown())
    link.close()


def test_rows_with_the_longest_paths_and_many_outputs_fit_into_lines(home: Home) -> None:
    root = b"/" + b"/".join([b"d" * 250] * 15)
    stored = fill(home, [b"%s/%d" % (root, number) for number in range(900)], root, outputs=3)
    assert sum(len(encode(job)) for job in stored) > MAX_LINE
    link = attach(home)
    link.subscribe()
    assert picture(link) == stored
    link.close()
    link = attach(home)
    link.subscribe(outputs=False)
    assert [(job.id, job.outputs) for job in picture(link)] == [(job.id, ()) for job in stored]
    link.request(say.Shutdown())
    link.close()


def test_a_running_row_is_told_as_it_stands_now(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "20")
    desk = Desk(home)
    (job,) = desk.add(silence(tmp_path / "long.wav", 200))
    desk.until(lambda: desk.job(job).progress > 0)
    link = Link.connect(home)
    link.subscribe()
    (told,) = picture(link)
    assert told.state is State.RUNNING
    assert told.progress > 0 and told.elapsed_s is not None
    link.close()
    desk.close()


def test_who_can_be_told_nothing_any_more_is_hung_up_on(desk: Desk, tmp_path: Path) -> None:
    """As clients come again then; a row that was damaged under the runner stands for the reason."""
    (job,) = desk.add(silence(tmp_path / "a.wav"), start=False)
    damage = "UPDATE jobs SET warnings = ?"
    with closing(sqlite3.connect(desk.home.database)) as db, db:
        db.execute(damage, ("nonsense",))
    deadline = time.monotonic() + 10
    desk.ask(say.Hold(ids=[job]))
    with pytest.raises(LinkError):
        while time.monotonic() < deadline:
            desk.link.read(1)
    with closing(sqlite3.connect(desk.home.database)) as db, db:
        db.execute(damage, ("[]",))
    desk.again()
