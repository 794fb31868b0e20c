"""What is read of the processor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from speakeasy_tui.engine import cpu

ZEN = "fpu avx2 avx512f avx512_bf16 avx512_vnni"
RAPIDS = "fpu avx2 avx512f avx512_bf16 amx_bf16 amx_tile amx_int8"
EARLY = "fpu avx2 avx512f avx512_vnni"


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """The processor is read once a process."""
    cpu.flags.cache_clear()
    yield
    cpu.flags.cache_clear()


@pytest.mark.parametrize(
    ("flags", "wide", "tiles"),
    [(ZEN, True, False), (RAPIDS, True, True), (EARLY, False, False), ("", False, False)],
    ids=["zen 4", "sapphire rapids", "cascade lake", "unknown"],
)
def test_its_features_are_those_of_the_first_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, wide: bool, tiles: bool
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(f"vendor_id\t: x\nflags\t\t: {flags}\nbugs\t\t: amx_bf16\n\nprocessor\t: 1\n")
    monkeypatch.setattr(cpu, "_CPUINFO", info)
    assert (cpu.wide_vectors(), cpu.tiles()) == (wide, tiles)


def test_where_there_is_no_such_file_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "_CPUINFO", tmp_path / "none")
    assert cpu.flags() == frozenset()
