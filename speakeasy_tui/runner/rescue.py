"""For the day the queue's disk is full or its database damaged.

The journal says, in plain JSON lines, what was ever queued; from it and from the outputs on
disk a lost queue is made again. The reserve is a file that is given up when the disk is full,
so that the state of what runs can still be saved.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.protocol import Source
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.runner.schema import DamagedError, DatabaseError, DiskError
from speakeasy_tui.runner.store import Store
from speakeasy_tui.runner.writing import StoreFullError

log = logging.getLogger(__name__)

RESERVE = 2 * 2**20
"""Bytes; a checkpoint and the states of some hundred files in flight fit."""
MARGIN = 2 * RESERVE
"""Bytes that must be free before the reserve is taken: it is not to be what fills the disk."""


class Entry(Struct, frozen=True):
    """Sources that were queued together."""

    sources: list[Source]
    options: JobOptions


class Journal:
    """What was queued, beside the database and independent of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[bytes] | None = None

    def note(self, sources: list[Source], options: JobOptions) -> None:
        """Keep an entry, once. A full disk costs the entry, not the queue."""
        line = msgspec.json.encode(Entry(sources, options)) + b"\n"
        digest = hashlib.blake2b(line, digest_size=16).digest()
        if self._known is None:
            self._known = {hashlib.blake2b(old, digest_size=16).digest() for old in self._lines()}
        if digest in self._known:
            return
        self._known.add(digest)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(line)
        except OSError as error:
            log.warning("journal: %s", error)

    def entries(self) -> Iterator[Entry]:
        """All entries, oldest first; lines that were cut off are passed over."""
        for line in self._lines():
            try:
                yield msgspec.json.decode(line, type=Entry)
            except msgspec.DecodeError as error:
                log.warning("journal: a line is not understood: %s", error)

    def _lines(self) -> Iterator[bytes]:
        try:
            with self._path.open("rb") as file:
                yield from file
        except OSError:
            return


def open_store(home: Home) -> tuple[Store, str]:
    """The queue of a home; a damaged one is moved aside and a new one begun, as is one in place
    of a queue that is not there any more.

    Where its disk is full, the reserve is given up for it.

    Returns the store, and what had become of the queue before it, in words; empty: nothing.

    Raises:
        DatabaseError: it cannot be used for another reason.
        DiskError: the reserve did not help.
    """
    try:
        return _open_or_begin(home)
    except (DiskError, StoreFullError) as error:
        log.warning("%s; the reserve is given up", error)
        Reserve(home.reserve).give_up()
    try:
        return _open_or_begin(home)
    except StoreFullError as error:
        raise DiskError(f"{home.database}: {error}; is the disk full?") from None


def _open_or_begin(home: Home) -> tuple[Store, str]:
    lost = _lost(home)
    if not lost:
        try:
            return Store(home.database), ""
        except DamagedError as error:
            lost = str(error)
    aside = _move_aside(home.database)
    log.error("%s%s", lost, f"; moved to {aside}" if aside else "")
    store = Store(home.database)
    if aside:
        return store, f"the queue was damaged: it is kept as {aside.name}"
    return store, f"the queue was damaged: {home.database.name} was empty or not there"


def _lost(home: Home) -> str:
    """Why there is no queue though files were queued; empty when there is one, or never was.

    Once made, SQLite never leaves a database empty, and nothing of ours removes it: the last row
    may be taken off the table, the file stays.
    """
    if _size(home.database) or not _size(home.journal):
        return ""
    return f"{home.database} is empty or not there, and files were queued"


def _size(path: Path) -> int:
    """Bytes of a file, 0 also where there is none.

    Raises:
        DatabaseError: it cannot be asked for.
    """
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise DatabaseError(f"{path}: {error.strerror}") from None


def _move_aside(database: Path) -> Path | None:
    """Keep what is left of a database, with its log, under a new name; None: nothing is."""
    stem = f"queue.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    aside = next(path for name in names if not (path := database.with_name(f"{name}.db")).exists())
    kept = False
    for suffix in ("-wal", "-shm", ""):
        part = database.with_name(database.name + suffix)
        if _size(part) and suffix != "-shm":
            part.rename(aside.with_name(aside.name + suffix))
            kept = True
        part.unlink(missing_ok=True)
    return aside if kept else None


class Reserve:
    """Room on the queue's disk that is given up in need."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self) -> None:
        """Set the room aside, if it is not yet and there is enough."""
        try:
            if self._path.exists() and self._path.stat().st_size == RESERVE:
                return
            if shutil.disk_usage(self._path.parent).free < MARGIN:
                return
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                # Written, not only allocated: some file systems promise without keeping.
                os.write(descriptor, b"\0" * RESERVE)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.warning("reserve: %s", error)

    def give_up(self) -> None:
        """Let the database have the room."""
        with contextlib.suppress(OSError):
            self._path.unlink()
