"""For all tests."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """A shell's background job and nohup ignore signals, and children inherit that: not ours."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
