"""``python -m tests.chaos``: nothing is lost, or the exit status is 1."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions

from . import clips
from .field import FORMATS, Recording, adopt, rules, sow
from .storm import Storm
from .verdict import judge, table


def main() -> int:
    """Run a storm, print the count; returns the exit status."""
    given = _arguments()
    rng = random.Random(given.seed)
    work = Path(tempfile.mkdtemp(prefix="speakeasy-chaos-", dir=given.work))
    for name in [name for name in os.environ if name.startswith("SPEAKEASY_")]:
        del os.environ[name]
    os.environ |= {
        "SPEAKEASY_SIM_SPEED": str(given.speed),
        "SPEAKEASY_STALL_S": str(given.stall),
        "SPEAKEASY_LOAD_LIMIT_S": "60",
        "SPEAKEASY_DECODE_LIMIT_S": str(2 * given.stall),
        "SPEAKEASY_LINGER_S": "5",
        # The usual three, and one to spare for an engine that is killed from outside.
        "SPEAKEASY_MAX_ATTEMPTS": "4",
    }
    folder, out = work / "reels", work / "out"
    real = given.engine == "real"
    if real:
        os.environ["SPEAKEASY_WORKERS"] = "1"
    recordings: list[Recording]
    if real:
        cut = given.clips or clips.cut(work / "clips", given.files)
        recordings = adopt(cut, folder, out, given.faults, rng)
    else:
        recordings = sow(folder, out, given.files, given.faults, rng)
    options = JobOptions(
        engine=given.engine,
        # Devices that are not there: the simulated engine does not look.
        device="cpu" if real else f"cuda:{','.join(map(str, range(given.lanes)))}",
        model=given.model,
        format=FORMATS,
        output_dir=os.fspath(out),
        language="en" if real else "auto",
        # With one worker a few clips in flight: what a fault cuts off does not meet its own.
        batch_size=1 if real else "auto",
        # What is recovered is the same without a search, and comes sooner.
        beam_size=1 if real else 5,
        fallback=not real,
    )
    if real:
        _listen(work, folder, options, recordings)
    os.environ["SPEAKEASY_FAULTS"] = rules()
    os.environ["SPEAKEASY_FAULTS_SEED"] = str(given.seed)
    home = Home.find(work / "home")
    home.make()
    storm = Storm(
        home,
        folder,
        options,
        files=len(recordings),
        kills=given.kills,
        rng=rng,
        limit_s=given.limit,
        # Of the chances, some fifty a second; the real engine takes seconds to load.
        engine_kills=0.001 if real else 0.01,
    )
    storm.rage()
    storm.end()
    time.sleep(0.2)
    verdict = judge(home, recordings, folder, out)
    print(table(verdict, storm.damage, recordings))
    damage = storm.damage
    enough = damage.runner_kills >= given.kills and damage.in_commit * 2 >= given.kills
    bad = verdict.bad() or damage.unexpected > 0 or damage.late_engines > 0
    if not enough:
        print(f"too few kills: {given.kills} were asked for, half of them inside a commit")
    if bad or given.keep:
        print(f"kept for a look: {work}")
    else:
        shutil.rmtree(work)
    return int(bad or not enough)


def _listen(work: Path, folder: Path, options: JobOptions, recordings: list[Recording]) -> None:
    """Transcribe everything once in fair weather: what the storm must end in."""
    import msgspec

    home, out = Home.find(work / "fair"), work / "fair-out"
    home.make()
    calm = Storm(
        home,
        folder,
        msgspec.structs.replace(options, output_dir=os.fspath(out)),
        files=len(recordings),
        kills=0,
        rng=random.Random(0),
        limit_s=1800,
        engine_kills=0.0,
    )
    calm.rage()
    calm.end()
    for recording in recordings:
        document = msgspec.json.decode((out / f"{recording.stem.name}.json").read_bytes())
        texts = [segment["text"].strip() for segment in document["segments"]]
        recording.words = " ".join(texts)
        if not recording.words:
            raise SystemExit(f"{recording.source}: nothing is said in it; choose other clips")
    print(f"without faults: {len(recordings)} files in {calm.damage.seconds:.0f} s")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--faults", type=float, default=0.25, help="share of files dealt one")
    parser.add_argument("--kills", type=int, default=100, help="of the runner, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=4, help="of the simulated engine")
    parser.add_argument("--speed", type=float, default=4000, help="of the simulated engine")
    parser.add_argument("--stall", type=float, default=0.6, help="SPEAKEASY_STALL_S")
    parser.add_argument("--limit", type=float, default=1800, help="seconds in all")
    parser.add_argument("--engine", choices=("sim", "real"), default="sim")
    parser.add_argument("--model", default="tiny.en", help="for the real engine")
    parser.add_argument(
        "--clips", type=Path, help="folder of short recordings; default: cut from the samples"
    )
    parser.add_argument("--work", type=Path, help="folder to make a temporary folder in")
    parser.add_argument("--keep", action="store_true", help="do not remove it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
