"""What takes back what a person did to the queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from speakeasy_tui.core.job import Job, State
from speakeasy_tui.core.protocol import AnyRequest, Place, Uncancel
from speakeasy_tui.tui.format import plural

WAITING = frozenset({State.QUEUED, State.HELD})
"""States in which a row has a place in the queue."""

KEPT = 50
"""Steps that can be taken back."""


class Step(NamedTuple):
    """Something that was done, and what takes it back."""

    what: str
    """``cancelled``, ``moved``, …"""
    files: int
    """How many it was done to."""
    back: AnyRequest


def told(step: Step, count: int) -> str:
    """What to say when `step` was taken back for `count` files."""
    done = f"{plural(step.files, 'file')} {step.what}"
    if isinstance(step.back, Place) or count >= step.files:  # a place is given to others, too
        return f"Taken back: {done}"
    why = "running then, or have been changed since"
    if not count:
        return f"Not taken back: {done} were {why}"
    return f"Taken back for {count:,} of {done}; the others were {why}"


def cancel(jobs: Sequence[Job]) -> Uncancel | None:
    """Takes back the cancelling of waiting files; one that ran begins a new series by r."""
    waiting = [job.id for job in jobs if job.state in WAITING]
    held = [job.id for job in jobs if job.state is State.HELD]
    return Uncancel(ids=waiting, held=held) if waiting else None


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


def at_end(jobs: Iterable[Job], chosen: Sequence[Job], *, first: bool) -> bool:
    """Whether the chosen, all of them waiting, are the queue's first or last ones."""
    waiting = in_order(jobs)
    there = waiting[: len(chosen)] if first else waiting[-len(chosen) :]
    return {job.id for job in there} == {job.id for job in chosen}


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """The waiting ones in the order in which they run."""
    return sorted((job for job in jobs if job.state in WAITING), key=lambda job: job.position)


def _standing(jobs: Sequence[Job]) -> Place:
    return Place(ids=[job.id for job in jobs], positions=[job.position for job in jobs])
