"""The queue under any order of commands and events."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from speakeasy_tui.core.job import FINAL_STATES, NEXT_STATES, ErrorKind, JobError, State
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.transcript import Chunk, Segment
from speakeasy_tui.runner.queueing import Found
from speakeasy_tui.runner.rows import Staged
from speakeasy_tui.runner.store import Store
from speakeasy_tui.runner.writing import StateError

OPTIONS = [
    JobOptions(engine="sim"),
    JobOptions(engine="sim", language="de"),
    JobOptions(engine="sim", batch_size=2),
]
PATHS = [f"/r/{number}.wav".encode() for number in range(6)]
MADE_OF = ["content a", "content b"]
ENDINGS = (b".txt", b".json")
BROKEN = JobError(ErrorKind.INPUT, "broken")

jobs_of = st.lists(st.integers(1, 5), max_size=4)


class Queue(RuleBasedStateMachine):
    """A store, and beside it what every row was last seen to be."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="store-"))
        self.open()
        self.seen: dict[int, State] = {}
        self.removed: dict[int, State] = {}
        self.adopted: set[int] = set()
        """Jobs that were skipped once: their outputs were found."""

    def teardown(self) -> None:
        self.reader.close()
        self.store.close()
        shutil.rmtree(self.folder)

    def open(self) -> None:
        self.store = Store(self.folder / "queue.db")
        self.reader = sqlite3.connect(f"file:{self.folder / 'queue.db'}?mode=ro", uri=True)

    def rows(self, query: str, *values: object) -> list[Any]:
        """What a reader with a connection of its own sees: what is committed, no more."""
        return self.reader.execute(query, values).fetchall()

    def running(self) -> list[int]:
        return [
            int(str(row[0])) for row in self.rows("SELECT id FROM jobs WHERE state = 'running'")
        ]

    def outputs(self, job: int) -> list[bytes]:
        return [f"/out/{job}".encode() + ending for ending in ENDINGS]

    # ------------------------------------------------------------------ a person's commands

    @initialize()
    def some_files(self) -> None:
        self.add(PATHS[:3], OPTIONS[0], broken=False)

    @rule(
        paths=st.lists(st.sampled_from(PATHS), max_size=4, unique=True),
        options=st.sampled_from(OPTIONS),
        broken=st.booleans(),
    )
    def add(self, paths: list[bytes], options: JobOptions, broken: bool) -> None:
        before = dict(self.seen)
        taken = self.store.add(
            [Found(path, b"", BROKEN if broken else None) for path in paths], options
        )
        assert all(before[job] in FINAL_STATES for job in taken.again if job in before)
        for job in taken.new + taken.again:
            self.passed(job, State.QUEUED)
        for job in taken.failed:
            self.passed(job, State.FAILED)
        assert len(taken.new + taken.again + taken.known) == len(paths)

    @rule(ids=jobs_of, options=st.none() | st.sampled_from(OPTIONS))
    def rerun(self, ids: list[int], options: JobOptions | None) -> None:
        final = [job for job in dict.fromkeys(ids) if self.seen.get(job) in FINAL_STATES]
        begun = self.store.rerun(ids, options)
        assert sorted(begun.new + begun.same) == sorted(final)
        assert options is not None or not begun.same
        for job in begun.new:
            assert self.store.charged(job) == (0, 0)
            self.passed(job, State.QUEUED)

    @rule(ids=jobs_of, what=st.sampled_from([State.HELD, State.QUEUED, State.CANCELLED]))
    def hold_release_or_cancel(self, ids: list[int], what: State) -> None:
        old = {
            State.HELD: frozenset({State.QUEUED}),
            State.QUEUED: frozenset({State.HELD}),
            State.CANCELLED: frozenset({State.QUEUED, State.HELD}),
        }[what]
        for job in self.store.turn(ids, old, what):
            self.passed(job, what)

    @rule(ids=jobs_of)
    def remove(self, ids: list[int]) -> None:
        for job in self.store.remove(ids):
            self.removed[job] = self.seen.pop(job)
            assert self.removed[job] is not State.RUNNING

    @rule(ids=jobs_of)
    def restore(self, ids: list[int]) -> None:
        for job in self.store.restore(ids):
            self.seen[job] = self.removed.pop(job)

    @rule(data=st.data())
    def place(self, data: st.DataObject) -> None:
        every = "SELECT id, position FROM jobs ORDER BY id"
        rows = self.rows(every)
        ids = [job for job, _ in rows]
        positions = data.draw(st.permutations([position for _, position in rows]))
        assert self.store.place(ids, positions) == ids
        assert self.rows(every) == list(zip(ids, positions, strict=True))

    @rule(ids=jobs_of, by=st.integers(-3, 3))
    def move(self, ids: list[int], by: int) -> None:
        fixed = "SELECT id, position FROM jobs WHERE state NOT IN ('queued', 'held')"
        before = self.rows(fixed)
        self.store.move(ids, by)
        assert self.rows(fixed) == before

    @rule(ids=jobs_of, first=st.booleans())
    def move_to_end_and_back(self, ids: list[int], first: bool) -> None:
        every = "SELECT id, position FROM jobs ORDER BY id"
        waiting = "SELECT id FROM jobs WHERE state IN ('queued', 'held') ORDER BY position"
        before, order = self.rows(every), [job for (job,) in self.rows(waiting)]
        chosen = [job for job in order if job in ids]
        others = [job for job in order if job not in ids]
        moved = self.store.to_end(ids, first=first)
        wanted = [*chosen, *others] if first else [*others, *chosen]
        assert [job for (job,) in self.rows(waiting)] == wanted
        if moved:
            assert self.store.place(list(moved), list(moved.values())) is not None
            assert self.rows(every) == before

    # ------------------------------------------------------------------ a lane's events

    @rule(made_of=st.sampled_from(MADE_OF), suspects=st.booleans())
    def begin_next(self, made_of: str, suspects: bool) -> None:
        requests = [request.text() for request in self.store.requests()]
        claim = self.store.next_queued(requests, [], suspects=suspects)
        if claim is None:
            return
        assert suspects or not claim.suspect
        self.store.claim_outputs(claim.id, self.outputs(claim.id))
        self.store.begin(claim.id, lane=0, device="cpu", model="m", made_of=made_of)
        self.passed(claim.id, State.RUNNING)

    @rule(job=st.integers(1, 5), made_of=st.sampled_from(MADE_OF))
    def begin_any(self, job: int, made_of: str) -> None:
        may = self.seen.get(job) is State.QUEUED
        try:
            self.store.begin(job, lane=0, device="cpu", model="m", made_of=made_of)
        except StateError:
            assert not may
        else:
            assert may
            self.passed(job, State.RUNNING)

    @precondition(lambda self: self.running())
    @rule(data=st.data(), index=st.integers(0, 3))
    def chunk(self, data: st.DataObject, index: int) -> None:
        job = data.draw(st.sampled_from(self.running()))
        ((made_of,),) = self.rows("SELECT made_of FROM jobs WHERE id = ?", job)
        text = f" {made_of}"
        self.store.opened(job, 120.0, None)
        self.store.store_chunk(
            job, Chunk(index, index * 30.0, index * 30.0 + 30, (Segment(0, 1, text),))
        )

    @precondition(lambda self: self.running())
    @rule(data=st.data(), end=st.booleans(), named=st.integers(0, 2))
    def commit(self, data: st.DataObject, end: bool, named: int) -> None:
        """Stage, and either done, or cut off with some outputs named, or left for a crash."""
        job = data.draw(st.sampled_from(self.running()))
        parts = [Staged(job, path, path + b".part", "0" * 64) for path in self.outputs(job)]
        self.store.stage(
            job, parts, language="en", elapsed_s=1.0, work_s=1.0, warnings=[], message=""
        )
        if end:
            self.store.done(job)
            self.passed(job, State.DONE)
        elif data.draw(st.booleans()):
            self.store.unstage(job, self.outputs(job)[:named])
            self.store.give_back(job, outcome="disk", message="full")
            self.passed(job, State.QUEUED)

    @precondition(lambda self: self.running())
    @rule(
        data=st.data(),
        charged=st.booleans(),
        suspect=st.booleans(),
        death=st.booleans(),
        state=st.sampled_from([State.QUEUED, State.HELD]),
    )
    def give_back(
        self, data: st.DataObject, charged: bool, suspect: bool, death: bool, state: State
    ) -> None:
        job = data.draw(st.sampled_from(self.running()))
        self.store.unstage(job, [])
        self.store.give_back(
            job,
            outcome="cuda",
            message="",
            charged=charged,
            suspect=suspect,
            death=charged and death,
            state=state,
        )
        self.passed(job, state)

    @rule(job=st.integers(1, 5), state=st.sampled_from([State.FAILED, State.QUARANTINED]))
    def fail(self, job: int, state: State) -> None:
        before = self.seen.get(job)
        may = before is not None and state in NEXT_STATES[before]
        if before is State.RUNNING:
            self.store.unstage(job, [])
        try:
            self.store.fail(job, state, BROKEN)
        except StateError:
            assert not may
        else:
            assert may
            self.passed(job, state)

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def cancel_running(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.running()))
        self.store.unstage(job, [])
        self.store.cancel_running(job)
        self.passed(job, State.CANCELLED)

    @rule(job=st.integers(1, 5), made_of=st.sampled_from(MADE_OF))
    def skip(self, job: int, made_of: str) -> None:
        may = self.seen.get(job) is State.QUEUED
        try:
            self.store.skip(job, "there", [])
        except StateError:
            assert not may
        else:
            assert may
            self.store.adopt_outputs(job, self.outputs(job), made_of)
            self.adopted.add(job)
            self.passed(job, State.SKIPPED)

    # ------------------------------------------------------------------ the runner's death

    @rule(complete=st.booleans())
    def crash(self, complete: bool) -> None:
        """The process is gone: nothing is closed in order; the next one recovers."""
        epoch = self.store.epoch
        copy = self.folder / "crashed"
        copy.mkdir(exist_ok=True)
        for suffix in ("", "-wal"):  # as the disk has them, before SQLite tidies up
            source = self.folder / f"queue.db{suffix}"
            if source.exists():
                shutil.copy(source, copy / source.name)
        self.reader.close()
        self.store.close()
        for suffix in ("", "-wal", "-shm"):
            (self.folder / f"queue.db{suffix}").unlink(missing_ok=True)
        for file in copy.iterdir():
            file.rename(self.folder / file.name)
        self.open()
        assert self.store.epoch == epoch + 1
        for job in {item.job for item in self.store.staged()}:
            if complete:
                self.store.done(job)
                self.passed(job, State.DONE)
            else:
                self.store.unstage(job, [])
        left = self.running()
        assert self.store.give_back_running() == len(left)
        for job in left:
            self.passed(job, State.QUEUED)
        assert not self.store.staged()
        assert not self.running()

    # ------------------------------------------------------------------ what always holds

    def passed(self, job: int, new: State) -> None:
        """A job has changed its state, in one step of the diagram."""
        old = self.seen.get(job)
        assert new is State.QUEUED if old is None else new in NEXT_STATES[old], (job, old, new)
        self.seen[job] = new

    @invariant()
    def rows_are_in_the_state_they_were_led_to(self) -> None:
        assert dict(self.rows("SELECT id, state FROM jobs")) == self.seen

    @invariant()
    def a_running_job_has_one_open_try_and_no_other_has_any(self) -> None:
        tries = self.rows("SELECT job FROM attempts WHERE outcome = 'running' ORDER BY job")
        assert [job for (job,) in tries] == sorted(self.running())

    @invariant()
    def a_series_is_done_once_at_most(self) -> None:
        assert not self.rows(
            "SELECT job FROM attempts WHERE outcome = 'done' GROUP BY job, series "
            "HAVING COUNT(*) > 1"
        )

    @invariant()
    def a_done_job_has_its_outputs_and_nothing_in_between(self) -> None:
        assert not self.rows(
            "SELECT outputs.path FROM outputs JOIN jobs ON jobs.id = outputs.job "
            "WHERE outputs.state = 'staged' AND jobs.state != 'running'"
        )
        done = self.rows("SELECT id FROM jobs WHERE state IN ('done', 'skipped')")
        for (job,) in done:
            states = self.rows("SELECT state FROM outputs WHERE job = ?", job)
            assert all(state == "done" for (state,) in states), job

    @invariant()
    def an_output_is_done_only_by_a_job_that_was_once_done_or_skipped(self) -> None:
        """The file is there: it was committed or adopted in this series or an earlier one."""
        for job, path in self.rows("SELECT job, path FROM outputs WHERE state = 'done'"):
            done = self.rows("SELECT 1 FROM attempts WHERE job = ? AND outcome = 'done'", job)
            assert done or job in self.adopted, path

    @invariant()
    def tallies_are_the_count(self) -> None:
        counted = dict(self.rows("SELECT state, COUNT(*) FROM jobs GROUP BY state"))
        known = dict(self.rows("SELECT state, COUNT(audio_s) FROM jobs GROUP BY state"))
        for state, tally in self.store.tallies().items():
            assert tally.jobs == counted.get(state, 0)
            assert tally.known == known.get(state, 0)

    @invariant()
    def no_two_rows_have_one_position(self) -> None:
        ((rows, positions),) = self.rows("SELECT COUNT(*), COUNT(DISTINCT position) FROM jobs")
        assert rows == positions

    @invariant()
    def chunks_are_of_what_the_job_is_made_of(self) -> None:
        for job, made_of in self.rows("SELECT id, made_of FROM jobs"):
            for chunk in self.store.chunks(job):
                assert [segment.text for segment in chunk.segments] == [f" {made_of}"]

    @invariant()
    def no_more_is_charged_than_was_tried(self) -> None:
        # A job that failed before any try (its outputs were impossible) is charged for that.
        assert not self.rows(
            "SELECT id FROM jobs WHERE deaths > charged "
            "OR charged > attempts + (state IN ('failed', 'quarantined'))"
        )
        assert not self.rows(
            "SELECT jobs.id FROM jobs WHERE attempts != (SELECT COUNT(*) FROM attempts "
            "WHERE attempts.job = jobs.id AND attempts.series = jobs.series)"
        )

    @invariant()
    def what_is_gone_leaves_nothing(self) -> None:
        for table in ("attempts", "chunks", "outputs"):
            assert not self.rows(f"SELECT job FROM {table} WHERE job NOT IN (SELECT id FROM jobs)")


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
