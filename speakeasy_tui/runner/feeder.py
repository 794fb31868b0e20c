"""What a lane works on next: a claimed job, its model found, its source and outputs checked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from copy import copy
from typing import Protocol

from speakeasy_tui.core.job import ErrorKind, JobError
from speakeasy_tui.runner.flight import Flight, Prepared, windows_of
from speakeasy_tui.runner.modelfinder import DownloadCancelledError, Found, ModelError, ModelFinder
from speakeasy_tui.runner.record import Claim, Request
from speakeasy_tui.runner.work import Work

log = logging.getLogger(__name__)

MAX_FLIGHTS = 1000
"""Files given to one engine at most, however short they are."""
MOST_TOGETHER = 16
"""Files that are looked at together."""
LOOK_PATIENCE_S = 0.2
"""Seconds that a lane waits while files are looked at; where the disk takes longer, or does not
answer at all, it goes on with what it has meanwhile."""


class Neighbours(Protocol):
    """All lanes, as far as a feeder knows them."""

    finder: ModelFinder

    def requests_for(self, device: str) -> list[str]: ...
    def at_work(self) -> int: ...
    def request(self, text: str) -> Request: ...


class Owner(Protocol):
    """The runner, as far as a feeder knows it."""

    work: Work

    @property
    def lanes(self) -> Neighbours: ...
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
        self._count(flight.prepared.claim, flight.windows, opened=flight.chunks > 0)

    def with_claims(self, claims: Sequence[Claim]) -> Room:
        """What room there is once it is given these, too; none beside one whose length is not
        known."""
        room = copy(self)
        for claim in claims:
            room._alone = room._alone or claim.audio_s is None
            room._count(claim, windows_of(claim.audio_s or 0.0), opened=False)
        return room

    def _count(self, claim: Claim, windows: float, *, opened: bool) -> None:
        self.files += 1
        if claim.suspect:
            self._alone = True
        elif claim.options.sequential:
            self._windows -= self._batch
        else:
            self._windows -= windows if opened else min(windows, self._half)


class Feeder:
    """Takes jobs off the queue for one device, a few at a time.

    Args:
        owner: the runner.
        device: the lane's.
        tell: told of a search for a model: share downloaded or None, and a line.
        news: called when a search has ended, well or not.
        wake: called when files have been looked at.
    """

    def __init__(
        self,
        owner: Owner,
        device: str,
        tell: Callable[[float | None, str], None],
        news: Callable[[str], None],
        wake: Callable[[], None],
    ) -> None:
        self._owner = owner
        self._device = device
        self._tell = tell
        self._news = news
        self._wake = wake
        self._models: dict[str, Found] = {}
        self._claims: list[Claim] = []
        """All ask for the same."""
        self._gifts: list[Claim] = []
        """Claimed for this lane from another."""
        self._search: asyncio.Task[None] | None = None
        self._look: asyncio.Task[list[Prepared]] | None = None
        """At what is claimed."""
        self._hands: list[Prepared] = []
        """Ready for an engine; all ask for the same."""
        self.settled = False
        """Whether none of the files looked at last is to be transcribed: there may be others."""

    @property
    def searching(self) -> bool:
        """Whether a model is being looked for or downloaded."""
        return self._search is not None

    @property
    def looking(self) -> bool:
        """Whether files are being looked at."""
        return self._look is not None

    @property
    def empty(self) -> bool:
        """Whether nothing is claimed."""
        return not (self._claims or self._hands or self._gifts)

    async def reach(
        self, *, room: Room, suspects: bool, only: str | None = None
    ) -> Prepared | None:
        """Have the next jobs in hand, if there are some and their model is known.

        Some files are looked at, no more: when all are skipped or failed, that is `settled`, and
        the lane sees to its engine, and to what people want, before it comes again.

        Args:
            room: for how many new jobs may be claimed; those claimed before are gone on with.
            suspects: whether it may be one that must run alone.
            only: the request that they must ask for, or there are none.

        Returns:
            The first of them; `take` takes all.
        """
        self.settled = False
        if not self._hands and self._search is None:
            if not self._claims:
                self._claims = self._next(room, suspects)
                if not self._claims:
                    return None
            request = self._claims[0].request
            if only is not None and request != only:
                self._put_back_claims()
                return None
            found = self._models.get(request)
            if found is None:
                self._search = asyncio.create_task(self._find(request))
                return None
            if self._look is None:
                self._look = asyncio.create_task(self._owner.work.prepare(self._claims, found))
                _, late = await asyncio.wait([self._look], timeout=LOOK_PATIENCE_S)
                for look in late:
                    look.add_done_callback(lambda _: self._wake())
            if self._look.done():
                self._see()
        return self._hands[0] if self._hands else None

    def _see(self) -> None:
        """Take what has been looked at in hand."""
        assert self._look is not None
        look, self._look = self._look, None
        try:
            self._hands = look.result()
        except BaseException:  # a full disk, say: nobody else could take them ever after
            self._put_back_claims()
            raise
        self._claims = []
        self.settled = not self._hands

    def _next(self, room: Room, suspects: bool) -> list[Claim]:
        """Claim jobs for which there is room; not many before there is work for the engine."""
        claims: list[Claim] = []
        most = min(MOST_TOGETHER, room.files + 1)
        while len(claims) < most and room.with_claims(claims):
            claim = self._claim_one(suspects=suspects and not claims)
            if claim is None:
                break
            if claims and (claim.suspect or claim.request != claims[0].request):
                self._owner.work.unclaim(claim)  # the next one
                break
            claims.append(claim)
        return claims

    def _claim_one(self, *, suspects: bool) -> Claim | None:
        if self._gifts:
            return self._gifts.pop()
        return self._owner.work.claim(
            self._owner.lanes.requests_for(self._device),
            suspects=suspects,
            lanes=self._owner.lanes.at_work(),
        )

    def accept(self, claims: list[Claim]) -> None:
        """Files that another lane had; they come before what is queued."""
        self._gifts += claims

    def hand_back(self, request: str) -> bool:
        """Let go of what is in hand if it asks for `request`; False when nothing does."""
        if not self._hands or self._hands[0].claim.request != request:
            return False
        self._put_back_hands()
        return True

    def take(self) -> Iterator[Prepared]:
        """What is in hand, one by one: where something fails, what is left stays in hand."""
        while self._hands:
            yield self._hands.pop(0)

    def let_go(self) -> None:
        """Put back what was claimed and not begun."""
        self._put_back_claims()
        self._put_back_hands()
        while self._gifts:
            self._owner.work.unclaim(self._gifts.pop())

    def _put_back_claims(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None
        while self._claims:
            self._owner.work.unclaim(self._claims.pop())

    def _put_back_hands(self) -> None:
        for hand in self.take():
            self._owner.work.unclaim(hand.claim)

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
        wanted = self._owner.lanes.request(request)
        error: JobError | None = None
        try:
            if wanted.engine == "sim":
                self._models[request] = Found("simulated", "", "simulated engine")
            else:
                self._tell(None, "looking for the model")
                self._models[request] = await self._owner.lanes.finder.find(
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
