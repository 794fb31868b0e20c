"""Looking at a source before anything tries to read it."""

from __future__ import annotations

import errno
import os
import stat

from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.core.text import printable

_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class SourceError(Exception):
    """A file that cannot be transcribed: what is wrong with it, and what to do about it."""

    def __init__(
        self, message: str, hint: str = "", kind: ErrorKind = ErrorKind.INPUT, detail: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.kind = kind
        self.detail = detail


def explain(error: OSError) -> SourceError:
    """An operating system error on a source, in words."""
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return SourceError(
                "file not found", "was it moved or renamed? rerun it when it is back"
            )
        case errno.EACCES | errno.EPERM:
            return SourceError(
                "no permission to read the file", "give yourself the right: chmod u+r"
            )
        case errno.ELOOP:
            return SourceError(
                "the path is a loop of symbolic links", "point the link at a real file"
            )
        case errno.ENAMETOOLONG:
            return SourceError("the file name is too long", "rename it to something shorter")
        case errno.EIO | errno.ESTALE | errno.ENXIO:
            return SourceError(
                f"reading the file failed: {os.strerror(error.errno or 0)}",
                "check the disk or the network share, then rerun it",
            )
    return SourceError(printable(f"the file cannot be read: {error.strerror or error}"))


def check(path: bytes) -> int:
    """Size of the regular file at `path`, bytes.

    Only `stat` is used, so a pipe with no writer or a device does not block or react.

    Raises:
        SourceError: when it is not a file with something in it.
    """
    try:
        status = os.stat(path)
    except ValueError:
        raise SourceError("file not found", "the path holds a zero byte") from None
    except OSError as error:
        if error.errno == errno.ENOENT and os.path.islink(path):
            raise SourceError(
                "the symbolic link points to nothing", "restore its target or remove the link"
            ) from None
        raise explain(error) from None
    if stat.S_ISDIR(status.st_mode):
        raise SourceError("this is a folder, not a file", "queue the folder to get its files")
    for is_special, what in _SPECIAL:
        if is_special(status.st_mode):
            raise SourceError(f"this is {what}, not a file", "copy what it gives into a file first")
    if status.st_size == 0:
        raise SourceError("the file is empty (0 bytes)", "copy or record it again")
    return status.st_size
