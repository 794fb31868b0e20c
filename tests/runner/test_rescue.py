"""A full disk, a damaged database, an older layout, a folder that was removed."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from speakeasy_tui.client.link import Link, LinkError
from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.runner.queueing import Found
from speakeasy_tui.runner.reader import read_jobs, read_status
from speakeasy_tui.runner.rescue import open_store
from speakeasy_tui.runner.schema import SCHEMA_VERSION, DatabaseError
from speakeasy_tui.runner.store import Store
from speakeasy_tui.runner.writing import StoreFullError

from .conftest import Desk, silence, wait_gone


def test_a_full_disk_keeps_the_database_sound_and_loses_only_the_change(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    sim = JobOptions(engine="sim")
    store.add([Found(b"/r/first.wav")], sim)
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages + 2}")  # SQLite's own SQLITE_FULL
    many = [Found(f"/r/{number}.wav".encode() * 20) for number in range(500)]
    with pytest.raises(StoreFullError):
        store.add(many, sim)
    assert store.tallies()["queued"].jobs == 1
    store._db.execute("PRAGMA max_page_count = 1000000")
    assert len(store.add(many, sim).new) == 500
    assert store._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_damaged_database_is_moved_aside_and_the_queue_made_again(
    home: Home, clips: Path
) -> None:
    desk = Desk(home)
    desk.add(clips / "a", root=clips)
    desk.finish()
    desk.add(clips / "b", root=clips, start=False)
    desk.kill()
    size = home.database.stat().st_size
    with home.database.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (size - 200))
    home.database.with_name("queue.db-wal").unlink(missing_ok=True)
    desk.again()
    try:
        desk.until(lambda: "damaged" in desk.status().batch.notice)
        assert list(home.state.glob("queue.damaged-*.db"))
        desk.ask(say.Start())
        states = {name: job.state for name, job in desk.finish().items()}
        assert len(states) == 10
        assert {states[f"clip-{n}.wav"] for n in (1, 3, 5, 7, 9)} == {State.SKIPPED}
        assert {states[f"clip-{n}.wav"] for n in (0, 2, 4, 6, 8)} == {State.DONE}
    finally:
        desk.close()


@pytest.mark.parametrize("lost", ["cut", "removed", "moved, its log left"])
def test_a_database_cut_to_nothing_or_removed_counts_as_damaged(
    home: Home, clips: Path, lost: str
) -> None:
    desk = Desk(home)
    desk.add(clips / "a", root=clips)
    desk.finish()
    desk.kill()
    if lost != "moved, its log left":
        for suffix in ("-wal", "-shm"):
            home.database.with_name("queue.db" + suffix).unlink(missing_ok=True)
    if lost == "cut":
        os.truncate(home.database, 0)
    else:
        home.database.rename(home.state / "mine.db")
    desk.again()
    try:
        desk.until(lambda: "damaged" in desk.status().batch.notice)
        desk.ask(say.Start())
        states = [job.state for job in desk.finish().values()]
        assert states == [State.SKIPPED] * 5
    finally:
        desk.close()


def test_whichever_page_is_damaged_a_reader_says_that_the_queue_is(home: Home) -> None:
    store = Store(home.database)
    store.add([Found(f"/r/{number}.wav".encode()) for number in range(300)], JobOptions())
    (size,) = store._db.execute("PRAGMA page_size").fetchone()
    store.close()
    sound = home.database.read_bytes()
    noise = random.Random(1)
    said = []
    for at in range(0, len(sound), size):
        home.database.write_bytes(sound[:at] + noise.randbytes(size) + sound[at + size :])
        for read in (read_jobs, read_status):
            try:
                read(home)
            except DatabaseError as error:
                said.append(str(error))
    assert len(said) > 5
    assert all("runner start moves a damaged queue aside" in text for text in said)


def test_rows_that_were_taken_off_stay_off(home: Home, clips: Path) -> None:
    desk = Desk(home)
    desk.ask(say.Remove(ids=desk.add(clips / "a", root=clips, start=False)))
    desk.close()
    desk.again()
    try:
        assert not desk.jobs()
        assert not desk.status().batch.notice
    finally:
        desk.close()


def test_what_is_damaged_is_kept_under_a_name_of_its_own(home: Home) -> None:
    home.journal.write_text("what was queued")
    for number in range(3):
        home.database.write_text(f"no database {number}")
        home.database.chmod(0o600)
        store, lost = open_store(home)
        store.close()
        assert "damaged" in lost
    kept = [path.read_text() for path in home.state.glob("queue.damaged-*.db")]
    assert sorted(kept) == [f"no database {number}" for number in range(3)]


def test_a_database_of_the_first_layout_is_brought_up_to_date(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    store.add([Found(b"/r/a.wav")], JobOptions(engine="sim"))
    for index in ("jobs_length", "jobs_placed"):
        store._db.execute(f"DROP INDEX {index}")
    for column in ("work_s", "placed"):
        store._db.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
    store._db.execute("ALTER TABLE outputs DROP COLUMN written")
    store._db.execute(
        "INSERT INTO outputs (path, job, sha256, state) VALUES (?, 1, 'abc', 'done')",
        (b"/r/a.txt",),
    )
    store._db.execute("DROP TABLE loudness")
    store._db.execute("PRAGMA user_version = 1")
    store.close()
    again = Store(tmp_path / "queue.db")
    assert [job.path for job in again.jobs()] == ["/r/a.wav"]
    assert again.loudness(1) == ""
    owned = again.owner(b"/r/a.txt")
    assert owned is not None
    assert owned.written == "abc"
    with sqlite3.connect(tmp_path / "queue.db") as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_an_output_folder_removed_meanwhile_is_made_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "40")
    desk = Desk(home)
    out = tmp_path / "out"
    # Ten chunks, four to a batch: far from its outputs when those of the first are there.
    files = [silence(tmp_path / "a.wav", 4), silence(tmp_path / "b.wav", 300)]
    try:
        desk.add(*files, output_dir=str(out), format=("txt",))
        desk.until(lambda: desk.status().batch.counts["done"] >= 1)
        shutil.rmtree(out)
        jobs = desk.finish()
        assert {job.state for job in jobs.values()} == {State.DONE}
        assert [path.name for path in out.rglob("*.txt")] == ["b.txt"]
    finally:
        desk.close()


def test_part_files_of_a_killed_runner_are_swept(home: Home, tmp_path: Path) -> None:
    clip = silence(tmp_path / "r" / "clip.wav")
    desk = Desk(home)
    (job,) = desk.add(clip, start=False)
    pid = desk.pid
    desk.kill()
    with sqlite3.connect(home.database) as db:  # as if it had died while writing parts
        db.execute("UPDATE jobs SET state = 'running', attempts = 1")
        db.execute(
            "INSERT INTO outputs (path, job, state) VALUES (?, ?, 'claimed')",
            (os.fsencode(tmp_path / "r" / "clip.txt"), job),
        )
    part = tmp_path / "r" / f".clip.txt.{pid}-{job}-1.part"
    part.write_text("half")
    other = tmp_path / "r" / ".clip.txt.1-1-1.part"
    other.write_text("another home's")
    desk.again()
    try:
        assert not part.exists()
        assert other.exists()
    finally:
        desk.close()


def test_a_socket_open_to_others_is_refused(desk: Desk) -> None:
    desk.home.socket.chmod(0o666)
    with pytest.raises(LinkError, match="open to others"):
        Link.connect(desk.home)
    desk.home.socket.chmod(0o600)


def test_an_engine_is_replaced_after_so_many_files(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_RECYCLE_FILES", "3")
    desk = Desk(home)
    try:
        seen: set[int] = set()
        files = (silence(tmp_path / f"{number}.wav", 40) for number in range(10))
        desk.add(*files, batch_size=1)
        deadline = time.monotonic() + 30
        while desk.status().batch.counts["done"] < 10 and time.monotonic() < deadline:
            seen |= {lane.pid for lane in desk.status().lanes if lane.pid}
            time.sleep(0.01)
        assert len(seen) >= 2
        assert desk.status().lanes[0].respawns == 0
        assert {job.state for job in desk.finish().values()} == {State.DONE}
    finally:
        desk.close()


def test_a_runner_whose_home_was_removed_ends(home: Home, clips: Path) -> None:
    desk = Desk(home)
    desk.add(clips, start=False)
    pid = desk.pid
    desk.link.close()
    shutil.rmtree(home.state)
    wait_gone(pid)
