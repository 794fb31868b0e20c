"""The queue as a whole, in numbers."""

from __future__ import annotations

from collections.abc import Mapping

from speakeasy_tui.core.job import Batch, RunnerState, State
from speakeasy_tui.runner.rows import Tally


def overall(
    tallies: Mapping[str, Tally],
    *,
    wanted: RunnerState,
    scanning: int,
    at_work: int | None,
    in_flight_s: float,
    speed: float | None,
) -> Batch:
    """What is done, what is left and how long that takes.

    Args:
        tallies: of the store.
        wanted: what the runner is to do.
        scanning: searches under way that may find more files.
        at_work: how many of the rows that say running are; None: all.
        in_flight_s: seconds of audio finished of those.
        speed: × real time; None: not known.
    """
    counts = {state: tally.jobs for state, tally in tallies.items()}
    if at_work is not None:
        counts[State.QUEUED] += counts[State.RUNNING] - at_work
        counts[State.RUNNING] = at_work
    whole_s = expected_s(tallies)
    done_s = tallies[State.DONE].audio_s + tallies[State.SKIPPED].audio_s + in_flight_s
    over_s = done_s + tallies[State.FAILED].audio_s + tallies[State.QUARANTINED].audio_s
    left = counts[State.QUEUED] + counts[State.RUNNING]
    eta = max(0.0, whole_s - over_s) / speed if speed and left and whole_s else None
    idle = wanted is RunnerState.RUNNING and not (left or scanning)
    return Batch(
        state=RunnerState.IDLE if idle else wanted,
        counts=counts,
        audio_s=round(_known_s(tallies), 1),
        whole_s=round(whole_s, 1),
        done_s=round(done_s, 1),
        speed=None if speed is None else round(speed, 1),
        eta_s=None if eta is None else round(eta),
        scanning=scanning,
    )


def _counted(tallies: Mapping[str, Tally]) -> list[Tally]:
    return [tally for state, tally in tallies.items() if state != State.CANCELLED]


def _known_s(tallies: Mapping[str, Tally]) -> float:
    return sum(tally.audio_s for tally in _counted(tallies))


def expected_s(tallies: Mapping[str, Tally]) -> float:
    """Seconds of audio that all jobs come to, cancelled ones left out.

    What is still to be done and whose length nobody knows is taken to be as long as the others
    are on average; 0 when no length is known.
    """
    audio_s = _known_s(tallies)
    known = sum(tally.known for tally in _counted(tallies))
    waiting = [tallies[state] for state in (State.QUEUED, State.HELD, State.RUNNING)]
    unknown = sum(tally.jobs - tally.known for tally in waiting)
    return audio_s + unknown * audio_s / known if known else audio_s
