"""A driver of NVIDIA's that is not there: the few calls of `pynvml` that the program makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

GIB = 2**30


class FakeNVMLError(Exception):
    """What NVML answers when it cannot."""


@dataclass
class FakeGpu:
    """A GPU, or a part of one."""

    uuid: str
    free: int = 40 * GIB
    total: int = 80 * GIB
    lost: bool = False
    places: int = 0
    """For parts (MIG); 0: it is whole."""
    parts: dict[int, FakeGpu] = field(default_factory=dict)
    """By place."""


class FakeNvml:
    """Stands for the module `pynvml`."""

    NVMLError = FakeNVMLError
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, *gpus: FakeGpu) -> None:
        self._gpus = gpus

    def nvmlInit(self) -> None:
        """Begin; there may be several that do."""

    def nvmlShutdown(self) -> None:
        """End."""

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"580.1"

    def nvmlDeviceGetCount(self) -> int:
        return len(self._gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:
        return _answering(self._gpus[index])

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> FakeGpu:
        every = [each for gpu in self._gpus for each in (gpu, *gpu.parts.values())]
        return _answering(next((gpu for gpu in every if gpu.uuid == uuid), None))

    def nvmlDeviceGetMaxMigDeviceCount(self, gpu: FakeGpu) -> int:
        return gpu.places

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: FakeGpu, place: int) -> FakeGpu:
        return _answering(gpu.parts.get(place))

    def nvmlDeviceGetUUID(self, gpu: FakeGpu) -> str:
        return gpu.uuid

    def nvmlDeviceGetName(self, gpu: FakeGpu) -> str:
        return f"NVIDIA {gpu.uuid[-1]}"

    def nvmlDeviceGetMemoryInfo(self, gpu: FakeGpu) -> SimpleNamespace:
        _answering(gpu)
        return SimpleNamespace(free=gpu.free, total=gpu.total, used=gpu.total - gpu.free)

    def nvmlDeviceGetUtilizationRates(self, gpu: FakeGpu) -> SimpleNamespace:
        if gpu.uuid.startswith("MIG-"):
            raise FakeNVMLError("Not Supported")
        return SimpleNamespace(gpu=50)

    def nvmlDeviceGetTemperature(self, gpu: FakeGpu, sensor: int) -> int:
        return 60


def _answering(gpu: FakeGpu | None) -> FakeGpu:
    if gpu is None:
        raise FakeNVMLError("Not Found")
    if gpu.lost:
        raise FakeNVMLError("GPU is lost")
    return gpu
