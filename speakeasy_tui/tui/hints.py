"""Which keys the last line names, of the table and of an opened row: those wanted at that moment.

Pure functions. What fits is shown, so that the first ones matter most; what can do nothing now
is not named.
"""

from __future__ import annotations

from typing import NamedTuple

from speakeasy_tui.core.job import FINAL_STATES, Job, RunnerState, State
from speakeasy_tui.tui.query import FAILED
from speakeasy_tui.tui.view import Folder

Hints = list[tuple[str, str]]
"""Names of actions, and what is said of them."""

ALWAYS: Hints = [("help", "help"), ("leave", "leave")]

NOTHING_QUEUED: Hints = [
    ("add", "add files"), *ALWAYS, ("models", "models"), ("settings", "settings"),
    ("logs", "logs"), ("palette", "commands"),
]  # fmt: skip

NO_RUNNER: Hints = [*ALWAYS, ("logs", "logs"), ("filter", "filter")]

FURTHER: Hints = [
    ("sort", "sort"), ("group", "folders"), ("copy", "copy path"), ("add", "add"),
    ("palette", "commands"),
]  # fmt: skip

STILL = frozenset({RunnerState.PAUSED, RunnerState.STOPPED})


class Situation(NamedTuple):
    """What the hints depend on."""

    linked: bool
    """Whether a runner is there to be asked for something, and has told what there is."""
    state: RunnerState
    queued: int
    """Rows, shown or not."""
    failed: int
    """Rows that failed."""
    item: Job | Folder | None
    """What is under the cursor."""
    marked: bool
    filtered: bool


def hints(now: Situation) -> Hints:
    """The actions to name, the most useful first."""
    if not now.linked:
        return NO_RUNNER
    if not now.queued:  # what is added to a paused queue waits
        still = [("pause", "resume")] if now.state in STILL else []
        return NOTHING_QUEUED[:1] + still + NOTHING_QUEUED[1:]
    if now.item is None:
        return [("clear", "show all"), ("filter", "filter"), *ALWAYS, ("add", "add")]
    named: Hints = []
    if now.state is RunnerState.IDLE:
        named.append(("summary", "summary"))
    if isinstance(now.item, Job):
        named.append(("open", "open"))
    if now.marked or now.filtered:
        named.append(("clear", "show all" if now.filtered else "unmark"))
    named += [*ALWAYS, *_deeds(now)]
    if now.state is not RunnerState.IDLE:
        named.append(("pause", "resume" if now.state in STILL else "pause"))
    if now.failed > 1:
        named.append(("rerun_failed", "rerun failed"))
    named += [("filter", "filter"), ("mark", "mark")]
    if now.failed:
        named.append(("failed", "failed"))
    if State.RUNNING in _states(now.item) or now.state is RunnerState.RUNNING:
        named.append(("follow", "follow"))
    return named + FURTHER


def _states(item: Job | Folder | None) -> frozenset[State]:
    if isinstance(item, Job):
        return frozenset({item.state})
    if item is None:
        return frozenset()
    return frozenset(state for state, count in item.counts.items() if count)


def _deeds(now: Situation) -> Hints:
    """What can be done to what is chosen."""
    if now.marked:  # of any states; to look at each would take as long as there are marks
        return [("cancel", "cancel"), ("hold", "hold"), ("rerun", "rerun"), ("remove", "take off")]
    return deeds(now.item)


def deeds(item: Job | Folder | None) -> Hints:
    """What can be done to `item` in the state that it is in."""
    states = _states(item)
    named: Hints = []
    if states - FINAL_STATES:
        held = not states & {State.QUEUED, State.RUNNING}
        named += [("cancel", "cancel"), ("hold", "release" if held else "hold")]
    if isinstance(item, Job) and states == {State.DONE}:
        named.append(("outputs", "outputs"))
    if states & FINAL_STATES:
        named.append(("rerun", "rerun"))
    if isinstance(item, Job) and states <= FAILED:
        named.append(("log", "log"))
    return named
