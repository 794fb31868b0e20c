"""Variables that choose between ways of the real engine; it alone reads them."""

from __future__ import annotations

import os

from speakeasy_tui.engine.inject import BadSpec

CHOICES = {
    "SPEAKEASY_TORCH": ("none", "encoder", "decoder", "all"),
    "SPEAKEASY_WINDOWS": ("short", "shared"),
}


def chosen(variable: str, usual: str) -> str:
    """The way that `variable` names, or the usual one where it is not set or empty.

    Raises:
        BadSpec: it names none; the message says which there are.
    """
    way = os.environ.get(variable) or usual
    if way not in CHOICES[variable]:
        raise BadSpec(f"{variable}: {way!r} is none of {', '.join(CHOICES[variable])}")
    return way


def check() -> None:
    """Read them all, before anything is loaded.

    Raises:
        BadSpec: one names no way.
    """
    for variable, ways in CHOICES.items():
        chosen(variable, usual=ways[0])
