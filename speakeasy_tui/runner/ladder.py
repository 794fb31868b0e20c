"""What a fault does to the files it met, and in what words; `core.faults` says which rung."""

from __future__ import annotations

from speakeasy_tui.core.faults import Rung, Verdict
from speakeasy_tui.core.job import ErrorKind, JobError
from speakeasy_tui.runner.flight import Flight
from speakeasy_tui.runner.work import Work

CURES: dict[Rung, str] = {
    Rung.NONE: "tried again",
    Rung.HALVE: "halved the batch",
    Rung.RELOAD: "reloaded model",
    Rung.RESPAWN: "new engine",
    Rung.RETIRE: "given back",
    Rung.PAUSE: "given back",
}
HINTS: dict[ErrorKind, str] = {
    ErrorKind.OOM: "use a smaller --model, --compute-type int8, or a smaller --batch-size",
    ErrorKind.CUDA: "look into the lane's log; rerun it; speakeasy doctor checks the GPU",
    ErrorKind.STICKY: "look into the lane's log; rerun it; if others fail too, the GPU is suspect",
    ErrorKind.CRASH: "this file may be what ends the engine; its attempts have the last words",
    ErrorKind.INPUT: "play it to see whether it is whole; copy or convert it again",
    ErrorKind.MODEL: "check the model's folder; speakeasy models shows what is here",
    ErrorKind.HANG: "rerun it, or raise stall_s if it was only slow",
}


def strike(
    work: Work,
    flights: dict[int, Flight],
    jobs: list[int],
    error: JobError,
    verdict: Verdict,
    rung: Rung,
    detail: str,
) -> int | None:
    """An engine that lives has met an error and dropped `jobs`: they are retried or fail.

    Returns the one file that can have been the cause, if it was alone.
    """
    struck = [job for job in jobs if flights.pop(job, None) is not None]
    alone = len(struck) == 1
    # What ends the engine charges none of those that shared it: they run alone next.
    charged = verdict.charged and (alone or rung is not Rung.RESPAWN)
    for job in struck:
        work.retry(
            job,
            error,
            cure=CURES[rung],
            charged=charged,
            alone=alone,
            suspect=verdict.charged,
            detail=detail,
        )
    return struck[0] if len(struck) == 1 and verdict.charged else None


def bury(work: Work, flights: dict[int, Flight], error: JobError, detail: str) -> int | None:
    """An engine has died with `flights`: a file alone is charged, several become suspects.

    Files it had not begun to open cannot be the cause: they go back as they were.

    Returns the one that was alone.
    """
    jobs = [job for job, flight in flights.items() if flight.begun] or list(flights)
    for job in flights.keys() - set(jobs):
        del flights[job]
        work.give_back(job, outcome="given back", message="given back: its engine ended")
    alone = len(jobs) == 1
    for job in jobs:
        del flights[job]
        work.retry(
            job,
            error,
            cure=CURES[Rung.RESPAWN],
            charged=alone,
            alone=alone,
            suspect=True,
            death=alone and error.kind is not ErrorKind.STICKY,  # the device's, or another's
            detail=detail,
        )
    return jobs[0] if alone else None
