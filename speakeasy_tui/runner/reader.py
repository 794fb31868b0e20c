"""Looking at a queue without its runner: read-only, never a second writer."""

from __future__ import annotations

import sqlite3
import stat
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
    mode = stat.S_IMODE(home.database.stat().st_mode)
    if mode & 0o077:
        raise DatabaseError(
            f"{home.database} may be read by others (mode {mode:o}); if that was not you, look "
            f"into it; else: chmod 600 {home.database}"
        )
    address = f"file:{quote(str(home.database))}?mode=ro"
    connection = sqlite3.connect(address, uri=True)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DatabaseError(
            f"{home.database} cannot be read: {error}; speakeasy runner start moves a damaged "
            f"queue aside and makes it again"
        ) from None
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


def read_jobs(home: Home, states: Iterable[str] | None = None) -> list[Job]:
    """The rows of a home in queue order; none when it has no queue.

    Raises:
        DatabaseError: the database cannot be read.
    """
    connection = _open(home)
    if connection is None:
        return []
    wanted = None if states is None else set(states)
    with closing(connection):
        asked = wanted | {State.RUNNING} if wanted and State.QUEUED in wanted else wanted
        jobs = Rows(connection).jobs(states=asked)
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
    connection = _open(home)
    if connection is not None:
        with closing(connection):
            rows = Rows(connection)
            counts = {state: tally.jobs for state, tally in rows.tallies().items()}
            counts[State.QUEUED] += counts[State.RUNNING]
            counts[State.RUNNING] = 0
            pause = rows.get("pause")
            why = msgspec.json.decode(pause, type=Pause) if pause else None
            if rows.get("wanted") == RunnerState.RUNNING and counts[State.QUEUED]:
                notice = "the runner was cut off at work; go on: speakeasy runner start"
    batch = Batch(state=RunnerState.STOPPED, why=why, counts=counts, notice=notice)
    return Status(batch=batch, lanes=[], pid=None, home=str(home.state))
