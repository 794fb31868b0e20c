"""What this computer's processor can do, as far as an engine chooses by it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


@cache
def flags() -> frozenset[str]:
    """Its features in Linux's words; none elsewhere."""
    try:
        with _CPUINFO.open(encoding="ascii", errors="replace") as file:
            line = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(line.partition(":")[2].split())


def wide_vectors() -> bool:
    """Whether AVX-512 pays: CTranslate2 leaves it to whoever asks for it.

    It costs clock speed on Intel's early ones. Those that have BF16, too (Zen 4, Sapphire Rapids,
    and later), encode in less time with it (docs/throughput.md).
    """
    return "avx512_bf16" in flags()


def tiles() -> bool:
    """Whether it multiplies tiles of bfloat16 (Intel's AMX)."""
    return "amx_bf16" in flags()
