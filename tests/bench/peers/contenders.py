"""Who is measured: how each is installed, started, and what it says.

Each is a whole process that transcribes all files of a folder. Those that are libraries are
driven by ``drive.py`` in their own virtual environment, commands run as they are. All get the
same CTranslate2 weights, int8, beam 5, English, as many threads as there are cores, and
otherwise their own defaults; of a batch size, the benchmark can be given several.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.peers import tree

DRIVE = Path(__file__).with_name("drive.py")
PACKAGES = {
    "s2t": ("whisper-s2t-reborn==1.8.0",),
    "whisperx": ("whisperx==3.8.6",),
    "whisper-ctranslate2": ("whisper-ctranslate2==0.5.8",),
}
"""What is installed in a virtual environment of its own; faster-whisper is in this one."""


@dataclass(frozen=True)
class Task:
    """Files to transcribe, and with what."""

    files: Sequence[Path]
    model: Path
    threads: int
    work: Path
    """An empty folder to work in."""
    cache: Path
    """Where the virtual environments are."""


@dataclass(frozen=True)
class Result:
    """What a contender took for a task."""

    took: tree.Took
    work_s: float | None
    """Seconds between the model being loaded and the last text; None: it does not say."""
    texts: Mapping[Path, str]
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """One way to transcribe a folder."""

    name: str
    run: Callable[[Task], Result]
    packages: str | None = None


def environment() -> dict[str, str]:
    """Of this process, without what would change a contender's ways or let it look for models."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPEAKEASY_", "PYTHON"))}
    return kept | {"HF_HUB_OFFLINE": "1"}


def python_of(cache: Path, packages: str | None) -> str:
    """The interpreter that has `packages`; installs them the first time.

    Raises:
        subprocess.CalledProcessError: they cannot be installed here.
    """
    if packages is None:
        return sys.executable
    folder = cache / packages
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES[packages]], check=True)
        (folder / "installed").touch()
    return str(python)


def driven(name: str, how: str, batch: int, packages: str | None = None) -> Contender:
    """A library, by ``drive.py``."""

    def run(task: Task) -> Result:
        output = task.work / "said.json"
        python = python_of(task.cache, packages)
        given = [how, str(task.model), str(task.threads), str(batch), *map(str, task.files)]
        took = tree.run([python, str(DRIVE), *given], environment(), output)
        said = json.loads(output.read_text("utf-8").splitlines()[-1])
        texts = {Path(path): text for path, text in said["texts"].items()}
        return Result(took, said["done"] - said["loaded"], texts)

    return Contender(name, run, packages)


def command(name: str, *more: str) -> Contender:
    """whisper-ctranslate2, as one types it."""
    packages = "whisper-ctranslate2"

    def run(task: Task) -> Result:
        program = Path(python_of(task.cache, packages)).with_name("whisper-ctranslate2")
        words = [
            *("--model_directory", str(task.model), "--device", "cpu", "--compute_type", "int8"),
            *("--threads", str(task.threads), "--language", "en", "--beam_size", "5"),
            *("--output_format", "txt", "--output_dir", str(task.work), "--verbose", "False"),
        ]
        line = [str(program), *words, *more, *map(str, task.files)]
        took = tree.run(line, environment(), task.work / "said.log")
        texts = {
            file: (task.work / f"{file.stem}.txt").read_text("utf-8").replace("\n", " ")
            for file in task.files
        }
        return Result(took, None, texts)

    return Contender(name, run, packages)


def ours(name: str = "speakeasy", *more: str, checkout: Path | None = None) -> Contender:
    """This project's program with a home of its own: the runner's start, the queue, all.

    Args:
        name: in the table.
        more: words for the command line.
        checkout: take the package from this folder, to compare two states of it.
    """

    def run(task: Task) -> Result:
        home = task.work / "home"
        given = environment() | {"SPEAKEASY_HOME": str(home)}
        if checkout:
            given["PYTHONPATH"] = str(checkout)
        program = [sys.executable, "-P", "-m", "speakeasy_tui"]
        listed = task.work / "list.txt"
        listed.write_text("".join(f"{file}\n" for file in task.files), "utf-8")
        words = [
            *("run", str(listed), "--json", "--model", str(task.model), "--compute-type", "int8"),
            *("--device", "cpu", "--language", "en", "--beam-size", "5", "-f", "txt"),
            *("-o", str(task.work / "out")),
            *more,
        ]

        def stop() -> None:
            subprocess.run([*program, "runner", "stop"], env=given, capture_output=True, check=True)

        output = task.work / "events.json"
        took = tree.run([*program, *words], given, output, stop)
        events = [json.loads(row) for row in output.read_text("utf-8").splitlines()]
        done = [event for event in events if event["event"] == "done"]
        begun = min(event["ts"] for event in events if event["event"] == "started")
        texts: dict[Path, str] = {}
        for event in done:
            text = Path(event["job"]["outputs"][0]).read_text("utf-8")
            texts[Path(event["job"]["path"])] = text.replace("\n", " ")
        return Result(took, max(event["ts"] for event in done) - begun, texts)

    return Contender(name, run)


def contenders(batches: Sequence[int], checkouts: Sequence[Path]) -> list[Contender]:
    """All of them; ours first."""
    found = [ours(f"speakeasy in {one.name}", checkout=one.resolve()) for one in checkouts]
    found = found or [ours(), ours("speakeasy --no-fallback", "--no-fallback")]
    found += [
        driven("faster-whisper sequential", "sequential", 1),
        driven("faster-whisper, 2 workers", "workers", 1),
    ]
    found += [driven(f"faster-whisper batched {n}", "batched", n) for n in batches]
    found += [
        command("whisper-ctranslate2"),
        command("whisper-ctranslate2 --batched", "--batched", "True"),
    ]
    for n in batches:
        found += [
            driven(f"whisper-s2t-reborn {n}", "s2t", n, "s2t"),
            driven(f"whisper-s2t-reborn VAD {n}", "s2t-vad", n, "s2t"),
            driven(f"whisperX {n}", "whisperx", n, "whisperx"),
        ]
    return found
