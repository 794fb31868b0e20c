"""Completing a path that is being typed; names are spelled as `tui.typed` reads them."""

from __future__ import annotations

import os

from speakeasy_tui.core.text import printable
from speakeasy_tui.tui.aside import aside
from speakeasy_tui.tui.field import Field
from speakeasy_tui.tui.typed import meant


def completions(text: str) -> list[str]:
    """What `text`, the beginning of a path, can become; folders end in a slash."""
    head, slash, tail = text.rpartition("/")
    folder = meant(head + slash) if slash else "."
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                hidden = entry.name.startswith(".") and not tail.startswith(".")
                name = printable(entry.name)
                if name.startswith(tail) and not hidden:
                    found.append(head + slash + name + ("/" if entry.is_dir() else ""))
    except OSError:
        return []
    return sorted(found)


async def complete(field: Field) -> list[str]:
    """Complete what stands in `field` as far as it is clear; returns what it can become.

    The folder is read beside the loop: it may lie on a disk that is slow. What was typed
    meanwhile stays.
    """
    typed = field.value
    found = await aside(completions, typed)
    if field.value != typed:
        return []
    common = os.path.commonprefix(found)  # noqa: RUF071 (names are completed, too)
    if len(common) > len(typed):
        field.value = common
        field.cursor_position = len(common)
    return found
