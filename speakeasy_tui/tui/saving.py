"""Writing a file where a person says, whole or not at all."""

from __future__ import annotations

import os
import tempfile

from speakeasy_tui.tui.typed import meant

HINTS = {
    FileNotFoundError: "make the folder first",
    NotADirectoryError: "a part of the path is a file",
    PermissionError: "choose a folder that is yours",
    IsADirectoryError: "name a file in it",
}


class ThereAlready(Exception):
    """The file is there; it may be replaced."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        """Bytes."""


def resolved(text: str, name: str) -> str:
    """The absolute path that `text` means; a folder means the file `name` in it."""
    path = meant(text)
    if not path or path.endswith("/") or os.path.isdir(path):
        path = os.path.join(path, name)
    return os.path.abspath(path)


def save(path: str, data: bytes, *, replace: bool) -> None:
    """Write `data` into the file `path`; with `replace` also over one that is there.

    Raises:
        ThereAlready: it is there and `replace` was not said.
        OSError: it cannot be written; what was there is as it was.
    """
    target = os.path.realpath(path)
    there = os.path.lexists(target)
    if there and not os.path.isfile(target):
        raise FileExistsError(0, "it is there and is not an ordinary file", path)
    if there and not replace:
        raise ThereAlready(os.path.getsize(target))
    if there:
        descriptor, part = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".speakeasy-")
        os.fchmod(descriptor, os.stat(target).st_mode & 0o777)
    else:
        part = target
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if there:
            os.replace(part, target)
    except BaseException:
        os.unlink(part)
        raise


def explain(error: OSError, path: str) -> str:
    """What went wrong, in a sentence."""
    hint = next((hint for kind, hint in HINTS.items() if isinstance(error, kind)), "")
    reason = error.strerror or str(error)
    return f"{path}: {reason[:1].lower()}{reason[1:]}" + (f"; {hint}" if hint else "")
