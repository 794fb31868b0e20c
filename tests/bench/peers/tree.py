"""Run a command to its end and say what it and all that came of it took.

A process that leaves its session, as a runner does, is still ours to wait for: this process
becomes the reaper of its descendants' orphans (prctl(2), PR_SET_CHILD_SUBREAPER), so that the
user and system time of every one is known to the kernel's exactness.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_PAGE = os.sysconf("SC_PAGE_SIZE")
_EVERY = 0.2


@dataclass(frozen=True)
class Took:
    """What a tree of processes took."""

    wall_s: float
    """Until the command itself ended."""
    cpu_s: float
    """User and system, of the whole tree, to its last process's end."""
    peak: int
    """Bytes resident, summed over the tree (memory that is shared counts more than once)."""
    biggest: int
    """Bytes resident of the one process that held most."""


def _tree() -> dict[int, int]:
    """Resident bytes of all descendants of this process by id."""
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                after = Path(entry.path, "stat").read_text("utf-8", "replace").rpartition(")")[2]
            except OSError:
                continue
            fields = after.split()
            parents[int(entry.name)] = int(fields[1])
            resident[int(entry.name)] = int(fields[21]) * _PAGE
    ours = {os.getpid()}
    while grown := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= grown
    ours.discard(os.getpid())
    return {pid: resident[pid] for pid in ours}


class _Watch(threading.Thread):
    """Looks at the tree's memory now and then."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = self.biggest = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(_EVERY):
            tree = _tree()
            self.peak = max(self.peak, sum(tree.values()))
            self.biggest = max(self.biggest, *tree.values(), 0)


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    output: Path,
    after: Callable[[], None] = lambda: None,
) -> Took:
    """Run `command`, its standard output and errors in `output` and ``output.err``.

    Args:
        after: called when it has ended, to end what it left behind (as a runner); what that
            takes itself is counted, too, and is a fraction of a second.

    Raises:
        subprocess.CalledProcessError: it ended with another status than 0.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    watch = _Watch()
    watch.start()
    begun = time.monotonic()
    with output.open("wb") as out, output.with_suffix(".err").open("wb") as errors:
        process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=errors
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - begun
    cpu = used.ru_utime + used.ru_stime
    after()
    while True:
        try:
            _, _, used = os.wait4(-1, 0)
        except ChildProcessError:
            break
        cpu += used.ru_utime + used.ru_stime
    watch.ended.set()
    watch.join()
    if process.returncode:
        said = output.with_suffix(".err").read_text("utf-8", "replace")
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said[-2000:])
    return Took(wall, cpu, watch.peak, watch.biggest)
