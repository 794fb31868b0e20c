"""A job as the runner knows it, and the digests that tell one job from another."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from pathlib import Path

import msgspec
from msgspec import Struct

from speakeasy_tui.core.job import Job, JobError, JobWarning, State
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.text import show_path

_warnings = msgspec.json.Decoder(tuple[JobWarning, ...])
_error = msgspec.json.Decoder(JobError)
_options = msgspec.json.Decoder(JobOptions)

COLUMNS = (
    "jobs.id, jobs.path, jobs.root, jobs.state, jobs.position, jobs.series, jobs.attempts, "
    "jobs.charged, jobs.deaths, jobs.suspect, jobs.progress, jobs.audio_s, jobs.elapsed_s, "
    "jobs.model, jobs.device, jobs.lane, jobs.language, jobs.error, jobs.warnings, "
    "jobs.message, jobs.made_of, jobs.work_s"
)
OUTPUTS = (
    "(SELECT json_group_array(hex(outputs.path)) FROM outputs "
    "WHERE outputs.job = jobs.id AND outputs.state = 'done')"
)


_NAMES = (*re.findall(r"jobs\.(\w+)", COLUMNS), "outputs")
_STATES: dict[str, State] = {state.value: state for state in State}


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


def job_identity(path: bytes, options: JobOptions) -> bytes:
    """Digest of a path and of what was asked of it, machine matters left out."""
    asked = (
        options.engine,
        options.model,
        options.language,
        options.task,
        options.beam_size,
        options.word_timestamps,
        options.vad,
        options.initial_prompt,
        sorted(options.format),
        options.output_dir,
    )
    digest = hashlib.blake2b(msgspec.json.encode(asked), digest_size=16)
    digest.update(b"\0" + path)
    return digest.digest()


def content_identity(path: bytes) -> tuple[str, int]:
    """Digest of a file's size and of 64 KiB at its start, middle and end; and the size, bytes.

    Reading all of every file would double the disk's work over a hundred thousand clips;
    two recordings that agree in these do not occur by accident.

    Raises:
        OSError: it cannot be read.
    """
    piece = 1 << 16
    with Path(os.fsdecode(path)).open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.blake2b(str(size).encode(), digest_size=16)
        for offset in sorted({0, max(0, size // 2 - piece // 2), max(0, size - piece)}):
            file.seek(offset)
            digest.update(file.read(piece))
    return digest.hexdigest(), size


def made_of(content: str, model: str, options: JobOptions) -> str:
    """Identity of a transcript: its content, model and decode options."""
    asked = (
        content,
        options.engine,
        model,
        options.language,
        options.task,
        options.beam_size,
        options.word_timestamps,
        options.vad,
        options.initial_prompt,
    )
    return hashlib.blake2b(msgspec.json.encode(asked), digest_size=16).hexdigest()


def to_job(row: sqlite3.Row) -> Job:
    """A row of `COLUMNS`, then `OUTPUTS`, as clients are told it.

    By place, not by name: a client that opens 100,000 rows waits for this.
    """
    values = dict(zip(_NAMES, row, strict=True))
    audio_s, state = values["audio_s"], _STATES[values["state"]]
    elapsed_s, listed = values["elapsed_s"], values["outputs"]
    speed = None
    worked = values["work_s"] or elapsed_s
    if state is State.DONE and audio_s and worked:
        speed = round(audio_s / worked, 2)
    outputs: tuple[str, ...] = ()
    if listed != "[]":
        names = (bytes.fromhex(name) for name in msgspec.json.decode(listed, type=list[str]))
        outputs = tuple(sorted(show_path(name) for name in names))
    return Job(
        id=values["id"],
        path=show_path(values["path"]),
        state=state,
        progress=values["progress"],
        position=values["position"],
        attempts=values["attempts"],
        error=_error.decode(values["error"]) if values["error"] else None,
        outputs=outputs,
        audio_s=audio_s,
        elapsed_s=elapsed_s,
        speed=speed,
        model=values["model"],
        device=values["device"],
        language=values["language"],
        warnings=_warnings.decode(values["warnings"]) if values["warnings"] != "[]" else (),
        message=values["message"],
        lane=values["lane"],
        root=show_path(values["root"]),
    )
