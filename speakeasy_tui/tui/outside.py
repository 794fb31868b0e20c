"""Programs of the person's own: the editor or pager in which a transcript is opened."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator

from textual.app import App, SuspendNotSupported

from speakeasy_tui.core.text import printable

_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


def program() -> str:
    """$VISUAL, $EDITOR, $PAGER or less."""
    for name in ("VISUAL", "EDITOR", "PAGER"):
        if value := os.environ.get(name, "").strip():
            return value
    return "less"


def raw(path: str) -> bytes:
    """The file that a path as it is told stands for: ``\\xNN`` may be a byte of its name."""
    if os.path.exists(path):
        return os.fsencode(path)
    return _ESCAPED.sub(lambda m: chr(0xDC00 + int(m[1], 16)), path).encode(
        "utf-8", "surrogateescape"
    )


def show(app: App[str], path: str) -> str:
    """Open `path`, the window put aside meanwhile; returns what to say."""
    file = raw(path)
    name = printable(path)
    if not os.path.exists(file):
        return f"{name} is not there any more"
    try:
        command = [*shlex.split(program()), os.fsdecode(file)]
        with app.suspend(), _deaf():
            done = subprocess.run(command, check=False)
    except SuspendNotSupported:
        return f"This terminal cannot be shared with {program()}; the file is {name}"
    except (OSError, ValueError) as error:
        return f"{program()}: {error}; name your editor in $EDITOR"
    return f"{name} was open" if not done.returncode else f"{program()} ended with an error"


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Keys that interrupt the program are meant for it alone, though the terminal tells us, too.

    A handler that does nothing, not SIG_IGN: that the program would inherit.
    """
    numbers = (signal.SIGINT, signal.SIGQUIT)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
