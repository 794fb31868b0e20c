"""A child process with an engine in it, and the pipes to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from speakeasy_tui.core.engineprotocol import AnyCommand, AnyReport, report_decoder
from speakeasy_tui.core.lines import MAX_LINE, encode
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.text import printable_lines

log = logging.getLogger(__name__)

LOG_LIMIT = 8 * 2**20
"""Bytes of an engine log that are kept when an engine starts; the older file is replaced."""

LOG_END = 64 * 1024
"""Bytes at a log's end in which a dead engine's last words are looked for."""
TAIL = 4000
"""Characters of it that are kept."""
KILL_PATIENCE_S = 5.0
"""Seconds that a killed engine gets to disappear."""


class Died(Struct, frozen=True):
    """The engine's process has ended."""

    status: int | None
    """As `subprocess` gives it: negative is the signal."""
    tail: str
    """Its last lines on stderr."""


Item = AnyReport | Died


class EngineProcess:
    """One engine. What it says, and at last its death, goes to `inbox` as (engine, item)."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        logfile: Path,
        mark: int,
        tell: Callable[[EngineProcess, Item], None],
    ) -> None:
        self._process = process
        self._logfile = logfile
        self._mark = mark
        self._tell = tell
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, home: Home, lane: int, kind: str, tell: Callable[[EngineProcess, Item], None]
    ) -> EngineProcess:
        """Start an engine process for a lane. The thread that calls must live as long as it.

        Raises:
            OSError: no process could be started.
        """
        logfile = home.engine_log(lane)
        with contextlib.suppress(OSError):
            if logfile.stat().st_size > LOG_LIMIT:
                logfile.replace(logfile.with_suffix(".log.1"))
        descriptor = os.open(logfile, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            mark = os.fstat(descriptor).st_size
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "speakeasy_tui.engine",
                "--engine", kind, "--cache", str(home.cache),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=descriptor,
                limit=MAX_LINE,
            )  # fmt: skip
        finally:
            os.close(descriptor)
        return cls(process, logfile, mark, tell)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, command: AnyCommand) -> None:
        """Send a command; to a dead engine it is dropped (`Died` is on its way)."""
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._process.stdin.write(encode(command))

    def kill(self) -> None:
        """SIGKILL; `Died` follows."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    async def end(self, grace: float) -> None:
        """Close its input, wait `grace` seconds, then kill. Says nothing more afterwards."""
        self._tell = _deaf
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._process.stdin.close()
        # Not `wait_for`: until Python 3.12 it loses a cancellation that comes with the end.
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._process.wait()
            self.kill()
            # A process stuck on a dead GPU may not die of SIGKILL: do not wait for ever.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KILL_PATIENCE_S):
                    await self._process.wait()
        finally:
            self.kill()  # nobody holds it any more, also when this was cancelled
            self._task.cancel()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                try:
                    report = report_decoder.decode(line)
                except msgspec.DecodeError as error:
                    log.error("engine %d sent what is not understood: %s", self.pid, error)
                    self.kill()
                    continue
                self._tell(self, report)
        except (ValueError, ConnectionError) as error:  # ValueError: an endless line
            log.error("engine %d: %s", self.pid, error)
            self.kill()
        status = await self._process.wait()
        self._tell(self, Died(status, self._last_lines()))

    def _last_lines(self) -> str:
        try:
            with self._logfile.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(self._mark, end - LOG_END))
                text = printable_lines(file.read().decode("utf-8", "replace").strip())
        except OSError:
            return ""
        # C++'s last words come before the stacks of all threads.
        words = [line for line in text[:-TAIL].splitlines() if "what():" in line][-1:]
        return "\n".join([*words, text[-TAIL:]])


def _deaf(engine: EngineProcess, item: Item) -> None:
    """What an engine says after it was told to end."""
