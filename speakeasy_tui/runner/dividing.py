"""At the end of a batch: an idle lane does the second half of what is left of a long file.

Chunks are cut from a file's start, and by nothing but its sound, so two engines cut it alike: one
is told where to stop and the other where to begin. What the second one pays is decoding and
listening up to there, a small part of what the model would take.

The try stays one. Whatever ends it on one lane (a fault, a death, the engine's reload for another
file, a person) ends it on all of them, by the rules for one lane; what is finished is stored, so
little is lost, and the next try takes up the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from speakeasy_tui.runner.flight import WINDOW_S, Flight

if TYPE_CHECKING:
    from speakeasy_tui.runner.lane import Lane
    from speakeasy_tui.runner.work import Work

log = logging.getLogger(__name__)

LEAST = 20
"""Windows that must be left of a part, or it is not divided."""
GAIN_S = 2.0
"""Seconds of the other lane's work that must be saved."""
LOAD_S = 10.0
"""As many more where the idle lane has to load the model first."""
LISTEN_SPEED = 300.0
"""× real time at which an engine decodes and listens on its way to its part, on a slow machine."""


class Cut(NamedTuple):
    """Where a part would be divided."""

    at: float
    """Seconds from the file's start."""
    behind: float
    """Seconds not transcribed yet from there to the part's end."""


class Share(NamedTuple):
    """A file on a lane that another could help with."""

    cut: Cut
    lane: Lane
    flight: Flight


def middle(
    stored: Sequence[tuple[float, float]], since: float, until: float, at_work: float
) -> Cut | None:
    """Where half of what is left of a part lies before, half behind; all in seconds.

    Args:
        stored: starts and ends of finished chunks, in order.
        since: where the part begins.
        until: where it ends.
        at_work: what comes next is in the model and stays before the cut.

    Returns None when less than `LEAST` windows are left.
    """
    gaps: list[tuple[float, float]] = []
    reached = since
    for start, end in stored:
        if start > reached:
            gaps.append((reached, min(start, until)))
        reached = max(reached, end)
    gaps.append((reached, until))
    left = sum(max(0.0, end - start) for start, end in gaps)
    if left < LEAST * WINDOW_S:
        return None
    before = ahead = max(left / 2, at_work)
    for start, end in gaps:
        length = max(0.0, end - start)
        if before < length:
            return Cut(start + before, left - ahead)
        before -= length
    return None


def find(work: Work, lanes: Sequence[Lane], idle: Lane, requests: Sequence[str]) -> Share | None:
    """What an idle lane could do of the file of which most is left on another.

    Args:
        work: the work.
        lanes: all of them.
        idle: the one with nothing to do.
        requests: those it may take; for another than that of its model it must load one first.
    """
    best: Share | None = None
    for lane in lanes:
        if lane is idle or lane.loading or lane.request not in requests:
            continue
        speed = work.lane_speed(lane.view.number)
        if not speed:
            continue
        least = GAIN_S if lane.request == idle.request else GAIN_S + LOAD_S
        for flight in list(lane.flights.values()):
            cut = _cut(work, lane, flight)
            if cut is None or cut.behind / speed < least + cut.at / LISTEN_SPEED:
                continue
            if best is None or cut.behind > best.cut.behind:
                best = Share(cut, lane, flight)
    return best


def is_whole(work: Work, flight: Flight) -> bool:
    """Whether all of a file is there, once all its parts are finished; if not, it is given back.

    That would be the work of two engines that cut it differently. What is stored fits together all
    the same, and one engine alone does the rest.
    """
    if not flight.split or flight.done == flight.chunks:
        return True
    log.error("job %d, divided: %d of %d chunks", flight.id, flight.done, flight.chunks)
    work.indivisible.add(flight.id)
    work.give_back(flight.id, outcome="given back", message="goes on on one device")
    return False


def _cut(work: Work, lane: Lane, flight: Flight) -> Cut | None:
    claim = flight.prepared.claim
    if flight.id in work.indivisible or claim.suspect or claim.options.sequential:
        return None
    if not (flight.worked and flight.language and flight.audio_s):
        return None
    part = flight.parts[lane.view.number]
    until = min(part.until, flight.audio_s)
    return middle(work.store.spans(flight.id), part.since, until, lane.at_work * WINDOW_S)
