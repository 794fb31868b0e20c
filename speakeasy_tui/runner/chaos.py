"""Dying on purpose inside a commit, so that tests/chaos can prove that nothing is lost there.

``SPEAKEASY_CHAOS_COMMIT="POINT:N"``: the runner ends itself with SIGKILL when one of its
commits comes to POINT for the N-th time in its life. The log says so first. Without the
variable nothing happens at these points.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal

log = logging.getLogger(__name__)

POINTS = ("written", "staged", "linked", "naming", "named")
"""Parts on disk and not yet staged; staged; an output has its name and still its part; some
outputs have their names; all have, and the store does not know it yet."""

_point, _, _count = os.environ.get("SPEAKEASY_CHAOS_COMMIT", "").partition(":")
_passes = itertools.count(1)


def passing(point: str) -> None:
    """A commit has come to `point`."""
    if point == _point and next(_passes) == int(_count):
        log.warning("chaos: killing this runner at %r", point)
        os.kill(os.getpid(), signal.SIGKILL)
