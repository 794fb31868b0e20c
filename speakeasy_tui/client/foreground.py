"""``--foreground``: the runner's loop on a thread of this process, over a socketpair."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from speakeasy_tui.client.link import Link, LinkError
from speakeasy_tui.core.paths import Home, HomeError
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.core.values import load


@contextmanager
def foreground(home: Home, settings: Settings | None = None) -> Iterator[Callable[[], Link]]:
    """A runner inside this process; yields what connects to it. It ends with the block.

    Running files are given back to the queue, which stays. The engines are processes all
    the same.

    Raises:
        HomeError: the home has a runner already.
        LinkError: its queue cannot be opened.
    """
    from speakeasy_tui.runner.lock import LockedError
    from speakeasy_tui.runner.runner import Runner
    from speakeasy_tui.runner.serve import adopt, serve

    home.make()
    chosen = settings or load(home.config_file).settings
    up = threading.Event()
    found: list[tuple[asyncio.AbstractEventLoop, Runner]] = []
    trouble: list[BaseException] = []

    def ready(runner: Runner) -> None:
        found.append((asyncio.get_running_loop(), runner))
        up.set()

    def body() -> None:
        # Engines are started from this thread, and their parent-death signal fires when it
        # ends: it lives as long as the runner.
        try:
            asyncio.run(serve(home, chosen, ready=ready, signals=False))
        except BaseException as error:
            trouble.append(error)
        finally:
            up.set()

    thread = threading.Thread(target=body, name="runner", daemon=True)
    thread.start()
    up.wait()
    if trouble and isinstance(trouble[0], LockedError):
        raise HomeError(f"{trouble[0]}; leave out --foreground, or: speakeasy runner stop")
    if not found:
        raise LinkError(f"{trouble[0]}" if trouble else "the runner did not start")
    loop, runner = found[0]

    def connect() -> Link:
        ours, theirs = socket.socketpair()
        try:
            asyncio.run_coroutine_threadsafe(adopt(runner, theirs), loop).result(5)
        except Exception:
            raise LinkError("the runner has ended") from None
        return Link.over(ours)

    try:
        yield connect
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(runner.end, "the foreground command ended")
        thread.join(15)
