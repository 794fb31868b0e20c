"""Noticing that the terminal has gone, so that the window ends and no loop spins on a dead tty.

A SIGHUP alone does not mean that: a terminal that is still there is given back as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import termios
import threading
from collections.abc import Callable
from typing import Any

GRACE = 0.4
"""Seconds from the hangup to the end of the process, whatever is stuck."""

GRACE_FROZEN = 2.0
"""The same after SIGTERM: the terminal may be there, only slow."""

GIVE_BACK = (
    b"\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # the mouse
    b"\x1b[?2004l\x1b[?1004l\x1b[?2048l\x1b[<u"  # pastes, focus, sizes, key codes
    b"\x1b[?1049l\x1b[0m\x1b[?25h"  # the other screen, colours, the cursor
)
"""What ends all that Textual turns on (textual.drivers.linux_driver)."""


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
        _end_process_after(GRACE, 128 + signal.SIGHUP, ended)
        with contextlib.suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(on_hangup)

    def terminate() -> None:
        _end_process_after(GRACE_FROZEN, 128 + signal.SIGTERM, ended)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(on_term)

    def hung_up() -> None:
        if any(_is_dead(fd) for fd in terminals):
            _detach()
        hang_up()

    def closed() -> None:
        if not ended.is_set():
            _detach()
        hang_up()

    terminals = [fd for fd in (0, 2) if _is_terminal(fd)]
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        # Not loop.add_signal_handler: that waits for the loop, which may stand still on a
        # terminal that takes nothing more. These run whatever the main thread waits for.
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: hung_up())
        before[signal.SIGTERM] = signal.signal(signal.SIGTERM, lambda *_: terminate())
    if terminals:
        threading.Thread(
            target=_poll, args=(terminals, closed), name="hangup-watch", daemon=True
        ).start()

    def end_watch() -> None:
        ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)
        before.clear()

    return end_watch


def _poll(terminals: list[int], closed: Callable[[], None]) -> None:
    poll = select.poll()
    for fd in terminals:
        poll.register(fd, 0)  # hangup and error are always reported
    if any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll()):
        closed()


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


def give_back() -> None:
    """Leave the terminal, if there is one that takes it, as a shell expects it. Never waits."""
    fd = next((fd for fd in (0, 1, 2) if _is_terminal(fd)), None)
    if fd is None:
        return
    # Not stopped for it, should the window be in the background by now.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    with contextlib.suppress(OSError, termios.error):
        modes = termios.tcgetattr(fd)
        modes[0] |= termios.ICRNL | termios.IXON
        modes[3] |= termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN
        termios.tcsetattr(fd, termios.TCSANOW, modes)
    with contextlib.suppress(OSError):
        # Opened anew: not to wait is a property of the open file, which others share.
        terminal = os.open(os.ttyname(fd), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        os.write(terminal, GIVE_BACK)


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
            give_back()
            os._exit(code)

    threading.Thread(target=wait, name="hangup-watchdog", daemon=True).start()
