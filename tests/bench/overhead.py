"""What the runner, the queue and the interface add to the engine's own work, and as it grows.

    python -m tests.bench.overhead share CLIPS [--files 1000] [--model FOLDER]
    python -m tests.bench.overhead growth [--rows 100,1000,10000,100000]

``share``: the real program over `--files` copies of the recordings in CLIPS, one engine with
all cores; CPU time of client and runner beside the engine's, and its time from the first file's
start to the last one's end beside that of a bare engine that is fed the same over its protocol.

``growth``: the simulated engine finishes files of queues of different lengths; the runner's CPU
time and memory for each file that is finished. It begins when the length of every file is known:
that is found out in the background, once, for all of the queue while its first files are heard.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from speakeasy_tui.core.models import find_local
from tests.bench.accuracy import Ours

_TICK = os.sysconf("SC_CLK_TCK")
PROGRAM = (sys.executable, "-P", "-m", "speakeasy_tui")
CLIP_S = 5
SOME = 1000
"""Files finished for one measurement of growth."""


def cpu_of(pid: int) -> tuple[float, float]:
    """User and system seconds of a process, and of its children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, reaped = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return own / _TICK, reaped / _TICK


def memory_of(pid: int) -> float:
    """Resident megabytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


class Program:
    """The command line with a home of its own."""

    def __init__(self, home: Path, **settings: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SPEAKEASY_")}
        self.home = home
        self.environment: Mapping[str, str] = kept | {"SPEAKEASY_HOME": str(home)} | settings

    def __call__(self, *words: str) -> str:
        """Standard output of a command that must succeed."""
        ran = subprocess.run(
            [*PROGRAM, *words], env=self.environment, check=True, capture_output=True, text=True
        )
        return ran.stdout

    def status(self) -> dict[str, Any]:
        """`runner status --json`."""
        return dict(json.loads(self("runner", "status", "--json")))


def share(given: argparse.Namespace) -> None:
    """Print the first table."""
    local = find_local(given.model)
    if local is None:
        raise SystemExit("no such model here; give its folder with --model")
    sources = sorted(p for p in given.clips.iterdir() if p.suffix in (".wav", ".mp3", ".flac"))
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="sp-") as name:
        base = Path(name)
        folder = base / "clips"
        folder.mkdir()
        files = [folder / f"{n:05}{sources[n % len(sources)].suffix}" for n in range(given.files)]
        for number, file in enumerate(files):
            file.symlink_to(sources[number % len(sources)].resolve())
        listed = base / "list.txt"
        listed.write_text("".join(f"{file}\n" for file in files), "utf-8")
        program = Program(base / "home", SPEAKEASY_WORKERS="1", SPEAKEASY_CPU_THREADS=str(cores))
        words = ("--json", "--model", str(local.path), "--compute-type", "int8", "--device", "cpu")
        options = ("--language", "en", "-f", "txt", "-o", str(base / "out"))
        before = _children()
        said = program("run", str(listed), *words, *options)
        client = _children() - before
        status = program.status()
        runner, engines = cpu_of(status["pid"])
        engines += sum(sum(cpu_of(lane["pid"])) for lane in status["lanes"] if lane["pid"])
        memory = memory_of(status["pid"])
        program("runner", "stop")
        events = [json.loads(line) for line in said.splitlines()]
        done = [event for event in events if event["event"] == "done"]
        begun = min(event["ts"] for event in events if event["event"] == "started")
        took = max(event["ts"] for event in done) - begun
        bare = Ours(local.path, cores, None)
        moment = time.monotonic()
        bare.transcribe(files)
        alone = time.monotonic() - moment
        bare_cpu = sum(cpu_of(bare.process.pid))
        bare.close()
    print(f"{len(done)} of {len(files)} files, load average {os.getloadavg()[0]:.1f}\n")
    print("| | CPU s | of the engine's |\n|---|---|---|")
    for title, seconds in (("engine", engines), ("runner", runner), ("client", client)):
        print(f"| {title} | {seconds:.2f} | {100 * seconds / engines:.2f} % |")
    both = runner + client
    print(f"| runner and client | {both:.2f} | {100 * both / engines:.2f} % |\n")
    print(
        f"Wall: program {took:.1f} s, bare engine {alone:.1f} s ({100 * (took / alone - 1):+.1f} %)"
    )
    print(f"Bare engine's CPU: {bare_cpu:.1f} s. Memory of the runner: {memory:.0f} MB")


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def make_files(folder: Path, count: int) -> None:
    """`count` wav files whose headers promise `CLIP_S` seconds; each differs from the others."""
    data = CLIP_S * 32_000
    header = b"RIFF" + struct.pack("<I", 36 + data) + b"WAVEfmt "
    header += struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    header += b"data" + struct.pack("<I", data)
    for number in range(count):
        place = folder / f"{number // 1000:03}"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        (place / f"clip-{number:06}.wav").write_bytes(header + struct.pack("<I", number))


def finished(out: Path) -> int:
    """Transcripts in `out`; the runner is not asked, for that would cost it."""
    return sum(name.endswith(".txt") for _, _, names in os.walk(out) for name in names)


def unmeasured(home: Path) -> int:
    """Files whose length the runner has not found out yet."""
    with closing(sqlite3.connect(f"file:{home / 'queue.db'}?mode=ro", uri=True)) as db:
        ask = "SELECT count(*) FROM jobs WHERE state = 'queued' AND audio_s IS NULL"
        return int(db.execute(ask).fetchone()[0])


def grown(rows: int) -> tuple[float, float, float]:
    """Runner's CPU ms for a finished file, files a second, memory MB."""
    with tempfile.TemporaryDirectory(prefix="sp-") as name:
        base = Path(name)
        make_files(base / "clips", rows)
        program = Program(base / "home", SPEAKEASY_SIM_SPEED="2000")
        options = ("--engine", "sim", "-f", "txt", "-o", str(base / "out"))
        program("add", str(base / "clips"), *options)
        status = program.status()
        while sum(status["counts"].values()) < rows:
            time.sleep(0.5)
            status = program.status()
        time.sleep(2)  # what adding left to do
        pid = status["pid"]
        program("runner", "start")
        few = min(rows // 5, SOME // 5)
        while finished(base / "out") < few or unmeasured(program.home):
            time.sleep(0.5)
        few = finished(base / "out")
        many = min(rows * 9 // 10, few + SOME)
        marks: list[tuple[int, float, float]] = []
        while not marks or marks[-1][0] < many:
            done = finished(base / "out")
            if done >= few:
                marks.append((done, cpu_of(pid)[0], time.monotonic()))
            time.sleep(0.2)
        memory = memory_of(pid)
        program("stop", "--now")
        program("runner", "stop")
    (first, before, begun), (last, after, ended) = marks[0], marks[-1]
    count = max(1, last - first)
    return 1000 * (after - before) / count, count / (ended - begun), memory


def growth(given: argparse.Namespace) -> None:
    """Print the second table. Turns alternate, so that what else the machine does meets all."""
    sizes = [int(size) for size in given.rows.split(",")]
    turns: list[dict[int, tuple[float, float, float]]] = []
    for number in range(given.turns):
        order = sizes if number % 2 == 0 else sizes[::-1]
        turns.append({rows: grown(rows) for rows in order})
        print(f"{number + 1}: {turns[-1]}", file=sys.stderr, flush=True)
    print("| rows | runner's CPU ms a file, each turn | files a second | memory MB |")
    print("|---|---|---|---|")
    for rows in sizes:
        cpu, speed, memory = zip(*(turn[rows] for turn in turns), strict=True)
        each = ", ".join(f"{ms:.2f}" for ms in cpu)
        print(f"| {rows:,} | {each} | {median(speed):.0f} | {median(memory):.0f} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    which = parser.add_subparsers(required=True)
    one = which.add_parser("share")
    one.add_argument("clips", type=Path)
    one.add_argument("--files", type=int, default=1000)
    one.add_argument("--model", default="tiny.en")
    one.set_defaults(do=share)
    two = which.add_parser("growth")
    two.add_argument("--rows", default="100,1000,10000,100000")
    two.add_argument("--turns", type=int, default=3)
    two.set_defaults(do=growth)
    given = parser.parse_args()
    given.do(given)


if __name__ == "__main__":
    main()
