"""Whether a model can be loaded again in a process whose CUDA context is poisoned.

    python -m tests.gpu.poisoned MODEL DEVICE

It cannot; the runner counts on it, and starts a new process. Exit code 0 where that is so.
"""

from __future__ import annotations

import os
import sys

from speakeasy_tui.core.engineprotocol import Load
from speakeasy_tui.core.faults import classify
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.model import Model
from tests.gpu.hurt import cuda_driver


def main() -> int:
    """Poison it, use it, reload it."""
    load = Load(model=sys.argv[1], name="", device=sys.argv[2], compute_type="auto")
    model = Model(load, Injector())
    print("    the driver says", cuda_driver.poison(model.index))
    met = 0
    for name, act in (("a probe", model.probe), ("a reload", model.reload)):
        try:
            act()
        except Exception as error:
            met += 1
            print(f"    {name} after it: {error} → {classify(str(error))}", flush=True)
        else:
            print(f"    {name} after it: works", flush=True)
    return 0 if met == 2 else 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # CUDA aborts in destructors
