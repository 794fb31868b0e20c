"""What PATHS on the command line mean: files, folders, globs, lists, ``-`` for stdin."""

# File names are bytes here, which pathlib does not take.

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator

from speakeasy_tui.client.manifests import (
    MANIFESTS,
    ManifestError,
    check_data,
    check_entries,
    plain_entries,
)
from speakeasy_tui.core.protocol import Add, Source
from speakeasy_tui.core.settings import FORMAT_NAMES, JobOptions
from speakeasy_tui.core.text import printable

ADD_BYTES = 4 * 2**20
"""Paths in one `Add`, so that its line stays far below the protocol's `MAX_LINE`."""
_OUTPUTS = frozenset(b"." + name.encode() for name in FORMAT_NAMES)


class SourceError(ValueError):
    """A path argument that cannot be used; nothing is queued then."""


def _quiet(_note: str) -> None:
    pass


def find_sources(
    paths: Iterable[str | bytes],
    *,
    cwd: bytes | None = None,
    read_stdin: Callable[[], bytes] | None = None,
    note: Callable[[str], None] = _quiet,
) -> list[Source]:
    """The sources that `paths` mean, in order, each once.

    A path that exists is that file, folder or list, whatever characters it has; only one
    that does not is read as a glob. Entries of a list need not exist: each becomes a row
    that says so. Transcripts that a shell's ``*`` put beside their recording are left out,
    and `note` is told. A source's root is what an output folder mirrors the tree below: a
    folder itself, of several the one they lie in, of a glob its fixed part, of what a list
    names by a relative path the list's folder.

    Args:
        paths: as given; ``-`` reads a list from stdin, relative to `cwd`.
        cwd: what relative paths are relative to; the process's folder.
        read_stdin: instead of the process's stdin.
        note: is called with a sentence about what was left out.

    Raises:
        SourceError: naming the argument that is empty, does not exist or cannot be read.
    """
    base = os.getcwdb() if cwd is None else cwd
    given = [os.fsencode(path) for path in paths]
    if b"" in given:
        raise SourceError("an empty path (a variable that is not set?); this folder is written .")
    kept = _without_outputs(given)
    if len(kept) < len(given):
        count = len(given) - len(kept)
        note(f"left out {count} transcript{'s' * (count > 1)} beside their recordings")
    found: dict[Source, None] = {}
    for path in kept:
        if path == b"-":
            data = (read_stdin or sys.stdin.buffer.read)()
            found.update(dict.fromkeys(_list("the list on stdin", data, plain_entries, base)))
        else:
            found.update(dict.fromkeys(_argument(path, base)))
    return _with_their_names(list(found))


def adds(sources: list[Source], options: JobOptions, *, start: bool) -> list[Add]:
    """`sources` as requests of bounded size."""
    requests: list[Add] = []
    size = ADD_BYTES
    for source in sources:
        length = len(source.path) + len(source.root)
        if size + length > ADD_BYTES:
            requests.append(Add(sources=[], options=options, start=start))
            size = 0
        requests[-1].sources.append(source)
        size += length
    return requests


def _argument(path: bytes, base: bytes) -> Iterator[Source]:
    """What one argument means."""
    absolute = _absolute(path, base)
    if os.path.lexists(absolute):
        yield from _existing(absolute)
        return
    if glob.has_magic(path):
        matches = sorted(glob.glob(os.path.join(glob.escape(base), path), recursive=True))
        if not matches:
            raise SourceError(f"{_show(path)}: no such file, and nothing matches it as a pattern")
        root = _absolute(_before_magic(path), base)
        for match in _without_outputs(matches):
            yield from _existing(_absolute(match, base), root)
        return
    raise SourceError(f"{_show(path)}: no such file or folder")


def _with_their_names(sources: list[Source]) -> list[Source]:
    """Several folders keep their names below an output folder, as with ``cp -r``.

    Recorders number their files: monday/001.wav and tuesday/001.wav are not to meet there. Folders
    of the same name keep what leads to them, too.
    """
    given = {source.path for source in sources if source.path == source.root}
    outermost = {path: _outermost(path, given) for path in given}
    folders = set(outermost.values())
    if len(folders) < 2:
        return sources
    roots = {path: os.path.dirname(path) for path in folders}
    if len({os.path.basename(path) for path in folders}) < len(folders):
        roots = dict.fromkeys(folders, os.path.commonpath(list(roots.values())))
    return [
        Source(source.path, roots[outermost[source.path]]) if source.path in given else source
        for source in sources
    ]


def _outermost(path: bytes, given: set[bytes]) -> bytes:
    """The one of `given` in which `path` lies, itself perhaps, that lies in no other of them."""
    found = path
    while path != b"/":
        path = os.path.dirname(path)
        if path in given:
            found = path
    return found


def _existing(absolute: bytes, root: bytes = b"") -> Iterator[Source]:
    """A file, folder or list that is there."""
    try:
        mode = os.stat(absolute).st_mode
    except OSError:  # a link to nowhere, or not ours to see: a row will say so
        yield Source(absolute, root)
        return
    if stat.S_ISDIR(mode):
        yield Source(absolute, root or absolute)
        return
    read = MANIFESTS.get(_suffix(absolute))
    if read is None or not stat.S_ISREG(mode):
        yield Source(absolute, root)
        return
    try:
        with open(absolute, "rb") as file:
            data = file.read()
    except OSError as error:
        raise SourceError(f"{_show(absolute)}: cannot be read: {error.strerror}") from None
    yield from _list(_show(absolute), data, read, os.path.dirname(absolute))


def _list(
    name: str, data: bytes, read: Callable[[bytes], Iterator[bytes]], base: bytes
) -> list[Source]:
    """The sources that a list names, if it is one.

    Raises:
        SourceError: it is not, or cannot be read.
    """

    def exists(entry: bytes) -> bool:
        return entry != b"" and b"\0" not in entry and os.path.lexists(os.path.join(base, entry))

    try:
        check_data(data, exists)
        entries = list(read(data))
        check_entries(entries, exists)
        return list(_entries(entries, base))
    except ManifestError as error:
        raise SourceError(f"{name}, {printable(str(error))}") from None


def _entries(entries: Iterable[bytes], base: bytes) -> Iterator[Source]:
    """Entries of a list; folders among them are searched, missing files are kept.

    Where a relative one lies below the list, that is part of its name: ``find`` names a tree.
    """
    for entry in entries:
        if b"\0" in entry:
            raise ManifestError(f"{_show(entry)}: cannot be a file name")
        absolute = _absolute(entry, base)
        if not os.path.isabs(entry) and absolute.startswith(os.path.join(base, b"")):
            yield Source(absolute, base)
        else:
            yield Source(absolute, absolute if os.path.isdir(absolute) else b"")


def _without_outputs(paths: list[bytes]) -> list[bytes]:
    """`paths` without files such as talk.srt or talk.mp3.srt where talk.mp3 is there too."""
    recordings = [path for path in paths if _suffix(path) not in _OUTPUTS | {b""}]
    stems = {_stem(path) for path in recordings} | set(recordings)
    return [path for path in paths if _suffix(path) not in _OUTPUTS or _stem(path) not in stems]


def _absolute(path: bytes, base: bytes) -> bytes:
    """`path` below `base`; ``..`` is resolved as the system does, through links."""
    joined = os.path.join(base, path)
    parts = joined.split(b"/")
    if b".." in parts:
        last = len(parts) - parts[::-1].index(b"..")
        head = os.path.realpath(b"/".join(parts[:last]))
        joined = os.path.join(head, *parts[last:])
    return os.path.abspath(joined)


def _before_magic(pattern: bytes) -> bytes:
    """The folder before the first part of `pattern` with a wildcard."""
    parts = pattern.split(b"/")
    plain = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return b"/".join(parts[:plain]) or (b"/" if pattern.startswith(b"/") else b".")


def _suffix(path: bytes) -> bytes:
    return os.path.splitext(path)[1].lower()


def _stem(path: bytes) -> bytes:
    return os.path.splitext(path)[0]


def _show(path: bytes) -> str:
    return printable(os.fsdecode(path))
