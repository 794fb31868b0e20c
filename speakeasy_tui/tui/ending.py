"""Noticing that a batch has ended while this window watched it."""

from __future__ import annotations

from speakeasy_tui.core.job import Batch, RunnerState, State


class Ending:
    """Looks at each picture of the batch; an end is told once."""

    def __init__(self) -> None:
        self._watched = False

    def look(self, batch: Batch) -> bool:
        """Whether the work that was seen going on has ended with this picture."""
        left = sum(batch.counts.get(state, 0) for state in (State.QUEUED, State.RUNNING))
        if batch.state is RunnerState.RUNNING and left:
            self._watched = True
        elif self._watched and batch.state is RunnerState.IDLE:
            self._watched = False
            return True
        return False
