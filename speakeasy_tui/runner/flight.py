"""A file between its start on a lane and its outputs: what changes too often for the disk."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence

from msgspec import Struct, structs

from speakeasy_tui.core import engineprotocol as say
from speakeasy_tui.core.job import Job, JobWarning, State
from speakeasy_tui.core.transcript import Chunk
from speakeasy_tui.runner.modelfinder import Found
from speakeasy_tui.runner.outputs import Plan
from speakeasy_tui.runner.record import Claim, Content

WINDOW_S = 30.0
"""Seconds of audio the model takes at once."""
SHORTEST = 1 / 6
"""Share of a window that the shortest file counts for: so many may be packed into one."""
USUAL_RATE = 16_000
"""Bytes a second of a recording nobody has looked into; that of 128 kbit/s."""


class Prepared(Struct, frozen=True):
    """A claimed job, checked and ready for an engine."""

    claim: Claim
    plan: Plan
    made_of: str
    found: Found
    content: Content = Content()
    """Of the source."""


class Part(Struct):
    """What one lane does of a file: the chunks that start from `since` on and before `until`."""

    ticket: int
    """By it the engine's `Finished` is known to speak of this part."""
    since: float = 0.0
    """Seconds."""
    until: float = math.inf
    """Seconds."""
    work_s: float = 0.0
    """The engine's time on it, seconds."""

    @property
    def last(self) -> bool:
        """Whether the end of the file is in it: this engine sees all of the file."""
        return self.until == math.inf


class Flight(Struct):
    """A job that an engine works on, or several, each on its part."""

    prepared: Prepared
    attempt: int
    lane: int
    """The first one."""
    started: float
    """`time.monotonic()`."""
    audio_s: float | None = None
    chunks: int = 0
    """Chunks of the file; 0 until it has been opened."""
    done: int = 0
    """Of those, finished, in this try and before."""
    worked: bool = False
    """Whether a chunk was finished in this try."""
    resumed: float = 0.0
    """Share that was there from an earlier try, 0–1."""
    progress: float = 0.0
    stage: str = ""
    """What the engine does with it; empty before it has begun, and where that needs no word."""
    work_s: float = 0.0
    """The engines' time on it in this try, seconds."""
    language: str | None = None
    language_probability: float | None = None
    warnings: list[JobWarning] = []
    parts: dict[int, Part] = {}
    """By lane; those that are finished are gone."""
    split: bool = False
    """Whether there ever was more than one."""
    starts: set[float] = set()
    """Of the finished chunks, seconds."""
    past_work_s: float = 0.0
    """The engines' time on parts that are finished, seconds."""

    @property
    def id(self) -> int:
        """The job's id."""
        return self.prepared.claim.id

    @property
    def size(self) -> int:
        """Bytes of the source."""
        return self.prepared.content.size

    @property
    def sequential(self) -> bool:
        """Whether it goes through the model alone, window after window."""
        return self.prepared.claim.options.sequential

    @property
    def begun(self) -> bool:
        """Whether the engine has begun to open it."""
        return self.chunks > 0 or self.stage != ""

    @property
    def windows(self) -> float:
        """Windows of the model still to come, short files by their share of one."""
        seconds = self.audio_s if self.audio_s is not None else self.size / USUAL_RATE
        if self.sequential:
            return (1.0 - self.progress) * seconds / WINDOW_S
        if self.chunks > 1 or (self.chunks and seconds >= WINDOW_S):
            return self.chunks - self.done
        return 0.0 if self.chunks and self.done else windows_of(seconds)

    @property
    def whole_work_s(self) -> float:
        """The engine's time on all of it, judged by the part done in this try."""
        return self.work_s / max(0.01, 1.0 - self.resumed)

    def warn(self, warnings: list[JobWarning]) -> None:
        """Keep warnings, each once."""
        self.warnings = self.warnings + [new for new in warnings if new not in self.warnings]

    def resume(self, stored: Sequence[Chunk]) -> None:
        """These chunks are there from an earlier try."""
        self.starts = {chunk.start for chunk in stored}
        self.done = len(stored)

    def worked_on(self, part: Part, seconds: float) -> None:
        """An engine has spent so many seconds on its part."""
        part.work_s = max(part.work_s, seconds)
        self.work_s = self.past_work_s + sum(part.work_s for part in self.parts.values())

    def leave(self, lane: int) -> bool:
        """A lane has finished its part; whether that was the last one under way."""
        self.past_work_s += self.parts.pop(lane).work_s
        return not self.parts

    def finish_chunk(self, chunk: Chunk) -> None:
        """Count a finished chunk."""
        self.starts.add(chunk.start)
        self.done += 1
        self.worked = True
        if self.split:
            if self.chunks:
                self.progress = max(self.progress, min(0.999, self.done / self.chunks))
        elif self.audio_s:
            self.progress = max(self.progress, min(1.0, chunk.end / self.audio_s))

    def overlay(self, job: Job) -> Job:
        """The row as it is now; `job` is the row on disk."""
        if job.state is not State.RUNNING:
            return job
        elapsed = time.monotonic() - self.started
        speed = eta = None
        audio_s = self.audio_s or job.audio_s
        worked = self.progress - self.resumed
        if audio_s and worked > 0 and elapsed > 0:
            speed = round(worked * audio_s / (self.work_s or elapsed), 2)
            eta = round((1 - self.progress) * elapsed / worked, 1)
        message = job.message
        if self.attempt > 1 and not message:
            message = f"try {self.attempt}"
        return structs.replace(
            job,
            progress=round(self.progress, 4),
            elapsed_s=round(elapsed, 2),
            speed=speed,
            eta_s=eta,
            audio_s=audio_s,
            language=self.language or job.language,
            warnings=tuple(self.warnings),
            message=message or self.stage,
        )


def windows_of(seconds: float) -> float:
    """Windows of the model that a file of so many seconds is likely to take."""
    return max(SHORTEST, seconds / WINDOW_S)


_tickets = itertools.count(1)


def order(
    flight: Flight,
    lane: int,
    stored: Sequence[Chunk],
    since: float = 0.0,
    until: float = math.inf,
) -> say.Transcribe:
    """Make a part of the file the lane's: the command that has its engine do what is not `stored`
    of it. From `since` (s) on only when the language is known."""
    part = flight.parts[lane] = Part(next(_tickets), since, until)
    options = flight.prepared.claim.options
    if since:
        # Found by the engine that has the first chunk; not to be found again.
        options = structs.replace(options, language=flight.language or options.language)
    return say.Transcribe(
        job=flight.id,
        attempt=flight.attempt,
        path=flight.prepared.claim.path,
        options=options,
        have=[chunk.start for chunk in stored],
        since=since,
        until=None if part.last else until,
        ticket=part.ticket,
    )
