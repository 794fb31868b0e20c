"""Where outputs go, and whether they are there. `staging.py` writes them."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from speakeasy_tui.core.job import ErrorKind, JobError
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.text import show_path
from speakeasy_tui.runner.rows import Owned
from speakeasy_tui.runner.siblings import Siblings

LONGEST = 249
"""Bytes of a name, its ending and the dot not counted: file systems take 255."""

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

    @property
    def folder(self) -> bytes:
        """Where they are."""
        return os.path.dirname(next(iter(self.paths.values())))


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


def plan(
    path: bytes,
    root: bytes,
    options: JobOptions,
    made_of: str,
    possible: Names,
    siblings: Siblings,
) -> Plan:
    """Choose the output paths of a job and see what is there. Touches the disk, not the store.

    The names within a queued folder do not depend on the order: who comes first there is looked up
    on the disk.

    Raises:
        OutputError: the folder cannot be written, or files that are not ours are in the way.
    """
    owners = possible.owners
    for number, paths in enumerate(possible.choices):
        found = [owners[target] for target in paths.values()]
        if any(one is not None and one.source != path for one in found):
            continue
        if number == 0 and root and siblings.one_is_before(path):
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
    unchanged = {target: known for target, known in written.items() if known == sha256_of(target)}
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
            make_folder(folder)
        except OSError as error:
            raise OutputError(explain(error, folder)) from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(explain(PermissionError(errno.EACCES, "Permission denied"), folder))


def make_folder(folder: bytes) -> None:
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


def sha256_of(path: bytes) -> str:
    """Of a file; empty when it cannot be read."""
    try:
        with Path(os.fsdecode(path)).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
