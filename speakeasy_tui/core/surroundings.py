"""What a runner takes from where it was started, and keeps for as long as it lives."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

from speakeasy_tui.core.settings import ALL_FIELDS, JOB_FIELDS, Settings
from speakeasy_tui.core.values import ENV_PREFIX, RESERVED_ENV

OF_WINDOW = frozenset({"theme", "mouse", "summary_at_end", "foreground", "keys"})
"""Settings that are the window's alone."""
_OF_COMMAND = frozenset({"HOME", "PLAIN", "COMPLETE"})
"""Variables of ours that say nothing to a runner."""
_OF_OTHERS = ("CUDA_", "CT2_", "HF_", "LD_LIBRARY_PATH")
"""Beginnings of other programs' variables that its engines heed."""


def surroundings(settings: Settings, environ: Mapping[str, str] = os.environ) -> str:
    """A digest of the settings and variables that hold for all that a runner does.

    What travels with each job, and what is the window's, is no part of it.
    """
    ours = {ENV_PREFIX + name for name in RESERVED_ENV - _OF_COMMAND}
    runners = [name for name in ALL_FIELDS if name not in OF_WINDOW.union(JOB_FIELDS)]
    told = [
        *((name, repr(getattr(settings, name))) for name in runners),
        *sorted(
            (name, text)
            for name, text in environ.items()
            if text and (name in ours or name.startswith(_OF_OTHERS))
        ),
    ]
    return hashlib.sha256(repr(told).encode("utf-8", "surrogateescape")).hexdigest()
