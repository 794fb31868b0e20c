"""What an error is, and what to do about it: pure functions, no process, no clock.

`classify` reads an error text by the tables of `core.faulttexts`, `classify_exit` the last
words of a dead process; `climb` says which rung of the recovery ladder comes next.
`runner.lane` does what they say.
"""

from __future__ import annotations

import re
import signal
from enum import StrEnum

from msgspec import Struct

from speakeasy_tui.core.faulttexts import CUBLAS, CUDA_ERRORS, CUDNN, ERRNOS, TEXTS, XIDS
from speakeasy_tui.core.job import ErrorKind

_OS_ERROR = re.compile(r"\[Errno (\d+)\] ")
_FILE_NAME = re.compile(r"(\[Errno -?\d+\] [^:\n]*): ['\"].*['\"]")
_CUDA_SAYS = re.compile(
    r"CUDA (?:failed with error|(?:driver |runtime )?error[^:\n]{0,12}:) *(.*)", re.I
)
_CUDA_NAME = re.compile(r"\bcudaError[A-Z]\w+")
_STATUS = re.compile(r"\bCU(?:BLAS|DNN)_STATUS_\w+")
_XID = re.compile(r"\bXid\b(?: *\(PCI:[0-9a-f:.]+\))?\D{0,8}(\d+)", re.I)
_ANY_CUDA = re.compile(r"\bCUDA\b|\bcuDNN\b|\bcuBLAS\b|\bCUDA_ERROR_", re.I)
_ECHO = "failed: cudaErrorInvalidDevice:"
"""Thrust's words for whatever error was left before (engine/echo.py); the device is there."""
_LAST_WORDS = re.compile(r"^ *what\(\): *(.*)", re.M)

_BY_NAME = {error.name: error.kind for error in CUDA_ERRORS}
_STATUSES = CUBLAS | CUDNN
# Longest first: "unspecified launch failure in prior launch" before the shorter one.
_BY_TEXT = sorted(
    ((error.text.casefold(), error.kind) for error in CUDA_ERRORS), key=lambda e: -len(e[0])
)
_FRAGMENTS = [(known.text.casefold(), known.kind) for known in TEXTS]


def classify(text: str) -> ErrorKind:
    """The class of an error text from the engine. What is not known is a `crash`.

    An unknown text of CUDA's is `sticky`. A file name in the text does not count, whatever
    it is.
    """
    text = _FILE_NAME.sub(r"\1", text)
    if (found := _OS_ERROR.match(text)) and (kind := ERRNOS.get(int(found[1][:9]))):
        return kind
    if found := _STATUS.search(text):
        return _STATUSES.get(found[0], ErrorKind.STICKY)
    if _ECHO in text:
        return ErrorKind.STICKY
    if found := _CUDA_NAME.search(text):
        return _BY_NAME.get(found[0], ErrorKind.STICKY)
    if found := _CUDA_SAYS.search(text):
        said = found[1].casefold()
        return next((kind for known, kind in _BY_TEXT if known in said), ErrorKind.STICKY)
    if (found := _XID.search(text)) and (kind := XIDS.get(int(found[1][:9]))):
        return kind
    folded = text.casefold()
    for fragment, kind in _FRAGMENTS:
        if fragment in folded:
            return kind
    return ErrorKind.STICKY if _ANY_CUDA.search(text) else ErrorKind.CRASH


def classify_exit(tail: str) -> ErrorKind:
    """The class of an engine's death by its last lines on stderr.

    A C++ exception that nobody catches leaves its text there (``what():  …``). So do errors of
    CUDA that stay: memory that cannot be freed any more ends the process from a destructor. No
    file is to blame for a device that is gone, and for an error that stays less than for a crash.
    """
    words = _LAST_WORDS.findall(tail)
    if not words:
        return ErrorKind.CRASH
    if classify(words[-1]) is ErrorKind.DEVICE:
        return ErrorKind.DEVICE
    of_cuda = _ANY_CUDA.search(words[-1]) or _CUDA_NAME.search(words[-1])
    return ErrorKind.STICKY if of_cuda else ErrorKind.CRASH


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


FAULT_WORDS: dict[ErrorKind, str] = {
    ErrorKind.OOM: "out of memory",
    ErrorKind.CUDA: "CUDA error",
    ErrorKind.STICKY: "sticky CUDA error",
    ErrorKind.CRASH: "a crash",
    ErrorKind.HANG: "a hang",
    ErrorKind.DEVICE: "loss of the device",
    ErrorKind.DISK: "full disk",
    ErrorKind.INPUT: "bad input",
    ErrorKind.NO_AUDIO: "no audio",
    ErrorKind.OUTPUT: "output error",
    ErrorKind.MODEL: "model error",
}
"""A class of faults in a sentence: "reloaded model after …"."""


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


def climb(kind: ErrorKind, *, batch_size: int = 1, before: Rung = Rung.NONE) -> Verdict:
    """The rung for a fault of class `kind`.

    Args:
        kind: the fault's class.
        batch_size: in use when it happened.
        before: the rung of the last out-of-memory fault of this engine, without a success since.
    """
    match kind:
        case ErrorKind.OOM:
            if before is Rung.NONE and batch_size > 1:
                rung = Rung.HALVE
            elif before in (Rung.NONE, Rung.HALVE):
                rung = Rung.RELOAD
            else:
                rung = Rung.RESPAWN
            return Verdict(rung, retry=True, charged=batch_size <= 1)
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
