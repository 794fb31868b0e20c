"""Toasts about faults: one for each kind, not one for each file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal

from speakeasy_tui.core.protocol import Event
from speakeasy_tui.core.text import printable

Severity = Literal["information", "warning", "error"]
Toast = tuple[str, str, Severity]
"""Title, text, severity."""

QUIET_FOR = 120.0
"""Seconds in which the same kind of fault is not told again; the rows tell it anyway."""

TITLES: dict[str, tuple[str, Severity]] = {
    "reload": ("Reloaded the model", "information"),
    "respawn": ("New engine process", "warning"),
    "failed": ("A file failed", "warning"),
    "quarantined": ("A file was set aside", "error"),
    "paused": ("Paused", "warning"),
}

CAUSES = {
    "oom": "after it ran out of memory",
    "cuda": "after a CUDA error",
    "sticky": "after a CUDA error that only a new process cures",
    "crash": "after the engine died",
    "hang": "after the engine hung",
    "device": "after the device failed",
}


class FaultTeller:
    """Remembers what was told."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._told: dict[tuple[str, str], float] = {}

    def tell(self, events: Iterable[Event]) -> list[Toast]:
        """The toasts for `events`."""
        toasts: list[Toast] = []
        for event in events:
            if event.event not in TITLES:
                continue
            kind, message = _cause(event)
            if event.event == "paused" and kind == "person":
                continue
            now = self._now()
            if now - self._told.get((event.event, kind), float("-inf")) < QUIET_FOR:
                continue
            self._told[event.event, kind] = now
            title, severity = TITLES[event.event]
            if event.event in {"reload", "respawn"} and kind in CAUSES:
                title = f"{title} {CAUSES[kind]}"
            toasts.append((title, printable(message) or "The batch goes on.", severity))
        return toasts


def _cause(event: Event) -> tuple[str, str]:
    """Kind and message, from the event's detail or its job's error."""
    kind, parts = "", []
    detail = event.detail
    if event.job is not None:
        parts.append(event.job.path.rsplit("/", 1)[-1])
    if isinstance(detail, dict):
        kind = str(detail.get("kind", "") or "")
        parts.append(str(detail.get("message", "") or ""))
    elif isinstance(detail, str):
        parts.append(detail)
    if event.job is not None and event.job.error is not None:
        kind = kind or event.job.error.kind.value
        if not any(parts[1:]):
            parts.append(event.job.error.message)
    return kind, ": ".join(part for part in parts if part)
