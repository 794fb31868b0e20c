"""The GPUs that lanes are made for, by a driver that is not there."""

from __future__ import annotations

import sys

import pytest

from speakeasy_tui.runner.devices import Devices
from tests.fake_nvml import GIB, FakeGpu, FakeNvml


def devices(monkeypatch: pytest.MonkeyPatch, asked: str, *gpus: FakeGpu) -> Devices:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", asked)
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(*gpus))
    return Devices()


def test_lanes_are_for_the_gpus_that_cuda_shows_in_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = devices(
        monkeypatch, "GPU-3,0", FakeGpu("GPU-1", GIB), FakeGpu("GPU-2"), FakeGpu("GPU-3", 3 * GIB)
    )
    assert [(gpu.index, gpu.uuid) for gpu in found.gpus] == [(0, "GPU-3"), (1, "GPU-1")]
    assert found.devices_for("auto") == ["cuda:0", "cuda:1"]
    assert [found.free_memory(device) for device in ("cuda:0", "cuda:1")] == [3 * GIB, GIB]
    assert found.memory_of("cuda:0") == found.gpus[0].memory > 0
    assert found.memory_of("cuda:7") == found.memory_of("cpu") == 0


def test_a_lost_gpu_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found = devices(monkeypatch, "0,1", FakeGpu("GPU-1", lost=True), FakeGpu("GPU-2"))
    assert found.devices_for("cuda") == ["cuda:1"]


def test_of_a_part_of_a_gpu_the_memory_is_known_and_not_how_busy_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = FakeGpu("MIG-5", free=9 * GIB, total=10 * GIB)
    found = devices(monkeypatch, "MIG-5", FakeGpu("GPU-1", places=7, parts={0: part}))
    vitals = found.vitals(found.gpus[0])
    assert vitals is not None
    assert (vitals.use, vitals.memory_used, vitals.memory_total) == (None, GIB, 10 * GIB)
    part.lost = True
    assert found.vitals(found.gpus[0]) is None
