"""Where outputs go, whether they are there, and writing them: whole or not at all.

The staged commit: parts are written, fsynced and hashed; the store notes them as staged;
they get their names and the folder is fsynced; the store notes them as done. After a crash
at any point `finish_staged` completes or undoes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import aiofiles
import msgspec
from msgspec import Struct

from speakeasy_tui.core.job import ErrorKind, JobError
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.text import show_path
from speakeasy_tui.core.transcript import Transcript
from speakeasy_tui.formats import render
from speakeasy_tui.runner.chaos import passing
from speakeasy_tui.runner.rows import Owned, Staged
from speakeasy_tui.runner.scan import MEDIA

LONGEST = 249
"""Bytes of a name, its ending and the dot not counted: file systems take 255."""

LONGEST_IN_PART = 200
"""Bytes of an output's name in its part's: process, job and try must fit after it."""

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

Owner = Callable[[bytes], Owned | None]
"""Of a path, as `Store.owner` tells; None: it is nobody's."""

Owners = Mapping[bytes, Owned | None]
"""What an `Owner` says of some paths."""

Replace = Mapping[bytes, str]
"""Paths where something may be replaced, and the SHA-256 that it must have; empty: any."""


class Plan(Struct, frozen=True):
    """Where a job's outputs go."""

    paths: dict[str, bytes]
    """By format."""
    present: bool
    """All are there and are this job's, made of the same content, model and options."""
    unverified: bool = False
    """All are there, but nothing says what they were made of."""
    replace: Replace = {}
    """Our own earlier outputs, as long as nobody changes them; or all with overwrite."""


class _Ours(Struct):
    identity: str = ""


class _Output(Struct):
    """Of a json output, what tells whose it is."""

    speakeasy: _Ours | None = None


class OutputError(Exception):
    """Outputs cannot be written; carries what the row is to say."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error


class Names(Struct, frozen=True):
    """The output paths a job may have, and whose they are now."""

    choices: list[dict[str, bytes]]
    """By format; the first that is free is taken."""
    owners: Owners


def names(path: bytes, root: bytes, options: JobOptions, owner: Owner) -> Names:
    """The names a job's outputs may have. Does not touch the disk.

    The name is the recording's without its ending. When that belongs to another recording
    (``talk.mp3`` beside ``talk.wav``, or equal trees under one output folder) the ending
    stays (``talk.wav.txt``), and at last a digest of the source's path tells them apart.
    """
    folder = _folder(path, root, options)
    name = os.path.basename(path)
    stem = os.path.splitext(name)[0] or name
    digest = hashlib.blake2b(path, digest_size=4).hexdigest().encode()
    unique = b"~" + digest
    choices: list[dict[str, bytes]] = []
    for choice in (stem, name, name + unique):
        candidate = choice if len(choice) <= LONGEST else choice[: LONGEST - 20] + unique
        choices.append(
            {
                ending: os.path.join(folder, candidate + b"." + ending.encode())
                for ending in options.format
            }
        )
    return Names(choices, {target: owner(target) for paths in choices for target in paths.values()})


def plan(path: bytes, root: bytes, options: JobOptions, made_of: str, possible: Names) -> Plan:
    """Choose the output paths of a job and see what is there. Touches the disk, not the store.

    Raises:
        OutputError: the folder cannot be written, or files that are not ours are in the way.
    """
    owners = possible.owners
    name = os.path.basename(path)
    stem = os.path.splitext(name)[0] or name
    for number, paths in enumerate(possible.choices):
        found = [owners[target] for target in paths.values()]
        if any(one is not None and one.source != path for one in found):
            continue
        if number == 0 and root and _sibling_is_first(path, stem):
            continue
        break
    return _look(paths, owners, options, made_of)


def _folder(path: bytes, root: bytes, options: JobOptions) -> bytes:
    source_folder = os.path.dirname(path)
    if options.output_dir is None:
        return source_folder
    target = os.fsencode(options.output_dir)
    if root and os.path.commonpath([root, path]) == root:
        below = os.path.relpath(source_folder, root)
        if below.split(b"/", 1)[0] != b"..":  # a path with dots in it leads nowhere outside
            return os.path.normpath(os.path.join(target, below))
    return target


def _sibling_is_first(path: bytes, stem: bytes) -> bool:
    """Whether another recording of the same stem stands before this one in its folder.

    Looked up on disk, so that the names within a queued folder do not depend on the order.
    """
    folder, name = os.path.split(path)
    for ending in MEDIA:
        other = stem + ending
        if other < name and os.path.lexists(os.path.join(folder, other)):
            return True
    return False


def _look(paths: dict[str, bytes], owners: Owners, options: JobOptions, made_of: str) -> Plan:
    there = [target for target in paths.values() if os.path.lexists(target)]
    if options.overwrite:
        return Plan(paths, present=False, replace=dict.fromkeys(paths.values(), ""))
    nobody = Owned(0, b"", "", "")
    identities = {target: (owners[target] or nobody).made_of for target in there}
    if "json" in paths and paths["json"] in there and not all(identities.values()):
        told = _identity_in(paths["json"])
        identities = {target: known or told for target, known in identities.items()}
    ours = {target for target, known in identities.items() if known == made_of}
    if len(there) == len(paths):
        if len(ours) == len(paths):
            return Plan(paths, present=True)
        if not any(identities.values()):
            return Plan(paths, present=True, unverified=True)
    written = {target: (owners[target] or nobody).written for target in ours}
    unchanged = {target: known for target, known in written.items() if known == _sha256(target)}
    strange = [target for target in there if target not in unchanged]
    if strange:
        name = show_path(os.path.basename(strange[0]))
        why = "is not ours"
        if written.get(strange[0]):
            why = "was changed since it was written"
        elif identities[strange[0]] not in ("", made_of):
            why = "was made of other content, model or options"
        raise OutputError(
            JobError(
                ErrorKind.OUTPUT,
                f"{name} is there already and {why}",
                "--overwrite replaces it, --output-dir DIR writes elsewhere",
            )
        )
    return Plan(paths, present=False, replace=unchanged)


def _identity_in(path: bytes) -> str:
    try:
        with Path(os.fsdecode(path)).open("rb") as file:
            if os.fstat(file.fileno()).st_size > 1 << 28:
                return ""
            found = msgspec.json.decode(file.read(), type=_Output)
    except (OSError, msgspec.DecodeError):
        return ""
    return found.speakeasy.identity if found.speakeasy else ""


def check_folder(chosen: Plan) -> None:
    """Make the folders and see that they can be written, before hours of work.

    Raises:
        OutputError: they cannot.
    """
    for folder in {os.path.dirname(target) for target in chosen.paths.values()}:
        try:
            _make_folder(folder)
        except OSError as error:
            raise OutputError(explain(error, folder)) from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(explain(PermissionError(errno.EACCES, "Permission denied"), folder))


def _make_folder(folder: bytes) -> None:
    """As `os.makedirs`; of a file that stands there it says so."""
    try:
        os.makedirs(folder, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, "is a file, not a folder") from None


def explain(error: OSError, path: bytes) -> JobError:
    """What the row says of an output that could not be written."""
    if error.errno == errno.EEXIST:
        return JobError(
            ErrorKind.OUTPUT,
            f"{show_path(os.path.basename(path))} appeared or was changed meanwhile",
            "another job or queue made it, perhaps with other options: rerun it, and what is the "
            "same is skipped; else --overwrite, or --output-dir DIR",
        )
    kind = ErrorKind.DISK if error.errno in DISK_FULL else ErrorKind.OUTPUT
    hint = "make it writable, or choose another folder with --output-dir DIR"
    if kind is ErrorKind.DISK:
        hint = "make room; the batch goes on by itself"
    return JobError(kind, f"{show_path(path)}: {error.strerror}", hint)


async def write_parts(
    job: int, attempt: int, chosen: Plan, transcript: Transcript, *, made_here: bool = False
) -> list[Staged]:
    """Write each format to a part file beside its target, synced to disk.

    `made_here`: the folder was ours to make, so it is made again if somebody removed it.

    Raises:
        OutputError: it cannot be written; no part is left.
    """
    staged: list[Staged] = []
    try:
        if made_here:
            for target in chosen.paths.values():
                _make_folder(os.path.dirname(target))
        for ending, target in chosen.paths.items():
            data = await asyncio.to_thread(render, ending, transcript)
            part = part_path(target, os.getpid(), job, attempt)
            staged.append(Staged(job, target, part, hashlib.sha256(data).hexdigest()))
            await _write(part, data)
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


async def _write(part: bytes, data: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part)
    async with aiofiles.open(part, "xb") as file:
        await file.write(data)
        await file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())


def name_parts(staged: Sequence[Staged], replace: Replace) -> None:
    """Give the parts their names and sync the folders. Blocks: call it on a thread.

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
    for folder in {os.path.dirname(item.path) for item in staged}:
        with contextlib.suppress(OSError):  # some network file systems cannot sync a folder
            _sync_folder(folder)


def _name(item: Staged, replace: Replace) -> None:
    expected = replace.get(item.path)
    if expected is not None and expected in ("", _sha256(item.path)):
        os.replace(item.part, item.path)
        return
    try:
        # Unlike rename, link never replaces: another home's output is safe.
        os.link(item.part, item.path)
    except FileExistsError:
        if _sha256(item.path) != item.sha256:
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
        if _sha256(item.path) != item.sha256 and _sha256(item.part) == item.sha256:
            with contextlib.suppress(OSError):
                _name(item, {item.path: ""} if overwrite else {})
    discard(staged)
    for folder in {os.path.dirname(item.path) for item in staged}:
        with contextlib.suppress(OSError):
            _sync_folder(folder)
    return in_place(staged)


def in_place(staged: Sequence[Staged]) -> list[bytes]:
    """Those outputs that have their names and their content."""
    return [item.path for item in staged if _sha256(item.path) == item.sha256]


def _sha256(path: bytes) -> str:
    try:
        with Path(os.fsdecode(path)).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _sync_folder(folder: bytes) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
