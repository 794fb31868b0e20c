"""The connection to a runner: blocking, for a command or for the interface's worker thread."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import stat
import threading
import time
from collections import deque
from pathlib import Path

from speakeasy_tui.core.lines import MAX_LINE, encode
from speakeasy_tui.core.paths import Home, short_socket_address
from speakeasy_tui.core.protocol import (
    VERSION,
    AnyMessage,
    AnyRequest,
    Hello,
    Message,
    Refused,
    Subscribe,
    Welcome,
    message_decoder,
)

AHEAD = 64 * 2**20
"""Bytes that `Link.read_ahead` keeps at most."""


class LinkError(Exception):
    """The runner cannot be reached, went away, or speaks another version."""

    hint = ""
    """What to do."""


class Unusable(LinkError):
    """Trying again would not help: there is something else, or a runner cannot be started."""


class Silent(LinkError):
    """The runner is there and does not answer: stopped by a signal, or hung."""

    def __init__(self, timeout: float, pid: int | None) -> None:
        named = f" (pid {pid})" if pid else ""
        super().__init__(f"the runner{named} did not answer in {timeout:.0f} s")
        if pid:
            self.hint = (
                f"it may be stopped (kill -CONT {pid}) or hang; as a last resort, nothing is "
                f"lost: kill -9 {pid}"
            )


class NoRunner(LinkError):
    """Nobody listens at this home."""


class RefusedError(Exception):
    """The runner said no; `hint` says what to do, `later` that it may do it another time."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message)
        self.hint = refused.hint
        self.later = refused.later


def _check_owner(path: Path) -> None:
    """Refuse a socket that is not ours alone: who listens there would learn all file names.

    Raises:
        OSError: it is not there.
        Unusable: it belongs to somebody else, or others may write to it.
    """
    info = path.stat(follow_symlinks=False)
    if info.st_uid != os.geteuid() or stat.S_IMODE(info.st_mode) & 0o077:
        raise Unusable(
            f"{path} belongs to another user or is open to others; if that was not you, look "
            f"into it; else remove it"
        )


def _holder(home: Home) -> int | None:
    """The runner that has `home`, as its lock file names it."""
    try:
        return int(home.lock.read_text())
    except (OSError, ValueError):
        return None


class Link:
    """A connection after its handshake.

    `send` may be called from any thread; `read` and `request` from one thread only.
    """

    def __init__(self, sock: socket.socket, pid: int | None = None) -> None:
        """`pid`: of the runner, where that is known before it has greeted."""
        self._socket = sock
        self._sequence = itertools.count(1)
        self._sending = threading.Lock()
        self._buffer = bytearray()
        self._pushed: deque[AnyMessage] = deque()
        self._subscribed = False
        self._ahead: threading.Thread | None = None
        self._ahead_ends = threading.Event()
        self._pid = pid
        self.welcome: Welcome

    @classmethod
    def connect(cls, home: Home, *, timeout: float = 5.0) -> Link:
        """Connect to the runner of `home`.

        Raises:
            NoRunner: nobody listens.
            Unusable: somebody does, but not this program in this version.
            Silent: it does not answer.
            LinkError: it goes away.
        """
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        folder = None
        try:
            _check_owner(home.socket)
            address, folder = short_socket_address(home.socket)
            sock.connect(address)
        except OSError as error:
            sock.close()
            raise NoRunner(f"no runner at {home.state}: {error.strerror or error}") from None
        finally:
            if folder is not None:
                os.close(folder)
        return cls.over(sock, timeout=timeout, pid=_holder(home))

    @classmethod
    def over(cls, sock: socket.socket, *, timeout: float = 5.0, pid: int | None = None) -> Link:
        """A link over a connected socket; does the handshake.

        Raises:
            Unusable: the other side is not a runner of this version.
            Silent: it does not answer.
            LinkError: it goes away.
        """
        sock.settimeout(None)
        link = cls(sock, pid)
        try:
            answer = link.request(Hello(version=VERSION, client=f"pid {os.getpid()}"), timeout)
        except RefusedError as error:
            link.close()
            raise Unusable(f"{error}; {error.hint}") from None
        if not isinstance(answer, Welcome):
            link.close()
            raise Unusable("the runner did not greet; is it another program's socket?")
        link.welcome = answer
        return link

    def send(self, request: AnyRequest) -> int:
        """Send `request`; returns its sequence number, which the answer carries.

        Raises:
            LinkError: the runner is gone.
        """
        with self._sending:
            request.seq = next(self._sequence)
            try:
                self._socket.sendall(encode(request))
            except OSError as error:
                raise LinkError(f"the runner is gone: {error.strerror or error}") from None
            return request.seq

    def subscribe(self, *, events: bool = False, outputs: bool = True) -> None:
        """Ask for all rows and then what changes; a second time does nothing.

        Raises:
            LinkError: the runner is gone.
        """
        if not self._subscribed:
            self.send(Subscribe(events=events, outputs=outputs))
            self._subscribed = True

    def read_ahead(self) -> None:
        """Take in what comes, on a thread, until the next `read`.

        A runner sends a large queue while the caller does something else: there is room for
        little of it in a socket.
        """
        self._ahead = threading.Thread(target=self._read_ahead, name="link-ahead", daemon=True)
        self._ahead.start()

    def _read_ahead(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # the next `read` meets it too
            while not self._ahead_ends.is_set() and len(self._buffer) < AHEAD:
                if select.select([self._socket], [], [], 0.01)[0]:
                    data = self._socket.recv(1 << 20)
                    if not data:
                        return
                    self._buffer += data

    def read(self, timeout: float | None = None) -> AnyMessage | None:
        """The next message, or None when `timeout` seconds brought none.

        Raises:
            LinkError: the runner is gone or sent nonsense.
        """
        if self._pushed:
            return self._pushed.popleft()
        return self._receive(timeout)

    def request(self, request: AnyRequest, timeout: float | None = 30.0) -> AnyMessage:
        """Send and wait for the answer; what is pushed meanwhile is kept for `read`.

        Raises:
            RefusedError: the runner said no.
            Silent: it did not answer in `timeout` seconds.
            LinkError: it is gone.
        """
        seq = self.send(request)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            message = self._receive(left)
            if message is None:
                raise Silent(timeout or 0.0, self._pid)
            if isinstance(message, Message) and message.seq == seq:
                if isinstance(message, Refused):
                    raise RefusedError(message)
                return message
            self._pushed.append(message)

    def close(self) -> None:
        """Hang up. A `read` in another thread ends with `LinkError`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _receive(self, timeout: float | None) -> AnyMessage | None:
        if self._ahead is not None:
            self._ahead_ends.set()
            self._ahead.join()
            self._ahead = None
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                try:
                    return message_decoder.decode(line)
                except ValueError as error:
                    raise LinkError(f"the runner sent what is not understood: {error}") from None
            if len(self._buffer) > MAX_LINE:
                raise LinkError("the runner sent an endless line")
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                ready, _, _ = select.select([self._socket], [], [], left)
                if not ready:
                    return None
                data = self._socket.recv(1 << 18)
            except (OSError, ValueError) as error:
                raise LinkError(f"the runner is gone: {error}") from None
            if not data:
                raise LinkError("the runner is gone: it closed the connection")
            self._buffer += data
