"""Noticing that the terminal has gone, so that the window ends and no loop spins on a dead tty."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable
from typing import Any

GRACE = 0.4
"""Seconds from the hangup to the end of the process, whatever is stuck."""

GRACE_FROZEN = 2.0
"""The same after SIGTERM: the terminal may be there, only slow."""


def watch(on_hangup: Callable[[], None], on_term: Callable[[], None]) -> Callable[[], None]:
    """Call `on_hangup` in the running loop at SIGHUP or when the terminal closes.

    SIGHUP is caught even when it was ignored at the start (nohup): the window is no use
    without its terminal, and the work is not in this process. Returns a function to be
    called once the terminal has been given back: it ends the watch.
    """
    loop = asyncio.get_running_loop()
    told = threading.Event()
    ended = threading.Event()

    def hang_up() -> None:
        if told.is_set() or ended.is_set():
            return
        told.set()
        _detach()
        _end_process_after(GRACE, 128 + signal.SIGHUP, ended)
        with contextlib.suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(on_hangup)

    def terminate() -> None:
        _end_process_after(GRACE_FROZEN, 128 + signal.SIGTERM, ended)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(on_term)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        # Not loop.add_signal_handler: that waits for the loop, which may stand still on a
        # terminal that takes nothing more. These run whatever the main thread waits for.
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: hang_up())
        before[signal.SIGTERM] = signal.signal(signal.SIGTERM, lambda *_: terminate())
    terminals = [fd for fd in (0, 2) if _is_terminal(fd)]
    if terminals:
        threading.Thread(
            target=_poll, args=(terminals, hang_up), name="hangup-watch", daemon=True
        ).start()

    def end_watch() -> None:
        ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)
        before.clear()

    return end_watch


def _poll(terminals: list[int], hang_up: Callable[[], None]) -> None:
    poll = select.poll()
    for fd in terminals:
        poll.register(fd, 0)  # hangup and error are always reported
    if any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll()):
        hang_up()


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def _detach() -> None:
    """Put /dev/null in the dead terminal's place: writing to it works, reading ends."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            if _is_terminal(fd) or _is_dead(fd):
                os.dup2(null, fd)
        os.close(null)


def _is_dead(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))


def _end_process_after(seconds: float, code: int, ended: threading.Event) -> None:
    """End the process unless `ended` is set by then.

    A terminal that takes nothing more, or a writer thread that died of EIO, leaves Textual's
    loop waiting for ever.
    """

    def wait() -> None:
        if not ended.wait(seconds):
            os._exit(code)

    threading.Thread(target=wait, name="hangup-watchdog", daemon=True).start()
