"""Words on stdout and stderr, safe for a terminal."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from speakeasy_tui.core.text import printable, printable_lines


class Stop(Exception):
    """Ends a command with a message on stderr and an exit code."""

    def __init__(self, message: str, code: int = 2, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class Unprinted(Exception):
    """stdout took no more."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"stdout cannot be written: {error.strerror}")
        self.reader_left = error.errno in {errno.EPIPE, errno.EIO}
        """Nobody is there to tell: the pipe's other end is closed, or the terminal."""


@contextlib.contextmanager
def stdout() -> Iterator[TextIO]:
    """To print on; what may be raised is not an `OSError` like any other.

    Raises:
        Unprinted: its reader has left, or its disk is full.
    """
    try:
        yield sys.stdout
    except OSError as error:
        raise Unprinted(error) from None


def print_no_more() -> None:
    """Let what is printed from now on, and the flush at exit, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str = "") -> None:
    """A line, or several, of a command's result."""
    with stdout() as out:
        out.write(printable_lines(text) + "\n")


def warn(text: str) -> None:
    """A line beside the result: notices and errors. One that cannot be printed is lost."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        sys.stderr.write(printable_lines(text) + "\n")
        sys.stderr.flush()


def say_json(value: object) -> None:
    """One line of JSON, at once."""
    import msgspec

    with stdout() as out:
        out.buffer.write(msgspec.json.encode(value) + b"\n")
        out.buffer.flush()


def several(count: int, noun: str) -> str:
    """``1 file``, ``3 files``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def because(what: str, why: str) -> str:
    """``paused: the disk is full``; ``paused`` alone where the reason is the same word."""
    return what if why in {"", what} else f"{what}: {why}"


def clock(seconds: float | None) -> str:
    """``4:07`` or ``1:02:03``; ``-`` when not known."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def times(speed: float | None) -> str:
    """A speed as a multiple of real time; ``-`` when not known."""
    if speed is None:
        return "-"
    return f"{speed:.0f}x" if speed >= 10 else f"{speed:.1f}x"


def mebibytes(size: int | None) -> str:
    """A size in bytes, readable."""
    if size is None:
        return "-"
    mib = size / 2**20
    return f"{mib / 1024:.1f} GiB" if mib >= 1024 else f"{mib:.0f} MiB"


def table(rows: list[list[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """Aligned columns, two spaces between; no drawing characters a screen reader would spell."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in shown) for i in range(len(shown[0]))] if shown else []
    lines = []
    for row in shown:
        cells = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
