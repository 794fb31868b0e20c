"""Looking at a queue without its runner: read-only, never a second writer."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec

from speakeasy_tui.core.job import Batch, Job, Pause, RunnerState, State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.protocol import Status
from speakeasy_tui.runner.rows import Rows
from speakeasy_tui.runner.schema import SCHEMA_VERSION, DatabaseError, DiskError

_NOT_NOW = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)
"""Errors that are not the file's own: its disk is full, say, and has no room for the index of the
write-ahead log."""


def _open(home: Home) -> sqlite3.Connection | None:
    if not home.database.exists():
        return None
    mode = stat.S_IMODE(home.database.stat().st_mode)
    if mode & 0o077:
        raise DatabaseError(
            f"{home.database} may be read by others (mode {mode:o}); if that was not you, look "
            f"into it; else: chmod 600 {home.database}"
        )
    try:
        connection, version = _connect(home.database)
    except sqlite3.DatabaseError as error:
        raise _unreadable(home, error) from None
    if version == 0:  # being made at this moment
        connection.close()
        return None
    if version != SCHEMA_VERSION:
        connection.close()
        raise DatabaseError(
            f"{home.database} was written by another version of speakeasy "
            f"(its layout {version}, ours {SCHEMA_VERSION}); "
            + (
                "use that version"
                if version > SCHEMA_VERSION
                else "speakeasy runner start brings it up to date"
            )
        )
    return connection


def _connect(database: Path) -> tuple[sqlite3.Connection, int]:
    """Connect for reading; with the number of the layout.

    On a full disk SQLite cannot make the index of the write-ahead log, which readers need, too;
    where nobody has left a log there is nothing to look up in it.
    """
    address = f"file:{quote(str(database))}?mode=ro"
    try:
        return _look(address)
    except sqlite3.OperationalError:
        log = database.with_name(database.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise
        return _look(address + "&immutable=1")


def _look(address: str) -> tuple[sqlite3.Connection, int]:
    connection = sqlite3.connect(address, uri=True)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection, int(version)


@contextmanager
def _reading(home: Home) -> Iterator[Rows | None]:
    """The rows of a home; None when it has no queue.

    Raises:
        DatabaseError: they cannot be read; a damage inside is met only now, and may also look
            like something that nobody has written.
    """
    connection = _open(home)
    if connection is None:
        yield None
        return
    with closing(connection):
        try:
            yield Rows(connection)
        except (sqlite3.Error, msgspec.MsgspecError, ValueError, TypeError) as error:
            raise _unreadable(home, error) from None


def _unreadable(home: Home, error: Exception) -> DatabaseError:
    if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _NOT_NOW:
        return DiskError(f"{home.database} cannot be read now: {error}")
    return DatabaseError(
        f"{home.database} cannot be read: {error}; speakeasy runner start moves a damaged queue "
        f"aside and makes it again"
    )


def read_jobs(home: Home, states: Iterable[str] | None = None) -> list[Job]:
    """The rows of a home in queue order; none when it has no queue.

    Raises:
        DatabaseError: the database cannot be read.
    """
    wanted = None if states is None else set(states)
    asked = wanted | {State.RUNNING} if wanted and State.QUEUED in wanted else wanted
    with _reading(home) as rows:
        jobs = rows.jobs(states=asked) if rows is not None else []
    for job in jobs:
        if job.state is State.RUNNING:  # nobody runs it: the next runner gives it back
            job.state, job.message = State.QUEUED, "cut off; goes on with the next start"
    return [job for job in jobs if wanted is None or job.state in wanted]


def read_status(home: Home) -> Status:
    """The queue as a whole when no runner is there.

    Raises:
        DatabaseError: the database cannot be read.
    """
    counts = {state.value: 0 for state in State}
    why: Pause | None = None
    notice = ""
    with _reading(home) as rows:
        if rows is not None:
            counts = {state: tally.jobs for state, tally in rows.tallies().items()}
            counts[State.QUEUED] += counts[State.RUNNING]
            counts[State.RUNNING] = 0
            pause = rows.get("pause")
            why = msgspec.json.decode(pause, type=Pause) if pause else None
            if rows.get("wanted") == RunnerState.RUNNING and counts[State.QUEUED]:
                notice = "the runner was cut off at work; go on: speakeasy runner start"
    batch = Batch(state=RunnerState.STOPPED, why=why, counts=counts, notice=notice)
    return Status(batch=batch, lanes=[], pid=None, home=str(home.state))
