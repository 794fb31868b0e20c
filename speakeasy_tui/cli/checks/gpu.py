"""GPUs and their driver, and what an engine process finds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from speakeasy_tui.cli.checks import Check, error, ok, warning
from speakeasy_tui.cli.say import mebibytes
from speakeasy_tui.core import gpus
from speakeasy_tui.core.engineprotocol import EngineFacts

INSPECT_TIMEOUT = 120.0
"""Seconds; importing torch from a cold network disk has taken over a minute."""
_CUBLAS = "pip install 'speakeasy-tui[cuda]' (nvidia-cublas-cu12), or CUDA 12's libraries"


def driver() -> Iterator[Check]:
    """GPUs by NVML, which needs nothing but the driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as problem:
        hint = "for an NVIDIA GPU, install its driver; without one the CPU works, more slowly"
        yield ok("driver", f"no NVIDIA driver: {problem}", hint)
        return
    try:
        version = gpus.text(pynvml.nvmlSystemGetDriverVersion())
        count = pynvml.nvmlDeviceGetCount()
        seen = gpus.seen(pynvml)
        text = f"NVIDIA driver {version}, {count} GPU{'s' * (count != 1)}"
        if count and not seen:
            hint = f"unset {gpus.VARIABLE}, or name in it what nvidia-smi -L lists"
            yield warning("driver", f"{text}, of which CUDA sees none", hint)
        else:
            yield ok("driver", text)
        for index, uuid in enumerate(seen):
            yield _gpu(f"cuda:{index}", uuid)
    except pynvml.NVMLError as problem:
        yield error("driver", f"the driver answers with an error: {problem}", "see nvidia-smi")
    finally:
        pynvml.nvmlShutdown()


def _gpu(device: str, uuid: str) -> Check:
    import pynvml

    hint = "see nvidia-smi and dmesg; reboot cures most"
    if not uuid:
        return error("gpu", f"{device} does not answer", hint)
    try:
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        name = gpus.text(pynvml.nvmlDeviceGetName(handle))
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    except pynvml.NVMLError as problem:
        return error("gpu", f"{device}: {problem}", hint)
    text = f"{device}: {name}, {mebibytes(memory.free)} of {mebibytes(memory.total)} free"
    if memory.free < 2**30:
        return warning("gpu", text, "somebody uses it (nvidia-smi): a small model, or another GPU")
    return ok("gpu", text)


def engine_facts() -> EngineFacts | str:
    """What an engine process finds on this machine, or why that is not known."""
    import msgspec

    command = [sys.executable, "-P", "-m", "speakeasy_tui.engine.inspect"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=INSPECT_TIMEOUT,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"it said nothing for {INSPECT_TIMEOUT:.0f} s"
    try:
        return msgspec.json.decode(done.stdout, type=EngineFacts)
    except msgspec.DecodeError:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"status {done.returncode}: {said[-1] if said else 'it said nothing'}"


def engine(facts: EngineFacts | str, any_gpu: bool) -> Iterator[Check]:
    """Libraries, cuBLAS and compute types; `any_gpu`: whether the driver sees one."""
    if isinstance(facts, str):
        yield error("engine", f"an engine process does not start: {facts}", "reinstall the program")
        return
    names = ("faster_whisper", "ctranslate2", "torch", "av")
    versions = ", ".join(f"{name} {getattr(facts, name)}" for name in names if getattr(facts, name))
    missing = [name for name in names if not getattr(facts, name)]
    if missing:
        why = "; ".join(facts.problems)
        text = f"{', '.join(missing)} cannot be imported: {why}"
        yield error("engine", text, f"pip install --force-reinstall {' '.join(missing)}")
    else:
        yield ok("engine", versions)
        for problem in facts.problems:
            yield warning("engine", problem, "see `speakeasy doctor --json` for all facts")
    for why in facts.refused:
        yield error("environment", why, "correct that variable, or unset it")
    if facts.cpu_compute_types:
        yield ok("cpu", "compute types: " + ", ".join(sorted(facts.cpu_compute_types)))
    if not any_gpu and not facts.cuda_devices:
        return
    if facts.cuda_devices == 0:
        yield error("cuda", "the driver sees a GPU, CTranslate2 does not", f"is it hidden by CUDA_VISIBLE_DEVICES? else: {_CUBLAS}")  # fmt: skip # noqa: E501
        return
    if facts.cublas:
        yield ok("cublas", facts.cublas)
    else:
        yield error("cublas", "libcublas.so.12 was not found; no GPU work without it", _CUBLAS)
    if facts.torch and not facts.gpus:
        text = f"torch {facts.torch} cannot use CUDA here: CTranslate2 writes the text, more slowly"
        yield warning("torch", text, "PyPI's torch, not the CPU's build; or a newer driver")
    for gpu in facts.gpus:
        types = ", ".join(sorted(gpu.compute_types)) or "unknown"
        text = f"{gpu.device}: {gpu.name}, compute capability {gpu.capability}, {types}"
        yield ok("cuda", text)
