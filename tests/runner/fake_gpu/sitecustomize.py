"""A GPU that is not there, in an engine's process; never part of the package.

With this folder on PYTHONPATH every Python process imports this module when it starts. In an
engine `cuda:0` is then a GPU that holds a model only in the compute types that ``FAKE_GPU_HOLDS``
names; for others CTranslate2's error is raised, or ends the process where ``FAKE_GPU_DIES`` is set.
What fits is in truth loaded for the CPU.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

TARGET = "speakeasy_tui.engine.model"
TYPES = {"float32", "float16", "int8", "int8_float16"}
TEXT = "CUDA failed with error out of memory"


class Finder:
    """Puts the GPU behind the module that loads models, as soon as that has been run."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        """The module's own spec, whose loader does a little more."""
        if name != TARGET:
            return None
        import importlib.util

        sys.meta_path.remove(self)  # type: ignore[arg-type]
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            put_gpu(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def put_gpu(module: Any) -> None:
    """Have CUDA's ways answered by this module."""
    import ctranslate2
    import faster_whisper

    supported, load = ctranslate2.get_supported_compute_types, faster_whisper.WhisperModel

    def types_of(device: str, index: int = 0) -> set[str]:
        return TYPES if device == "cuda" else supported(device, index)

    def fitting(folder: str, *, device: str, compute_type: str, **more: Any) -> Any:
        if device == "cuda" and compute_type not in os.environ["FAKE_GPU_HOLDS"].split(","):
            if "FAKE_GPU_DIES" in os.environ:
                print(f"  what():  {TEXT}", file=sys.stderr, flush=True)
                os.abort()
            raise RuntimeError(TEXT)
        return load(folder, device="cpu", compute_type="int8", **more)

    module.cublas.load = lambda: "none"
    ctranslate2.get_supported_compute_types = types_of
    faster_whisper.WhisperModel = fitting


if "speakeasy_tui.engine" in sys.orig_argv and "FAKE_GPU_HOLDS" in os.environ:
    sys.meta_path.insert(0, Finder())  # type: ignore[arg-type]
