"""The queue in sentences, for screen readers and braille lines: no columns, no abbreviations.

The ear has no columns to look along: a line says what it speaks of, the name before the
state, the reason before the numbers, and what to do last of what matters.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from speakeasy_tui.cli.say import because, several
from speakeasy_tui.core.job import FINAL_STATES, State
from speakeasy_tui.core.text import printable

if TYPE_CHECKING:
    from speakeasy_tui.core.job import Batch, Job
    from speakeasy_tui.core.protocol import Status


def summary(told: Status) -> str:
    """The queue as a whole: how many files in which state, and what the runner does."""
    batch = told.batch
    counts = {state: int(batch.counts.get(state, 0)) for state in State}
    parts = [f"{count:,} {state}" for state, count in counts.items() if count]
    total = several(sum(counts.values()), "file")
    sentences = [f"{total} in the queue" + (": " + _listed(parts) if parts else "")]
    sentences += _runner(batch)
    if batch.notice:
        sentences.append(batch.notice)
    return _joined(sentences)


def _runner(batch: Batch) -> Iterator[str]:
    yield f"The runner is {because(batch.state, batch.why.message if batch.why else '')}"
    if batch.why is not None and batch.why.hint:
        yield f"What to do: {batch.why.hint}"
    if batch.state == "running":
        if batch.speed:
            yield f"It works at {speed(batch.speed)}"
        if batch.eta_s:
            yield f"About {duration(batch.eta_s)} left"


def row(job: Job, place: int, total: int) -> str:
    """A job in one line; `place` of `total` is where it stands in the queue, from 1."""
    folder, name = os.path.split(job.path)
    sentences = [f"Row {place:,} of {total:,}", name, *_state(job)]
    sentences += [f"Warning: {warning.message}" for warning in job.warnings]
    if job.audio_s is not None:
        sentences.append(f"Length {duration(job.audio_s)}")
    if job.attempts > 1:
        sentences.append(f"{job.attempts} tries")
    sentences += [f"Folder {folder}", f"Job number {job.id}"]
    return _joined(sentences)


def _state(job: Job) -> Iterator[str]:
    said = job.state.capitalize()
    if job.error is not None:
        yield f"{said}: {job.error.message}"
        if job.error.hint:
            yield f"What to do: {job.error.hint}"
        return
    if job.state is State.RUNNING:
        yield f"{said}, {job.progress * 100:.0f} percent done"
        if job.eta_s:
            yield f"About {duration(job.eta_s)} left"
    elif job.message and job.message.lower() != job.state:
        yield f"{said}: {job.message}"
    else:
        yield said
    if job.speed and (job.state is State.RUNNING or job.state in FINAL_STATES):
        yield speed(job.speed).capitalize()


def duration(seconds: float) -> str:
    """``1 hour 2 minutes``; below an hour with seconds."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = [(hours, "hour"), (minutes, "minute"), (0 if hours else rest, "second")]
    return " ".join(several(count, noun) for count, noun in parts if count) or "0 seconds"


def speed(times: float) -> str:
    """``25 times real time``."""
    return f"{times:.0f} times real time" if times >= 10 else f"{times:.1f} times real time"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _joined(sentences: Iterable[str]) -> str:
    """Sentences on one line, each ended once: a pause for the voice."""
    told = (printable(sentence).strip() for sentence in sentences)
    return " ".join(one if one.endswith((".", "!", "?")) else f"{one}." for one in told if one)
