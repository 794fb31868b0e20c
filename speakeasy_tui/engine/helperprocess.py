"""A process that reads recordings for an engine: ``python -m speakeasy_tui.engine.helperprocess``.

Python's lock lets the threads of one process make little more than one core's worth of chunks
(docs/throughput.md), and a codec that crashes takes its process along: here that is only a
helper's. It takes one file after another from its standard input and says on its standard output
what comes of it (`engine.handover`). It ends with the engine, whatever ends that.
"""

from __future__ import annotations

import contextlib
import fcntl
import sys

from speakeasy_tui.engine.process import begin, settle_in

PIPE = 2**20
"""Bytes that lie in the pipe at most, about a chunk's spectrogram: while the engine takes one, the
next is made. Linux gives a user without privileges no more."""


def _run(orders: int, replies: int) -> int:
    settle_in(None)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            fcntl.fcntl(replies, fcntl.F_SETPIPE_SZ, PIPE)

    from speakeasy_tui.engine.helping import Helping

    Helping(orders, replies).run()
    return 0


if __name__ == "__main__":
    begin(_run)
