"""A runner that is told to end, or that nobody can need any more, ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.runner.lane import Lane
from speakeasy_tui.runner.office import Office
from speakeasy_tui.runner.runner import Runner
from speakeasy_tui.runner.server import Server


@pytest.fixture
async def runner(home: Home) -> Iterator[Runner]:
    """A runner on the test's own loop, which nobody has started."""
    runner = Runner(home, Settings(), Server())
    Office(runner, runner.server)
    yield runner
    runner.store.close()


@pytest.mark.parametrize("turns", range(5))
async def test_a_lane_that_hears_something_just_then_is_closed(runner: Runner, turns: int) -> None:
    lane = Lane(runner, 0, "cpu", 1, 1)
    await asyncio.sleep(0.01)  # it waits for news
    lane.wake()
    for _ in range(turns):
        await asyncio.sleep(0)
    closing = asyncio.create_task(lane.close("given back"))
    await asyncio.wait([closing], timeout=5)
    assert closing.done() and lane.task.cancelled()
