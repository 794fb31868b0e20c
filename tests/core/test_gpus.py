"""Which GPU is `cuda:N`."""

from __future__ import annotations

import sys

import pytest

from speakeasy_tui.core.gpus import Board, free_memory, seen, visible
from tests.fake_nvml import GIB, FakeGpu, FakeNvml

A, B, C = (Board(f"GPU-{letter * 8}-0000") for letter in ("a", "b", "c"))
ALIKE = Board("GPU-aaaa1111-0000")


@pytest.mark.parametrize(
    ("asked", "numbered"),
    [
        (None, [A, B, C]),
        ("", []),
        ("1", [B]),
        ("2,0", [C, A]),
        (" 2 , 0 ", [C, A]),
        ("0,2,-1,1", [A, C]),
        ("0,7,1", [A]),
        ("1,all,0", [B]),
        ("GPU-bbbbbbbb-0000", [B]),
        ("GPU-c,GPU-a", [C, A]),
        ("GPU-c,GPU-d,GPU-a", [C]),
        ("1,GPU-c", [B, C]),
        ("bbbbbbbb", []),
        ("GPU-", []),
        ("0,0", []),
        ("0,1,GPU-a", []),
        ("²", []),
    ],
)
def test_cuda_numbers_the_gpus_that_the_variable_names(
    asked: str | None, numbered: list[Board]
) -> None:
    assert visible([A, B, C], asked) == [board.uuid for board in numbered]


def test_a_beginning_that_two_have_means_neither() -> None:
    assert visible([A, ALIKE, B], "GPU-b,GPU-aaaa,0") == [B.uuid]
    assert visible([A, ALIKE, B], "GPU-aaaa1") == [ALIKE.uuid]


def test_a_gpu_that_does_not_answer_keeps_its_number() -> None:
    assert visible([Board(), B, Board()], None) == ["", B.uuid, ""]
    assert visible([Board(), B, Board()], "1,0,2") == [B.uuid, "", ""]


DIVIDED = Board("GPU-dddddddd-0000", ("MIG-11111111-0000", "MIG-22222222-0000"))


@pytest.mark.parametrize(
    ("asked", "numbered"),
    [
        (None, ["MIG-11111111-0000"]),
        ("1", ["MIG-11111111-0000"]),
        ("GPU-d", ["MIG-11111111-0000"]),
        ("MIG-22222222-0000", ["MIG-22222222-0000"]),
        ("MIG-2,MIG-1", ["MIG-22222222-0000"]),
        ("0,MIG-2", ["MIG-22222222-0000"]),
        ("0", [A.uuid]),
        ("MIG-3", []),
    ],
)
def test_of_divided_gpus_cuda_takes_one_part_and_nothing_beside_it(
    asked: str | None, numbered: list[str]
) -> None:
    assert visible([A, DIVIDED], asked) == numbered


def test_a_gpu_that_is_to_be_divided_and_has_no_parts_yet_is_none() -> None:
    assert visible([A, Board("GPU-d", ())], None) == [A.uuid]


PART = FakeGpu("MIG-5", free=9 * GIB, total=10 * GIB)
DRIVER = FakeNvml(
    FakeGpu("GPU-1", free=GIB),
    FakeGpu("GPU-2", lost=True),
    FakeGpu("GPU-3", free=3 * GIB),
    FakeGpu("GPU-4", places=7, parts={2: PART}),
)


def test_the_driver_is_asked_for_uuids_and_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for asked, uuids in [
        ("2,0", ["GPU-3", "GPU-1"]),
        ("1,GPU-3", ["", "GPU-3"]),
        ("3", ["MIG-5"]),
    ]:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", asked)
        assert seen(DRIVER) == uuids
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert seen(FakeNvml(FakeGpu("GPU-1"), FakeGpu("GPU-2"))) == ["GPU-1", "GPU-2"]


@pytest.mark.parametrize(
    ("asked", "free"),
    [("0", GIB), ("2,0", 3 * GIB), ("MIG-5", 9 * GIB), ("1", None), ("", None)],
)
def test_free_memory_is_that_of_the_gpu_that_cuda_means(
    monkeypatch: pytest.MonkeyPatch, asked: str, free: int | None
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", asked)
    monkeypatch.setitem(sys.modules, "pynvml", DRIVER)
    assert free_memory(0) == free
    assert free_memory(9) is None
