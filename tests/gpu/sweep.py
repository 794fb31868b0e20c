"""How many workers, and windows in a batch, pay on a GPU: one engine, the same recordings.

    python -m tests.gpu.sweep MODEL FOLDER [--workers 1,2,3] [--batches 8,16,32,64] [--times 1]

Prints for each pair × real time, the share of the time in which the GPU had work, and the seconds
spent in each stage, summed over threads, and the GPU's memory in use at the end, which stays at
what was most; the loading of the model and a first run left out. A run should take half a minute:
the driver tells of the last second, and beginning and end are not what lies between; ``--times``
takes each recording so many times.
`runner.devices.CUDA_WORKERS`, `engine.model.CUDA_BATCH` and `engine.frontend.MOST_HELPERS` are
judged by it. ``SPEAKEASY_TORCH=none`` measures without torch's decoder; ``--device cpu``
tries it without a GPU.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from speakeasy_tui.core.engineprotocol import Failed, Fault, Finished, SetBatch, Vitals
from tests.bench.cores import kinds
from tests.engine.engine import Engine
from tests.gpu.program import CHOSEN
from tests.gpu.speed import Watch


class Runs:
    """Runs of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._job = 0

    def one(self, files: list[Path]) -> tuple[float, float]:
        """The moments (time.time) of a run's beginning and end."""
        begun = time.time()
        first = self._job + 1
        for file in files:
            self._job += 1
            self.engine.transcribe(self._job, file, options={"language": "en"})
        left = set(range(first, self._job + 1))
        while left:
            end = self.engine.wait_for((Finished, Failed, Fault))  # type: ignore[arg-type]
            assert isinstance(end, Finished), end
            left.discard(end.job)
        return begun, time.time()

    def stages(self) -> dict[str, float]:
        """Seconds in each stage so far."""
        # The first may have been on its way already.
        found = [self.engine.wait_for(Vitals) for _ in range(2)]
        return dict(found[-1].stages)


def options(doc: str | None, batches: str) -> argparse.ArgumentParser:
    """What all measurements of batches are told."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batches", default=batches)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--compute-type", default="auto")
    return parser


def main() -> None:
    """Measure and print."""
    parser = options(__doc__, batches="8,16,32,64")
    parser.add_argument("--workers", default="1,2,3")
    parser.add_argument("--times", type=int, default=1)
    given = parser.parse_args()
    watch = Watch(given.device)
    found = {
        kind: (given.times * list(files), given.times * sum(files.values()))
        for kind, files in kinds([given.folder]).items()
    }
    print("| | workers | batch | s | × real time | GPU busy | MB | seconds by stage |")
    print("|---|--:|--:|--:|--:|--:|--:|---|")
    for workers in map(int, given.workers.split(",")):
        with tempfile.TemporaryDirectory(prefix="sweep-") as name:
            chosen = {k: v for k, v in os.environ.items() if k in CHOSEN}
            engine = Engine("real", Path(name) / "log", **chosen)
            try:
                load = {"device": given.device, "compute_type": given.compute_type}
                engine.load(model=str(given.model), workers=workers, cpu_threads=0, **load)
                runs = Runs(engine)
                warm = True
                for batch in map(int, given.batches.split(",")):
                    engine.send(SetBatch(batch_size=batch))
                    for kind, (files, seconds) in found.items():
                        if warm:
                            runs.one(files[:8])
                        before = runs.stages()
                        begun, done = runs.one(files)
                        after = runs.stages()
                        busy = watch.busy(begun, done)
                        spent = {k: v - before.get(k, 0.0) for k, v in after.items()}
                        print(
                            f"| {kind} | {workers} | {batch} | {done - begun:.2f} "
                            f"| {seconds / (done - begun):.0f} "
                            f"| {'–' if busy is None else f'{busy:.0%}'} | {watch.used_mb()} | "
                            + ", ".join(f"{k} {v:.1f}" for k, v in spent.items() if v > 0.05)
                            + " |",
                            flush=True,
                        )
                    warm = False
            finally:
                engine.close()


if __name__ == "__main__":
    main()
