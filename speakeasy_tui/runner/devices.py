"""The machine's devices: which lanes there can be, and how they fare.

GPUs are seen through NVML, which needs no CUDA context and costs no GPU memory; the runner
never imports torch.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from msgspec import Struct

from speakeasy_tui.core import gpus
from speakeasy_tui.core.settings import Settings

GIB = 2**30


class Gpu(Struct, frozen=True):
    """A GPU as the driver tells it."""

    index: int
    """As CUDA numbers it for this process: the N of `cuda:N`."""
    name: str
    memory: int
    """Bytes."""
    uuid: str = ""
    """The driver's name for this very one."""


class GpuVitals(Struct, frozen=True):
    """A GPU now."""

    use: float | None
    """None where the driver does not say: of a part of a GPU (MIG)."""
    memory_used: int
    memory_total: int
    temperature: int | None


class Devices:
    """GPUs by NVML, CPUs by the operating system."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._handles: dict[str, Any] = {}
        """NVML's, by UUID; to look one up again may wake other GPUs."""
        self.gpus: list[Gpu] = []
        # NVML's errors have no common base that is importable without it.
        with contextlib.suppress(Exception):
            import pynvml

            pynvml.nvmlInit()
            self._nvml = pynvml
            self.gpus = self._find()

    def _find(self) -> list[Gpu]:
        found = []
        for index, uuid in enumerate(gpus.seen(self._nvml)):
            try:
                handle = self._nvml.nvmlDeviceGetHandleByUUID(uuid)
                name = gpus.text(self._nvml.nvmlDeviceGetName(handle))
                memory = self._nvml.nvmlDeviceGetMemoryInfo(handle).total
            except self._nvml.NVMLError:  # lost: the others are still there
                continue
            self._handles[uuid] = handle
            found.append(Gpu(index, name, memory, uuid))
        return found

    def gpu(self, device: str) -> Gpu | None:
        """The GPU that `cuda:N` means."""
        number = int(device.removeprefix("cuda:")) if device.startswith("cuda:") else -1
        return next((gpu for gpu in self.gpus if gpu.index == number), None)

    def memory_of(self, device: str) -> int:
        """Bytes of a GPU; 0 for a CPU, and where the driver does not tell."""
        gpu = self.gpu(device)
        return gpu.memory if gpu is not None else 0

    def vitals(self, gpu: Gpu) -> GpuVitals | None:
        """Use, memory and temperature of a GPU now; None when the driver does not answer."""
        nvml, handle = self._nvml, self._handles[gpu.uuid]
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        except nvml.NVMLError:
            return None
        use = temperature = None
        with contextlib.suppress(nvml.NVMLError):
            use = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
        with contextlib.suppress(nvml.NVMLError):
            temperature = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        return GpuVitals(use, memory.used, memory.total, temperature)

    def free_memory(self, device: str) -> int:
        """Bytes free on a device; of the machine's memory for a CPU."""
        gpu = self.gpu(device)
        if gpu is not None:
            vitals = self.vitals(gpu)
            return vitals.memory_total - vitals.memory_used if vitals else gpu.memory
        return available_memory()

    def devices_for(self, request: str) -> list[str]:
        """The devices a `--device` value means here: `cpu`, or `cuda:N` for each GPU.

        A GPU that was asked for by number is named even when NVML does not see it: the
        engine's own attempt gives the better message.
        """
        if request == "cpu":
            return ["cpu"]
        if request == "auto":
            return [f"cuda:{gpu.index}" for gpu in self.gpus] or ["cpu"]
        if request == "cuda":
            return [f"cuda:{gpu.index}" for gpu in self.gpus] or ["cuda:0"]
        numbers = request.removeprefix("cuda:").split(",")
        return [f"cuda:{int(number)}" for number in dict.fromkeys(numbers)]


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int:
    """Bytes of memory that can be taken without swapping."""
    return _meminfo("MemAvailable:")


def total_memory() -> int:
    """Bytes of memory of the machine."""
    return _meminfo("MemTotal:")


def _meminfo(field: str) -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 4 * GIB


MAX_AUTO_WORKERS = 4
CUDA_WORKERS = 2
"""While one batch is prepared or its tokens are looked at, the GPU works on the other."""
AMPLE = 44 * GIB
"""Of a GPU's memory, from which on there is another worker, those that are sold with 48 GB among
them: with clips that wins a tenth and takes 2 GB in the shape of large-v3-turbo
(docs/throughput.md), and a window of large-v3 is reckoned at 0.6 GB, of which each has sixteen."""


def workers_for(settings: Settings, device: str, memory: int = 0) -> tuple[int, int]:
    """How many batches an engine on `device` works on at once, and CPU threads of each.

    On a GPU, which has so many bytes of `memory`, the threads are left to CTranslate2 (0). On a
    CPU, measured with tests/bench/workers.py: on two cores two workers of one thread beat one of
    two threads, because decode, VAD and mel of one overlap the model of the other. Beyond four
    workers each further one wins little, so threads grow.
    """
    asked = settings.workers if isinstance(settings.workers, int) else None
    if device != "cpu":
        return asked or CUDA_WORKERS + (memory >= AMPLE), 0
    count = cores()
    if isinstance(settings.cpu_threads, int):
        fitting = max(1, count // settings.cpu_threads)
        return asked or min(fitting, MAX_AUTO_WORKERS), settings.cpu_threads
    workers = asked or min(count, MAX_AUTO_WORKERS)
    return workers, max(1, count // workers)
