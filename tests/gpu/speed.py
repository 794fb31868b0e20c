"""Throughput beside faster-whisper's two ways, on the same device, files and weights."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from speakeasy_tui.core.gpus import seen
from tests.bench.cores import kinds
from tests.gpu.program import Program


class Line(NamedTuple):
    """How one of them fared with the files of one kind."""

    name: str
    seconds: float
    """Of work, the loading of the model and a first file left out."""
    busy: float | None
    """Share of that time in which the GPU had work, by NVML, 0–1."""
    texts: dict[str, str]


class Watch(threading.Thread):
    """Asks NVML ten times a second how much of the time the GPU has work."""

    def __init__(self, device: str) -> None:
        super().__init__(daemon=True)
        self._samples: list[tuple[float, float]] = []
        self._handle: Any = None
        if device.startswith("cuda"):
            import pynvml

            self._nvml = pynvml
            pynvml.nvmlInit()
            number = int(device.partition(":")[2] or 0)
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(seen(pynvml)[number])
            self.start()

    def run(self) -> None:
        while True:
            use = self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu
            self._samples.append((time.time(), use / 100))
            time.sleep(0.1)

    def used_mb(self) -> str:
        """Memory in use on it."""
        if self._handle is None:
            return "–"
        return f"{self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used / 2**20:.0f}"

    def busy(self, begun: float, done: float) -> float | None:
        """The mean between two moments (time.time); None where nothing was seen."""
        found = [use for at, use in self._samples if begun <= at <= done]
        return sum(found) / len(found) if found else None


def compile_time(given: argparse.Namespace, file: Path, kernels: Path) -> None:
    """What compilation at first use costs: loading with an empty cache of kernels, and again."""
    if kernels.is_dir() and any(kernels.iterdir()):
        print(f"\n{kernels} holds compiled kernels already: what that took is not measured.")
        return
    took = []
    for _ in range(2):
        told = _theirs(given, "load", [file])
        took.append(told["load_s"] + told["first_s"])
    kept = sum(f.stat().st_size for f in kernels.rglob("*") if f.is_file()) / 2**20
    print(
        f"\nModel loaded and a first file transcribed: {took[0]:.1f} s with no compiled kernels, "
        f"{took[1]:.1f} s with them ({kept:.0f} MB): first use costs {took[0] - took[1]:.1f} s.",
        flush=True,
    )


def _theirs(given: argparse.Namespace, how: str, files: list[Path]) -> Any:
    words = [how, str(given.model), given.device, given.compute_type, str(given.batch_size)]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.gpu.theirs", *words, *map(str, files)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout.splitlines()[-1])


def _ours(
    given: argparse.Namespace, program: Program, files: list[Path], turn: str, watch: Watch
) -> Line:
    try:
        # The first time all of them: that is when the batch size is found out.
        warm = files if turn.endswith("-0") else files[:1]
        program.run(warm, *given.common, output=f"{turn}-warm")
        said = program.run(files, *given.common, output=turn)
        if not said.right(files):
            raise SystemExit(f"speakeasy run ended with {said.exit_code}:\n{said.errors}")
        begun, done = said.work
        spent = {
            stage["stage"]: stage["seconds"]
            for event in said.of("profile")
            for stage in event["detail"]["stages"]
        }
        size = said.status["lanes"][0]["batch_size"]
        print(
            f"{turn}: batches of {size} windows; seconds by stage:",
            ", ".join(f"{name} {seconds:.1f}" for name, seconds in spent.items()),
            flush=True,
        )
        return Line("speakeasy", done - begun, watch.busy(begun, done), said.texts)
    finally:
        program.stop()


def speed(given: argparse.Namespace, files: list[Path], work: Path) -> bool:
    """Measure each way with the short clips and with the long recordings, by turns."""
    work.mkdir(parents=True)
    watch = Watch(given.device)
    said = _references(given.folder)
    more = {} if given.workers is None else {"SPEAKEASY_WORKERS": str(given.workers)}
    program = Program(work / "ours", more)  # one, for it remembers the batch size that it finds
    for kind, lengths in kinds(files).items():
        those = [path.resolve() for path in lengths]
        turns: dict[str, list[Line]] = {}
        for turn in range(given.turns):
            order = given.ways.split(",")
            for how in order if turn % 2 == 0 else reversed(order):
                if how == "speakeasy":
                    line = _ours(given, program, those, f"{kind.split()[0]}-{turn}", watch)
                else:
                    told = _theirs(given, how, those)
                    begun, done = told["begun"], told["done"]
                    busy = watch.busy(begun, done)
                    line = Line(f"faster-whisper {how}", done - begun, busy, told["texts"])
                turns.setdefault(line.name, []).append(line)
        _table(kind, sum(lengths.values()), turns, said)
    return True


def _table(kind: str, seconds: float, turns: dict[str, list[Line]], said: dict[str, str]) -> None:
    print(f"\n**{kind}**, {len(next(iter(turns.values()))[0].texts)} files, {seconds:.0f} s\n")
    print("| | s | × real time | ÷ speakeasy | GPU busy | WER % |\n|---|--:|--:|--:|--:|--:|")
    middle = {name: sorted(lines)[len(lines) // 2] for name, lines in turns.items()}
    ours = middle["speakeasy"].seconds
    for name, line in middle.items():
        busy = "–" if line.busy is None else f"{line.busy:.0%}"
        pairs = [
            (said[Path(p).name], text) for p, text in line.texts.items() if Path(p).name in said
        ]
        errors = f"{100 * wer(*zip(*pairs, strict=True)):.2f}" if pairs else "–"
        print(
            f"| {name} | {line.seconds:.1f} | {seconds / line.seconds:.0f} "
            f"| {line.seconds / ours:.2f} | {busy} | {errors} |",
            flush=True,
        )


def wer(said: tuple[str, ...], heard: tuple[str, ...]) -> float:
    """Word error rate, 0–1, of texts that were said."""
    import jiwer

    from tests.bench.accuracy import normal

    return float(jiwer.wer([normal(text) or "-" for text in said], [normal(t) for t in heard]))


def _references(folder: Path | None) -> dict[str, str]:
    """What is said, by file name, where the folder says so."""
    with suppress(OSError, AttributeError):
        lines = (folder / "references.tsv").read_text("utf-8").splitlines()  # type: ignore
        return dict(line.split("\t", 1) for line in lines if "\t" in line)
    return {}
