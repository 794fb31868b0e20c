"""The processes of a home, found in /proc by what stands in their command lines."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path


def of_home(home: Path, module: str = "speakeasy_tui.") -> list[int]:
    """Processes that run `module` for `home`; the dead that nobody has buried do not count."""
    found = []
    needle = os.fsencode(home)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if needle in line and module.encode() in line and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def engines(home: Path) -> list[int]:
    """Engine processes of `home`."""
    return of_home(home, "speakeasy_tui.engine")


def kill(pids: list[int]) -> None:
    """SIGKILL to each that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_gone(pid: int, timeout: float) -> bool:
    """Wait until a process has ended, be it our child or not."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.005)
    return False
