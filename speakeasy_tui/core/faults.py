"""What an error is, and what to do about it: pure functions, no process, no clock.

`classify` reads an error text, `classify_exit` a process's end; `climb` says which rung of
the recovery ladder comes next. `runner.lane` does what they say.
"""

from __future__ import annotations

import re
import signal
from enum import StrEnum

from msgspec import Struct

from speakeasy_tui.core.job import ErrorKind

# First match wins. Sources: CUDA driver API, cuda.h (CUresult texts); cuBLAS, cublas_api.h;
# CTranslate2 src/cuda/utils.cc ("CUDA failed with error …", "cuBLAS failed with status …"),
# src/cuda/allocator; Linux errno(3). The CUDA headers say of the sticky ones that "the
# process must be terminated and relaunched"; no reload in the process can cure them.
_TEXTS: tuple[tuple[ErrorKind, str], ...] = (
    (
        ErrorKind.DEVICE,
        r"no CUDA-capable device|invalid device ordinal|GPU is lost|fallen off the bus|"
        r"CUDA driver version is insufficient|unknown device|device unavailable|"
        r"devices are busy or unavailable|libcublas[^\n]*(not found|cannot be loaded)|"
        r"\bXid\D{0,12}(46|48|79|95)\b|not compiled with CUDA support|"
        r"requested int8_float16 compute type, but the target device",
    ),
    (ErrorKind.DISK, r"No space left on device|ENOSPC|Disk quota exceeded|disk is full"),
    (
        ErrorKind.OOM,
        r"out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDA_ERROR_OUT_OF_MEMORY|"
        r"std::bad_alloc|cannot allocate memory|MemoryError",
    ),
    (
        ErrorKind.STICKY,
        r"illegal memory access|illegal instruction|misaligned address|"
        r"unspecified launch failure|launch failure|device-side assert|"
        r"CUBLAS_STATUS_EXECUTION_FAILED|invalid address space|invalid program counter|"
        r"hardware stack error|uncorrectable (ECC|NVLink) error|launch timed out",
    ),
    (
        ErrorKind.CUDA,
        r"CUBLAS_STATUS_NOT_INITIALIZED|CUBLAS_STATUS_INTERNAL_ERROR|"
        r"invalid (resource )?handle|invalid argument.*CUDA|CUDA[^\n]*invalid argument|"
        r"initialization error|cuBLAS failed",
    ),
    # "any unknown CUDA text" is sticky: a new process is always safe, a reload is not.
    (ErrorKind.STICKY, r"\bCUDA\b|\bcuDNN\b|CUBLAS_STATUS_|\bcudaError"),
    (ErrorKind.MODEL, r"Unable to open file 'model\.bin'|Unsupported model|model\.bin"),
)
_COMPILED = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _TEXTS)


def classify(text: str) -> ErrorKind:
    """The class of an error text from the engine. What is not known is a `crash`."""
    for kind, pattern in _COMPILED:
        if pattern.search(text):
            return kind
    return ErrorKind.CRASH


def describe_exit(status: int | None) -> str:
    """A dead engine's end in words; `status` as `subprocess` gives it (negative: signal)."""
    if status is None:
        return "engine process vanished"
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        return f"engine process ended by {name}"
    return f"engine process ended with status {status}"


class Rung(StrEnum):
    """What happens to the engine."""

    NONE = "none"
    HALVE = "halve"
    RELOAD = "reload"
    RESPAWN = "respawn"
    RETIRE = "retire"
    PAUSE = "pause"


class Verdict(Struct, frozen=True):
    """What happens to the engine, and to the file."""

    rung: Rung
    retry: bool
    charged: bool
    """Counts towards `max_attempts`."""


def climb(kind: ErrorKind, *, batch_size: int = 1, ooms: int = 0) -> Verdict:
    """The rung for a fault of class `kind`.

    Args:
        kind: the fault's class.
        batch_size: in use when it happened.
        ooms: out-of-memory faults on this engine just before, without a success between.
    """
    match kind:
        case ErrorKind.OOM:
            if ooms == 0 and batch_size > 1:
                return Verdict(Rung.HALVE, retry=True, charged=False)
            if ooms <= 1:
                return Verdict(Rung.RELOAD, retry=True, charged=batch_size <= 1)
            return Verdict(Rung.RESPAWN, retry=True, charged=batch_size <= 1)
        case ErrorKind.CUDA:
            return Verdict(Rung.RELOAD, retry=True, charged=True)
        case ErrorKind.STICKY | ErrorKind.CRASH | ErrorKind.HANG:
            return Verdict(Rung.RESPAWN, retry=True, charged=True)
        case ErrorKind.DEVICE:
            return Verdict(Rung.RETIRE, retry=True, charged=False)
        case ErrorKind.DISK:
            return Verdict(Rung.PAUSE, retry=True, charged=False)
        case ErrorKind.INPUT | ErrorKind.NO_AUDIO | ErrorKind.OUTPUT | ErrorKind.MODEL:
            return Verdict(Rung.NONE, retry=False, charged=True)
