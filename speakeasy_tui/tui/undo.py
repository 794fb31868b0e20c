"""What takes back what a person did to the queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from speakeasy_tui.core.job import Job, State
from speakeasy_tui.core.protocol import AnyRequest, Hold, Place, Rerun

WAITING = frozenset({State.QUEUED, State.HELD})
"""States in which a row has a place in the queue."""

KEPT = 50
"""Steps that can be taken back."""


def cancel(jobs: Sequence[Job]) -> list[AnyRequest]:
    """Takes back the cancelling of waiting files; one that ran begins a new series by r."""
    waiting = [job.id for job in jobs if job.state in WAITING]
    held = [job.id for job in jobs if job.state is State.HELD]
    requests: list[AnyRequest] = [Rerun(ids=waiting)] if waiting else []
    return [*requests, Hold(ids=held)] if held else requests


def around(jobs: Iterable[Job], chosen: Sequence[Job]) -> Place:
    """Takes back a move of the chosen by one place: they and their neighbours as they stand."""
    waiting = in_order(jobs)
    ids = {job.id for job in chosen}
    places = [number for number, job in enumerate(waiting) if job.id in ids]
    window = waiting[max(0, places[0] - 1) : places[-1] + 2] if places else []
    return _standing(window)


def to_end(jobs: Iterable[Job], chosen: Sequence[Job], *, first: bool) -> tuple[Place, Place]:
    """Moves the waiting ones of the chosen to the queue's front or end, and takes it back."""
    waiting = in_order(jobs)
    ids = {job.id for job in chosen}
    picked = [job for job in waiting if job.id in ids]
    others = [job for job in waiting if job.id not in ids]
    wanted = picked + others if first else others + picked
    pairs = [(new, old) for new, old in zip(wanted, waiting, strict=True) if new is not old]
    move = Place(ids=[new.id for new, _ in pairs], positions=[old.position for _, old in pairs])
    return move, _standing([old for _, old in pairs])


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """The waiting ones in the order in which they run."""
    return sorted((job for job in jobs if job.state in WAITING), key=lambda job: job.position)


def _standing(jobs: Sequence[Job]) -> Place:
    return Place(ids=[job.id for job in jobs], positions=[job.position for job in jobs])
