"""The runner's clients: handshake, requests, and telling each what changed at its own pace.

A client that does not read holds up nobody: what it has not been told yet is a set of row
numbers, not a queue of messages, and its own task waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

import msgspec

from speakeasy_tui import __version__
from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import Job, State
from speakeasy_tui.core.lines import MAX_LINE, encode
from speakeasy_tui.core.paths import Home, short_socket_address
from speakeasy_tui.core.transcript import Chunk
from speakeasy_tui.runner.rows import Told

log = logging.getLogger(__name__)

TICK_S, EVENTS_TICK_S = 0.1, 0.2
"""Seconds from one telling to the next, to a window and to who prints events."""
PULSE_S = 0.5
PAGE = 2000
"""Rows at most that are read while others wait."""
BEFORE_ALL = -(1 << 62)
"""A position before those of all rows; what was moved to the front may have one below 0."""
LINE = 1 << 20
"""Bytes of rows in one line; long paths and their outputs would else make endless ones."""
MAX_EVENTS = 1_000_000
"""Unread events of one client before the oldest are dropped; 100k files make 300k, and each takes
half a kilobyte."""


class Office(Protocol):
    """What a server tells and asks in its clients' name."""

    home: Home
    queue: str
    surroundings: str

    async def answer(self, client: Client, request: say.AnyRequest) -> say.Message: ...
    def pulse_now(self) -> say.Pulse: ...
    def rows(self, ids: list[int]) -> list[Job]: ...
    def page(self, after: int, limit: int, *, outputs: bool) -> list[Told]: ...


class Client:
    """One connection."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: Any) -> None:
        self._server = server
        self._reader = reader
        self._writer: asyncio.StreamWriter = writer
        self._sending = asyncio.Lock()
        self._greeted = False
        self.subscribed = False
        self.events = False
        self.outputs = True
        self.watched: int | None = None
        self.dirty: set[int] = set()
        self.gone: set[int] = set()
        self.queue: deque[say.Event] = deque(maxlen=MAX_EVENTS)
        self.chunks: list[Chunk] = []
        self.loudness = ""
        self.pulse = False
        self.news = asyncio.Event()
        self._pulsed = 0.0
        self._pump: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Answer until the client hangs up or breaks the protocol."""
        try:
            while line := await self._reader.readline():
                try:
                    request = say.request_decoder.decode(line)
                except msgspec.DecodeError as error:
                    await self.send(say.Refused(message=f"not understood: {error}"))
                    break
                await self.send(await self._answer(request))
                if isinstance(request, say.Subscribe) and self._pump is None:
                    self._pump = asyncio.create_task(self._tell())
        except (ValueError, ConnectionError) as error:  # ValueError: a line over the limit
            log.info("client dropped: %s", error)
        finally:
            if self._pump is not None:
                self._pump.cancel()
            self._writer.close()

    async def farewell(self, reason: str) -> None:
        """Say why, to whom takes it soon, and close the connection; `serve` ends."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(0.5):
                await self.send(say.Goodbye(reason=reason))
        self._writer.close()

    async def send(self, *messages: say.Message) -> None:
        """Write messages and wait until the client takes them."""
        async with self._sending:
            self._writer.writelines([encode(message) for message in messages])
            await self._writer.drain()

    async def _answer(self, request: say.AnyRequest) -> say.Message:
        if not self._greeted:
            answer = self._greet(request)
        else:
            try:
                answer = await self._server.office.answer(self, request)
            except Exception as error:
                log.exception("request %s", type(request).__name__)
                answer = say.Refused(message=f"internal error: {error}", hint="see runner.log")
        answer.seq = request.seq
        return answer

    def _greet(self, request: say.AnyRequest) -> say.Message:
        if not isinstance(request, say.Hello):
            return say.Refused(message="say hello first")
        if request.version != say.VERSION:
            return say.Refused(
                message=f"this runner speaks version {say.VERSION}, you {request.version}",
                hint="speakeasy runner stop, then start again with one version",
            )
        self._greeted = True
        office = self._server.office
        return say.Welcome(
            version=say.VERSION,
            program=__version__,
            pid=os.getpid(),
            home=str(office.home.state),
            queue=office.queue,
            surroundings=office.surroundings,
        )

    # ------------------------------------------------------------------ the pump

    async def _tell(self) -> None:
        try:
            await self._tell_all()
            while True:
                await self.news.wait()
                self.news.clear()
                await self._tell_news()
                await asyncio.sleep(EVENTS_TICK_S if self.events else TICK_S)
        except (ConnectionError, RuntimeError) as error:
            log.info("client gone: %s", error)
        except Exception:
            # It would wait for ever for what nobody tells it; hung up on, it comes again.
            log.exception("telling a client")
            self._writer.close()

    async def _tell_all(self) -> None:
        """The first full picture, in pages, so that others are served meanwhile."""
        office = self._server.office
        await self.send(self._server.office.pulse_now())
        after = BEFORE_ALL
        more = True
        while more:
            rows = office.page(after, PAGE, outputs=self.outputs)
            more = len(rows) == PAGE
            if more:
                after = rows[-1].position
            for line in _lines([row.json for row in rows]):
                await self.send(say.ToldRows(jobs=[msgspec.Raw(row) for row in line]))
            await asyncio.sleep(0)
        await self.send(say.ToldRows(jobs=[], synced=True))
        self.news.set()

    async def _tell_news(self) -> None:
        dirty = {self.dirty.pop() for _ in range(min(PAGE, len(self.dirty)))}
        if self.dirty:
            self.news.set()
        gone, self.gone = self.gone, set()
        events = [self.queue.popleft() for _ in range(len(self.queue))]
        messages: list[say.Message] = list(events)
        if dirty or gone:
            rows = self._server.office.rows(sorted(dirty))
            messages.append(say.Rows(jobs=rows, gone=sorted(gone)))
            if self.events:
                now = round(time.time(), 3)
                running = [row for row in rows if row.state is State.RUNNING]
                messages += [say.Event(event="progress", ts=now, job=row) for row in running]
        if (self.chunks or self.loudness) and self.watched is not None:
            chunks, self.chunks = self.chunks, []
            loudness, self.loudness = self.loudness, ""
            messages.append(say.Chunks(id=self.watched, chunks=chunks, loudness=loudness))
        if self.pulse:
            if time.monotonic() - self._pulsed >= PULSE_S or events:
                self.pulse = False
                self._pulsed = time.monotonic()
                messages.append(self._server.office.pulse_now())
            else:
                self.news.set()
        if messages:
            await self.send(*messages)


def _lines(rows: list[bytes]) -> Iterator[list[bytes]]:
    """`rows` in lots of about `LINE` bytes."""
    lot: list[bytes] = []
    size = 0
    for row in rows:
        lot.append(row)
        size += len(row)
        if size >= LINE:
            yield lot
            lot, size = [], 0
    if lot:
        yield lot


class Server:
    """All clients of a runner; `office` is set before the first can connect."""

    def __init__(self) -> None:
        self.office: Office
        self.clients: set[Client] = set()
        self._server: asyncio.Server | None = None
        self._bound: os.stat_result | None = None
        """The socket that is ours."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """Open the socket, for the owner alone; once more, if it was removed.

        Raises:
            OSError: it cannot be bound.
        """
        path = self.office.home.socket
        if self._server is not None:
            self._server.close()  # who is connected stays so
        path.unlink(missing_ok=True)  # we hold the lock, so it is nobody's
        address, folder = short_socket_address(path)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self.connected, address, limit=MAX_LINE)
            self._bound = path.stat(follow_symlinks=False)
        finally:
            os.umask(before)
            if folder is not None:
                os.close(folder)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until it ends."""
        client = Client(self, reader, writer)
        self.clients.add(client)
        try:
            await client.serve()
        finally:
            self.clients.discard(client)

    def adopt(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection that did not come through the socket."""
        task = asyncio.create_task(self.connected(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def socket_is_ours(self) -> bool | None:
        """Whether it is us whom clients find in this home; None when they find nobody."""
        try:
            there = self.office.home.socket.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        return self._bound is not None and os.path.samestat(there, self._bound)

    @property
    def attended(self) -> bool:
        """Whether anybody is connected."""
        return bool(self.clients)

    @property
    def has_listeners(self) -> bool:
        """Whether anybody wants events."""
        return any(client.events for client in self.clients)

    async def goodbye(self, reason: str) -> None:
        """Tell everybody and hang up."""
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(OSError):
            if self.socket_is_ours:  # else it is another runner's, in a home made anew
                os.unlink(self.office.home.socket)
        await asyncio.gather(*(client.farewell(reason) for client in self.clients))
        deadline = time.monotonic() + 1
        while self.clients and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # their tasks see the end and finish

    # ------------------------------------------------------------------ news

    def changed(self, job: int) -> None:
        """A row is different now."""
        for client in self.clients:
            if client.subscribed:
                client.dirty.add(job)
                client.news.set()

    def gone(self, jobs: list[int]) -> None:
        """Rows are no more."""
        for client in self.clients:
            if client.subscribed:
                client.gone.update(jobs)
                client.dirty.difference_update(jobs)
                client.news.set()

    def event(self, event: str, job: Job | None, detail: Any = None) -> None:
        """Something happened."""
        now = round(time.time(), 3)
        for client in self.clients:
            if client.events:
                client.queue.append(say.Event(event=event, ts=now, job=job, detail=detail))
                client.news.set()

    def chunk(self, job: int, chunk: Chunk) -> None:
        """A watched job's transcript has grown."""
        for client in self.clients:
            if client.watched == job:
                client.chunks.append(chunk)
                client.news.set()

    def heard(self, job: int, strip: str) -> None:
        """How loud a watched job is has become known."""
        for client in self.clients:
            if client.watched == job:
                client.loudness = strip
                client.news.set()

    def pulse(self) -> None:
        """The batch or a lane is different now."""
        for client in self.clients:
            if client.subscribed:
                client.pulse = True
                client.news.set()
