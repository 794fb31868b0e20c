"""What Textual reads from the environment when it is imported, set for slow lines."""

from __future__ import annotations

from collections.abc import MutableMapping

REMOTE = {
    "TEXTUAL_FPS": "15",  # frames a second; the default of 60 sends four times the bytes
    "TEXTUAL_ANIMATIONS": "none",  # a page-down animated is 140 kB, not animated 8 kB
    "TEXTUAL_SMOOTH_SCROLL": "0",  # asks for pixel mouse reports: a message for every pixel
}
"""Set when the terminal is at the other end of an SSH connection."""


def prepare(environ: MutableMapping[str, str]) -> None:
    """Set in `environ` what suits the terminal, unless the person has.

    To be called before textual is imported: it reads these once.
    """
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        for name, value in REMOTE.items():
            environ.setdefault(name, value)
