"""How long files are, as their headers say, told by a process of its own (`engine.probe`)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import msgspec

from speakeasy_tui.core.engineprotocol import Length

_decoder = msgspec.json.Decoder(Length)


@asynccontextmanager
async def probed(
    paths: Iterable[bytes], *, nice: int | None = None
) -> AsyncIterator[AsyncIterator[Length]]:
    """What is told of `paths`, by place, until the process ends; with the block it is ended.

    Raises, while it is read:
        msgspec.DecodeError: the process said what is not understood.
        OSError: no process could be started.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "speakeasy_tui.engine.probe",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        if nice is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.setpriority(os.PRIO_PROCESS, process.pid, nice)
        yield _told(process, paths)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _told(
    process: asyncio.subprocess.Process, paths: Iterable[bytes]
) -> AsyncIterator[Length]:
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(ConnectionError):
        process.stdin.write(b"".join(path + b"\0" for path in paths))
        await process.stdin.drain()
    process.stdin.close()
    async for line in process.stdout:
        yield _decoder.decode(line)
