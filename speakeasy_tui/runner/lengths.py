"""How long the waiting files are, from their headers, found out in the background.

For the time that is left and for the order (`runner.order`). A process of the lowest priority
(`engine.probe`) reads the headers; it is not begun before the first transcript has begun to
appear, nor while folders are searched.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Protocol

import msgspec

from speakeasy_tui.runner.probe import probed
from speakeasy_tui.runner.store import Store
from speakeasy_tui.runner.writing import StoreFullError

log = logging.getLogger(__name__)

LOT = 5000
"""Files that one process is asked about."""
KEEP = 200
"""Lengths that are kept in one transaction, about 5 ms of the runner's time."""
CALM_S = 0.5
"""Seconds between two looks whether this is the moment."""
LONGEST_S = 30 * 24 * 3600.0
"""A header that says more is not believed."""
NICE = 19


class Owner(Protocol):
    """The runner, as far as this knows it."""

    def may_measure(self) -> bool: ...
    def changed(self, job: int) -> None: ...


class Lengths:
    """Goes through the queue once, and through what is added."""

    def __init__(self, store: Store, owner: Owner) -> None:
        self._store = store
        self._owner = owner
        self._news = asyncio.Event()
        self._seen = 0
        """Jobs up to this id have been asked about."""

    def wake(self) -> None:
        """There may be new files."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            with contextlib.suppress(StoreFullError, OSError):
                await self._go_through()

    async def _go_through(self) -> None:
        await self._calm()
        while jobs := self._store.unmeasured(self._seen, LOT):
            await self._measure(jobs)
        self._seen = self._store.newest()

    async def _calm(self) -> None:
        while not self._owner.may_measure():  # noqa: ASYNC110
            await asyncio.sleep(CALM_S)

    async def _measure(self, jobs: list[tuple[int, bytes]]) -> None:
        found: dict[int, float] = {}
        at = 0
        try:
            async with probed([path for _, path in jobs], nice=NICE) as lengths:
                async for told in lengths:
                    at = told.number + 1
                    job = jobs[told.number][0]
                    if told.seconds and told.seconds <= LONGEST_S:
                        found[job] = told.seconds
                    if len(found) >= KEEP:
                        self._keep(found)
                        await self._calm()  # meanwhile the pipe fills, and the process waits
        except msgspec.DecodeError as error:
            log.warning("measuring: %s", error)
        self._keep(found)
        # Where it came to an end by itself is a file that it cannot get over: go on behind.
        self._seen = jobs[min(at, len(jobs) - 1)][0]

    def _keep(self, found: dict[int, float]) -> None:
        self._store.lengths(found)
        for job in found:
            self._owner.changed(job)
        found.clear()
