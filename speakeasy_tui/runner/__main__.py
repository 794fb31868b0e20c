"""``python -m speakeasy_tui.runner``: the runner's process, started by the first command."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import logging
import os
import sys
from pathlib import Path

from speakeasy_tui.core.leaving import ANOTHER_RUNS, NO_ROOM, leave
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.values import SettingsError, load
from speakeasy_tui.runner.lock import LockedError
from speakeasy_tui.runner.schema import DatabaseError, DiskError
from speakeasy_tui.runner.serve import serve

LOG_LIMIT = 16 * 2**20


def main() -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m speakeasy_tui.runner")
    for name in ("state", "config", "cache"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--stopped", action="store_true", help="wait until told to work")
    given = parser.parse_args()
    home = Home(given.state, given.config, given.cache)
    home.make()
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        if home.runner_log.stat().st_size > LOG_LIMIT:
            _rotate(home.runner_log)
    except OSError:
        pass
    try:
        settings = load(home.config_file).settings
        asyncio.Runner().run(
            serve(home, settings, begin=not given.stopped)
        )  # not closed: that waits for all threads
    except LockedError as error:
        _say(error)
        return ANOTHER_RUNS
    except DiskError as error:
        _say(error)
        return NO_ROOM
    except (SettingsError, DatabaseError, OSError) as error:
        _say(error)
        return NO_ROOM if getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT} else 1
    return 0


def _say(error: Exception) -> None:
    """Last words, for the log; a full disk may have no room even for them."""
    with contextlib.suppress(OSError):
        print(error, file=sys.stderr, flush=True)


def _rotate(log: Path) -> None:
    """Begin a new log file; our stdout and stderr follow it."""
    log.replace(log.with_suffix(".log.1"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


if __name__ == "__main__":
    leave(main)
