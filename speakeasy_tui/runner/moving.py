"""The order of the queue, as people change it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from speakeasy_tui.runner.rows import AMONG
from speakeasy_tui.runner.writing import Writing

STEP = 1000
"""Between the positions of files that are queued one after the other: as many can be moved
between two of them before others have to make room."""

_WAITING = "state IN ('queued', 'held')"


class Moving(Writing):
    """Every public method is one transaction."""

    def place(self, ids: Sequence[int], positions: Sequence[int]) -> list[int] | None:
        """Give jobs positions; None when one is not there, or another job has one of these."""
        theirs, wanted = json.dumps(list(ids)), json.dumps(list(positions))
        with self._transaction() as db:
            (found,) = db.execute(
                f"SELECT COUNT(*) FROM jobs WHERE id {AMONG}", (theirs,)
            ).fetchone()
            taken = db.execute(
                f"SELECT 1 FROM jobs WHERE position {AMONG} AND id NOT {AMONG}", (wanted, theirs)
            ).fetchone()
            if found != len(set(positions)) or taken is not None:
                return None
            _set(db, dict(zip(ids, positions, strict=True)))
        return list(ids)

    def move(self, ids: Iterable[int], by: int) -> dict[int, int]:
        """Move queued jobs `by` places among the queued.

        Returns the rows whose place changed, each with the position that it had.
        """
        chosen = set(ids)
        with self._transaction() as db:
            before = _positions(db)
            order = list(before)
            for _ in range(abs(by)):
                _shift(order, chosen, up=by < 0)
            after = dict(zip(order, before.values(), strict=True))
            return _rearrange(db, before, after, chosen)

    def to_end(self, ids: Iterable[int], *, first: bool) -> dict[int, int]:
        """Make queued jobs the first or the last of the queued; returns what `move` does.

        Nothing else moves where there is room beside the one that was first or last, for a queue
        may be long.
        """
        with self._transaction() as db:
            before = _positions(db, among=ids)
            least, most = ("MIN", "MAX") if first else ("MAX", "MIN")
            theirs = json.dumps(list(before))
            (edge,) = db.execute(
                f"SELECT {least}(position) FROM jobs WHERE {_WAITING} AND id NOT {AMONG}",
                (theirs,),
            ).fetchone()
            if edge is None or all((place < edge) is first for place in before.values()):
                return {}
            (neighbour,) = db.execute(
                f"SELECT {most}(position) FROM jobs "
                f"WHERE position {'<' if first else '>'} ? AND id NOT {AMONG}",
                (edge, theirs),
            ).fetchone()
            begin = edge - len(before) if first else edge + 1
            places = range(begin, begin + len(before))
            if neighbour is None or (neighbour < begin if first else neighbour > places[-1]):
                after = dict(zip(before, places, strict=True))
                return _rearrange(db, before, after, before)
            every = _positions(db)
            others = [job for job in every if job not in before]
            order = [*before, *others] if first else [*others, *before]
            after = dict(zip(order, every.values(), strict=True))
            return _rearrange(db, every, after, before)


def _positions(db: sqlite3.Connection, among: Iterable[int] | None = None) -> dict[int, int]:
    """Where the jobs that wait stand, in their order; all of them, or those `among` some."""
    only = "" if among is None else f" AND id {AMONG}"
    values = () if among is None else (json.dumps(list(among)),)
    rows = db.execute(
        f"SELECT id, position FROM jobs WHERE {_WAITING}{only} ORDER BY position", values
    )
    return {row["id"]: row["position"] for row in rows}


def _rearrange(
    db: sqlite3.Connection,
    before: Mapping[int, int],
    after: Mapping[int, int],
    chosen: Iterable[int],
) -> dict[int, int]:
    """Bring jobs from their positions `before` to those `after`; a person has placed `chosen`."""
    changed = {job: place for job, place in before.items() if after[job] != place}
    _set(db, {job: after[job] for job in changed})
    if changed:
        db.execute(
            f"UPDATE jobs SET placed = 1 WHERE {_WAITING} AND id {AMONG}",
            (json.dumps(list(chosen)),),
        )
    return changed


def _set(db: sqlite3.Connection, positions: Mapping[int, int]) -> None:
    db.executemany(
        "UPDATE jobs SET position = ? WHERE id = ?",
        [(place, job) for job, place in positions.items()],
    )


def _shift(order: list[int], chosen: set[int], *, up: bool) -> None:
    """Move each chosen entry one place, blocks keeping their order."""
    places = range(1, len(order)) if up else range(len(order) - 2, -1, -1)
    step = -1 if up else 1
    for place in places:
        other = place + step
        if order[place] in chosen and order[other] not in chosen:
            order[place], order[other] = order[other], order[place]
