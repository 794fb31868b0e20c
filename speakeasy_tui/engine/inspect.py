"""What works on this machine: ``python -m speakeasy_tui.engine.inspect`` prints `EngineFacts`.

A process of its own, because looking at a GPU from inside makes a CUDA context, and a broken
driver may take the process with it. Never raises: what fails stands in `problems`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from speakeasy_tui.core.engineprotocol import EngineFacts, GpuFacts
from speakeasy_tui.core.lines import encode
from speakeasy_tui.core.text import printable
from speakeasy_tui.engine import cublas, inject, variables
from speakeasy_tui.engine.process import prepare_environment


def look() -> EngineFacts:
    """Import every library and ask each what it sees."""
    facts = EngineFacts()

    def attempt(what: str, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            facts.problems.append(printable(f"{what}: {type(error).__name__}: {error}"))

    attempt("av", lambda: _av(facts))
    attempt("torch", lambda: _torch(facts))
    # Before ctranslate2, as the engine does.
    try:
        facts.cublas = cublas.load()
    except cublas.NoCublas as error:
        if facts.gpus:
            facts.problems.append(printable(f"{error}; {cublas.HINT}"))
    attempt("ctranslate2", lambda: _ctranslate2(facts))
    attempt("faster_whisper", lambda: _faster_whisper(facts))
    for number, gpu in enumerate(facts.gpus):
        attempt(gpu.device, lambda gpu=gpu, number=number: _gpu(gpu, number))  # type: ignore[misc]
    if facts.gpus and not facts.cuda_devices and facts.ctranslate2:
        facts.problems.append("torch sees a GPU, ctranslate2 does not")
    for check in (inject.Injector().read, variables.check):
        try:
            check()
        except inject.BadSpec as error:
            facts.refused.append(printable(str(error)))
    return facts


def _av(facts: EngineFacts) -> None:
    import av

    facts.av = av.__version__


def _torch(facts: EngineFacts) -> None:
    import torch

    facts.torch = str(torch.__version__)
    if not torch.cuda.is_available():
        return
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        facts.gpus.append(
            GpuFacts(
                device=f"cuda:{index}",
                name=about.name,
                capability=f"{about.major}.{about.minor}",
                total=int(total),
                free=int(free),
            )
        )


def _ctranslate2(facts: EngineFacts) -> None:
    import ctranslate2

    facts.ctranslate2 = ctranslate2.__version__
    facts.cuda_devices = ctranslate2.get_cuda_device_count()
    facts.cpu_compute_types = sorted(ctranslate2.get_supported_compute_types("cpu"))


def _faster_whisper(facts: EngineFacts) -> None:
    import faster_whisper

    facts.faster_whisper = str(faster_whisper.__version__)


def _gpu(gpu: GpuFacts, index: int) -> None:
    import ctranslate2

    gpu.compute_types = sorted(ctranslate2.get_supported_compute_types("cuda", index))


def main() -> None:
    """Print the facts as one line of JSON and end without running destructors."""
    output = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not mix with the line
    try:
        prepare_environment(None)  # as an engine does, so that it counts GPUs in the same order
        facts = look()
    except BaseException as error:
        facts = EngineFacts(problems=[printable(f"inspect: {type(error).__name__}: {error}")])
    line = memoryview(encode(facts))
    while line:
        line = line[os.write(output, line) :]
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
