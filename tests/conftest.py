"""For all tests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# As engines have it (engine/process.py): the number of threads changes the last bits of a product.
# numpy reads it when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Who listens depends on the processor (engine/model.py); tests expect the same of each, and what is
# torch's part they say themselves.
os.environ.setdefault("SPEAKEASY_TORCH", "none")

LEAVE_S = 15.0
"""Seconds that what a test has started gets to end by itself."""


def pytest_configure() -> None:
    """A shell's background job and nohup ignore signals, and children inherit that: not ours."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def no_process_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test has started ends with it, also when it fails: a runner outlives its starter.

    Runners and engines name their home when they are started, which is in the test's own folder.
    """
    yield
    folder = request.node.funcargs.get("tmp_path")
    if folder is None:
        return
    deadline = time.monotonic() + LEAVE_S
    while left := _processes_of(folder):
        if time.monotonic() > deadline:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            pytest.fail(f"left running: {left}")
        time.sleep(0.05)


def _processes_of(folder: Path) -> dict[int, str]:
    """Runners and engines started with a home in `folder`: pid and command line."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = os.fsdecode(entry.read_bytes()).split("\0")
        except OSError:  # it ended meanwhile, or is not ours
            continue
        ours = {"speakeasy_tui.runner", "speakeasy_tui.engine"} & set(words)
        if ours and any(word.startswith(f"{folder}{os.sep}") for word in words):
            found[int(entry.parent.name)] = " ".join(words).strip()
    return found
