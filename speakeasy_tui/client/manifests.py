"""Lists of recordings: .txt, .csv, .jsonl and .m3u files, and what comes in on stdin.

File names are bytes. Text is decoded with ``surrogateescape``, so an entry in any encoding
gives back the bytes it was written with.
"""

# File names are bytes here, which pathlib does not take.

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from urllib.parse import unquote_to_bytes

from speakeasy_tui.core.text import printable

CSV_COLUMNS = ("audio_filepath", "path", "file", "filename", "audio", "wav")
"""Names of the column with the path, NeMo's first; the first of these that is there counts."""
JSONL_KEYS = ("audio_filepath", "path", "file", "audio")
_BOM = b"\xef\xbb\xbf"
_A_LIST_IS = "a list is text with a path on each line, or, as find -print0 writes, before each NUL"
_RECORDINGS = ((0, b"RIFF"), (0, b"RF64"), (0, b"FORM"), (0, b"OggS"), (0, b"fLaC"), (0, b"ID3"),
               (0, b"\x1aE\xdf\xa3"), (4, b"ftyp"))  # fmt: skip
"""Where in a file which bytes tell of a recording: WAV and AVI, long WAV, AIFF, Ogg, FLAC, MP3,
Matroska and WebM, MP4 (file(1), magic/Magdir/riff and its neighbours)."""
_LONGEST_NAME = 255
"""Bytes: NAME_MAX of Linux's file systems."""
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_LOOKED_FOR = 100
"""Entries that look wrong of which one must exist."""


class ManifestError(ValueError):
    """A list that cannot be read; the message names the line where there is one."""


def check_data(data: bytes, exists: Callable[[bytes], bool]) -> None:
    """Refuse a recording whose name ends as a list's does.

    A list, too, may begin with RIFF, as the name of its first file; that one is there.

    Raises:
        ManifestError: saying what a list is.
    """
    if any(data.startswith(mark, at) for at, mark in _RECORDINGS):
        first = data[: _LONGEST_NAME + 1].split(b"\0")[0].split(b"\n")[0].rstrip(b"\r")
        if not exists(first):
            raise ManifestError(
                f"by its content a recording, by its name a list: rename it; {_A_LIST_IS}"
            )


def check_entries(entries: Sequence[bytes], exists: Callable[[bytes], bool]) -> None:
    """Refuse what cannot have been meant as a list of paths: binary data, or a folder's dots.

    Names need not be text, nor need their files exist. But where some are no text, binary data
    differs from a list in that none of them exists. And it has dots and slashes by themselves: a
    list names a folder by its name, else such data would queue all that lies around it.

    Raises:
        ManifestError: naming the entry, and saying what a list is.
    """
    odd = list(islice((entry for entry in entries if _is_odd(entry)), _LOOKED_FOR))
    if odd and not any(exists(entry) for entry in odd):
        raise ManifestError(f"{_show(odd[0])} is no path, nothing has that name; {_A_LIST_IS}")
    for number, entry in enumerate(entries, 1):
        if entry.rstrip(b"/").rpartition(b"/")[2] in {b"", b".", b".."}:
            raise ManifestError(
                f"entry {number} is {_show(entry)}: a list names files, and folders by their "
                f"name; to queue that folder, name it on the command line"
            )


def _is_odd(entry: bytes) -> bool:
    """Whether `entry` is no text, or longer than a name can be."""
    if _NO_TEXT.search(entry):
        return True
    if any(len(part) > _LONGEST_NAME for part in entry.split(b"/")):
        return True
    try:
        entry.decode()
    except UnicodeDecodeError:
        return True
    return False


def _show(entry: bytes) -> str:
    """The beginning of `entry`, to be read by a person."""
    text = printable(os.fsdecode(entry[:40]))
    return f"'{text}{'…' * (len(entry) > 40)}'"


def plain_entries(data: bytes) -> Iterator[bytes]:
    """One path a line, or NUL-separated when there is a NUL, as ``find -print0`` writes."""
    if b"\0" in data:
        yield from (entry for entry in data.split(b"\0") if entry)
        return
    for line in data.removeprefix(_BOM).split(b"\n"):
        entry = line.rstrip(b"\r")
        if entry.strip():
            yield entry


def m3u_entries(data: bytes) -> Iterator[bytes]:
    """Paths and file URLs; ``#`` begins a comment or a directive."""
    for entry in plain_entries(data):
        if entry.startswith(b"#"):
            continue
        if entry.lower().startswith(b"file://"):
            host_and_path = entry[len(b"file://") :]
            yield unquote_to_bytes(host_and_path[host_and_path.find(b"/") :])
        else:
            yield entry


def csv_entries(data: bytes) -> Iterator[bytes]:
    """The column named as in `CSV_COLUMNS`, else the first.

    Without such a name in the first row, that row counts as data when its first cell looks
    like a file (it has a suffix).
    """
    text = data.removeprefix(_BOM).decode("utf-8", "surrogateescape")
    first_line = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first_line.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        first = next((row for row in rows if any(cell.strip() for cell in row)), [])
        names = [cell.strip().lower() for cell in first]
        column = next((names.index(name) for name in CSV_COLUMNS if name in names), None)
        # "id, path": then the spaces are no part of the paths either.
        spaced = column is not None and first[column].startswith(" ")
        if column is None:
            column = 0
            if first and os.path.splitext(first[0])[1]:
                yield os.fsencode(first[0])
        for row in rows:
            if len(row) > column and (cell := row[column]).strip():
                yield os.fsencode(cell.lstrip(" ") if spaced else cell)
    except csv.Error as error:
        raise ManifestError(f"line {rows.line_num}: {error}") from None


def jsonl_entries(data: bytes) -> Iterator[bytes]:
    """The path in each line's object, under a key of `JSONL_KEYS`."""
    text = data.removeprefix(_BOM).decode("utf-8", "surrogateescape")
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise ManifestError(f"line {number}: not JSON: {error}") from None
        path = entry
        if isinstance(entry, dict):
            path = next((entry[key] for key in JSONL_KEYS if key in entry), None)
        if not isinstance(path, str) or not path:
            keys = ", ".join(JSONL_KEYS)
            raise ManifestError(f"line {number}: no path; it is looked for under {keys}")
        try:
            yield os.fsencode(path)
        except UnicodeEncodeError:
            raise ManifestError(f"line {number}: {path!r} cannot be a file name") from None


MANIFESTS: dict[bytes, Callable[[bytes], Iterator[bytes]]] = {
    b".txt": plain_entries,
    b".csv": csv_entries,
    b".jsonl": jsonl_entries,
    b".m3u": m3u_entries,
    b".m3u8": m3u_entries,
}
"""Suffix of a list, and how its entries are read."""
