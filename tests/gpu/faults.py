"""Real errors of a real GPU, in the engine's own context, and what the program makes of them."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.gpu.program import Program, Said

HURT = Path(__file__).with_name("hurt")
SHARES = (0.25, 0.1, 0.05)
"""Of the memory that a full batch may need; how much it does need depends on the model."""


def sticky(given: argparse.Namespace, files: list[Path], work: Path) -> bool:
    """An error that stays: the process is lost, the files are done."""
    print("\nAn error that stays, in a process with a model, then a reload in that process:")
    sys.stdout.flush()
    words = ["-m", "tests.gpu.poisoned", str(given.model), given.device]
    ended = subprocess.run([sys.executable, *words], check=False).returncode
    if ended == -signal.SIGABRT:
        print("    the process was ended by CTranslate2, which could not free its memory")
    alone = ended in (0, -signal.SIGABRT)
    right = _sticky(given, files, work / "sticky", "sticky")
    if given.torch:
        right = _sticky(given, files, work / "assert", "assert") and right
    return right and alone


def _sticky(given: argparse.Namespace, files: list[Path], work: Path, kind: str) -> bool:
    print(f"\nThe same in the engine ({kind}):")
    said, log = _hurt(given, files, work, kind)
    respawned = bool(said.of("respawn"))
    return _judge(said, log, files, respawned, "no new engine was started")


def oom(given: argparse.Namespace, files: list[Path], work: Path) -> bool:
    """Memory that another process takes: the batch is halved, the files are done."""
    for share in SHARES:
        print(f"\nAnother process leaves {share:.0%} of what a batch may need:")
        said, log = _hurt(given, files, work / f"{share}", f"oom:{share}")
        met = [event for event in said.of("retry") if event["detail"]["kind"] == "oom"]
        if met or not said.right(files):
            halved = any("halved" in event["job"]["message"] for event in met)
            return _judge(said, log, files, halved, "the batch was not halved")
        print("    that was enough memory: less")
    print("    no out-of-memory could be brought about")
    return False


def _hurt(given: argparse.Namespace, files: list[Path], work: Path, kind: str) -> tuple[Said, str]:
    """Run the program with `tests.gpu.hurt` in its engines; and the engines' log."""
    work.mkdir(parents=True)
    once = work / "once"
    environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(HURT), os.environ.get("PYTHONPATH")))),
        "GPU_CHECK_HURT": kind,
        "GPU_CHECK_ONCE": str(once),
    }
    program = Program(work, environment)
    try:
        said = program.run(files, *given.common)
        return said, program.log()
    finally:
        Path(f"{once}.stop").touch()
        program.stop()


def _judge(said: Said, log: str, files: list[Path], right: bool, wrong: str) -> bool:
    said.tell()
    for line in log.splitlines():
        if line.startswith("tests.gpu: "):
            print("    engine:", line.removeprefix("tests.gpu: "))
    print(f"    {len(said.texts)} of {len(files)} files done, exit code {said.exit_code}")
    if "tests.gpu: " not in log:
        print(f"    FAILED: the engine was never hurt\n{said.errors}")
        return False
    if not right:
        print(f"    FAILED: {wrong}")
    return right and said.right(files)
