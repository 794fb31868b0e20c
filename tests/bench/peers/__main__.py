"""How long ours and other programs take for the same recordings, side by side.

    python -m tests.bench.peers CORPUS --cache FOLDER [--model FOLDER] [--rows clips,long]

CORPUS is what ``tests.bench.peers.corpus`` made; ``--clips FOLDER`` takes recordings of your own
with a ``references.tsv`` instead. Turns alternate; the medians are printed as a table (a word
error rate is not the same in each turn: what is decoded again is drawn at random). The virtual
environments of the others are made in the cache the first time. Watch the load average it
prints, and how much of the cores other virtual machines had: on a busy machine compare CPU
seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import jiwer

from speakeasy_tui.core.models import find_local
from tests.bench.accuracy import normal
from tests.bench.peers.contenders import Contender, Result, Task, contenders
from tests.bench.peers.corpus import references

ROWS = ("clips", "long", "one", "mixed", "half", "many-clips", "many-long")
BUSY = 0.3
"""Runnable processes a core before a turn, above which the machine is called busy."""


@dataclass(frozen=True)
class Line:
    """Medians of a contender's turns over a folder."""

    name: str
    turns: int
    wall_s: float
    work_s: float | None
    cpu_s: float
    peak_mb: float
    biggest_mb: float
    wer: float
    errors: int


def wer(said: Sequence[tuple[Path, str]], result: Result) -> tuple[float, int]:
    """Word error rate in percent, and errors."""
    heard = [normal(result.texts.get(path, "")) for path, _ in said]
    found = jiwer.process_words([normal(text) for _, text in said], heard)
    return 100 * found.wer, found.substitutions + found.deletions + found.insertions


def quiet(limit: float) -> float:
    """The load average of the last minute; waits up to `limit` seconds for it to be low."""
    cores = len(os.sched_getaffinity(0))
    until = time.monotonic() + limit
    while os.getloadavg()[0] > BUSY * cores and time.monotonic() < until:
        time.sleep(2)
    return os.getloadavg()[0]


def stolen() -> float:
    """Seconds of this machine's cores that other virtual machines had since the start (proc(5))."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = int(file.readline().split()[8])
    return ticks / os.sysconf("SC_CLK_TCK")


def seconds_of(files: Sequence[Path]) -> float:
    """Length of all files together."""
    import av

    total = 0.0
    for file in files:
        with av.open(str(file)) as container:
            total += (container.duration or 0) / av.time_base
    return total


def measure(
    folder: Path, those: Sequence[Contender], given: argparse.Namespace, model: Path
) -> tuple[float, list[Line]]:
    """Seconds of audio in `folder`, and a line for each contender."""
    said = [((folder / name).resolve(), text) for name, text in references(folder)]
    files = [path for path, _ in said]
    results: dict[str, list[Result]] = {one.name: [] for one in those}
    for turn in range(given.turns):
        order = list(those) if turn % 2 == 0 else list(reversed(those))
        for one in order:
            load, before = quiet(given.wait), stolen()
            work = Path(tempfile.mkdtemp(prefix="sp-"))
            try:
                result = one.run(Task(files, model, given.threads, work, given.cache))
            except subprocess.CalledProcessError as error:
                print(f"{one.name}: {error}\n{error.stderr}", flush=True)
                continue
            finally:
                shutil.rmtree(work, ignore_errors=True)
            results[one.name].append(result)
            took = result.took
            share = (stolen() - before) / took.wall_s / (os.cpu_count() or 1)
            print(
                f"  {folder.name} {turn + 1} {one.name}: wall {took.wall_s:.1f} s, "
                f"work {result.work_s or 0:.1f} s, CPU {took.cpu_s:.1f} s, "
                f"{took.peak / 2**20:.0f} MB, {wer(said, result)[0]:.2f} %, "
                f"load before {load:.1f}, stolen {share:.0%}",
                flush=True,
            )
    lines: list[Line] = []
    for name, found in results.items():
        if found:
            worked = [r.work_s for r in found if r.work_s is not None]
            lines.append(
                Line(
                    name,
                    len(found),
                    median(r.took.wall_s for r in found),
                    median(worked) if worked else None,
                    median(r.took.cpu_s for r in found),
                    median(r.took.peak for r in found) / 2**20,
                    median(r.took.biggest for r in found) / 2**20,
                    *sorted(wer(said, result) for result in found)[len(found) // 2],
                )
            )
    return seconds_of(files), lines


def table(title: str, seconds: float, lines: Sequence[Line]) -> str:
    """The lines as a Markdown table; ratios are how much faster ours is."""
    first = lines[0]
    rows = [
        f"**{title}**, {seconds:.0f} s of audio, median of {first.turns}",
        "",
        "| | wall s | × real time | loading apart | CPU s | peak MB | largest process MB | WER % "
        "| errors | wall ÷ ours | loading apart ÷ ours | CPU ÷ ours |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        worked = f"{seconds / line.work_s:.1f}" if line.work_s else "–"
        apart = f"{line.work_s / first.work_s:.2f}" if line.work_s and first.work_s else "–"
        rows.append(
            f"| {line.name} | {line.wall_s:.1f} | {seconds / line.wall_s:.1f} | {worked} "
            f"| {line.cpu_s:.1f} | {line.peak_mb:.0f} | {line.biggest_mb:.0f} | {line.wer:.2f} "
            f"| {line.errors} | {line.wall_s / first.wall_s:.2f} | {apart} "
            f"| {line.cpu_s / first.cpu_s:.2f} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Measure and print."""
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, nargs="?", help="made by tests.bench.peers.corpus")
    parser.add_argument("--clips", type=Path, help="recordings of your own, with references.tsv")
    parser.add_argument("--cache", type=Path, required=True, help="for virtual environments")
    parser.add_argument("--model", default="tiny.en", help="name or CTranslate2 folder")
    parser.add_argument("--rows", default=",".join(ROWS), help="folders of the corpus")
    parser.add_argument(
        "--only", default="", help="contenders of these names, or with one of these words"
    )
    parser.add_argument("--batch", default="8", help="sizes, as 8,16; for those that take one")
    parser.add_argument(
        "--checkout", type=Path, action="append", default=[], help="ours from there"
    )
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=cores)
    parser.add_argument("--wait", type=float, default=0, help="seconds for a busy machine")
    parser.add_argument("--save", type=Path, help="add the lines to this JSON-lines file")
    given = parser.parse_args()
    local = find_local(given.model)
    if local is None:
        raise SystemExit("no such model here; give its folder with --model")
    if given.clips is None and given.corpus is None:
        parser.error("give a corpus, or recordings with --clips")
    folders = [given.clips] if given.clips else [given.corpus / r for r in given.rows.split(",")]
    wanted = [word for word in given.only.split(",") if word]
    everyone = contenders([int(size) for size in given.batch.split(",")], given.checkout)
    names = {one.name for one in everyone}
    those = [
        one
        for one in everyone
        if not wanted or any(w == one.name or (w not in names and w in one.name) for w in wanted)
    ]
    if quiet(given.wait) > BUSY * cores:
        print(f"The machine is busy: load average {os.getloadavg()[0]:.1f} on {cores} cores.")
    for folder in folders:
        seconds, lines = measure(folder, those, given, local.path)
        if not lines:
            continue
        title = f"{folder.name}, {local.name} int8, beam 5, {given.threads} threads"
        print(f"\n{table(title, seconds, lines)}\n", flush=True)
        if given.save:
            with given.save.open("a", encoding="utf-8") as out:
                row = {"title": title, "seconds": seconds, "lines": [asdict(n) for n in lines]}
                out.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
