"""An engine process from its first instruction to its last.

The order matters: the pipes are moved out of reach of native code first, then death of the
runner is tied to death of this process, and only then is anything heavy imported.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from typing import NoReturn, Protocol

from speakeasy_tui.core.leaving import leave
from speakeasy_tui.engine import cpu

PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Engine(Protocol):
    """What this module needs of the real and of the simulated engine."""

    def run(self) -> None:
        """Obey commands until `Quit`."""


def claim_pipes() -> tuple[int, int]:
    """Take the pipes away from descriptors 0 and 1 and return them (read, write).

    Afterwards 0 is /dev/null and 1 is the log, so that a ``printf`` in a native library
    cannot break the protocol, nor a read from stdin swallow a command. The new descriptors
    are close-on-exec.
    """
    commands, reports = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return commands, reports


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux).

    The check afterwards covers a parent that died before the call.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


M_TRIM_THRESHOLD = -1  # glibc's <malloc.h>
M_MMAP_MAX = -4
M_ARENA_MAX = -8
KEPT = 2**30
"""Bytes that may lie free at the end of the heap before some go back to the kernel."""


def keep_memory() -> None:
    """Have glibc use freed memory again, not give it back and ask for it anew.

    By default every large array is a mapping of its own, whose pages the kernel clears at first
    use: 65,000 page faults a window in the encoder of tiny.en, a third of its CPU time
    (docs/throughput.md). One arena, for those of other threads hold 64 MB at most. What the
    person set (MALLOC_*, GLIBC_TUNABLES) stays.
    """
    if sys.platform != "linux" or "GLIBC_TUNABLES" in os.environ:
        return
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def prepare_environment(cache: str | None) -> None:
    """Settings that native libraries read once, at import; what the person set stays.

    ``CT2_CUDA_ALLOCATOR`` is left alone: unset, CTranslate2 takes ``cuda_malloc_async`` where
    the driver has it, whereas a value set here would be an error where it has not.
    """
    if cache:
        # The wheel holds machine code up to compute capability 8.6; newer GPUs compile its
        # PTX at first use, and this folder keeps the result beyond a reboot.
        os.environ.setdefault("CUDA_CACHE_PATH", os.path.join(cache, "cuda"))
        os.environ.setdefault("CUDA_CACHE_MAXSIZE", str(4 * 2**30))
    # The mel filter is one small matrix product: threads for it only fight the model's.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # NVML counts GPUs in this order; CUDA by itself puts the fastest first.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    if cpu.wide_vectors():
        os.environ.setdefault("CT2_FORCE_CPU_ISA", "AVX512")


def main() -> NoReturn:
    """Run an engine process; never returns."""
    begin(_run)


def begin(run: Callable[[int, int], int]) -> NoReturn:
    """Run a process that speaks over its pipes and ends with its parent; never returns.

    Args:
        run: what it does, given the descriptors (read, write); its result is the exit status.
    """
    parent = os.getppid()
    pipes = claim_pipes()
    die_with_parent(parent)
    leave(partial(run, *pipes))


def settle_in(cache: str | None) -> None:
    """How such a process takes signals, memory and its end; before anything heavy is imported.

    Args:
        cache: folder for CUDA's compiled kernels.
    """
    # The terminal's Ctrl-C goes to its whole process group; only the runner ends an engine.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    faulthandler.enable(sys.stderr)
    threading.excepthook = _thread_died
    # What CUDA ends would leave gigabytes, and be long in dying.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    keep_memory()
    prepare_environment(cache)


def _run(commands: int, reports: int) -> int:
    parser = argparse.ArgumentParser(prog="python -m speakeasy_tui.engine")
    parser.add_argument("--engine", choices=("real", "sim"), required=True)
    parser.add_argument("--cache", help="folder for CUDA's compiled kernels")
    arguments = parser.parse_args()
    settle_in(arguments.cache)

    from speakeasy_tui.core.engineprotocol import Ready
    from speakeasy_tui.engine.wire import Mailbox, Writer

    writer = Writer(reports)
    writer.send(Ready(pid=os.getpid(), engine=arguments.engine))
    mailbox = Mailbox()
    mailbox.read_commands(commands)
    engine: Engine
    if arguments.engine == "sim":
        from speakeasy_tui.engine.sim import SimulatedEngine

        engine = SimulatedEngine(mailbox, writer)
    else:
        from speakeasy_tui.engine.real import RealEngine

        engine = RealEngine(mailbox, writer)
    engine.run()
    return 0


def _thread_died(event: threading.ExceptHookArgs) -> None:
    """A thread must not die unnoticed: end the process, the log says why."""
    traceback.print_exception(event.exc_type, event.exc_value, event.exc_traceback)
    sys.stderr.flush()
    os._exit(3)
