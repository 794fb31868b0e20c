"""A run: cases through child processes, and the verdict on each."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from speakeasy_tui.engine.audio import decode
from tests.fuzz.child import Answer, Task
from tests.fuzz.corpus import FORMATS, speech, write
from tests.fuzz.mutate import Case, case

LENGTH = 20.0
"""Seconds of each whole file."""
LIMIT = 20.0
"""Seconds after which a child hangs; a whole file takes 0.05."""
COLUMNS = ("whole", "incomplete", "failed", "wrong", "error", "hang", "signal")
BAD = ("wrong", "error", "hang", "signal")


class Verdict(NamedTuple):
    """What one case came to: one of `COLUMNS`, and the details."""

    case: Case
    outcome: str
    text: str
    answer: Answer | None


class Whole(NamedTuple):
    """The files that are damaged, and what they sound like."""

    folder: Path
    files: Mapping[str, bytes]
    seconds: Mapping[str, float]

    def original(self, form: str) -> str:
        """Path of the decoded whole file."""
        return str(self.folder / f"{form}.npy")


def prepare(folder: Path) -> Whole:
    """Make a whole file of each format, and decode it."""
    files: dict[str, bytes] = {}
    seconds: dict[str, float] = {}
    for name, form in FORMATS.items():
        path = write(folder / f"whole.{form.suffix}", form, speech(LENGTH))
        recording = decode(os.fsencode(path))
        assert not recording.warnings, (name, recording.warnings)
        files[name] = path.read_bytes()
        seconds[name] = recording.seconds
        np.save(folder / f"{name}.npy", recording.samples)
    return Whole(folder, files, seconds)


class Child:
    """A decoding process that is started again when it is lost."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, task: Task) -> Answer | str:
        """Its answer, or ``hang``, or ``signal N``."""
        process = self.process = self.process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(msgspec.json.encode(task) + b"\n")
            process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], LIMIT)
        line = process.stdout.readline() if ready else b""
        if line:
            return msgspec.json.decode(line, type=Answer)
        self.close(kill=not ready)
        return "hang" if not ready else f"signal {-process.returncode}"

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        process.stdout.readline()
        return process

    def close(self, kill: bool = True) -> None:
        """End the process."""
        process, self.process = self.process, None
        if process is None:
            return
        if kill:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def verdict(one: Case, answer: Answer | str, whole: Whole) -> Verdict:
    """Judge a case.

    *Wrong* is a recording that passes as whole and is not: without a warning of incomplete
    audio, either less than 98 % less 1 s of the original's length is sound (silence in place
    of what was lost does not count), or less of its content is found than the bytes that were
    spared could hold, by the same measure and a block. A wav is judged by its length alone:
    zeros and noise are sound like any other in PCM, and nobody can tell that they are damage.
    """
    if isinstance(answer, str):
        return Verdict(one, answer.split()[0], answer, None)
    if answer.outcome != "decoded":
        return Verdict(one, answer.outcome, answer.text, answer)
    if answer.warned:
        return Verdict(one, "incomplete", answer.text, answer)
    assert answer.heard is not None
    length = whole.seconds[one.form]
    if one.form == "wav":
        enough = answer.seconds >= 0.98 * length - 1.0
        text = "" if enough else f"{answer.seconds} s of {length:.1f} s, and nothing is said"
        return Verdict(one, "whole" if enough else "wrong", text, answer)
    spared = 1 - min(1.0, one.damage.lost / len(whole.files[one.form]))
    if answer.heard.real_s < 0.98 * length - 1.0:
        text = f"{answer.heard.real_s} s of {length:.1f} s are sound, and nothing is said"
        return Verdict(one, "wrong", text, answer)
    if answer.heard.found_s < 0.98 * spared * length - 1.0 - 2.0:
        text = f"{answer.heard.found_s} s of {spared * length:.1f} s that were spared are found"
        return Verdict(one, "wrong", text, answer)
    return Verdict(one, "whole", "", answer)


def run(
    numbers: Iterable[int], seed: int, folder: Path, keep: Path | None = None
) -> Iterator[Verdict]:
    """Decode the cases of a seed by their numbers; `keep`: where bad ones are put."""
    whole = prepare(folder)
    child = Child()
    try:
        for number in numbers:
            one = case(seed, number, whole.files)
            # The wrong name for half of them: content decides, not the suffix.
            suffix = FORMATS[one.form].suffix if number % 2 else "bin"
            path = folder / f"case.{suffix}"
            path.write_bytes(one.damage.data)
            said = child.ask(Task(str(path), whole.original(one.form)))
            found = verdict(one, said, whole)
            if keep is not None and found.outcome not in ("whole", "incomplete", "failed"):
                suffix = FORMATS[one.form].suffix
                (keep / f"{seed}-{number}.{suffix}").write_bytes(one.damage.data)
            yield found
    finally:
        child.close()


def table(verdicts: Iterable[Verdict], key: Callable[[Case], tuple[str, ...]]) -> list[str]:
    """Lines of a Markdown table: how many of each kind ended how."""
    rows: dict[tuple[str, ...], Counter[str]] = {}
    for one in verdicts:
        rows.setdefault(key(one.case), Counter())[one.outcome] += 1
    lines = [
        "| " + " | ".join(["files", "n", *COLUMNS]) + " |",
        "|---|" + "--:|" * (len(COLUMNS) + 1),
    ]
    for name, counts in sorted(rows.items()):
        cells = [", ".join(name), str(counts.total()), *(str(counts[c]) for c in COLUMNS)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
