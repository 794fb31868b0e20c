"""Running a runner: as a process of its own, or on a thread of the caller's."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable

from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.runner.lock import HomeLock
from speakeasy_tui.runner.office import Office
from speakeasy_tui.runner.runner import Runner
from speakeasy_tui.runner.server import Server

log = logging.getLogger(__name__)


async def serve(
    home: Home,
    settings: Settings,
    *,
    ready: Callable[[Runner], None] | None = None,
    signals: bool = True,
    begin: bool = True,
) -> None:
    """Serve a home until the runner ends.

    Args:
        home: its folders exist.
        settings: of the machine and the queue; each job brings its own options.
        ready: called on the loop once clients can connect.
        signals: end cleanly on SIGTERM and SIGINT (main thread only).
        begin: go on with what an earlier runner was cut off in.

    Raises:
        LockedError: another runner has the home.
        DatabaseError: the queue cannot be opened.
    """
    lock = HomeLock(home)
    try:
        runner = Runner(home, settings, Server())
        Office(runner, runner.server)
        if signals:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, runner.end, signal.Signals(number).name)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        runner.recover(begin=begin)
        await runner.server.listen()
        log.info("serving %s", home.state)
        if ready is not None:
            ready(runner)
        await runner.run()
    finally:
        lock.release()


async def adopt(runner: Runner, end: socket.socket) -> None:
    """Serve one end of a socketpair."""
    reader, writer = await asyncio.open_connection(sock=end)
    runner.server.adopt(reader, writer)
