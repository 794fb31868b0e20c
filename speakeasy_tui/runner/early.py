"""Files that an engine decodes while its model is on the way.

They are not begun: their rows stay queued and no try is counted, so that a load that fails,
whatever the reason, leaves nothing to be given back. A file that meets an error meanwhile is
sent once more when the model is there, where the usual rules hold.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from speakeasy_tui.core import engineprotocol as say
from speakeasy_tui.runner.flight import Flight, Prepared, order
from speakeasy_tui.runner.seat import Seat
from speakeasy_tui.runner.work import Work


class Early:
    """Those of one lane, in the order in which they were sent."""

    def __init__(self, work: Work, seat: Seat, lane: int) -> None:
        self._work = work
        self._seat = seat
        self._lane = lane
        self._files: dict[int, Flight] = {}
        self._failed: set[int] = set()
        """Of them, those that the engine has dropped."""

    @property
    def files(self) -> Collection[Flight]:
        """As flights, to be counted; nobody but this has seen them."""
        return self._files.values()

    def send(self, hand: Prepared) -> None:
        """Have the engine begin with a claimed file."""
        claim = hand.claim
        number, now = claim.attempts + 1, time.monotonic()
        flight = Flight(hand, number, self._lane, now, audio_s=claim.audio_s)
        same = claim.made_of == hand.made_of  # else `Store.begin` forgets what is stored
        self._files[flight.id] = flight
        stored = self._work.store.chunks(flight.id) if same else []
        self._seat.send(order(flight, self._lane, stored))

    def heard(self, report: say.Progress | say.Failed) -> None:
        """Note what the engine says of one of them."""
        flight = self._files.get(report.job)
        if flight is None:
            return
        if isinstance(report, say.Failed):
            self._failed.add(flight.id)
        else:
            flight.stage = report.stage

    def next(self) -> tuple[Flight, bool] | None:
        """Hand over the oldest, and whether the engine is still at it; None after the last."""
        job = next(iter(self._files), None)
        if job is None:
            return None
        at_it = job not in self._failed
        self._failed.discard(job)
        return self._files.pop(job), at_it

    def let_go(self) -> bool:
        """Take all of them back from the engine; False when there was none."""
        found = bool(self._files)
        for job, flight in self._files.items():
            self._seat.send(say.Abandon(job=job))
            self._work.unclaim(flight.prepared.claim)
        self._files.clear()
        self._failed.clear()
        return found
