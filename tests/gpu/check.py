"""Checks of a machine with an NVIDIA GPU, each by itself or one after the other.

    python -m tests.gpu.check [text|sticky|oom|speed|all] [FOLDER] [--model large-v3-turbo]

- ``text``: the same recordings on the GPU and on the CPU give the same text, both in float32 and
  without several recordings in a window: word error rate between both, and where they differ.
- ``sticky``: a kernel in the engine's own CUDA context writes where nothing is. The model cannot
  be loaded again in that process; a new engine does the files.
- ``oom``: another process takes the GPU's memory; the batch is halved, the files are done.
- ``speed``: beside faster-whisper, file by file and batched, with the same weights; the share of
  the time in which the GPU had work. At full size: `tests.gpu.widened`.

Before them: what compilation at first use costs. The kernels are kept for the checks, or longer in
a folder that ``CUDA_CACHE_PATH`` names.

FOLDER holds recordings, and for word error rates a ``references.tsv`` (a file's name, a tab, what
is said); without it the bundled ones are taken. ``--device cpu`` tries ``text`` and ``speed``
without a GPU. Exit code 0: all is as it should be; 1: something is not; 3: there is no GPU here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from speakeasy_tui.core.models import find_local
from speakeasy_tui.samples import reference_texts, sample_folder
from tests.gpu.faults import oom, sticky
from tests.gpu.program import Program
from tests.gpu.speed import compile_time, speed, wer

ALIKE = 0.02
"""Word error rate between two devices that is rounding: float32 adds up in another order."""
NO_GPU = 3
SOUNDS = frozenset({".wav", ".mp3", ".m4a", ".ogg", ".opus", ".flac", ".mp4", ".mkv", ".webm"})


def why_not(device: str) -> str | None:
    """Why the checks cannot use `device`; None: they can."""
    if device == "cpu":
        return None
    try:
        import ctranslate2

        count = int(ctranslate2.get_cuda_device_count())
    except Exception as error:
        return f"CTranslate2 cannot look for GPUs: {error}"
    if count <= int(device.partition(":")[2] or 0):
        return f"CTranslate2 sees {count} CUDA devices, {device} is not among them"
    return None


def text(given: argparse.Namespace, files: list[Path], work: Path) -> bool:
    """Compare the texts of both devices."""
    texts = []
    for number, device in enumerate((given.device, "cpu")):
        print(f"\nText on {device}:", flush=True)
        program = Program(work / str(number))
        words = ("--model", str(given.model), "--device", device, "--compute-type", "float32")
        try:
            said = program.run(files, *words, "--language", "en", "--no-pack")
        finally:
            program.stop()
        print(f"    {len(said.of('done'))} of {len(files)} files done in {said.wall_s:.1f} s")
        if not said.right(files):
            said.tell()
            print(f"    FAILED: exit code {said.exit_code}\n{said.errors}")
            return False
        texts.append(said.texts)
    here, there = texts
    paths = sorted(there)
    rate = wer(tuple(there[p] for p in paths), tuple(here[p] for p in paths))
    differing = [path for path in paths if here[path] != there[path]]
    print(f"\nWord error rate between both: {rate:.2%}; {len(differing)} files differ")
    for path in differing:
        own = wer((there[path],), (here[path],))
        print(f"  {path}: {own:.2%}\n    cpu: {there[path][:300]}\n    {given.device}: ", end="")
        print(here[path][:300])
    return rate <= ALIKE


def recordings(folder: Path | None, times: int, work: Path) -> list[Path]:
    """What is in `folder`, or the bundled ones; copied where each is wanted several times."""
    if folder is None:
        found = [sample_folder() / name for name in reference_texts()]
    else:
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SOUNDS)
    if times == 1:
        return found
    copies = [work / f"{number}-{path.name}" for number in range(times) for path in found]
    for copy, path in zip(copies, found * times, strict=True):
        shutil.copy(path, copy)
    return copies


CHECKS = {"text": text, "sticky": sticky, "oom": oom, "speed": speed}


def main() -> int:
    """Check what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.gpu.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("check", choices=[*CHECKS, "all"], nargs="?", default="all")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--model", default="tiny.en", help="name or folder; default: tiny.en")
    parser.add_argument("--device", default="cuda:0", help="cuda:N or cpu; default: cuda:0")
    parser.add_argument("--compute-type", default=None, help="default: float16, int8 on a CPU")
    parser.add_argument("--batch-size", type=int, default=16, help="of faster-whisper batched")
    parser.add_argument("--workers", type=int, help="of speakeasy, for speed; default: its own")
    parser.add_argument("--times", type=int, default=1, help="take each recording so many times")
    parser.add_argument("--turns", type=int, default=3, help="of speed; the median counts")
    ways = "speakeasy,sequential,batched"
    parser.add_argument("--ways", default=ways, help=f"of speed, by commas; default: {ways}")
    parser.add_argument("--torch", action="store_true", help="sticky: torch's assertion, too")
    words = sys.argv[1:]
    if words and Path(words[0]).is_dir():  # the folder alone
        words = ["all", *words]
    given = parser.parse_args(words)
    on_cpu = given.device == "cpu"
    asked = list(CHECKS) if given.check == "all" else [given.check]
    if reason := why_not(given.device):
        print(f"no GPU to check here: {reason}\n--device cpu tries text and speed without one")
        return NO_GPU
    if on_cpu and given.check in ("sticky", "oom"):
        print(f"{given.check} needs a GPU")
        return NO_GPU
    local = find_local(str(given.model))
    if local is None:
        print(f"no model {given.model} here: speakeasy models get {given.model}")
        return 2
    given.model = local.path
    given.compute_type = given.compute_type or ("int8" if on_cpu else "float16")
    given.common = [
        *("--model", str(given.model), "--device", given.device, "--language", "en"),
        *("--compute-type", given.compute_type),
    ]
    right: dict[str, bool] = {}
    with tempfile.TemporaryDirectory(prefix="gpu-") as name:
        work = Path(name)
        # Else each program of a check would compile them again, in a home of its own.
        kernels = Path(os.environ.setdefault("CUDA_CACHE_PATH", str(work / "kernels")))
        os.environ.setdefault("CUDA_CACHE_MAXSIZE", str(4 * 2**30))
        files = recordings(given.folder, given.times, work)
        if not files:
            print("no recordings there")
            return 2
        if not on_cpu:
            compile_time(given, files[0], kernels)
        for check in asked:
            if on_cpu and check in ("sticky", "oom"):
                continue
            right[check] = CHECKS[check](given, files, work / check)
    print("\n" + ", ".join(f"{check}: {'ok' if ok else 'FAILED'}" for check, ok in right.items()))
    return 0 if all(right.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
