"""Looking at a disk beside the loop, on threads that keep nobody from leaving."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def aside(work: Callable[..., Result], *arguments: object) -> Result:
    """What `work` gives, on a daemon thread of its own.

    The loop's own threads are few and are waited for at its end: a disk that hangs, or a walk
    through millions of folders, would keep the window from closing.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def tell(put: Callable[[Any], None], value: object) -> None:
        def put_once() -> None:
            if not future.done():  # nobody waits any more
                put(value)

        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(put_once)

    def run() -> None:
        try:
            result = work(*arguments)
        except Exception as error:
            tell(future.set_exception, error)
        else:
            tell(future.set_result, result)

    threading.Thread(target=run, name="aside", daemon=True).start()
    return await future
