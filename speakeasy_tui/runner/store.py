"""The queue on disk. The runner alone writes it; every public method is one transaction."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from speakeasy_tui.core.job import (
    FINAL_STATES,
    NEXT_STATES,
    JobError,
    JobWarning,
    State,
)
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.transcript import Chunk
from speakeasy_tui.runner.record import (
    Request,
    job_identity,
)
from speakeasy_tui.runner.rows import Rows, Staged
from speakeasy_tui.runner.schema import open_database
from speakeasy_tui.runner.shelf import Shelf

_FRESH = (
    "attempts = 0, charged = 0, deaths = 0, suspect = 0, progress = 0, elapsed_s = NULL, "
    "error = NULL, warnings = '[]', message = '', finished = NULL, placed = 0, "
    "series = series + 1"
)


_FULL = re.compile(r"full|disk I/O error")
"""SQLITE_FULL; and SQLITE_IOERR, which a full disk gives in the write-ahead log."""


class StoreFullError(Exception):
    """The queue's disk is full. Nothing of the change was kept; the database is sound."""


class StateError(Exception):
    """A change of state that the diagram does not have; a mistake of the program's."""


class Found(Struct, frozen=True):
    """A file to queue; `error` when the search already knows that it cannot be done."""

    path: bytes
    root: bytes = b""
    error: JobError | None = None


class Taken(Struct):
    """What became of files to queue, by job id."""

    new: list[int]
    again: list[int]
    """Finished before; queued once more."""
    known: list[int]
    """In the queue already, left as they are."""
    failed: list[int]


class Store(Rows):
    """The queue's database, for its one writer."""

    def __init__(self, path: Path) -> None:
        super().__init__(open_database(path))
        self._shelf = Shelf()
        self.epoch = int(self.get("epoch") or "0") + 1
        self.put("epoch", str(self.epoch))
        rows = self._db.execute("SELECT DISTINCT request FROM jobs")
        self._requests = {str(row[0]) for row in rows}

    def close(self) -> None:
        """Checkpoint and close."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except BaseException as error:
            # SQLite itself rolls back on some errors, a full disk among them.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and _FULL.search(str(error)):
                raise StoreFullError(str(error)) from None
            raise

    # -------------------------------------------------------------- odds and ends

    def put(self, key: str, value: str) -> None:
        """Keep a value across runs."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # -------------------------------------------------------------- queueing

    def add(self, found: Sequence[Found], options: JobOptions) -> Taken:
        """Queue files, or queue finished ones again."""
        taken = Taken([], [], [], [])
        request = Request.of(options).text()
        self._requests.add(request)
        with self._transaction() as db:
            asked = self._options_id(options)
            (position,) = db.execute("SELECT COALESCE(MAX(position), 0) FROM jobs").fetchone()
            for item in found:
                identity = job_identity(item.path, options)
                row = db.execute(
                    "SELECT id, state FROM jobs WHERE identity = ?", (identity,)
                ).fetchone()
                if row is None:
                    position += 1
                    cursor = db.execute(
                        "INSERT INTO jobs (path, root, options, identity, request, state, "
                        "position, added) VALUES (?, ?, ?, ?, ?, 'queued', ?, ?)",
                        (item.path, item.root, asked, identity, request, position, time.time()),
                    )
                    job = cursor.lastrowid
                    assert job is not None
                    taken.new.append(job)
                elif State(row["state"]) in FINAL_STATES:
                    job = row["id"]
                    db.execute(
                        f"UPDATE jobs SET state = 'queued', options = ?, request = ?, root = ?, "
                        f"{_FRESH} WHERE id = ?",
                        (asked, request, item.root, job),
                    )
                    taken.again.append(job)
                else:
                    # Not begun yet: device, overwrite and the like are as asked last.
                    db.execute(
                        "UPDATE jobs SET options = ?, request = ? "
                        "WHERE id = ? AND state IN ('queued', 'held')",
                        (asked, request, row["id"]),
                    )
                    taken.known.append(row["id"])
                    continue
                if item.error is not None:
                    self._fail(db, job, State.FAILED, item.error)
                    taken.failed.append(job)
        return taken

    def rerun(self, ids: Iterable[int], options: JobOptions | None = None) -> list[int]:
        """Start a new series of tries for finished jobs; returns those it did start.

        With new `options` a row that would become equal to another keeps its own.
        """
        changed = []
        if options is not None:
            self._requests.add(Request.of(options).text())
        with self._transaction() as db:
            asked = None if options is None else self._options_id(options)
            for job in ids:
                row = db.execute("SELECT state, path FROM jobs WHERE id = ?", (job,)).fetchone()
                if row is None or State(row["state"]) not in FINAL_STATES:
                    continue
                db.execute(f"UPDATE jobs SET state = 'queued', {_FRESH} WHERE id = ?", (job,))
                if options is not None:
                    db.execute(
                        "UPDATE OR IGNORE jobs SET options = ?, request = ?, identity = ? "
                        "WHERE id = ?",
                        (
                            asked,
                            Request.of(options).text(),
                            job_identity(row["path"], options),
                            job,
                        ),
                    )
                changed.append(job)
        return changed

    def turn(self, ids: Iterable[int], old: frozenset[State], new: State) -> list[int]:
        """Change the state of those of `ids` that are in one of `old`; returns them."""
        changed = []
        with self._transaction() as db:
            for job in ids:
                row = db.execute("SELECT state FROM jobs WHERE id = ?", (job,)).fetchone()
                if row is None or State(row[0]) not in old:
                    continue
                if new not in NEXT_STATES[State(row[0])]:
                    raise StateError(f"job {job}: {row[0]} → {new}")
                finished = time.time() if new in FINAL_STATES else None
                message = {State.CANCELLED: "cancelled", State.HELD: "held"}.get(new, "")
                db.execute(
                    "UPDATE jobs SET state = ?, finished = ?, message = ? WHERE id = ?",
                    (new, finished, message, job),
                )
                changed.append(job)
        return changed

    def remove(self, ids: Iterable[int]) -> list[int]:
        """Take jobs that are not running off the table; returns them."""
        changed = []
        with self._transaction() as db:
            for job in ids:
                self._shelf.keep(db, job)
                cursor = db.execute("DELETE FROM jobs WHERE id = ? AND state != 'running'", (job,))
                if cursor.rowcount:
                    changed.append(job)
        return changed

    def restore(self, ids: Iterable[int]) -> list[int]:
        """Put removed jobs back as they were; returns those that could be."""
        with self._transaction() as db:
            changed = [job for job in ids if self._shelf.put_back(db, job)]
        for job in changed:
            self._shelf.forget(job)
        return changed

    def place(self, ids: Sequence[int], positions: Sequence[int]) -> list[int] | None:
        """Give jobs each other's positions; None when `positions` are not just those."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT id, position FROM jobs WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(ids)),),
            ).fetchall()
            if sorted(row["position"] for row in rows) != sorted(positions):
                return None
            db.executemany(
                "UPDATE jobs SET position = ? WHERE id = ?", zip(positions, ids, strict=True)
            )
        return list(ids)

    def move(self, ids: Sequence[int], by: int) -> list[int]:
        """Move queued jobs `by` places among the queued; returns the rows whose place changed."""
        chosen = set(ids)
        with self._transaction() as db:
            rows = db.execute(
                "SELECT id, position FROM jobs WHERE state IN ('queued', 'held') ORDER BY position"
            ).fetchall()
            order = [row["id"] for row in rows]
            places = [row["position"] for row in rows]
            before = dict(zip(order, places, strict=True))
            for _ in range(abs(by)):
                _shift(order, chosen, up=by < 0)
            after = dict(zip(order, places, strict=True))
            changed = [job for job in order if before[job] != after[job]]
            db.executemany(
                "UPDATE jobs SET position = ? WHERE id = ?",
                [(after[job], job) for job in changed],
            )
            if changed:
                db.execute(
                    "UPDATE jobs SET placed = 1 WHERE id IN (SELECT value FROM json_each(?))",
                    (json.dumps([job for job in order if job in chosen]),),
                )
        return changed

    # -------------------------------------------------------------- a job's way

    def requests(self) -> list[Request]:
        """The different requests ever seen; there are few, so they are kept in memory."""
        return [msgspec.json.decode(text, type=Request) for text in self._requests]

    def begin(self, job: int, *, lane: int, device: str, model: str, made_of: str) -> int:
        """A lane begins a try; returns its number in the series.

        Chunks that were made of something else (the file, the model or the options have
        changed) are forgotten.
        """
        with self._transaction() as db:
            self._turn(db, job, State.RUNNING)
            row = db.execute(
                "SELECT attempts, series, made_of FROM jobs WHERE id = ?", (job,)
            ).fetchone()
            if row["made_of"] != made_of:
                db.execute("DELETE FROM chunks WHERE job = ?", (job,))
                db.execute("DELETE FROM loudness WHERE job = ?", (job,))
            number = int(row["attempts"]) + 1
            db.execute(
                "UPDATE jobs SET attempts = ?, lane = ?, device = ?, model = ?, made_of = ?, "
                "error = NULL WHERE id = ?",
                (number, lane, device, model, made_of, job),
            )
            db.execute(
                "INSERT INTO attempts (job, series, number, epoch, started, device, model) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (job, row["series"], number, self.epoch, time.time(), device, model),
            )
        return number

    def opened(self, job: int, audio_s: float, language: str | None) -> None:
        """The length of a file, and perhaps its language, are known."""
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET audio_s = ?, language = COALESCE(?, language) WHERE id = ?",
                (audio_s, language, job),
            )

    def lengths(self, found: Mapping[int, float]) -> None:
        """Lengths (s) of files that nobody has opened yet, as their headers say."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE jobs SET audio_s = ? WHERE id = ? AND audio_s IS NULL "
                "AND state IN ('queued', 'held')",
                [(seconds, job) for job, seconds in found.items()],
            )

    def heard(self, job: int, strip: str) -> None:
        """How loud a file is has become known."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO loudness VALUES (?, ?)", (job, strip))

    def store_chunk(self, job: int, chunk: Chunk) -> None:
        """A chunk is finished."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?)",
                (job, chunk.start, chunk.index, chunk.end, msgspec.json.encode(chunk.segments)),
            )

    def give_back(
        self,
        job: int,
        *,
        outcome: str,
        message: str,
        detail: str = "",
        charged: bool = False,
        suspect: bool = False,
        death: bool = False,
        state: State = State.QUEUED,
    ) -> None:
        """End a try and queue the job again (or hold it)."""
        with self._transaction() as db:
            self._turn(db, job, state)
            self._end_attempt(db, job, outcome, message, detail, charged)
            db.execute(
                "UPDATE jobs SET message = ?, charged = charged + ?, deaths = deaths + ?, "
                "suspect = (suspect OR ?), progress = 0, lane = NULL WHERE id = ?",
                (message, charged, death, suspect, job),
            )

    def fail(self, job: int, state: State, error: JobError, detail: str = "") -> None:
        """End a try for good, or fail a queued job before any."""
        with self._transaction() as db:
            self._fail(db, job, state, error, detail)

    def cancel_running(self, job: int) -> None:
        """End a try because a person cancelled the job."""
        with self._transaction() as db:
            self._turn(db, job, State.CANCELLED)
            self._end_attempt(db, job, "cancelled", "cancelled", "", charged=False)
            db.execute(
                "UPDATE jobs SET message = 'cancelled', finished = ? WHERE id = ?",
                (time.time(), job),
            )

    def skip(self, job: int, message: str, warnings: Sequence[JobWarning]) -> None:
        """A queued job's outputs are there already."""
        with self._transaction() as db:
            self._turn(db, job, State.SKIPPED)
            db.execute(
                "UPDATE jobs SET message = ?, warnings = ?, finished = ?, progress = 1 "
                "WHERE id = ?",
                (message, _json(warnings), time.time(), job),
            )

    # -------------------------------------------------------------- outputs

    def claim_outputs(self, job: int, paths: Sequence[bytes]) -> None:
        """Reserve output paths for a job; others it claimed and never wrote are let go."""
        with self._transaction() as db:
            db.execute(
                "DELETE FROM outputs WHERE job = ? AND state = 'claimed' "
                "AND hex(path) NOT IN (SELECT value FROM json_each(?))",
                (job, json.dumps([path.hex().upper() for path in paths])),
            )
            db.executemany(
                "INSERT INTO outputs (path, job, state) VALUES (?, ?, 'claimed') "
                "ON CONFLICT (path) DO UPDATE SET job = excluded.job",
                [(path, job) for path in paths],
            )

    def adopt_outputs(self, job: int, paths: Sequence[bytes], made_of: str) -> None:
        """Outputs found on disk that are this job's."""
        with self._transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO outputs (path, job, state, made_of) "
                "VALUES (?, ?, 'done', ?)",
                [(path, job, made_of) for path in paths],
            )

    def stage(
        self,
        job: int,
        staged: Sequence[Staged],
        *,
        language: str,
        elapsed_s: float,
        work_s: float,
        warnings: Sequence[JobWarning],
        message: str,
    ) -> None:
        """Parts are written and on disk: their renames may begin, now or after a crash."""
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO outputs (path, job, part, sha256, state) "
                "VALUES (?, ?, ?, ?, 'staged') ON CONFLICT (path) DO UPDATE SET "
                "job = excluded.job, part = excluded.part, sha256 = excluded.sha256, "
                "state = excluded.state",  # its identity stays that of what is there now
                [(item.path, item.job, item.part, item.sha256) for item in staged],
            )
            db.execute(
                "UPDATE jobs SET language = ?, elapsed_s = ?, work_s = ?, warnings = ?, "
                "message = ? WHERE id = ?",
                (language, elapsed_s, work_s, _json(warnings), message, job),
            )

    def done(self, job: int, message: str = "") -> None:
        """The staged outputs have their names: the job is done."""
        with self._transaction() as db:
            self._turn(db, job, State.DONE)
            self._end_attempt(db, job, "done", message, "", charged=True)
            db.execute(
                "UPDATE outputs SET state = 'done', part = NULL, "
                "made_of = (SELECT made_of FROM jobs WHERE id = ?1) "
                "WHERE job = ?1 AND state = 'staged'",
                (job,),
            )
            db.execute(
                "UPDATE jobs SET progress = 1, finished = ?, suspect = 0, "
                "charged = charged + 1 WHERE id = ?",
                (time.time(), job),
            )

    def unstage(self, job: int, named: Iterable[bytes] = ()) -> None:
        """A commit was cut off. What got its name is known as ours, by its identity."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE outputs SET made_of = (SELECT made_of FROM jobs WHERE id = ?1) "
                "WHERE path = ?2 AND job = ?1 AND state = 'staged'",
                [(job, path) for path in named],
            )
            db.execute(
                "UPDATE outputs SET state = 'claimed', part = NULL WHERE job = ? "
                "AND state = 'staged'",
                (job,),
            )

    # -------------------------------------------------------------- after a crash

    def give_back_running(self, but: Iterable[int] = ()) -> int:
        """Give back what no engine works on (all but `but`); returns how many.

        At a start that is what another life of the runner left.
        """
        kept = json.dumps(list(but))
        with self._transaction() as db:
            db.execute(
                "UPDATE attempts SET outcome = 'given back', ended = ?, "
                "message = 'the runner ended' WHERE outcome = 'running' "
                "AND job NOT IN (SELECT value FROM json_each(?))",
                (time.time(), kept),
            )
            cursor = db.execute(
                "UPDATE jobs SET state = 'queued', lane = NULL, progress = 0, "
                "message = 'given back: the runner had ended' WHERE state = 'running' "
                "AND id NOT IN (SELECT value FROM json_each(?))",
                (kept,),
            )
        return cursor.rowcount

    # -------------------------------------------------------------- inside a transaction

    def _options_id(self, options: JobOptions) -> int:
        text = msgspec.json.encode(options).decode()
        self._db.execute("INSERT OR IGNORE INTO options (json) VALUES (?)", (text,))
        row = self._db.execute("SELECT id FROM options WHERE json = ?", (text,)).fetchone()
        return int(row[0])

    def _turn(self, db: sqlite3.Connection, job: int, new: State) -> None:
        row = db.execute("SELECT state FROM jobs WHERE id = ?", (job,)).fetchone()
        if row is None:
            raise StateError(f"job {job} is not there")
        if new not in NEXT_STATES[State(row[0])]:
            raise StateError(f"job {job}: {row[0]} → {new}")
        db.execute("UPDATE jobs SET state = ? WHERE id = ?", (new, job))

    def _end_attempt(
        self,
        db: sqlite3.Connection,
        job: int,
        outcome: str,
        message: str,
        detail: str,
        charged: bool,
    ) -> None:
        db.execute(
            "UPDATE attempts SET outcome = ?, message = ?, detail = ?, charged = ?, ended = ? "
            "WHERE job = ? AND outcome = 'running'",
            (outcome, message, detail, charged, time.time(), job),
        )

    def _fail(
        self, db: sqlite3.Connection, job: int, state: State, error: JobError, detail: str = ""
    ) -> None:
        self._turn(db, job, state)
        self._end_attempt(db, job, error.kind, error.message, detail, charged=True)
        db.execute(
            "UPDATE jobs SET error = ?, message = ?, finished = ?, suspect = 0, "
            "charged = charged + 1 WHERE id = ?",
            (msgspec.json.encode(error).decode(), error.message, time.time(), job),
        )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _shift(order: list[int], chosen: set[int], *, up: bool) -> None:
    """Move each chosen entry one place, blocks keeping their order."""
    places = range(1, len(order)) if up else range(len(order) - 2, -1, -1)
    step = -1 if up else 1
    for place in places:
        other = place + step
        if order[place] in chosen and order[other] not in chosen:
            order[place], order[other] = order[other], order[place]
