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
from collections.abc import Callable, Iterator
from urllib.parse import unquote_to_bytes

CSV_COLUMNS = ("audio_filepath", "path", "file", "filename", "audio", "wav")
"""Names of the column with the path, NeMo's first; the first of these that is there counts."""
JSONL_KEYS = ("audio_filepath", "path", "file", "audio")
_BOM = b"\xef\xbb\xbf"


class ManifestError(ValueError):
    """A list that cannot be read; the message names the list and the line."""


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
        first = next(rows, [])
        names = [cell.strip().lower() for cell in first]
        column = next((names.index(name) for name in CSV_COLUMNS if name in names), None)
        if column is None:
            column = 0
            if first and os.path.splitext(first[0])[1]:
                yield os.fsencode(first[0])
        for row in rows:
            if len(row) > column and row[column].strip():
                yield os.fsencode(row[column])
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
