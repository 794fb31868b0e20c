"""Hurts the GPU inside the engine's process; never part of the package.

With this folder on PYTHONPATH every Python process imports this module when it starts. Where
``GPU_CHECK_HURT`` is set, the engine's decoder is wrapped, and before one of its first batches the
device is hurt for real, once: the file ``GPU_CHECK_ONCE`` notes that it was done, for the engines
that follow.

``GPU_CHECK_HURT`` is ``sticky`` (a kernel writes where nothing is), ``assert`` (torch's
device-side assertion; wants a torch with CUDA) or ``oom:SHARE`` (another process takes all of the
memory but SHARE of what the batch would need at most).
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

HURT = os.environ.get("GPU_CHECK_HURT", "")
TARGET = "speakeasy_tui.engine.decode"


class Finder:
    """Wraps the decoder's class as soon as its module has been run."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The module's own spec, whose loader does a little more."""
        if name != TARGET:
            return None
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            wrap(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def wrap(module: ModuleType) -> None:
    """Have one of the decoder's next batches hurt the device."""
    decode = module.Decoder.decode

    def hurt_one(self: Any, windows: Sequence[Any]) -> Any:
        # Memory is taken before the first batch: what one has had, CTranslate2 keeps.
        if (not HURT.startswith("oom") or len(windows) > 1) and first_time():
            print(f"tests.gpu: {HURT}, before {len(windows)} windows", file=sys.stderr, flush=True)
            hurt(self._model, len(windows))
        return decode(self, windows)

    module.Decoder.decode = hurt_one


def first_time() -> bool:
    """Whether no engine of this check has done it."""
    try:
        os.close(os.open(os.environ["GPU_CHECK_ONCE"], os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


def hurt(model: Any, windows: int) -> None:
    """Do it, to the device that `model` is on."""
    kind, _, share = HURT.partition(":")
    if kind == "assert":
        import torch

        torch.zeros(4, device="cuda")[torch.tensor([9], device="cuda")]
        try:
            torch.cuda.synchronize()
        except RuntimeError as error:
            print(f"tests.gpu: {error}", file=sys.stderr, flush=True)
        return
    import cuda_driver

    if kind == "sticky":
        said = cuda_driver.poison(model.index)
        print(f"tests.gpu: the driver says {said}", file=sys.stderr, flush=True)
        return
    leave = int(max(float(share) * windows, 1.0) * model.window_bytes())
    program = str(Path(__file__).with_name("cuda_driver.py"))
    stop = os.environ["GPU_CHECK_ONCE"] + ".stop"
    holder = subprocess.Popen(
        [sys.executable, program, str(model.index), str(leave), stop], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    print(f"tests.gpu: {holder.stdout.readline().decode()}", file=sys.stderr, flush=True)


if HURT:
    sys.meta_path.insert(0, Finder())  # type: ignore[arg-type]
