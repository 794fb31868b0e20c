"""The queue on disk. The runner alone writes it; every public method is one transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from speakeasy_tui.core.job import JobError, JobWarning, State
from speakeasy_tui.core.transcript import Chunk
from speakeasy_tui.runner.queueing import Queueing
from speakeasy_tui.runner.rows import Staged


class Store(Queueing):
    """What becomes of a job, from its first try to its outputs."""

    def begin(self, job: int, *, lane: int, device: str, model: str, made_of: str) -> int:
        """A lane begins a try; returns its number in the series.

        Chunks that were made of something else (the file, the model or the options have
        changed) are forgotten.
        """
        with self._transaction(durable=False) as db:
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
        with self._transaction(durable=False) as db:
            db.execute(
                "UPDATE jobs SET audio_s = ?, language = COALESCE(?, language) WHERE id = ?",
                (audio_s, language, job),
            )

    def lengths(self, found: Mapping[int, float]) -> None:
        """Lengths (s) of files that nobody has opened yet, as their headers say."""
        with self._transaction(durable=False) as db:
            db.executemany(
                "UPDATE jobs SET audio_s = ? WHERE id = ? AND audio_s IS NULL "
                "AND state IN ('queued', 'held')",
                [(seconds, job) for job, seconds in found.items()],
            )

    def heard(self, job: int, strip: str) -> None:
        """How loud a file is has become known."""
        with self._transaction(durable=False) as db:
            db.execute("INSERT OR REPLACE INTO loudness VALUES (?, ?)", (job, strip))

    def store_chunk(self, job: int, chunk: Chunk) -> None:
        """A chunk is finished."""
        with self._transaction(durable=False) as db:
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

    def fail_waiting(self, request: str, error: JobError) -> list[int]:
        """Fail all queued jobs that ask for `request`; returns which."""
        with self._transaction() as db:
            waiting = "SELECT id FROM jobs WHERE state = 'queued' AND request = ? ORDER BY position"
            jobs = [int(row[0]) for row in db.execute(waiting, (request,))]
            for job in jobs:
                self._fail(db, job, State.FAILED, error)
        return jobs

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
        with self._transaction(durable=False) as db:
            self._turn(db, job, State.SKIPPED)
            db.execute(
                "UPDATE jobs SET message = ?, warnings = ?, finished = ?, progress = 1 "
                "WHERE id = ?",
                (message, _json(warnings), time.time(), job),
            )

    def forget_finished(self, job: int) -> None:
        """Forget the chunks of a transcript that was finished; those of a try that was cut off
        stay."""
        last = "SELECT outcome FROM attempts WHERE job = ?1 ORDER BY id DESC LIMIT 1"
        with self._transaction(durable=False) as db:
            for table in ("chunks", "loudness"):
                db.execute(f"DELETE FROM {table} WHERE job = ?1 AND ({last}) = 'done'", (job,))

    # -------------------------------------------------------------- outputs

    def claim_outputs(self, job: int, paths: Sequence[bytes]) -> None:
        """Reserve output paths for a job; others it claimed and never wrote are let go."""
        with self._transaction(durable=False) as db:
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
        with self._transaction(durable=False) as db:
            db.executemany(
                "INSERT INTO outputs (path, job, state, made_of) VALUES (?, ?, 'done', ?) "
                "ON CONFLICT (path) DO UPDATE SET job = excluded.job, state = excluded.state, "
                "part = NULL, made_of = excluded.made_of",
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
                "state = excluded.state",  # the rest stays that of what is there now
                [(item.path, item.job, item.part, item.sha256) for item in staged],
            )
            db.execute(
                "UPDATE jobs SET language = ?, elapsed_s = ?, work_s = ?, warnings = ?, "
                "message = ? WHERE id = ?",
                (language, elapsed_s, work_s, _json(warnings), message, job),
            )

    def done(self, job: int, message: str = "") -> None:
        """The staged outputs have their names: the job is done."""
        with self._transaction(durable=False) as db:
            self._turn(db, job, State.DONE)
            self._end_attempt(db, job, "done", message, "", charged=True)
            db.execute(
                "UPDATE outputs SET state = 'done', part = NULL, written = sha256, "
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
                "UPDATE outputs SET written = sha256, "
                "made_of = (SELECT made_of FROM jobs WHERE id = ?1) "
                "WHERE path = ?2 AND job = ?1 AND state = 'staged'",
                [(job, path) for path in named],
            )
            db.execute(
                "UPDATE outputs SET state = 'claimed', part = NULL WHERE job = ? "
                "AND state = 'staged'",
                (job,),
            )

    # -------------------------------------------------------------- after a crash

    def give_back_running(self, but: Iterable[int] = (), why: str = "the runner had ended") -> int:
        """Give back what no engine works on (all but `but`); returns how many.

        At a start that is what another life of the runner left.
        """
        kept = json.dumps(list(but))
        with self._transaction() as db:
            db.execute(
                "UPDATE attempts SET outcome = 'given back', ended = ?, "
                "message = ? WHERE outcome = 'running' "
                "AND job NOT IN (SELECT value FROM json_each(?))",
                (time.time(), why, kept),
            )
            cursor = db.execute(
                "UPDATE jobs SET state = 'queued', lane = NULL, progress = 0, "
                "message = ? WHERE state = 'running' "
                "AND id NOT IN (SELECT value FROM json_each(?))",
                (f"given back: {why}", kept),
            )
        return cursor.rowcount


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
