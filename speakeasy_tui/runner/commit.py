"""A finished transcript becomes outputs, and the job is done: all of it or nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

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


async def commit(store: Store, flight: Flight) -> JobError | None:
    """Write a job's outputs and have it done.

    Returns:
        None, or why not: `CHANGED`, or what its outputs met. Then nothing of them is left but what
        got its name, which the store knows as the job's.

    Raises:
        StoreFullError: the queue's disk is full. Parts may be staged.
    """
    job, plan = flight.id, flight.prepared.plan
    transcript = transcript_of(flight, store.chunks(job))
    message = "; ".join(transcript.warnings)
    staged: list[Staged] = []
    try:
        written = await asyncio.to_thread(_write, flight, transcript)
        if written is None:
            return CHANGED
        staged = written
        passing("written")
        store.stage(
            job,
            staged,
            language=transcript.language,
            elapsed_s=round(time.monotonic() - flight.started, 3),
            work_s=round(flight.whole_work_s, 3),
            warnings=flight.warnings,
            message=message,
        )
        passing("staged")
        await asyncio.to_thread(staging.name_parts, staged, plan.replace)
        passing("named")
        store.done(job, message)
    except StoreFullError:
        raise
    except Exception as trouble:
        staging.discard(staged)
        store.unstage(job, staging.in_place(staged))
        if isinstance(trouble, OutputError):
            return trouble.error
        log.exception("job %d: its outputs were not committed", job)
        return JobError(
            ErrorKind.OUTPUT,
            f"internal error while its outputs were written: {trouble}",
            "rerun it: what was transcribed is kept; runner.log says more",
        )
    return None


def _write(flight: Flight, transcript: Transcript) -> list[Staged] | None:
    """The parts; None when the transcript would count as that of another recording. Blocks."""
    claim, plan, content = flight.prepared.claim, flight.prepared.plan, flight.prepared.content
    if content.digest and not is_as_before(claim.path, content):
        return None
    made_here = claim.options.output_dir is not None
    return staging.write_parts(claim.id, flight.attempt, plan, transcript, made_here=made_here)


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
