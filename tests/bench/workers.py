"""How many workers of a CPU engine and threads of each pay on this machine.

    python -m tests.bench.workers [--model FOLDER] [--seconds 240]

Transcribes the same folder (the bundled samples, several times over, mixed with short cuts of
them) with every split of the cores into workers × threads, through the real runner, turn by
turn, and prints × real time for each. `runner.devices.workers_for` takes what this shows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from speakeasy_tui.samples import reference_texts, sample_folder


def folder_of(base: Path, seconds: float) -> tuple[Path, float]:
    """Copies of the samples, about `seconds` long in all; and how long exactly by status."""
    folder = base / "recordings"
    folder.mkdir()
    for number in range(max(1, round(seconds / 212))):
        for name in reference_texts():
            source = sample_folder() / name
            shutil.copy(source, folder / f"{number}-{source.name}")
    return folder, seconds


def one(base: Path, folder: Path, model: str, workers: int, threads: int) -> tuple[float, float]:
    """Seconds of audio and × real time, the loading of the model left out."""
    home = base / f"home-{workers}x{threads}-{time.monotonic_ns()}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SPEAKEASY_")} | {
        "SPEAKEASY_HOME": str(home),
        "SPEAKEASY_WORKERS": str(workers),
        "SPEAKEASY_CPU_THREADS": str(threads),
    }
    command = [sys.executable, "-m", "speakeasy_tui"]
    ran = subprocess.run(
        [*command, "run", str(folder), "--json", "--model", model, "-o", str(home / "out")],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    subprocess.run([*command, "runner", "stop"], env=environment, capture_output=True, check=True)
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    begun = min(event["ts"] for event in events if event["event"] == "started")
    done = [event for event in events if event["event"] == "done"]
    audio = sum(event["job"]["audio_s"] for event in done)
    return audio, audio / (max(event["ts"] for event in done) - begun)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--seconds", type=float, default=640)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    splits = sorted({(workers, cores // workers) for workers in range(1, cores + 1)})
    best: dict[tuple[int, int], list[float]] = {split: [] for split in splits}
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        folder, _ = folder_of(base, given.seconds)
        for _ in range(given.turns):
            for workers, threads in splits:
                _, speed = one(base, folder, given.model, workers, threads)
                best[workers, threads].append(speed)
    print(f"{cores} cores, {given.model}; × real time, median of {given.turns} turns")
    for (workers, threads), speeds in best.items():
        middle = sorted(speeds)[len(speeds) // 2]
        print(f"{workers} workers × {threads} threads: {middle:6.1f}")


if __name__ == "__main__":
    main()
