"""Finished transcripts become outputs, and their jobs are done: of each all of it or nothing.

Jobs that are finished together are committed together: the turns of a thread, of the database and
of a folder's sync are each as long as a short file's outputs take.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from speakeasy_tui.core.job import ErrorKind, JobError
from speakeasy_tui.core.text import show_path
from speakeasy_tui.core.transcript import Chunk, Transcript
from speakeasy_tui.runner import staging
from speakeasy_tui.runner.chaos import passing
from speakeasy_tui.runner.flight import Flight
from speakeasy_tui.runner.outputs import OutputError
from speakeasy_tui.runner.record import is_as_before
from speakeasy_tui.runner.rows import Staged
from speakeasy_tui.runner.store import Store
from speakeasy_tui.runner.writing import StoreFullError

log = logging.getLogger(__name__)

CHANGED = JobError(
    ErrorKind.INPUT,
    "the recording was changed while it was transcribed",
    "rerun it when nobody writes it any more",
)


async def commit(store: Store, flights: Sequence[Flight]) -> list[JobError | None]:
    """Write the outputs of jobs and have them done.

    Returns:
        For each None, or why not: `CHANGED`, or what its outputs met. Then nothing of them is left
        but what got its name, which the store knows as the job's.

    Raises:
        StoreFullError: the queue's disk is full. Parts may be staged.
    """
    commits = [_Commit(store, flight) for flight in flights]
    _each(commits, _Commit.gather)
    await asyncio.to_thread(_each, commits, _Commit.write)
    _keep(store, commits, _Commit.stage, durable=True)
    await asyncio.to_thread(_name, commits)
    _keep(store, commits, _Commit.done, durable=False)
    for one in commits:
        if one.error is not None and one.error is not CHANGED:
            one.unstage(await asyncio.to_thread(one.clear_up))
    return [one.error for one in commits]


class _Commit:
    """That of one job."""

    def __init__(self, store: Store, flight: Flight) -> None:
        self._store = store
        self._flight = flight
        self._transcript = Transcript([], "", 0.0)
        self._message = ""
        self.staged: list[Staged] = []
        self.error: JobError | None = None
        """What ended it."""

    def gather(self) -> None:
        """Take what was stored of it.

        Raises:
            ValueError: that is not all of it; a transcript with a hole is none.
        """
        chunks = self._store.chunks(self._flight.id)
        if len(chunks) < self._flight.done:
            raise ValueError(f"of {self._flight.done} chunks {len(chunks)} can be read")
        self._transcript = transcript_of(self._flight, chunks)
        self._message = "; ".join(self._transcript.warnings)

    def write(self) -> None:
        """The parts, unless the transcript would count as that of another recording. Blocks."""
        prepared = self._flight.prepared
        claim, content = prepared.claim, prepared.content
        if content.digest and not is_as_before(claim.path, content):
            self.error = CHANGED
            return
        self.staged = staging.write_parts(
            claim.id,
            self._flight.attempt,
            prepared.plan,
            self._transcript,
            made_here=claim.options.output_dir is not None,
        )
        passing("written")

    def stage(self) -> None:
        """Their renames may begin."""
        self._store.stage(
            self._flight.id,
            self.staged,
            language=self._transcript.language,
            elapsed_s=round(time.monotonic() - self._flight.started, 3),
            work_s=round(self._flight.whole_work_s, 3),
            warnings=self._flight.warnings,
            message=self._message,
        )

    def name(self) -> None:
        """The parts get their names. Blocks."""
        passing("staged")
        staging.name_parts(self.staged, self._flight.prepared.plan.replace)

    def done(self) -> None:
        """All is in place."""
        passing("named")
        self._store.done(self._flight.id, self._message)

    def failed(self, trouble: Exception) -> None:
        """It ends here."""
        if isinstance(trouble, OutputError):
            self.error = trouble.error
            return
        log.error("job %d: its outputs were not committed", self._flight.id, exc_info=trouble)
        self.error = JobError(
            ErrorKind.OUTPUT,
            f"internal error while its outputs were written: {trouble}",
            "rerun it: what was transcribed is kept; runner.log says more",
        )

    def clear_up(self) -> list[bytes]:
        """Leave no part of one that ended before it was done; returns what got its name. Blocks."""
        staging.discard(self.staged)
        return staging.in_place(self.staged)

    def unstage(self, named: list[bytes]) -> None:
        """What got its name stays and is known as the job's."""
        self._store.unstage(self._flight.id, named)


def _each(commits: Iterable[_Commit], step: Callable[[_Commit], None]) -> None:
    """One step of all that go on; what one meets is its own."""
    for one in commits:
        if one.error is None:
            try:
                step(one)
            except StoreFullError:
                raise
            except Exception as trouble:
                one.failed(trouble)


def _name(commits: Sequence[_Commit]) -> None:
    _each(commits, _Commit.name)
    staging.sync_folders(item for one in commits for item in one.staged)


def _keep(
    store: Store, commits: Sequence[_Commit], step: Callable[[_Commit], None], *, durable: bool
) -> None:
    """One step of all that go on, as one transaction; where that cannot be, each by itself."""
    going = [one for one in commits if one.error is None]
    if not going:
        return
    try:
        with store.together(durable=durable):
            for one in going:
                step(one)
    except StoreFullError:
        raise
    except Exception:
        _each(going, step)


def transcript_of(flight: Flight, chunks: Sequence[Chunk]) -> Transcript:
    """What the formats need."""
    claim = flight.prepared.claim
    return Transcript(
        segments=[segment for chunk in chunks for segment in chunk.segments],
        language=flight.language or "",
        duration=flight.audio_s or 0.0,
        source=show_path(claim.path),
        model=flight.prepared.found.name,
        task=claim.options.task,
        language_probability=flight.language_probability,
        simulated=claim.options.engine == "sim",
        identity=flight.prepared.made_of,
        warnings=[warning.message for warning in flight.warnings],
        missing_s=sum(warning.seconds or 0.0 for warning in flight.warnings),
    )
