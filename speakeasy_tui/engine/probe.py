"""How long recordings are, as their headers say: ``python -m speakeasy_tui.engine.probe``.

A process of its own, as whatever reads foreign files is. Takes paths on its standard input, each
ended by a zero byte, and prints a `Length` for each as soon as it is known.
"""

from __future__ import annotations

import os
import signal
import sys

from speakeasy_tui.core.engineprotocol import Length
from speakeasy_tui.core.lines import encode

LIMIT_S = 60
"""Seconds on one file after which the process ends."""


def length(path: bytes) -> float | None:
    """Seconds; 0 when there is no audio to be read, None when the header does not say."""
    from speakeasy_tui.engine.opening import audio_stream, open_media
    from speakeasy_tui.engine.source import SourceError, check

    try:
        check(path)
        with open_media(path) as container:
            audio_stream(container)
            return None if container.duration is None else container.duration / 1_000_000
    except (SourceError, OSError, ValueError):
        return 0.0


def main() -> None:
    """Answer for every path and end without running destructors."""
    os.nice(10)
    output = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not mix with the lines
    paths = sys.stdin.buffer.read().split(b"\0")
    for number, path in enumerate(paths[:-1]):
        signal.alarm(LIMIT_S)
        seconds = length(path)
        signal.alarm(0)  # who reads this may take their time
        os.write(output, encode(Length(number=number, seconds=seconds)))
    os._exit(0)


if __name__ == "__main__":
    main()
