"""What went wrong with one file, in the words in which the runner is told."""

from __future__ import annotations

import traceback

from msgspec import Struct

from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.core.text import printable
from speakeasy_tui.engine.source import SourceError


class Trouble(Struct, frozen=True):
    """An error of one file. It may have come from another process."""

    text: str
    kind: ErrorKind | None = None
    """None: the runner judges by the text."""
    hint: str = ""
    detail: str = ""
    """Traceback; empty where there is nothing to look for in one."""


class Reported(Exception):
    """Trouble that another process has had with a file."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.text)
        self.trouble = trouble


def trouble(error: Exception) -> Trouble:
    """What `error`, which reading a file has raised and which is being handled, says of it."""
    match error:
        case Reported():
            return error.trouble
        case SourceError():
            return Trouble(error.message, error.kind, error.hint, error.detail)
        case RuntimeError() | OSError() | MemoryError():
            return unjudged(error)  # the device, the disk and memory
    return Trouble(worded(error), ErrorKind.INPUT, detail=traceback.format_exc())


def unjudged(error: Exception) -> Trouble:
    """What is left of `error`, which is being handled, for the runner to judge by the text.

    An error itself keeps the frames that it passed, and what they hold: a batch on the GPU, say.
    """
    return Trouble(worded(error), detail=traceback.format_exc())


def worded(error: Exception) -> str:
    """An error as CTranslate2 words it, or with its type where it is Python's.

    torch adds three lines of advice to an error of CUDA, for who debugs it with its sources.
    """
    said = str(error)
    if said.startswith("CUDA error: "):
        said = said.partition("\n")[0]
    if not isinstance(error, (RuntimeError, OSError)):
        said = f"{type(error).__name__}: {said}"
    return printable(said)
