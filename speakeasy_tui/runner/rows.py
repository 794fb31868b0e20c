"""Reading the queue: rows, attempts, chunks, outputs. Used by the store, and without a runner."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec import Struct

from speakeasy_tui.core.job import Attempt, Job, State
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.text import show_path
from speakeasy_tui.core.transcript import Chunk, Segment
from speakeasy_tui.runner.record import Claim, job_as_json, parse_options, to_job

log = logging.getLogger(__name__)

AMONG = "IN (SELECT value FROM json_each(?))"
"""Of SQL: as one of those of a list in JSON."""

_segments = msgspec.json.Decoder(tuple[Segment, ...])
_AS_JSON = {whole: job_as_json(outputs=whole) for whole in (True, False)}
_SPELLED = {whole: job_as_json(outputs=whole, spelled=True) for whole in (True, False)}


class Told(NamedTuple):
    """A row as clients are told it."""

    id: int
    position: int
    json: bytes
    """A `Job`."""


class Tally(Struct, frozen=True):
    """The jobs in one state."""

    jobs: int
    audio_s: float
    """Seconds of those whose length is known."""
    known: int
    """How many those are."""


class Owned(NamedTuple):
    """Whose output a path is."""

    job: int
    source: bytes
    """The job's."""
    made_of: str
    """Identity of what is there."""
    written: str
    """SHA-256 of what we put there last; empty where we only found it."""


class Staged(Struct):
    """An output between its part file and its final name."""

    job: int
    path: bytes
    part: bytes
    sha256: str


class Rows:
    """The queue's tables, read over a connection whose rows are `sqlite3.Row`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._db.row_factory = sqlite3.Row
        self._db.create_function("shown", 1, show_path, deterministic=True)

    def get(self, key: str) -> str | None:
        """A value kept across runs."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def tallies(self) -> dict[str, Tally]:
        """Number of jobs and seconds of audio in each state, all states named."""
        rows = self._db.execute("SELECT state, jobs, audio_s, known FROM tallies")
        return {row[0]: Tally(row[1], row[2], row[3]) for row in rows}

    def jobs(
        self, ids: Iterable[int] | None = None, states: Iterable[str] | None = None
    ) -> list[Job]:
        """Rows in queue order; all, or those named."""
        conditions, values = ["1"], []
        if ids is not None:
            conditions.append("id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(ids)))
        if states is not None:
            conditions.append("state IN (SELECT value FROM json_each(?))")
            values.append(json.dumps([str(state) for state in states]))
        rows = self._told(" AND ".join(conditions), *values, outputs=True)
        return [to_job(row.json) for row in rows]

    def job(self, job: int) -> Job | None:
        """One row."""
        rows = self._told("id = ?", job, outputs=True)
        return to_job(rows[0].json) if rows else None

    def page(self, after: int, limit: int, *, outputs: bool) -> list[Told]:
        """The next rows in queue order, those behind position `after`."""
        return self._told("position > ?", after, limit=limit, outputs=outputs)

    def _told(self, condition: str, *values: object, limit: int = -1, outputs: bool) -> list[Told]:
        cursor = self._db.cursor()
        cursor.row_factory = None  # a plain tuple is made faster than a Row
        cursor.execute(
            f"SELECT id, position, CAST({_AS_JSON[outputs]} AS BLOB) FROM jobs "
            f"WHERE {condition} ORDER BY position LIMIT ?",
            (*values, limit),
        )
        return [
            Told(job, position, told if _is_utf8(told) else self._spelled(job, outputs))
            for job, position, told in cursor
        ]

    def _spelled(self, job: int, outputs: bool) -> bytes:
        query = f"SELECT CAST({_SPELLED[outputs]} AS BLOB) FROM jobs WHERE id = ?"
        return bytes(self._db.execute(query, (job,)).fetchone()[0])

    def waiting(self, request: str | None = None) -> bool:
        """Whether any job is queued; with `request`, one that asks for it."""
        query = "SELECT 1 FROM jobs WHERE state = 'queued'"
        if request is None:
            row = self._db.execute(query + " LIMIT 1").fetchone()
        else:
            row = self._db.execute(query + " AND request = ? LIMIT 1", (request,)).fetchone()
        return row is not None

    def next_queued(
        self, requests: Iterable[str], taken: Iterable[int], *, suspects: bool
    ) -> Claim | None:
        """The next job in order that asks for one of `requests` and is not in `taken`."""
        return self._claim(
            "INDEXED BY jobs_queue",
            "state = 'queued' AND request IN (SELECT value FROM json_each(?)) "
            "AND jobs.id NOT IN (SELECT value FROM json_each(?)) AND suspect <= ? "
            "ORDER BY position",
            (json.dumps(list(requests)), json.dumps(list(taken)), int(suspects)),
        )

    def longest_queued(
        self, requests: Iterable[str], taken: Iterable[int], *, suspects: bool
    ) -> Claim | None:
        """Like `next_queued`, the longest of those whose length is known.

        What a person has given a place is passed over and not overtaken: only what stands before
        it counts.
        """
        return self._claim(
            "INDEXED BY jobs_length",
            "state = 'queued' AND audio_s IS NOT NULL "
            "AND request IN (SELECT value FROM json_each(?)) "
            "AND jobs.id NOT IN (SELECT value FROM json_each(?)) AND suspect <= ? "
            "AND position < COALESCE((SELECT position FROM jobs INDEXED BY jobs_placed "
            "WHERE state = 'queued' AND placed ORDER BY position LIMIT 1), 9e18) "
            "ORDER BY audio_s DESC, position",
            (json.dumps(list(requests)), json.dumps(list(taken)), int(suspects)),
        )

    def claim_of(self, job: int) -> Claim | None:
        """One job, if it is queued."""
        return self._claim("", "state = 'queued' AND jobs.id = ?", (job,))

    def _claim(self, index: str, condition: str, values: tuple[object, ...]) -> Claim | None:
        row = self._db.execute(
            f"SELECT jobs.*, options.json FROM jobs {index} "
            f"JOIN options ON jobs.options = options.id WHERE {condition} LIMIT 1",
            values,
        ).fetchone()
        if row is None:
            return None
        return Claim(
            id=row["id"],
            path=row["path"],
            root=row["root"],
            options=parse_options(row["json"]),
            request=row["request"],
            suspect=bool(row["suspect"]),
            attempts=row["attempts"],
            audio_s=row["audio_s"],
            made_of=row["made_of"],
        )

    def unmeasured(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Queued jobs behind id `after` whose length nobody knows: id and path."""
        # By id, hence "+": the index of states would give all that are queued to be sorted, and
        # this is asked whenever something has changed: 9 ms with 95,000 of them.
        rows = self._db.execute(
            "SELECT id, path FROM jobs WHERE id > ? AND +state = 'queued' AND audio_s IS NULL "
            "ORDER BY id LIMIT ?",
            (after, limit),
        )
        return [(row[0], row[1]) for row in rows]

    def newest(self) -> int:
        """The highest id; 0 when there are no jobs."""
        return int(self._db.execute("SELECT COALESCE(MAX(id), 0) FROM jobs").fetchone()[0])

    def state(self, job: int) -> State | None:
        """A job's state, or None when there is no such job."""
        row = self._db.execute("SELECT state FROM jobs WHERE id = ?", (job,)).fetchone()
        return None if row is None else State(row[0])

    def states(self, ids: Iterable[int]) -> dict[int, State]:
        """The states of jobs, in the order of `ids`; one that is not there is left out."""
        wanted = list(ids)
        rows = self._db.execute(
            f"SELECT id, state FROM jobs WHERE id {AMONG}",
            (json.dumps(wanted),),
        )
        states = {row[0]: State(row[1]) for row in rows}
        return {job: states[job] for job in wanted if job in states}

    def options(self, job: int) -> JobOptions:
        """What was asked of a job."""
        row = self._db.execute(
            "SELECT json FROM options JOIN jobs ON jobs.options = options.id WHERE jobs.id = ?",
            (job,),
        ).fetchone()
        return parse_options(row[0])

    def attempts(self, job: int) -> list[Attempt]:
        """All tries at a job, oldest first."""
        rows = self._db.execute("SELECT * FROM attempts WHERE job = ? ORDER BY id", (job,))
        fields = Attempt.__struct_fields__
        return [
            Attempt(**{name: row[name] for name in fields} | {"charged": bool(row["charged"])})
            for row in rows
        ]

    def chunks(self, job: int) -> list[Chunk]:
        """The finished chunks of a job in the order of the audio.

        One that cannot be read, as another version of the program may have left, is not there: it
        is done again.
        """
        chunks = []
        for row in self._db.execute("SELECT * FROM chunks WHERE job = ? ORDER BY start", (job,)):
            try:
                segments = _segments.decode(row["segments"])
            except (msgspec.DecodeError, TypeError) as error:
                log.warning("job %d: the chunk at %.0f s: %s", job, row["start"], error)
                continue
            chunks.append(Chunk(row["number"], row["start"], row["end"], segments))
        return chunks

    def spans(self, job: int) -> list[tuple[float, float]]:
        """Starts and ends (s) of the finished chunks of a job in the order of the audio."""
        rows = self._db.execute(
            "SELECT start, end FROM chunks WHERE job = ? ORDER BY start", (job,)
        )
        return [(row["start"], row["end"]) for row in rows]

    def loudness(self, job: int) -> str:
        """How loud a job's audio is (`core.engineprotocol.Heard`); empty when not known."""
        row = self._db.execute("SELECT strip FROM loudness WHERE job = ?", (job,)).fetchone()
        return "" if row is None else str(row[0])

    def charged(self, job: int) -> tuple[int, int]:
        """Tries counted against a job in this series, and engines that died with it alone."""
        row = self._db.execute("SELECT charged, deaths FROM jobs WHERE id = ?", (job,)).fetchone()
        return int(row[0]), int(row[1])

    def owner(self, path: bytes) -> Owned | None:
        """Whose output a path is; None: nobody's."""
        row = self._db.execute(
            "SELECT outputs.job, jobs.path, outputs.made_of, outputs.written FROM outputs "
            "JOIN jobs ON jobs.id = outputs.job WHERE outputs.path = ?",
            (path,),
        ).fetchone()
        return None if row is None else Owned(*row)

    def running(self) -> list[tuple[int, int, list[bytes]]]:
        """Jobs in the state running: id, number of the try, and the output paths claimed."""
        rows = self._db.execute("SELECT id, attempts FROM jobs WHERE state = 'running'").fetchall()
        claimed = "SELECT path FROM outputs WHERE job = ? AND state = 'claimed'"
        return [
            (row[0], row[1], [path for (path,) in self._db.execute(claimed, (row[0],))])
            for row in rows
        ]

    def staged(self) -> list[Staged]:
        """Outputs whose renames were cut off."""
        rows = self._db.execute(
            "SELECT job, path, part, sha256 FROM outputs WHERE state = 'staged'"
        )
        return [Staged(row["job"], row["path"], row["part"] or b"", row["sha256"]) for row in rows]


def _is_utf8(told: bytes) -> bool:
    if told.isascii():
        return True
    try:
        told.decode()
    except UnicodeDecodeError:
        return False
    return True
