"""What a crash, or a full disk, cut off: commits are completed, the rest is given back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection

from speakeasy_tui.core.job import State
from speakeasy_tui.runner import staging
from speakeasy_tui.runner.rows import Staged
from speakeasy_tui.runner.store import Store


def put_right(
    store: Store,
    flights: Collection[int],
    changed: Callable[[int], None],
    done: Callable[[int], None],
    why: str,
) -> tuple[int, int]:
    """Complete commits that were cut off, and give back what nobody works on.

    Args:
        store: of the queue.
        flights: jobs that are at work, and left alone.
        changed: is told each job that is given back.
        done: is told each job that is completed.
        why: for the rows that are given back.

    Returns:
        How many jobs were completed and how many given back.

    Raises:
        StoreFullError: there is no room even for that.
    """
    by_job: dict[int, list[Staged]] = {}
    for item in store.staged():
        if item.job not in flights:
            by_job.setdefault(item.job, []).append(item)
    completed = 0
    for job, items in by_job.items():
        named = staging.finish_staged(items, overwrite=store.options(job).overwrite)
        if len(named) == len(items) and store.state(job) is State.RUNNING:
            store.done(job, "completed after a restart")
            done(job)
            completed += 1
        else:
            store.unstage(job, named)
    left = [one for one in store.running() if one[0] not in flights]
    _sweep(left, int(store.get("pid") or "0"))
    store.give_back_running(flights, why)
    for job, _, _ in left:
        changed(job)
    return completed, len(left)


def _sweep(left: list[tuple[int, int, list[bytes]]], pid: int) -> None:
    """Remove part files that runner `pid` had begun and not yet staged."""
    for job, attempt, paths in left:
        for part in (staging.part_path(path, pid, job, attempt) for path in paths):
            with contextlib.suppress(OSError):
                os.unlink(part)
