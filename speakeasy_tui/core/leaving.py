"""How a process ends that must not wait for its threads or libraries."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

ANOTHER_RUNS = 75
"""Exit status of a runner that finds another one in its home (sysexits' EX_TEMPFAIL)."""
NO_ROOM = 74
"""Exit status of a runner whose home is on a disk that is full (sysexits' EX_IOERR)."""


def leave(run: Callable[[], int]) -> NoReturn:
    """Run and end at once with the status that `run` returns or exits with, 1 after an error.

    Nothing is waited for or torn down: a thread may hang on a disk or driver that does not answer,
    and CUDA aborts in destructors.
    """
    status = 1
    try:
        status = run()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # a log on a full disk
                stream.flush()
        os._exit(status)
