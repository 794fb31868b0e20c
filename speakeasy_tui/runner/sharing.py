"""Towards the end of a batch: an idle lane takes over what another has not begun.

A lane is given files ahead, so that its engine never waits. When the queue is empty those files
would keep the others idle, for as long as that lane is slow, or still loads its model.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from speakeasy_tui.core.job import State
from speakeasy_tui.runner.flight import WINDOW_S, Flight
from speakeasy_tui.runner.record import Claim

if TYPE_CHECKING:
    from speakeasy_tui.runner.lane import Lane
    from speakeasy_tui.runner.work import Work

log = logging.getLogger(__name__)

WORTH_S = 2.0
"""Seconds of another lane's work below which files stay where they are."""


def spare(flights: Sequence[Flight], at_work: float) -> list[Flight]:
    """Files, oldest first, that a lane could give away: behind the first `at_work` windows, which
    are in the model or next, and without a chunk of this try."""
    found = []
    ahead = 0.0
    for flight in flights:
        if ahead >= at_work and not flight.worked and not flight.prepared.claim.suspect:
            found.append(flight)
        ahead += flight.windows
    return found


def take_over(work: Work, lanes: Sequence[Lane], idle: Lane) -> list[Claim]:
    """Claim, for an idle lane, half of what the lane with most to spare has not begun.

    Only files for the model that the idle lane has in memory. What a lane that still loads its
    model has in hand goes back to the queue.
    """
    request = idle.request
    others = [lane for lane in lanes if lane is not idle]
    for lane in others:
        if lane.loading and lane.hand_back(request) and (claim := work.claim([request])):
            return [claim]
    spares = {lane.view.number: lane.spare(request) for lane in others}
    rich = max(others, key=lambda lane: _windows(spares[lane.view.number]), default=None)
    if rich is None or not spares[rich.view.number]:
        return []
    files = spares[rich.view.number]
    speed = work.lane_speed(rich.view.number)
    if speed and _windows(files) * WINDOW_S / speed < WORTH_S:
        return []
    share = _windows(files) / 2
    claims: list[Claim] = []
    while files and (share > 0 or not claims):
        flight = files.pop()
        share -= flight.windows
        if rich.abandon(flight.id, State.QUEUED, "moved to an idle lane"):
            claim = work.claim_one(flight.id)
            claims += [claim] if claim is not None else []
    log.info("lane %d takes %d files from lane %d", idle.view.number, len(claims), rich.view.number)
    return claims


def _windows(flights: Sequence[Flight]) -> float:
    return sum(flight.windows for flight in flights)
