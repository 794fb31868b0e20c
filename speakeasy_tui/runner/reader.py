"""Looking at a queue without its runner: read-only, never a second writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from urllib.parse import quote

import msgspec

from speakeasy_tui.core.job import Batch, Job, Pause, RunnerState, State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.protocol import Status
from speakeasy_tui.runner.rows import Rows
from speakeasy_tui.runner.schema import SCHEMA_VERSION, DatabaseError


def _open(home: Home) -> sqlite3.Connection | None:
    if not home.database.exists():
        return None
    address = f"file:{quote(str(home.database))}?mode=ro"
    connection = sqlite3.connect(address, uri=True)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DatabaseError(f"{home.database} cannot be read: {error}") from None
    if version == 0:  # being made at this moment
        connection.close()
        return None
    if version != SCHEMA_VERSION:
        connection.close()
        raise DatabaseError(
            f"{home.database} was written by another version of speakeasy "
            f"(its layout {version}, ours {SCHEMA_VERSION}); speakeasy runner start brings an "
            f"older one up to date"
        )
    return connection


def read_jobs(home: Home, states: Iterable[str] | None = None) -> list[Job]:
    """The rows of a home in queue order; none when it has no queue.

    Raises:
        DatabaseError: the database cannot be read.
    """
    connection = _open(home)
    if connection is None:
        return []
    with closing(connection):
        return Rows(connection).jobs(states=states)


def read_status(home: Home) -> Status:
    """The queue as a whole when no runner is there.

    Raises:
        DatabaseError: the database cannot be read.
    """
    counts = {state.value: 0 for state in State}
    why: Pause | None = None
    connection = _open(home)
    if connection is not None:
        with closing(connection):
            rows = Rows(connection)
            counts = {state: tally.jobs for state, tally in rows.tallies().items()}
            pause = rows.get("pause")
            why = msgspec.json.decode(pause, type=Pause) if pause else None
    batch = Batch(state=RunnerState.STOPPED, why=why, counts=counts)
    return Status(batch=batch, lanes=[], pid=None, home=str(home.state))
