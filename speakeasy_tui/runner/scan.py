"""Searching folders for recordings. Runs on a thread; yields what to queue, in order."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from speakeasy_tui.core.job import ErrorKind, JobError
from speakeasy_tui.core.protocol import Source
from speakeasy_tui.runner.queueing import Found

# What FFmpeg reads and people record or publish speech in.
MEDIA = frozenset(
    b".3g2 .3gp .aac .ac3 .aif .aiff .alac .amr .ape .asf .au .avi .caf .dts .dv .eac3 .f4a .f4v "
    b".flac .flv .gsm .m2ts .m4a .m4b .m4v .mka .mkv .mov .mp1 .mp2 .mp3 .mp4 .mpc .mpe .mpeg "
    b".mpg .mpga .mts .mxf .oga .ogg .ogv .opus .ra .rm .rmvb .sph .spx .tak .ts .tta .voc .vob "
    b".w64 .wav .wave .weba .webm .wma .wmv .wv".split()
)


def _never() -> bool:
    return False


def search(source: Source, given_up: Callable[[], bool] = _never) -> Iterator[Found]:
    """The recordings of a source: itself, or those below it, in the order of their names.

    Links to folders are followed. What cannot be searched (a folder nobody may read, a link
    that leads back to a folder above it) becomes one failed row and the search goes on, until
    `given_up`, which is asked before each folder: most may hold no recording.
    """
    try:
        info = os.stat(source.path)
    except OSError as error:
        yield Found(source.path, source.root, _explain(error, "file"))
        return
    if stat.S_ISDIR(info.st_mode):
        yield from _folder(source.path, source.root or source.path, given_up)
    elif not stat.S_ISREG(info.st_mode):
        yield Found(
            source.path,
            source.root,
            JobError(
                ErrorKind.INPUT,
                "not a file: a device, pipe or socket",
                "record it to a file and queue that",
            ),
        )
    else:
        yield Found(source.path, source.root)


def _folder(top: bytes, root: bytes, given_up: Callable[[], bool]) -> Iterator[Found]:
    # A stack, not recursion: trees may be deeper than Python's stack.
    seen: set[tuple[int, int]] = set()
    stack: list[tuple[bytes, frozenset[tuple[int, int]]]] = [(top, frozenset())]
    while stack and not given_up():
        folder, above = stack.pop()
        try:
            info = os.stat(folder)
            key = (info.st_dev, info.st_ino)
            if key in above:
                yield Found(
                    folder,
                    root,
                    JobError(
                        ErrorKind.INPUT,
                        "a link that leads back to a folder above it",
                        "nothing is lost: what it points to was searched once; remove the link",
                    ),
                )
                continue
            if key in seen:
                continue
            seen.add(key)
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Found(folder, root, _explain(error, "folder"))
            continue
        below: list[bytes] = []
        for entry in listed:
            try:
                is_folder = entry.is_dir()
            except OSError:
                is_folder = False  # a loop of links: a row of its own, if it looks like media
            if is_folder:
                below.append(entry.path)
            elif os.path.splitext(entry.name)[1].lower() in MEDIA and not _ours(entry.name):
                yield from _file(entry, root)
        chain = above | {key}
        stack.extend((path, chain) for path in reversed(below))


def _ours(name: bytes) -> bool:
    return name.startswith(b"._")  # macOS's resource forks, which bear the recording's name


def _file(entry: os.DirEntry[bytes], root: bytes) -> Iterator[Found]:
    try:
        regular = entry.is_file()
        if not regular:
            os.stat(entry.path)  # says why a link leads nowhere
    except OSError as error:
        yield Found(entry.path, root, _explain(error, "file"))
        return
    if regular:
        yield Found(entry.path, root)


def _explain(error: OSError, what: str) -> JobError:
    match error:
        case FileNotFoundError():
            message, hint = f"{what} not there", "a broken link, or moved meanwhile: look for it"
        case PermissionError():
            message = f"{what} may not be read by this user"
            hint = f"give read permission (chmod), or run as the {what}'s owner"
        case _ if error.errno == 40:  # ELOOP
            message, hint = "a loop of links", "remove or correct the link"
        case _:
            message, hint = f"{what} cannot be read: {error.strerror}", "check the disk"
    return JobError(ErrorKind.INPUT, message, hint)
