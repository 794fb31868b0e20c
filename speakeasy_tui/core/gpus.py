"""Which GPU CUDA means by `cuda:N`, told without a CUDA context, which costs GPU memory.

NVML counts all GPUs that there are; CUDA those that CUDA_VISIBLE_DEVICES names, in its order. Both
count by PCI bus, for engines ask CUDA to (`engine.process`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

VARIABLE = "CUDA_VISIBLE_DEVICES"


class Board(Struct, frozen=True):
    """A GPU as NVML counts it."""

    uuid: str = ""
    """`GPU-…`; empty when it does not answer."""
    instances: tuple[str, ...] | None = None
    """`MIG-…` of each part that it is divided into; None: it is whole."""


def visible(boards: Sequence[Board], asked: str | None) -> list[str]:
    """The UUIDs of what CUDA calls `cuda:0`, `cuda:1`, …

    Args:
        boards: in NVML's order.
        asked: the value of CUDA_VISIBLE_DEVICES; None without one.

    An entry is an index or as much of a UUID as only one has; the first that means nothing ends the
    list (CUDA Programming Guide, "CUDA Environment Variables"), and after one that is repeated
    nothing is left of it (torch/cuda/__init__.py). Of divided GPUs CUDA takes a single part, and no
    whole GPU beside it (NVIDIA MIG User Guide, "CUDA Device Enumeration").
    """
    chosen = [board.uuid for board in boards] if asked is None else _listed(boards, asked)
    divided = {board.uuid: board.instances for board in boards if board.instances is not None}
    parts = [uuid for uuid in chosen if uuid.startswith("MIG-")]
    parts += [part for uuid in chosen for part in divided.get(uuid) or ()]
    return parts[:1] or [uuid for uuid in chosen if uuid not in divided]


def _listed(boards: Sequence[Board], asked: str) -> list[str]:
    uuids = [uuid for board in boards for uuid in (board.uuid, *(board.instances or ()))]
    chosen: list[str] = []
    for entry in asked.split(","):
        found = _meant(entry.strip(), boards, uuids)
        if found is None:
            break
        if found and found in chosen:
            return []
        chosen.append(found)
    return chosen


def _meant(entry: str, boards: Sequence[Board], uuids: Sequence[str]) -> str | None:
    if entry.isascii() and entry.isdecimal():
        return boards[int(entry)].uuid if int(entry) < len(boards) else None
    if not entry.startswith(("GPU-", "MIG-")):
        return None
    found = [uuid for uuid in uuids if uuid.startswith(entry)]
    return found[0] if len(found) == 1 else None


def seen(nvml: Any) -> list[str]:
    """`visible` of this machine and environment, by the module `pynvml`, initialised."""
    boards = [_board(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    return visible(boards, os.environ.get(VARIABLE))


def _board(nvml: Any, index: int) -> Board:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        uuid = text(nvml.nvmlDeviceGetUUID(handle))
    except nvml.NVMLError:
        return Board()
    try:
        most = nvml.nvmlDeviceGetMaxMigDeviceCount(handle)
    except nvml.NVMLError:  # a driver from before there were any
        most = 0
    if not most:
        return Board(uuid)
    instances = []
    for place in range(most):
        try:
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
            instances.append(text(nvml.nvmlDeviceGetUUID(part)))
        except nvml.NVMLError:  # the place is not taken
            continue
    return Board(uuid, tuple(instances))


def free_memory(index: int) -> int | None:
    """Bytes free on `cuda:INDEX`; None when the driver cannot tell."""
    try:
        import pynvml

        pynvml.nvmlInit()
        try:
            handle = pynvml.nvmlDeviceGetHandleByUUID(seen(pynvml)[index])
            return int(pynvml.nvmlDeviceGetMemoryInfo(handle).free)
        finally:
            pynvml.nvmlShutdown()
    except Exception:  # no driver, no such GPU, or one that does not answer
        return None


def text(told: str | bytes) -> str:
    """What NVML says: older versions of `pynvml` say it in bytes."""
    return told if isinstance(told, str) else told.decode("utf-8", "replace")
