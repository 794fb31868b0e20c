"""Which waiting file is begun next.

The table's order is a person's to give; among files whose place nobody has chosen the longest
may go first, so that the lanes end together (longest processing time first: R. L. Graham,
"Bounds on multiprocessing timing anomalies", 1969).
"""

from __future__ import annotations

from collections.abc import Iterable

from speakeasy_tui.core.job import State
from speakeasy_tui.runner.record import Claim
from speakeasy_tui.runner.store import Store

TAIL = 2.0
"""A file goes first when what waits is, for each lane, at most so many times as long. Before that
the order changes nothing about the end, and people like to see the table's."""


class Order:
    """Picks by the setting `order`."""

    def __init__(self, store: Store, setting: str) -> None:
        self._store = store
        self._setting = setting

    def next(
        self, requests: list[str], taken: Iterable[int], *, suspects: bool, lanes: int
    ) -> Claim | None:
        """The file to begin next.

        Args:
            requests: those a lane may take.
            taken: jobs that are claimed already.
            suspects: whether it may be one that must run alone.
            lanes: how many lanes are at work.
        """
        if self._setting == "longest" or (self._setting == "auto" and lanes > 1):
            longest = self._store.longest_queued(requests, taken, suspects=suspects)
            if longest is not None and (self._setting == "longest" or self._late(longest, lanes)):
                return longest
        return self._store.next_queued(requests, taken, suspects=suspects)

    def _late(self, longest: Claim, lanes: int) -> bool:
        """Whether the longest file would outlast the others if it were left for the end."""
        waiting = self._store.tallies()[State.QUEUED]
        if not waiting.known:
            return False
        whole = waiting.audio_s * waiting.jobs / waiting.known
        return (longest.audio_s or 0.0) * lanes * TAIL >= whole
