"""Writing outputs: whole or not at all.

Parts are written, fsynced and hashed; the store notes them as staged; they get their names and
the folder is fsynced; the store notes them as done. After a crash at any point `finish_staged`
completes or undoes it. What blocks here is called on a thread, as one thing for all of a job's
outputs: each way there and back takes as long as a small file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from speakeasy_tui.core.transcript import Transcript
from speakeasy_tui.formats import render
from speakeasy_tui.runner.chaos import passing
from speakeasy_tui.runner.outputs import (
    OutputError,
    Plan,
    Replace,
    explain,
    make_folder,
    sha256_of,
)
from speakeasy_tui.runner.rows import Staged

LONGEST_IN_PART = 200
"""Bytes of an output's name in its part's: process, job and try must fit after it."""


def write_parts(
    job: int, attempt: int, chosen: Plan, transcript: Transcript, *, made_here: bool = False
) -> list[Staged]:
    """Write each format to a part file beside its target, synced to disk. Blocks.

    `made_here`: the folder was ours to make, so it is made again if somebody removed it.

    Raises:
        OutputError: it cannot be written; no part is left.
    """
    staged: list[Staged] = []
    try:
        if made_here:
            for target in chosen.paths.values():
                make_folder(os.path.dirname(target))
        for ending, target in chosen.paths.items():
            data = render(ending, transcript)
            part = part_path(target, os.getpid(), job, attempt)
            staged.append(Staged(job, target, part, hashlib.sha256(data).hexdigest()))
            _write(part, data)
    except OSError as error:
        discard(staged)
        path = staged[-1].path if staged else next(iter(chosen.paths.values()))
        raise OutputError(explain(error, path)) from None
    except BaseException:
        discard(staged)
        raise
    return staged


def part_path(target: bytes, pid: int, job: int, attempt: int) -> bytes:
    """Where an output is written before it gets its name.

    The pid keeps two homes that write into one folder apart; all of it lets a later runner
    find what a killed one left. A long name is cut, and a digest then keeps the formats apart.
    """
    folder, name = os.path.split(target)
    if len(name) > LONGEST_IN_PART:
        digest = hashlib.blake2b(name, digest_size=4).hexdigest().encode()
        name = name[: LONGEST_IN_PART - 9] + b"~" + digest
    return os.path.join(folder, b"." + name + f".{pid}-{job}-{attempt}.part".encode())


def _write(part: bytes, data: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part)
    with Path(os.fsdecode(part)).open("xb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())


def name_parts(staged: Sequence[Staged], replace: Replace) -> None:
    """Give the parts their names; `sync_folders` is to follow. Blocks.

    Raises:
        OutputError: a file that is not ours has appeared in the way, or the disk refuses;
            outputs named so far stay and belong to the job's next try.
    """
    for item in staged:
        try:
            _name(item, replace)
            if item is not staged[-1]:
                passing("naming")
        except OSError as error:
            raise OutputError(explain(error, item.path)) from None


def sync_folders(staged: Iterable[Staged]) -> None:
    """Have the disk keep the names in all folders of `staged`. Blocks."""
    for folder in {os.path.dirname(item.path) for item in staged}:
        with contextlib.suppress(OSError):  # some network file systems cannot sync a folder
            _sync_folder(folder)


def _name(item: Staged, replace: Replace) -> None:
    expected = replace.get(item.path)
    if expected is not None and expected in ("", sha256_of(item.path)):
        os.replace(item.part, item.path)
        return
    try:
        # Unlike rename, link never replaces: another home's output is safe.
        os.link(item.part, item.path)
    except FileExistsError:
        if sha256_of(item.path) != item.sha256:
            raise
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}:
            raise
        if os.path.lexists(item.path):
            raise FileExistsError(errno.EEXIST, "File exists", item.path) from None
        os.replace(item.part, item.path)
        return
    passing("linked")
    os.unlink(item.part)


def discard(staged: Sequence[Staged]) -> None:
    """Remove parts that will get no name."""
    for item in staged:
        with contextlib.suppress(OSError):
            os.unlink(item.part)


def finish_staged(staged: Sequence[Staged], *, overwrite: bool) -> list[bytes]:
    """After a crash: complete one job's renames; no part is left. Returns what is in place.

    What is not ours stays in place unless the job may `overwrite` it.
    """
    for item in staged:
        if sha256_of(item.path) != item.sha256 and sha256_of(item.part) == item.sha256:
            with contextlib.suppress(OSError):
                _name(item, {item.path: ""} if overwrite else {})
    discard(staged)
    sync_folders(staged)
    return in_place(staged)


def in_place(staged: Sequence[Staged]) -> list[bytes]:
    """Those outputs that have their names and their content."""
    return [item.path for item in staged if sha256_of(item.path) == item.sha256]


def _sync_folder(folder: bytes) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
