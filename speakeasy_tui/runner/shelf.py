"""Rows taken off the table, kept in memory as they were, so that they can be put back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from speakeasy_tui.runner.rows import AMONG

KEPT = 20_000
"""Rows; older ones are gone for good."""

_TABLES = ("jobs", "attempts", "chunks", "outputs", "loudness")


class Shelf:
    """What was removed, by job."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[str, list[dict[str, object]]]] = {}

    def keep(self, db: sqlite3.Connection, jobs: Sequence[int]) -> None:
        """Remember jobs and all that belongs to them; they are about to be deleted."""
        last = jobs[-KEPT:]
        kept: dict[int, dict[str, list[dict[str, object]]]] = {
            job: {table: [] for table in _TABLES} for job in last
        }
        for table in _TABLES:
            key = "id" if table == "jobs" else "job"
            rows = db.execute(
                f"SELECT * FROM {table} WHERE {key} {AMONG}",
                (json.dumps(last),),
            )
            for row in rows:
                kept[row[key]][table].append(dict(row))
        self._rows |= kept
        while len(self._rows) > KEPT:
            del self._rows[next(iter(self._rows))]

    def put_back(self, db: sqlite3.Connection, job: int) -> bool:
        """Insert a job again as it was; False when it is not kept or was queued anew meanwhile."""
        kept = self._rows.get(job)
        if kept is None:
            return False
        (row,) = kept["jobs"]
        taken = "SELECT 1 FROM jobs WHERE position = ?"
        if db.execute(taken, (row["position"],)).fetchone():
            (row["position"],) = db.execute("SELECT MAX(position) + 1 FROM jobs").fetchone()
        for table in _TABLES:
            for one in kept[table]:
                if table == "attempts":
                    one.pop("id", None)  # another try may have it by now
                holes = ", ".join("?" * len(one))
                done = db.execute(
                    f"INSERT OR IGNORE INTO {table} ({', '.join(one)}) VALUES ({holes})",
                    tuple(one.values()),
                )
                if table == "jobs" and not done.rowcount:
                    return False
        return True

    def forget(self, job: int) -> None:
        """A job is back on the table."""
        self._rows.pop(job, None)
