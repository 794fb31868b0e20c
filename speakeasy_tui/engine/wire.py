"""The engine's ends of the pipes, and the signs of life that go over them."""

from __future__ import annotations

import os
import queue
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from speakeasy_tui.core.engineprotocol import AnyCommand, Report, Vitals, command_decoder
from speakeasy_tui.core.lines import encode

VITALS_EVERY = 2.0
"""Seconds."""


class Writer:
    """Writes reports; usable from every thread.

    What goes out in one piece is read in one, and each time costs the runner as much as what it
    does then for a short file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._kept = bytearray()
        """Lines that are to go out with others."""
        self._keeping = 0
        """Threads that have several things to say."""

    def send(self, report: Report, *, soon: bool = True) -> None:
        """Write one line; what need not be known `soon` goes out with the next one.

        A runner that no longer reads ends the process.
        """
        line = encode(report)
        with self._lock:
            self._kept += line
            if soon and not self._keeping:
                self._write()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is said meanwhile goes out at the end."""
        with self._lock:
            self._keeping += 1
        try:
            yield
        finally:
            with self._lock:
                self._keeping -= 1
                if not self._keeping:
                    self._write()

    def _write(self) -> None:
        lines, self._kept = memoryview(self._kept), bytearray()
        try:
            while lines:
                lines = lines[os.write(self._descriptor, lines) :]
        except OSError as error:
            print(f"engine: cannot report, ending: {error}", file=sys.stderr, flush=True)
            os._exit(0)


class Mailbox:
    """What reaches the main loop: commands of the runner and notes from the engine's threads."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def put(self, note: object) -> None:
        """Leave a note for the main loop."""
        self._queue.put(note)

    def read_commands(self, descriptor: int) -> None:
        """Read commands from `descriptor` on a thread; its end ends the process at once."""
        threading.Thread(
            target=self._read, args=(descriptor,), name="commands", daemon=True
        ).start()

    def _read(self, descriptor: int) -> None:
        with open(descriptor, "rb", closefd=False) as stream:
            for line in stream:
                try:
                    command: AnyCommand = command_decoder.decode(line)
                except msgspec.MsgspecError as error:
                    print(f"engine: not a command: {error}: {line[:200]!r}", file=sys.stderr)
                    sys.stderr.flush()
                    os._exit(2)
                self._queue.put(command)
        os._exit(0)

    def take(self, wait: bool, timeout: float | None = None) -> Iterator[Any]:
        """Everything that has arrived; with `wait`, at least one item or `timeout` seconds."""
        try:
            yield self._queue.get(wait, timeout)
            while True:
                yield self._queue.get_nowait()
        except queue.Empty:
            return


class Meter:
    """Measures how much of the time the model works, and what all stages take."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = 0.0
        self._since = 0.0
        self._working = 0
        """Threads in the model."""
        self._stages: dict[str, float] = {}

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around every call of the model; threads that overlap count once."""
        with self._lock:
            self._since = self._since if self._working else time.monotonic()
            self._working += 1
        try:
            yield
        finally:
            with self._lock:
                self._working -= 1
                if not self._working:
                    self._total += time.monotonic() - self._since

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Around a stage of the work; seconds of several threads add up."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.add(name, time.monotonic() - begun)

    def add(self, name: str, seconds: float) -> None:
        """Note that a stage of the work has taken `seconds`, here or in another process."""
        with self._lock:
            self._stages[name] = self._stages.get(name, 0.0) + seconds

    def stages(self) -> dict[str, float]:
        """Seconds by stage so far."""
        with self._lock:
            return {name: round(seconds, 3) for name, seconds in self._stages.items()}

    def total(self) -> float:
        """Seconds of work so far, the call under way included."""
        with self._lock:
            return self._total + (time.monotonic() - self._since if self._working else 0.0)

    def report(self, writer: Writer) -> None:
        """Send `Vitals` every `VITALS_EVERY` seconds from a thread of its own."""
        threading.Thread(target=self._report, args=(writer,), name="vitals", daemon=True).start()

    def _report(self, writer: Writer) -> None:
        before, total = time.monotonic(), self.total()
        while True:
            time.sleep(VITALS_EVERY)
            now, new = time.monotonic(), self.total()
            busy = min(1.0, max(0.0, (new - total) / (now - before)))
            writer.send(Vitals(rss=resident(), busy=round(busy, 3), stages=self.stages()))
            before, total = now, new


def resident(pid: int | None = None) -> int:
    """Resident memory, bytes, of this process (its peak where /proc is missing) or of another one
    (0 when that is not known)."""
    try:
        pages = int(Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        if pid is not None:
            return 0
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
