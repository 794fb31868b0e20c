"""A job as the runner knows it, and the digests that tell one job from another."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from speakeasy_tui.core.job import Job
from speakeasy_tui.core.settings import JobOptions

_options = msgspec.json.Decoder(JobOptions)
_job = msgspec.json.Decoder(Job)


def _field(name: str, value: str, when: str) -> str:
    return f"""CASE WHEN {when} THEN ',"{name}":' || {value} ELSE '' END"""


def _text(name: str) -> str:
    return _field(name, f"json_quote({name})", f"{name} != ''")


def _real(name: str) -> str:
    """With 17 digits a float comes back as it was."""
    return _field(name, f"printf('%!.17g', {name})", f"{name} IS NOT NULL")


_WORKED = "COALESCE(NULLIF(work_s, 0), elapsed_s)"
_OUTPUTS = (
    "COALESCE((SELECT ',\"outputs\":[' || group_concat(json_quote({path})) || ']' FROM "
    "(SELECT path FROM outputs WHERE job = jobs.id AND state = 'done' ORDER BY path)), '')"
)


def job_as_json(*, outputs: bool, spelled: bool = False) -> str:
    """SQL that makes a row of ``jobs`` a `Job` in JSON, defaults left out.

    SQLite writes it, not Python, because a client that opens 100,000 rows waits for this.
    Paths go in as their bytes are; with `spelled`, which is slower, by the function
    ``shown``: that is for those which are not UTF-8.
    """
    path = "shown({})" if spelled else "CAST({} AS TEXT)"
    fields = (
        "'{\"id\":' || id",
        f"',\"path\":' || json_quote({path.format('path')})",
        _field("state", "json_quote(state)", "state != 'queued'"),
        _field("progress", "printf('%!.17g', progress)", "progress != 0"),
        _field("position", "position", "position != 0"),
        _field("attempts", "attempts", "attempts != 0"),
        _field("error", "error", "error != ''"),
        _OUTPUTS.format(path=path.format("path")) if outputs else "''",
        _real("audio_s"),
        _real("elapsed_s"),
        _field(
            "speed",
            f"round(audio_s / {_WORKED}, 2)",
            f"state = 'done' AND audio_s > 0 AND {_WORKED} > 0",
        ),
        _text("model"),
        _text("device"),
        _text("language"),
        _field("warnings", "warnings", "warnings != '[]'"),
        _text("message"),
        _field("lane", "lane", "lane IS NOT NULL"),
        f"',\"root\":' || json_quote({path.format('root')}) || '}}'",
    )
    return " || ".join(fields)


class Request(Struct, frozen=True, order=True):
    """What of a job's options decides which engine can do it."""

    engine: str
    device: str
    model: str
    compute_type: str
    batch_size: int | str

    @classmethod
    def of(cls, options: JobOptions) -> Request:
        """The request within `options`."""
        return cls(
            options.engine,
            options.device,
            options.model,
            options.compute_type,
            options.batch_size,
        )

    def text(self) -> str:
        """For the database."""
        return msgspec.json.encode(self).decode()


class Claim(Struct):
    """A queued job taken by a lane."""

    id: int
    path: bytes
    root: bytes
    options: JobOptions
    request: str
    suspect: bool
    attempts: int
    audio_s: float | None
    made_of: str


def parse_options(text: str) -> JobOptions:
    """Options as stored."""
    return _options.decode(text)


def _shaping(options: JobOptions) -> tuple[object, ...]:
    """What shapes a transcript, the model apart; machine matters and packing do not."""
    return (
        options.engine,
        options.language,
        options.task,
        options.beam_size,
        options.word_timestamps,
        options.vad,
        options.initial_prompt,
        options.sequential,
        options.fallback,
    )


def job_identity(path: bytes, options: JobOptions) -> bytes:
    """Digest of a path and of what was asked of it, machine matters left out."""
    asked = (options.model, sorted(options.format), options.output_dir, *_shaping(options))
    digest = hashlib.blake2b(msgspec.json.encode(asked), digest_size=16)
    digest.update(b"\0" + path)
    return digest.digest()


class Content(NamedTuple):
    """What a file holds, as far as that is looked at."""

    digest: str = ""
    """Of its size and of 64 KiB at its start, middle and end, or of all of it where that is less;
    empty: it could not be read."""
    size: int = 0
    """Bytes."""
    stamp: tuple[int, int, int] = (0, 0, 0)
    """While it stays the same, so does the file: inode, size, and time of its last change, ns."""


def stamp(found: os.stat_result) -> tuple[int, int, int]:
    """That of a `Content`."""
    return found.st_ino, found.st_size, found.st_mtime_ns


def content_of(path: bytes) -> Content:
    """Look at a file.

    Reading all of every file would double the disk's work over a hundred thousand clips;
    two recordings that agree in these do not occur by accident.

    Raises:
        OSError: it cannot be read.
    """
    piece = 1 << 16
    with Path(os.fsdecode(path)).open("rb", buffering=0) as file:
        found = os.fstat(file.fileno())
        size = found.st_size
        digest = hashlib.blake2b(str(size).encode(), digest_size=16)
        if size <= 3 * piece:
            digest.update(file.read(3 * piece))
        else:
            for offset in (0, size // 2 - piece // 2, size - piece):
                file.seek(offset)
                digest.update(file.read(piece))
    return Content(digest.hexdigest(), size, stamp(found))


def is_as_before(path: bytes, before: Content) -> bool:
    """Whether a file still holds what it held; also where it is gone by now. Touches the disk."""
    try:
        if stamp(os.stat(path)) == before.stamp:
            return True
        return content_of(path).digest == before.digest
    except OSError:
        return True


def made_of(content: str, model: str, options: JobOptions) -> str:
    """Identity of a transcript: its content, model and decode options."""
    asked = (content, model, *_shaping(options))
    return hashlib.blake2b(msgspec.json.encode(asked), digest_size=16).hexdigest()


def to_job(told: bytes) -> Job:
    """A job as `job_as_json` writes it."""
    return _job.decode(told)
