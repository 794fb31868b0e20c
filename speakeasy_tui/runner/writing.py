"""Writing the queue: one transaction for each change, and the steps that several changes take.

A change that a person asked for, and one on which outputs rest, waits for the disk. Others do not:
a kill takes nothing of them, a power cut at most what can be done again. They are on the disk with
the next one that waits.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from speakeasy_tui.core.job import NEXT_STATES, JobError, State
from speakeasy_tui.runner.rows import Rows
from speakeasy_tui.runner.schema import NO_ROOM, open_database


class StoreFullError(Exception):
    """The queue's disk is full. Nothing of the change was kept; the database is sound."""


class StateError(Exception):
    """A change of state that the diagram does not have; a mistake of the program's."""


class Writing(Rows):
    """The queue's database, for its one writer."""

    def __init__(self, path: Path) -> None:
        super().__init__(open_database(path))
        self._waits = True
        """Whether a commit waits for the disk, as `open_database` leaves it."""
        self._joined = False
        """Whether what is changed is a part of a transaction that goes on."""
        self.epoch = int(self.get("epoch") or "0") + 1
        self.queue = self.get("queue") or secrets.token_hex(8)
        """By it clients know this queue from one that was made anew and counts its jobs anew."""
        try:
            self.put("queue", self.queue)
            self.put("epoch", str(self.epoch))
        except StoreFullError:
            self._db.close()
            raise

    def close(self) -> None:
        """Checkpoint and close."""
        self._db.close()

    def put(self, key: str, value: str) -> None:
        """Keep a value across runs."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @contextmanager
    def together(self, *, durable: bool = True) -> Iterator[None]:
        """Several changes as one: all that is changed meanwhile is kept, or on an error nothing.

        Nobody else may have a turn meanwhile: what they change would be of it, too.
        """
        with self._transaction(durable=durable):
            self._joined = True
            try:
                yield
            finally:
                self._joined = False

    @contextmanager
    def _transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction; if it is `durable` a power cut does not take it back."""
        if self._joined:
            yield self._db
            return
        try:
            if durable is not self._waits:
                # In WAL mode a commit with FULL syncs all that was committed before, too.
                self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._waits = durable
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except BaseException as error:
            # SQLite itself rolls back on some errors, a full disk among them.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and NO_ROOM.search(str(error)):
                raise StoreFullError(str(error)) from None
            raise

    # -------------------------------------------------------------- inside a transaction

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
