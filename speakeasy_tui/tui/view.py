"""Which rows the table shows and in which order: filter, sort, folders. Pure, no screen.

A view is a sorted list of keys, and a row's key follows from the row: a change finds its
place by bisection and costs what it changes, not what the table holds.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from math import inf
from typing import Any, NamedTuple

from speakeasy_tui.core.job import Job, State
from speakeasy_tui.tui.query import Test, folded

Key = tuple[Any, ...]
"""(position, id), with the sorted column's value before it and the folder before that."""

BULK = 256
"""Of so many new keys sorting is cheaper than inserting one by one."""

QUEUE = "queue"

_STATE_RANK = {
    state: rank
    for rank, state in enumerate(
        (State.RUNNING, State.FAILED, State.QUARANTINED, State.HELD, State.QUEUED, State.DONE,
         State.SKIPPED, State.CANCELLED)
    )
}  # fmt: skip


def _message(job: Job) -> str:
    """What the row says, warnings by their words."""
    if job.error is not None:
        return job.error.message
    return job.warnings[0].message if job.warnings else job.message


class Sort(NamedTuple):
    """A way to sort: what a row is sorted by, and what the two directions are called."""

    value: Callable[[Job], Any]
    up: str
    down: str
    first_down: bool = False
    """Whether the descending order is the one usually wanted."""


SORTS: dict[str, Sort] = {
    QUEUE: Sort(lambda job: job.position, "first to run on top", "last to run on top"),
    "state": Sort(lambda job: _STATE_RANK[job.state], "running on top", "finished on top"),
    "file": Sort(lambda job: folded(job.path), "a to z", "z to a"),
    "progress": Sort(lambda job: job.progress, "least on top", "most on top", True),
    "audio": Sort(lambda job: job.audio_s or 0.0, "shortest on top", "longest on top", True),
    "speed": Sort(lambda job: job.speed or 0.0, "slowest on top", "fastest on top", True),
    "left": Sort(
        lambda job: inf if job.eta_s is None else job.eta_s, "soonest on top", "latest on top"
    ),
    "language": Sort(lambda job: job.language or "~", "a to z", "z to a"),
    "attempts": Sort(lambda job: job.attempts, "fewest on top", "most on top", True),
    "message": Sort(
        lambda job: folded(_message(job)) or "~",
        "a to z",
        "z to a",
    ),
}
"""By the name of the column; `queue` is the order in which files run."""


class Folder:
    """A folder's line in the grouped view, with what its rows add up to."""

    __slots__ = ("audio_s", "counts", "ids", "name", "version")

    def __init__(self, name: str) -> None:
        self.name = name
        self.ids: set[int] = set()
        self.counts: dict[State, int] = {}
        self.audio_s = 0.0
        self.version = 0

    def take(self, job: Job, sign: int) -> None:
        """Count a row in (1) or out (-1)."""
        (self.ids.add if sign > 0 else self.ids.discard)(job.id)
        self.counts[job.state] = self.counts.get(job.state, 0) + sign
        self.audio_s += sign * (job.audio_s or 0.0)
        self.version += 1


def folder_of(job: Job) -> str:
    """The folder a row is grouped under."""
    return job.path.rpartition("/")[0] or "/"


class View:
    """All jobs, and those of them that are shown, in order."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.folders: dict[str, Folder] = {}
        self.test: Test | None = None
        self.column = QUEUE
        self.reversed = False
        self.grouped = False
        self._keys: list[Key] = []

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def job_count(self) -> int:
        """Rows that are jobs; the others are folders."""
        return len(self._keys) - len(self.folders)

    def number(self, row: int) -> int:
        """How many jobs stand in the rows up to `row`; rows count from 0."""
        if not self.grouped:
            return row + 1
        name = str(self.key_at(row)[0])
        turned = self.reversed
        return row + 1 - sum(one >= name if turned else one <= name for one in self.folders)

    def at(self, row: int) -> Job | Folder:
        """What stands in a row."""
        key = self.key_at(row)
        header = len(key) == 2 and isinstance(key[0], str)
        return self.folders[key[0]] if header else self.jobs[key[-1]]

    def key_at(self, row: int) -> Key:
        """The key of a row."""
        return self._keys[-1 - row if self.reversed else row]

    def place(self, key: Key) -> int:
        """The row in which `key` stands, or that which took its place; the view is not empty."""
        place = bisect_left(self._keys, key)
        last = len(self._keys) - 1
        if self.reversed:
            return max(0, last - place)
        return min(place, last)

    def key_of(self, job: Job) -> Key:
        """The key that a row has in the present order."""
        if self.column == QUEUE:
            key: Key = (job.position, job.id)
        else:
            key = (SORTS[self.column].value(job), job.position, job.id)
        return (folder_of(job), 1, *key) if self.grouped else key

    def header_key(self, name: str) -> Key:
        """The key of a folder's line: above its rows, whichever the direction."""
        return (name, 2 if self.reversed else 0)

    def shows(self, job: Job) -> bool:
        """Whether a row passes the filter."""
        return self.test is None or self.test(job)

    def ids(self) -> list[int]:
        """Ids of the jobs in view, in order."""
        keys = reversed(self._keys) if self.reversed else self._keys
        if self.grouped:
            return [key[-1] for key in keys if len(key) > 2]
        return [key[-1] for key in keys]

    def ids_between(self, one: int, other: int) -> set[int]:
        """Ids of the jobs in the rows from `one` to `other`."""
        first, last = sorted((one, other))
        found = (self.at(row) for row in range(first, last + 1))
        return {item.id for item in found if isinstance(item, Job)}

    # ------------------------------------------------------------------ changes

    def apply(
        self, jobs: dict[int, Job], gone: Iterable[int], followed: Key | None
    ) -> tuple[bool, Key | None]:
        """Take in rows; whether any came, went or moved, and the key of the `followed` one."""
        added: list[Key] = []
        removed: list[Key] = []
        mine = self.jobs
        for job_id, job in jobs.items():
            old = mine.get(job_id)
            mine[job_id] = job
            was_in = old is not None and self.shows(old)
            is_in = self.shows(job)
            old_key = self.key_of(old) if old is not None and was_in else None
            key = self.key_of(job) if is_in else None
            if self.grouped:
                self._count(old if was_in else None, job if is_in else None, added, removed)
            if old_key == key:
                continue
            if old_key is not None:
                removed.append(old_key)
                if followed == old_key:
                    followed = self.key_of(job)
            if key is not None:
                added.append(key)
        for job_id in gone:
            old = mine.pop(job_id, None)
            if old is not None and self.shows(old):
                removed.append(self.key_of(old))
                if self.grouped:
                    self._count(old, None, added, removed)
        if added or removed:
            self._rearrange(added, removed)
        return bool(added or removed), followed

    def rebuild(self) -> None:
        """Make the view anew, after the filter, the order or the grouping changed."""
        test = self.test
        shown = [job for job in self.jobs.values() if test is None or test(job)]
        self.folders = {}
        if self.column == QUEUE and not self.grouped:
            self._keys = [(job.position, job.id) for job in shown]
        elif not self.grouped:
            value = SORTS[self.column].value
            self._keys = [(value(job), job.position, job.id) for job in shown]
        else:
            self._keys = [self.key_of(job) for job in shown]
            for job in shown:
                self._folder(folder_of(job)).take(job, 1)
            self._keys += [self.header_key(name) for name in self.folders]
        self._keys.sort()

    def _count(
        self, old: Job | None, new: Job | None, added: list[Key], removed: list[Key]
    ) -> None:
        if new is not None:
            name = folder_of(new)
            if name not in self.folders:
                added.append(self.header_key(name))
            self._folder(name).take(new, 1)
        if old is not None:
            folder = self._folder(folder_of(old))
            folder.take(old, -1)
            if new is not None and folder_of(new) == folder.name:
                folder.ids.add(new.id)
            if not folder.ids:
                del self.folders[folder.name]
                removed.append(self.header_key(folder.name))

    def _folder(self, name: str) -> Folder:
        return self.folders.setdefault(name, Folder(name))

    def _rearrange(self, added: list[Key], removed: list[Key]) -> None:
        keys = self._keys
        if len(added) + len(removed) > BULK:
            if removed:
                lost = set(removed)
                keys = [key for key in keys if key not in lost]
            keys.extend(added)
            keys.sort()
            self._keys = keys
            return
        for key in removed:
            place = bisect_left(keys, key)
            if place < len(keys) and keys[place] == key:
                del keys[place]
        for key in added:
            insort(keys, key)
