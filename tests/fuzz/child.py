"""Decodes the files named on stdin, one answer a line: ``python -m tests.fuzz.child``."""

from __future__ import annotations

import faulthandler
import os
import resource
import sys
import traceback

import msgspec
import numpy as np
from msgspec import Struct

from speakeasy_tui.core.text import printable
from speakeasy_tui.engine.audio import RATE, decode
from speakeasy_tui.engine.source import SourceError
from tests.fuzz.judge import Heard, judge

MEMORY = 2 * 2**30
"""Bytes of address space: what a damaged header may make anybody allocate."""


class Task(Struct):
    path: str
    original: str
    """A .npy file with the decoded whole file."""


class Answer(Struct):
    """What became of a file."""

    outcome: str
    """``decoded``, ``failed`` (with a message for the person) or ``error`` (a bug)."""
    text: str = ""
    seconds: float = 0.0
    missing_s: float = 0.0
    warned: bool = False
    heard: Heard | None = None


def answer(task: Task) -> Answer:
    """Decode and judge one file."""
    try:
        recording = decode(os.fsencode(task.path))
    except SourceError as error:
        raw = error.message + error.hint
        clear = error.message and printable(raw) == raw
        return Answer("failed" if clear else "error", error.message)
    except Exception:
        return Answer("error", traceback.format_exc())
    warned = any(warning.kind == "incomplete_audio" for warning in recording.warnings)
    said = " ".join(warning.message for warning in recording.warnings)
    heard = judge(recording.samples[: 120 * RATE], np.load(task.original))
    return Answer("decoded", said, recording.seconds, recording.missing_s, warned, heard)


def main() -> None:
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    output = os.dup(1)
    os.dup2(2, 1)
    os.write(output, b"\n")
    for line in sys.stdin.buffer:
        os.write(output, msgspec.json.encode(answer(msgspec.json.decode(line, type=Task))) + b"\n")
    os._exit(0)


if __name__ == "__main__":
    main()
