"""Finding libcublas.so.12, which CTranslate2 opens by name and torch for CUDA 13 has not."""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path

LIBRARIES = ("libcublasLt.so.12", "libcublas.so.12")
"""In this order: the second needs the first."""
HINT = "pip install 'speakeasy-tui[cuda]'"


class NoCublas(Exception):
    """Neither the nvidia-cublas-cu12 package nor the system has the library."""


def packaged() -> Path | None:
    """The library folder of the nvidia-cublas-cu12 package, if it is installed."""
    try:
        spec = importlib.util.find_spec("nvidia.cublas")
    except ModuleNotFoundError:
        return None
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "lib"
        if (folder / LIBRARIES[-1]).exists():
            return folder
    return None


def load() -> str:
    """Load the library for the whole process, before ctranslate2 is imported; its path.

    Raises:
        NoCublas: with the loader's reason.
    """
    folder = packaged()
    reason: OSError | None = None
    for place in ([folder] if folder else []) + [None]:
        try:
            for name in LIBRARIES:
                # RTLD_GLOBAL: CTranslate2's own dlopen by name then finds this one.
                ctypes.CDLL(str(place / name) if place else name, mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            reason = reason or error
            continue
        return str(place / LIBRARIES[-1]) if place else LIBRARIES[-1]
    raise NoCublas(f"libcublas.so.12 not found: {reason}")
