"""What the runner answers takes back what it did."""

from __future__ import annotations

from pathlib import Path

import pytest

from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import State

from .conftest import Desk


def done(desk: Desk, request: say.AnyRequest) -> say.Ok:
    answer = desk.ask(request)
    assert isinstance(answer, say.Ok)
    return answer


@pytest.fixture
def queued(desk: Desk, clips: Path) -> list[int]:
    """Ten jobs that wait, the third of which is held."""
    ids = desk.add(clips, start=False)
    done(desk, say.Hold(ids=ids[2:3]))
    return ids


def stand(desk: Desk) -> list[tuple[int, State, int]]:
    return [(job.id, job.state, job.position) for job in desk.jobs().values()]


@pytest.mark.parametrize("what", ["hold", "release", "cancel", "remove", "move", "first", "last"])
def test_what_was_done_to_the_queue_is_taken_back(desk: Desk, queued: list[int], what: str) -> None:
    before, some = stand(desk), [queued[2], queued[5]]
    requests: dict[str, say.AnyRequest] = {
        "hold": say.Hold(ids=some),
        "release": say.Release(ids=some),
        "cancel": say.Cancel(ids=some),
        "remove": say.Remove(ids=some),
        "move": say.Move(ids=some, by=1),
        "first": say.ToEnd(ids=some, first=True),
        "last": say.ToEnd(ids=some, first=False),
    }
    answer = done(desk, requests[what])
    assert answer.undo is not None and stand(desk) != before
    done(desk, answer.undo)
    assert stand(desk) == before


def test_moves_in_quick_succession_are_taken_back_one_by_one(desk: Desk, queued: list[int]) -> None:
    before = stand(desk)
    answers = [done(desk, say.Move(ids=queued[:1], by=1)) for _ in range(3)]
    for answer in reversed(answers):
        assert answer.undo is not None
        done(desk, answer.undo)
    assert stand(desk) == before


def test_what_changed_nothing_has_nothing_to_be_taken_back(desk: Desk, queued: list[int]) -> None:
    for request in (
        say.Hold(ids=queued[2:3]),
        say.Move(ids=queued[:1], by=-1),
        say.ToEnd(ids=queued[:1], first=True),
    ):
        answer = done(desk, request)
        assert (answer.count, answer.undo) == (0, None)
    assert done(desk, say.Hold(ids=queued[2:3])).note == (
        "1 left as it was: its state does not allow it"
    )
