"""What clients may ask of a runner, and the answers."""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_right
from operator import attrgetter

from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import Job, Pause, State
from speakeasy_tui.core.lines import encode
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.surroundings import surroundings
from speakeasy_tui.core.transcript import Chunk
from speakeasy_tui.runner.rows import Told
from speakeasy_tui.runner.runner import Runner
from speakeasy_tui.runner.server import Client, Server
from speakeasy_tui.runner.writing import StoreFullError

PART = 4 * 2**20
"""Bytes of chunks in one answer: 20 hours with the times of words would not fit into a line."""


class Office:
    """Between the server and the runner, which do not know each other's insides."""

    def __init__(self, runner: Runner, server: Server) -> None:
        self._runner = runner
        self._server = server
        self.home: Home = runner.home
        self.queue = runner.store.queue
        self.surroundings = surroundings(runner.settings)
        server.office = self

    def pulse_now(self) -> say.Pulse:
        """The batch and the lanes as they are."""
        return say.Pulse(batch=self._runner.batch(), lanes=self._runner.lanes.views)

    def rows(self, ids: list[int]) -> list[Job]:
        """Rows as they are now."""
        return self._runner.work.jobs(ids)

    def page(self, after: int, limit: int, *, outputs: bool) -> list[Told]:
        """The next rows in queue order, those behind position `after`."""
        work = self._runner.work
        rows = self._runner.store.page(after, limit, outputs=outputs)
        cut_off = self._runner.watch.cut_off
        return [work.told_live(row) if cut_off or row.id in work.flights else row for row in rows]

    async def answer(self, client: Client, request: say.AnyRequest) -> say.Message:
        """Do what is asked and answer."""
        try:
            return await self._do(client, request)
        except StoreFullError as error:
            self._runner.store_full(error)
            return say.Refused(
                message=f"the disk of the queue ({self.home.state}) is full: not kept",
                hint="make room and try again; what is in the queue stays",
                later=True,
            )

    async def _do(self, client: Client, request: say.AnyRequest) -> say.Message:
        runner = self._runner
        match request:
            case say.Subscribe():
                client.subscribed, client.events = True, request.events
                client.outputs = request.outputs
            case say.Add():
                taken = await runner.intake.add(
                    request.sources, request.options, start=request.start
                )
                return say.Added(ids=sorted(taken.new + taken.again), known=taken.known)
            case say.Rerun():
                if refused := self._unknown(request.ids):
                    return refused
                begun = runner.intake.rerun(request)
                left = len(set(request.ids)) - len(begun.new) - len(begun.same)
                notes = [_note_of_same(len(begun.same)), _note_of_state(left)]
                return say.Ok(count=len(begun.new), note="; ".join(filter(None, notes)))
            case say.Uncancel():
                return say.Ok(count=len(runner.intake.uncancel(request)))
            case say.Hold() | say.Release() | say.Cancel() | say.Remove():
                return self._unknown(request.ids) or self._turn(request)
            case say.Move():
                return self._moved(request.ids, runner.store.move(request.ids, request.by))
            case say.ToEnd():
                moved = runner.store.to_end(request.ids, first=request.first)
                return self._moved(request.ids, moved)
            case say.Place():
                placed = None
                if len(set(request.ids)) == len(request.positions) == len(request.ids):
                    placed = runner.store.place(request.ids, request.positions)
                if placed is None:
                    return say.Refused(message="the queue has changed meanwhile")
                for job in placed:
                    self._server.changed(job)
                return say.Ok(count=len(placed))
            case say.Restore():
                restored = runner.store.restore(request.ids)
                for job in restored:
                    self._server.changed(job)
                self._server.pulse()
                runner.wake()
                return say.Ok(count=len(restored))
            case say.Start() | say.Resume():
                if not runner.start():
                    why = runner.pause
                    assert why is not None
                    return say.Refused(message=why.message, hint=why.hint)
            case say.PauseQueue():
                runner.pause_batch(Pause("person", "paused", "resume goes on"))
            case say.Stop():
                await runner.stop(now=request.now)
            case say.Shutdown():
                if request.if_free and not self._free:
                    return say.Refused(message="the runner is needed")
                asyncio.get_running_loop().call_later(
                    0.05, lambda: runner.end("told to", stop=True)
                )
            case say.CancelDownload():
                return say.Ok(count=int(runner.lanes.finder.cancel()))
            case _:
                return self._look_up(client, request)
        return say.Ok()

    @property
    def _free(self) -> bool:
        """Whether nobody but who asks would miss the runner."""
        runner = self._runner
        busy = runner.active() or runner.scanning or runner.pause is not None
        return not busy and len(self._server.clients) == 1

    def _moved(self, ids: list[int], before: dict[int, int]) -> say.Ok:
        """Tell of rows that were moved; `before` is where each stood that has another place."""
        for job in before:
            self._server.changed(job)
        undo = say.Place(ids=list(before), positions=list(before.values())) if before else None
        return say.Ok(count=len(set(before).intersection(ids)), undo=undo)

    def _turn(self, request: say.Hold | say.Release | say.Cancel | say.Remove) -> say.Message:
        store, turn = self._runner.store, self._runner.intake.turn
        undo: say.Undo
        match request:
            case say.Hold():
                changed = turn(request.ids, State.HELD)
                undo = say.Release(ids=changed)
            case say.Release():
                changed = turn(request.ids, State.QUEUED)
                undo = say.Hold(ids=changed)
            case say.Cancel():
                states = store.states(request.ids)
                changed = turn(request.ids, State.CANCELLED)
                # What ran would begin a new series: that is for a person to say.
                waited = [job for job in changed if states[job] is not State.RUNNING]
                held = [job for job in waited if states[job] is State.HELD]
                undo = say.Uncancel(ids=waited, held=held)
            case say.Remove():
                changed = store.remove(request.ids)
                undo = say.Restore(ids=changed)
                self._server.gone(changed)
                self._server.pulse()
        note = _note_of_state(len(set(request.ids)) - len(changed))
        return say.Ok(count=len(changed), note=note, undo=undo if undo.ids else None)

    def _unknown(self, ids: list[int]) -> say.Refused | None:
        known = self._runner.store.states(ids)
        missing = [job for job in dict.fromkeys(ids) if job not in known]
        if not missing:
            return None
        named = ", ".join(str(job) for job in missing[:10])
        return say.Refused(
            message=f"no job with the id {named}; nothing was changed",
            hint="`speakeasy status` lists the ids",
        )

    def _look_up(self, client: Client, request: say.AnyRequest) -> say.Message:
        runner = self._runner
        match request:
            case say.GetStatus():
                pulse = self.pulse_now()
                return say.Status(
                    batch=pulse.batch,
                    lanes=pulse.lanes,
                    pid=os.getpid(),
                    home=str(runner.home.state),
                )
            case say.GetProfile():
                views = runner.lanes.views
                return runner.ledger.profile(view.number for view in views if view.pid)
            case say.GetJobs():
                return say.Jobs(jobs=runner.work.jobs(request.ids, request.states))
            case say.GetOptions():
                return say.Options(options=runner.store.options_among(request.ids))
            case say.GetDetail():
                job = runner.work.job(request.id)
                if job is None:
                    return say.Refused(message=f"no such job: {request.id}")
                if request.watch:
                    client.watched, client.chunks, client.loudness = request.id, [], ""
                chunks, more = part_of(runner.store.chunks(request.id), request.after)
                return say.Detail(
                    job=job,
                    options=runner.store.options(request.id),
                    attempts=runner.store.attempts(request.id),
                    chunks=chunks,
                    more=more,
                    loudness=runner.store.loudness(request.id),
                )
            case say.Unwatch():
                client.watched, client.chunks, client.loudness = None, [], ""
                return say.Ok()
            case _:
                return say.Refused(message="not now")


def _note_of_state(count: int) -> str:
    """What to say of `count` rows with which that could not be done."""
    left = "1 left as it was: its" if count == 1 else f"{count:,} left as they were: their"
    return f"{left} state does not allow it" if count > 0 else ""


def part_of(chunks: list[Chunk], after: float | None) -> tuple[list[Chunk], bool]:
    """The chunks behind `after` that fit into an answer, and whether there are more."""
    if after is not None:
        chunks = chunks[bisect_right(chunks, after, key=attrgetter("start")) :]
    size = 0
    for number, chunk in enumerate(chunks):
        size += len(encode(chunk))
        if size > PART and number:
            return chunks[:number], True
    return chunks, False


def _note_of_same(count: int) -> str:
    """What to say of `count` rows that would have become what others are."""
    if not count:
        return ""
    left = "1 left as it was" if count == 1 else f"{count:,} left as they were"
    return f"{left}: another row has these options"
