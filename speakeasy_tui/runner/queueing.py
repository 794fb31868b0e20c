"""What people have done to the queue: files put in, held, taken off, tried again."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from speakeasy_tui.core.job import FINAL_STATES, NEXT_STATES, JobError, State
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.runner.moving import STEP, Moving
from speakeasy_tui.runner.record import Request, job_identity, parse_options
from speakeasy_tui.runner.rows import AMONG
from speakeasy_tui.runner.shelf import Shelf
from speakeasy_tui.runner.writing import StateError

_FRESH = (
    "attempts = 0, charged = 0, deaths = 0, suspect = 0, progress = 0, elapsed_s = NULL, "
    "error = NULL, warnings = '[]', message = '', finished = NULL, placed = 0, "
    "series = series + 1"
)


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


class Begun(Struct):
    """What became of jobs that were to run again."""

    new: list[int]
    """Those that have a new series of tries."""
    same: list[int]
    """Left as they are: with the new options each would be what another row is already."""


class Queueing(Moving):
    """Every public method is one transaction."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._shelf = Shelf()
        rows = self._db.execute("SELECT DISTINCT request FROM jobs")
        self._requests = {str(row[0]) for row in rows}

    def requests(self) -> list[Request]:
        """The different requests ever seen; there are few, so they are kept in memory."""
        return [msgspec.json.decode(text, type=Request) for text in self._requests]

    def add(self, found: Sequence[Found], options: JobOptions) -> Taken:
        """Queue files, or queue finished ones again."""
        taken = Taken([], [], [], [])
        request = Request.of(options).text()
        self._requests.add(request)
        with self._transaction() as db:
            asked = self._options_id(options)
            (position,) = db.execute(
                "SELECT COALESCE(MAX(position), 1 - ?) FROM jobs", (STEP,)
            ).fetchone()
            for item in found:
                identity = job_identity(item.path, options)
                row = db.execute(
                    "SELECT id, state FROM jobs WHERE identity = ?", (identity,)
                ).fetchone()
                if row is None:
                    position += STEP
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

    def rerun(
        self,
        ids: Iterable[int],
        options: JobOptions | None = None,
        names: Sequence[str] | None = None,
        *,
        old: frozenset[State] = FINAL_STATES,
    ) -> Begun:
        """Start a new series of tries for jobs in one of `old`.

        With new `options`, of which only those in `names` are meant if that is given, a row that
        would become equal to another is left as it is: that one is what was wanted.
        """
        begun = Begun([], [])
        given = {} if options is None else structs.asdict(options)
        wanted = {name: given[name] for name in given if names is None or name in names}
        with self._transaction() as db:
            begun.new = self._in_states(ids, old)
            if wanted:
                asked = {job: self._ask_anew(db, job, wanted) for job in begun.new}
                begun.new = [job for job, new in asked.items() if new]
                begun.same = [job for job, new in asked.items() if not new]
            db.execute(
                f"UPDATE jobs SET state = 'queued', {_FRESH} WHERE id {AMONG}",
                (json.dumps(begun.new),),
            )
        return begun

    def _in_states(self, ids: Iterable[int], states: Iterable[State]) -> list[int]:
        """Those of `ids` that are in one of `states`, each once."""
        known = self.states(ids)
        return [job for job, state in known.items() if state in states]

    def _ask_anew(self, db: sqlite3.Connection, job: int, wanted: dict[str, Any]) -> bool:
        """Change some options of a job; False when another row is just that."""
        path, text = db.execute(
            "SELECT path, json FROM jobs JOIN options ON jobs.options = options.id "
            "WHERE jobs.id = ?",
            (job,),
        ).fetchone()
        options = structs.replace(parse_options(text), **wanted)
        request = Request.of(options).text()
        self._requests.add(request)
        cursor = db.execute(
            "UPDATE OR IGNORE jobs SET options = ?, request = ?, identity = ? WHERE id = ?",
            (self._options_id(options), request, job_identity(path, options), job),
        )
        return bool(cursor.rowcount)

    def options_among(self, ids: Iterable[int]) -> list[JobOptions]:
        """The different options of jobs, each once."""
        rows = self._db.execute(
            "SELECT json FROM options WHERE id IN (SELECT options FROM jobs "
            "WHERE id IN (SELECT value FROM json_each(?))) ORDER BY id",
            (json.dumps(list(ids)),),
        )
        return [parse_options(row[0]) for row in rows]

    def turn(self, ids: Iterable[int], old: frozenset[State], new: State) -> list[int]:
        """Change the state of those of `ids` that are in one of `old`; returns them."""
        if any(new not in NEXT_STATES[state] for state in old):
            raise StateError(f"{sorted(old)} → {new}")
        finished = time.time() if new in FINAL_STATES else None
        message = {State.CANCELLED: "cancelled", State.HELD: "held"}.get(new, "")
        with self._transaction() as db:
            changed = self._in_states(ids, old)
            db.execute(
                f"UPDATE jobs SET state = ?, finished = ?, message = ? WHERE id {AMONG}",
                (new, finished, message, json.dumps(changed)),
            )
        return changed

    def remove(self, ids: Iterable[int]) -> list[int]:
        """Take jobs that are not running off the table; returns them."""
        with self._transaction() as db:
            changed = self._in_states(ids, set(State) - {State.RUNNING})
            self._shelf.keep(db, changed)
            db.execute(f"DELETE FROM jobs WHERE id {AMONG}", (json.dumps(changed),))
        return changed

    def restore(self, ids: Iterable[int]) -> list[int]:
        """Put removed jobs back as they were; returns those that could be."""
        with self._transaction() as db:
            changed = [job for job in ids if self._shelf.put_back(db, job)]
        for job in changed:
            self._shelf.forget(job)
        return changed

    def _options_id(self, options: JobOptions) -> int:
        text = msgspec.json.encode(options).decode()
        self._db.execute("INSERT OR IGNORE INTO options (json) VALUES (?)", (text,))
        row = self._db.execute("SELECT id FROM options WHERE json = ?", (text,)).fetchone()
        return int(row[0])
