"""Fault injection: does on purpose what goes wrong in the field.

``SPEAKEASY_FAULTS="KIND:GLOB[:N][;…]"``: on the first N tries (default 1) of a file whose name
or path matches GLOB, the fault happens at a random point of its work, the same point every
time with ``SPEAKEASY_FAULTS_SEED``. This is the one fake in the engine; both engines call it
at the same places. It is documented, so that people can test their own box with it.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import random
import resource
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

# What CTranslate2 4.8 raises (RuntimeError): src/cuda/utils.h, "CUDA failed with error " +
# cudaGetErrorString, and "cuBLAS failed with status " + the status's name.
TEXTS = {
    "oom": "CUDA failed with error out of memory",
    "cuda": "cuBLAS failed with status CUBLAS_STATUS_NOT_INITIALIZED",
    "sticky": "CUDA failed with error an illegal memory access was encountered",
    "device": "CUDA failed with error no CUDA-capable device is detected",
}
POISONOUS = frozenset({"sticky", "device"})
"""After one of these every later call of the model in the process fails the same way."""

SIGNALS = {"abort": signal.SIGABRT, "segv": signal.SIGSEGV, "kill": signal.SIGKILL}
KINDS = (*TEXTS, *SIGNALS, "hang", "disk")


class BadSpec(ValueError):
    """``SPEAKEASY_FAULTS`` cannot be read; the message says what is wrong and what would do."""

    hint = "correct the variable; a runner that is there keeps the old one: speakeasy runner stop"


@dataclass(frozen=True)
class Rule:
    """One ``KIND:GLOB:N``."""

    kind: str
    glob: str
    tries: int = 1

    def applies(self, path: bytes, attempt: int) -> bool:
        """Whether it strikes the `attempt`-th try (from 1) at the file `path`."""
        whole = os.fsdecode(path)
        name = whole.rpartition("/")[2]
        matches = fnmatch.fnmatchcase(name, self.glob) or fnmatch.fnmatchcase(whole, self.glob)
        return matches and attempt <= self.tries


def parse(spec: str) -> list[Rule]:
    """The rules of a spec, in order.

    Raises:
        BadSpec: naming the part that cannot be read.
    """
    rules: list[Rule] = []
    for part in spec.split(";"):
        if not part.strip():
            continue
        kind, colon, rest = part.strip().partition(":")
        if kind not in KINDS:
            raise BadSpec(
                f"SPEAKEASY_FAULTS: {part.strip()!r}: unknown kind {kind!r}; "
                f"possible: {', '.join(KINDS)}"
            )
        glob, last, count = rest.rpartition(":")
        tries = 1
        if last and count.lstrip("+-").isdigit():
            tries = int(count)
        else:
            glob = rest
        if not colon or not glob:
            raise BadSpec(
                f"SPEAKEASY_FAULTS: {part.strip()!r}: no file pattern; write {kind}:GLOB or "
                f"{kind}:GLOB:N"
            )
        if tries < 1:
            raise BadSpec(f"SPEAKEASY_FAULTS: {part.strip()!r}: N must be 1 or more")
        rules.append(Rule(kind, glob, tries))
    return rules


_UNUSED = random.Random(0)
"""Of traps without a kind: to make one takes longer than all else that a file needs here."""


@dataclass
class Trap:
    """What awaits one try at one file; without a kind, nothing."""

    injector: Injector
    kind: str = ""
    rng: random.Random = _UNUSED
    _chunk: int | None = None

    def at_decode(self) -> None:
        """Called while the file's audio is being decoded."""
        # CUDA and a hang belong to the model's thread; these can strike anywhere.
        if (self.kind in SIGNALS or self.kind == "disk") and self.rng.random() < 0.2:
            self._strike()

    def cut(self, chunks: int) -> None:
        """Called when it is known about how many chunks will be decoded (0: strikes now)."""
        if self.kind and not chunks:
            self._strike()
        self._chunk = self.rng.randrange(chunks) if self.kind and chunks else None

    def all_cut(self, chunks: int) -> None:
        """Called when it is known how many they are: fewer, perhaps, than was thought."""
        if self.kind and self._chunk is not None and self._chunk >= chunks:
            self._strike()

    def at_chunk(self, number: int) -> None:
        """Called in the model's thread as part of decoding the file's `number`-th chunk."""
        if self.kind and number == self._chunk:
            self._strike()

    def _strike(self) -> None:
        kind, self.kind = self.kind, ""
        self.injector.strike(kind)


class Injector:
    """The rules in force in this process, and whether it is poisoned."""

    def __init__(self, rules: list[Rule] | None = None, seed: str | None = None) -> None:
        self._rules = rules or []
        self._seed = seed
        self._poison = ""

    def read(self, environ: Mapping[str, str] = os.environ) -> None:
        """Take the rules that ``SPEAKEASY_FAULTS`` asks for; a poisoned process stays so.

        Raises:
            BadSpec: when it cannot be read.
        """
        self._rules = parse(environ.get("SPEAKEASY_FAULTS", ""))
        self._seed = environ.get("SPEAKEASY_FAULTS_SEED")

    def trap(self, path: bytes, attempt: int) -> Trap:
        """What awaits this try; the first rule that applies counts."""
        for rule in self._rules:
            if rule.applies(path, attempt):
                rng = random.Random()
                if self._seed is not None:
                    rng.seed(f"{self._seed}:{path.rpartition(b'/')[2]!r}:{attempt}")
                return Trap(self, rule.kind, rng)
        return Trap(self)

    def check_device(self) -> None:
        """Called before every use of the model, loading and the probe included.

        Raises:
            RuntimeError: CTranslate2's text, once the process is poisoned.
        """
        if self._poison:
            raise RuntimeError(TEXTS[self._poison])

    def strike(self, kind: str) -> None:
        """Do it. Returns only by raising, if the process lives at all.

        Raises:
            RuntimeError: for `TEXTS`.
            OSError: ENOSPC, for `disk`.
        """
        if kind in TEXTS:
            if kind in POISONOUS:
                self._poison = kind
            raise RuntimeError(TEXTS[kind])
        if kind == "disk":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if kind == "hang":
            _hang()
        _die(SIGNALS[kind])


def _hang() -> NoReturn:
    while True:
        time.sleep(3600)


def _die(number: signal.Signals) -> NoReturn:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number is signal.SIGABRT:
        os.abort()
    os.kill(os.getpid(), number)
    _hang()  # until the signal arrives
