"""The board: all rows, lanes and the batch as the runner last told them. No Textual, no lock.

One thread feeds it messages; readers on that thread see a consistent picture, others are
given what `drain` returns.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from speakeasy_tui.core.job import Batch, Job, Lane
from speakeasy_tui.core.protocol import AnyMessage, Chunks, Event, Pulse, Rows
from speakeasy_tui.core.transcript import Chunk


@dataclass
class Changes:
    """What happened since the last look, newest state only: immutable once handed over."""

    jobs: dict[int, Job] = field(default_factory=dict)
    """Rows that are new or have changed."""
    gone: set[int] = field(default_factory=set)
    lanes: list[Lane] | None = None
    batch: Batch | None = None
    events: list[Event] = field(default_factory=list)
    chunks: dict[int, list[Chunk]] = field(default_factory=dict)
    """New parts of watched transcripts."""
    reset_chunks: set[int] = field(default_factory=set)
    """Watched jobs whose transcript begins anew."""
    loudness: dict[int, str] = field(default_factory=dict)
    """Of watched jobs, as `core.engineprotocol.Heard` tells it."""
    synced: bool = False
    """The first full picture is complete."""

    def __bool__(self) -> bool:
        return bool(
            self.jobs
            or self.gone
            or self.lanes is not None
            or self.batch is not None
            or self.events
            or self.chunks
            or self.reset_chunks
            or self.loudness
            or self.synced
        )

    def take(self, message: AnyMessage) -> None:
        """Fold a message in; ten updates of a row leave one."""
        match message:
            case Rows():
                for job in message.jobs:
                    self.jobs[job.id] = job
                    self.gone.discard(job.id)
                for job_id in message.gone:
                    self.jobs.pop(job_id, None)
                    self.gone.add(job_id)
                self.synced = self.synced or message.synced
            case Pulse():
                self.lanes = message.lanes
                self.batch = message.batch
            case Event():
                self.events.append(message)
            case Chunks():
                if message.reset:
                    self.reset_chunks.add(message.id)
                    self.chunks.pop(message.id, None)
                if message.loudness:
                    self.loudness[message.id] = message.loudness
                self.chunks.setdefault(message.id, []).extend(message.chunks)
            case _:
                pass
