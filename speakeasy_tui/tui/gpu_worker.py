"""The GPU worker: the thread through which the GPU's work reaches the screen.

It holds the link to the runner, keeps the latest state of each row, and hands it to Textual's
loop with `App.call_from_thread`, at most ten times a second. It never feeds an engine: when a
frozen terminal blocks Textual's loop, and with it this thread, nothing else waits.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from typing import Any, NamedTuple, Protocol

from speakeasy_tui.client.board import Changes
from speakeasy_tui.client.link import Link, LinkError, Unusable
from speakeasy_tui.core.paths import HomeError
from speakeasy_tui.core.protocol import AnyMessage, AnyRequest, Event, Goodbye, Refused, Rows

TICK = 0.1
"""Seconds between two hand-overs at least."""

RETRY = 1.0
"""Seconds before another try to connect."""

RETRY_MOST = 60.0
"""Seconds to which that grows while a runner cannot be started: each try starts a process."""

TOLD = frozenset({"reload", "respawn", "retry", "failed", "quarantined", "paused", "resumed"})
"""Events that the window tells; the rows show the rest."""

Then = Callable[[AnyMessage], None]
"""Called on Textual's loop with the runner's answer."""


class LinkNews(NamedTuple):
    """The link came up or broke."""

    up: bool
    why: str = ""
    stopped: bool = False
    """The runner said goodbye: somebody ended it, and it is not for us to start it again."""
    retry_s: float = RETRY
    """Seconds until the next try to connect."""
    anew: bool = False
    """It is another queue than before: ids may mean other files."""


class Screen(Protocol):
    """What the worker needs of the application."""

    def call_from_thread(self, callback: Callable[..., Any], *args: Any) -> Any: ...
    def apply_changes(self, changes: Changes) -> None: ...
    def answered(self, answers: list[tuple[Then, AnyMessage]]) -> None: ...
    def link_changed(self, news: LinkNews) -> None: ...
    def worker_failed(self, error: Exception) -> None: ...


class ScreenGone(Exception):
    """The application has ended; there is nobody to tell."""


class GpuWorker(threading.Thread):
    """Reads the link, folds what comes, posts it. A daemon thread.

    `ask` may be called from Textual's loop: it only puts the request into a queue, from which
    a second thread sends.
    """

    def __init__(
        self,
        connect: Callable[[], Link],
        screen: Screen,
        on_connected: Sequence[tuple[AnyRequest, Then]] = (),
        rejoin: Callable[[], Link] | None = None,
    ) -> None:
        """`connect` may start a runner; after a runner was stopped on purpose `rejoin`, which
        does not, is used instead.
        """
        super().__init__(name="gpu-worker", daemon=True)
        self._connect = connect
        self._rejoin = rejoin or connect
        self._stopped = False
        self._screen = screen
        self._first = list(on_connected)
        self._stopping = threading.Event()
        self._link: Link | None = None
        self._up = False
        """Whether requests are sent over it."""
        self._outbox: queue.SimpleQueue[tuple[AnyRequest, Then] | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send_all, name="gpu-worker-out", daemon=True)
        self._waiting: dict[int, Then] = {}
        self._sent = threading.Lock()  # an answer is looked up only after its request is noted
        self._known: set[int] = set()
        self._queue = ""
        """The queue that `_known` are ids of."""
        self._retry_s = RETRY
        self._changes = Changes()
        self._answers: list[tuple[Then, AnyMessage]] = []
        """What has been read and not been handed over yet."""

    def ask(self, request: AnyRequest, then: Then) -> None:
        """Send `request` soon; `then` gets the answer, or a `Refused` when the link is down."""
        self._outbox.put((request, then))

    def stop(self, timeout: float = 1.0) -> None:
        """Send what is waiting, hang up, and wait for the threads.

        Call it from a thread that Textual's loop does not wait for without turning: this
        thread may be inside `call_from_thread`.
        """
        deadline = time.monotonic() + timeout
        self._stopping.set()
        self._outbox.put(None)
        if self._sender.ident is not None:
            self._sender.join(timeout / 2)
        if (link := self._link) is not None:
            link.close()
        if self.ident is not None:
            self.join(max(0.0, deadline - time.monotonic()))

    def abandon(self) -> None:
        """Post nothing more and hang up, without waiting: the application is ending."""
        self._stopping.set()
        self._outbox.put(None)
        if (link := self._link) is not None:
            link.close()

    def run(self) -> None:
        self._sender.start()
        try:
            while not self._stopping.is_set():
                try:
                    self._serve()
                except Unusable as error:  # trying again seldom helps: a full disk may get room
                    self._drop(str(error), self._retry_s)
                    self._stopping.wait(self._retry_s)
                    self._retry_s = min(self._retry_s * 2, RETRY_MOST)
                except (LinkError, HomeError, OSError) as error:
                    self._drop(str(error))
                    self._stopping.wait(RETRY)
        except ScreenGone:
            pass
        except Exception as error:
            self._fail(error)
        finally:
            self._outbox.put(None)
            if self._link is not None:
                self._link.close()

    def _serve(self) -> None:
        """One connection from its beginning to its end, which is a `LinkError`."""
        link = self._link = (self._rejoin if self._stopped else self._connect)()
        self._stopped = False
        self._retry_s = RETRY
        if self._stopping.is_set():
            return
        link.subscribe(events=True, outputs=False)
        queue, self._queue = self._queue, link.welcome.queue
        anew = queue not in {"", self._queue}
        if anew:
            self._known = set()
        self._post(self._screen.link_changed, LinkNews(True, anew=anew))
        self._up = True  # not sooner: what is asked until then names files by the ids before
        for request, then in self._first:
            self.ask(request, then)
        self._first = []
        try:
            self._listen(link)
        finally:  # an answer that came right before the end is an answer
            self._hand_over()

    def _listen(self, link: Link) -> None:
        synced = begun = False
        seen: set[int] = set()
        due = 0.0
        while True:
            pending = bool(self._changes or self._answers)
            wait = max(0.0, due - time.monotonic()) if pending else None
            message = link.read(wait)
            changes = self._changes
            if isinstance(message, Goodbye):
                self._stopped = True
                reason = f": {message.reason}" if message.reason else ""
                raise LinkError(f"the runner has ended{reason}")
            if isinstance(message, Rows) and not synced:
                seen.update(job.id for job in message.jobs)
                if message.synced:
                    synced = True
                    changes.gone |= self._known - seen  # gone while the link was down
                    self._known = seen
            elif isinstance(message, Rows):
                self._known.update(job.id for job in message.jobs)
                self._known.difference_update(message.gone)
            if message is not None and message.seq:
                with self._sent:
                    asked = self._waiting.pop(message.seq, None)
                if asked is not None:
                    self._answers.append((asked, message))
            elif isinstance(message, Event):
                if synced and message.event in TOLD:
                    changes.take(message)
            elif message is not None:
                changes.take(message)
            first = bool(changes.jobs) and not begun
            if (changes or self._answers) and (first or time.monotonic() >= due):
                self._hand_over()
                due = time.monotonic() + TICK
                if first and not synced:
                    begun = True
                    self._stopping.wait(TICK)  # these are painted before all others come

    def _hand_over(self) -> None:
        # What has been handed over is not touched again.
        told, self._changes = self._changes, Changes()
        replies, self._answers = self._answers, []
        if replies:
            self._post(self._screen.answered, replies)
        if told:
            self._post(self._screen.apply_changes, told)

    def _fail(self, error: Exception) -> None:
        """What nobody foresaw ends the window, which would stand still without this thread."""
        with contextlib.suppress(ScreenGone):
            self._post(self._screen.worker_failed, error)

    def _post(self, callback: Callable[[Any], None], argument: object) -> None:
        if self._stopping.is_set():
            raise ScreenGone
        try:
            self._screen.call_from_thread(callback, argument)
        except (RuntimeError, CancelledError):  # the application has ended, or is ending
            raise ScreenGone from None

    def _drop(self, why: str, retry_s: float = RETRY) -> None:
        self._up = False
        link, self._link = self._link, None
        if link is not None:
            link.close()
        if self._stopping.is_set():
            return
        with self._sent:
            lost, self._waiting = self._waiting, {}
        refusal = Refused(message="the runner went away before it answered", hint=why)
        if lost:
            self._post(self._screen.answered, [(then, refusal) for then in lost.values()])
        self._post(self._screen.link_changed, LinkNews(False, why, self._stopped, retry_s))

    def _send_all(self) -> None:
        try:
            while (item := self._outbox.get()) is not None:
                self._send(*item)
        except ScreenGone:
            pass
        except Exception as error:
            self._fail(error)

    def _send(self, request: AnyRequest, then: Then) -> None:
        link = self._link
        try:
            if link is None or not self._up:
                raise LinkError("no runner is connected")
            with self._sent:
                self._waiting[link.send(request)] = then
        except LinkError as error:
            refusal = Refused(
                message=str(error), hint="not sent; try again once the runner is back"
            )
            self._post(self._screen.answered, [(then, refusal)])
