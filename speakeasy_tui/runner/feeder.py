"""What a lane works on next: a claimed job, its model found, its source and outputs checked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Protocol

from speakeasy_tui.core.job import ErrorKind, JobError
from speakeasy_tui.runner.flight import Flight, Prepared
from speakeasy_tui.runner.modelfinder import DownloadCancelledError, Found, ModelError, ModelFinder
from speakeasy_tui.runner.record import Claim, Request
from speakeasy_tui.runner.work import Work

log = logging.getLogger(__name__)

MAX_FLIGHTS = 1000
"""Files given to one engine at most, however short they are."""


class Owner(Protocol):
    """The runner, as far as a feeder knows it."""

    finder: ModelFinder
    work: Work

    def requests_for(self, device: str) -> list[str]: ...
    def lanes_at_work(self) -> int: ...
    def request(self, text: str) -> Request: ...
    def model_missing(self, request: str, error: JobError) -> None: ...
    def download_cancelled(self, model: str) -> None: ...


class Room:
    """Whether an engine that has `flights` should be given other files.

    A batch for each worker and one more are enough ahead. What is counted is windows of the
    model, of which several short files may share one; a file that is not opened yet counts by
    its length, if that is known, or its size, but never for more than half: a long one that
    turns out to be silent must not leave the engine without work. One that is heard window after
    window takes the place of a batch, however long it is. Beside a suspect there is none.
    """

    def __init__(self, flights: Collection[Flight], batch_size: int, workers: int) -> None:
        self._batch = batch_size
        self._half = batch_size * (workers + 1) / 2
        self._windows = 2 * self._half
        self._alone = False
        self.files = 0
        """That it has."""
        for flight in flights:
            self.take(flight)

    def __bool__(self) -> bool:
        return not self._alone and self.files < MAX_FLIGHTS and round(self._windows, 6) > 0

    def take(self, flight: Flight) -> None:
        """It is given this one."""
        self.files += 1
        claim, windows = flight.prepared.claim, flight.windows
        if claim.suspect:
            self._alone = True
        elif claim.options.sequential:
            self._windows -= self._batch
        else:
            self._windows -= windows if flight.chunks else min(windows, self._half)


class Feeder:
    """Takes jobs off the queue for one device, one at a time.

    Args:
        owner: the runner.
        device: the lane's.
        tell: told of a search for a model: share downloaded or None, and a line.
        news: called when a search has ended, well or not.
    """

    def __init__(
        self,
        owner: Owner,
        device: str,
        tell: Callable[[float | None, str], None],
        news: Callable[[str], None],
    ) -> None:
        self._owner = owner
        self._device = device
        self._tell = tell
        self._news = news
        self._models: dict[str, Found] = {}
        self._claim: Claim | None = None
        self._gifts: list[Claim] = []
        """Claimed for this lane from another."""
        self._search: asyncio.Task[None] | None = None
        self.hand: Prepared | None = None
        """Ready for an engine."""

    @property
    def searching(self) -> bool:
        """Whether a model is being looked for or downloaded."""
        return self._search is not None

    @property
    def empty(self) -> bool:
        """Whether nothing is claimed."""
        return self._claim is None and self.hand is None and not self._gifts

    async def reach(
        self, *, room: bool, suspects: bool, only: str | None = None
    ) -> Prepared | None:
        """Have the next job in `hand`, if there is one and its model is known.

        Args:
            room: whether a new job may be claimed; one claimed before is gone on with.
            suspects: whether it may be one that must run alone.
            only: the request that it must ask for, or there is none.
        """
        while self.hand is None and self._search is None:
            if self._claim is None:
                if room:
                    self._claim = self._gifts.pop() if self._gifts else self._next(suspects)
                if self._claim is None:
                    return None
                if only is not None and self._claim.request != only:
                    self._owner.work.unclaim(self._claim)
                    self._claim = None
                    return None
            found = self._models.get(self._claim.request)
            if found is None:
                self._search = asyncio.create_task(self._find(self._claim.request))
                return None
            claim, self._claim = self._claim, None
            try:
                self.hand = await self._owner.work.prepare(claim, found)
            except BaseException:  # a full disk, say: nobody else could take it ever after
                self._owner.work.unclaim(claim)
                raise
        return self.hand

    def _next(self, suspects: bool) -> Claim | None:
        return self._owner.work.claim(
            self._owner.requests_for(self._device),
            suspects=suspects,
            lanes=self._owner.lanes_at_work(),
        )

    def accept(self, claims: list[Claim]) -> None:
        """Files that another lane had; they come before what is queued."""
        self._gifts += claims

    def hand_back(self, request: str) -> bool:
        """Let go of what is in hand if it asks for `request`; False when nothing does."""
        if self.hand is None or self.hand.claim.request != request:
            return False
        self._owner.work.unclaim(self.take().claim)
        return True

    def take(self) -> Prepared:
        """What is in hand; the hand is then empty."""
        assert self.hand is not None
        hand, self.hand = self.hand, None
        return hand

    def let_go(self) -> None:
        """Put back what was claimed and not begun."""
        if self._claim is not None:
            self._owner.work.unclaim(self._claim)
            self._claim = None
        if self.hand is not None:
            self._owner.work.unclaim(self.take().claim)
        while self._gifts:
            self._owner.work.unclaim(self._gifts.pop())

    def forget(self, request: str | None = None) -> None:
        """Look for a request's model again next time; for all without one."""
        if request is None:
            self._models.clear()
        else:
            self._models.pop(request, None)

    def close(self) -> None:
        """Stop looking, put everything back."""
        if self._search is not None:
            self._search.cancel()
        self.let_go()

    async def _find(self, request: str) -> None:
        wanted = self._owner.request(request)
        error: JobError | None = None
        try:
            if wanted.engine == "sim":
                self._models[request] = Found("simulated", "", "simulated engine")
            else:
                self._tell(None, "looking for the model")
                self._models[request] = await self._owner.finder.find(
                    wanted.model, self._device, self._tell
                )
        except DownloadCancelledError as cancelled:
            self._search = None
            self.let_go()
            self._owner.download_cancelled(str(cancelled))
            self._news("")
            return
        except ModelError as missing:
            error = JobError(ErrorKind.MODEL, str(missing), missing.hint)
        except Exception as trouble:
            log.exception("looking for model %s", wanted.model)
            error = JobError(ErrorKind.MODEL, f"looking for the model failed: {trouble}")
        self._search = None
        if error is not None:
            self.let_go()
            self._owner.model_missing(request, error)
        self._news("" if error is None else error.message)
