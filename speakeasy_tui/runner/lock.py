"""One runner a home: an flock that the kernel lets go of when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os

from speakeasy_tui.core.paths import Home


class LockedError(Exception):
    """Another runner has this home."""


class HomeLock:
    """The lock of a home, held while this object is open."""

    def __init__(self, home: Home) -> None:
        """Take the lock.

        Raises:
            LockedError: naming the runner that has it.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(home.lock, flags, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise LockedError(f"{home.state}: a runner is there already, pid {holder}") from None
        os.ftruncate(self._descriptor, 0)
        with contextlib.suppress(OSError):  # a full disk: the lock counts, not who is named
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the home go. The file stays: unlinking a lock file is a race."""
        os.close(self._descriptor)
