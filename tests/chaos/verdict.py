"""What is left after a storm, counted."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from speakeasy_tui.core.paths import Home

from . import processes
from .field import FORMATS, WEIGHTS, Recording
from .storm import Damage

OF_A_HOME = frozenset(
    {
        "queue.db",
        "queue.db-wal",
        "queue.db-shm",
        "runner.sock",
        "runner.lock",
        "logs",
        "added.jsonl",
        "reserve",
        "config.toml",
        "themes",
        "cache",
    }
)


@dataclass
class Verdict:
    """The count. All but the first four must be empty or zero."""

    files: int
    done: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    """Tries that ended by each kind of fault."""
    met: Counter[str] = field(default_factory=Counter)
    """Files that met the fault they were dealt; the others' first try was cut off before."""
    not_done: list[str] = field(default_factory=list)
    """Final, but not done."""
    lost: list[str] = field(default_factory=list)
    """Not in the queue, or not final."""
    wrong: list[str] = field(default_factory=list)
    """Outputs that are missing, or whose content is not their file's."""
    double: list[str] = field(default_factory=list)
    """Files done twice in a series, or written to two places."""
    leftovers: list[str] = field(default_factory=list)
    orphans: list[int] = field(default_factory=list)
    database: str = ""
    """What ``PRAGMA integrity_check`` and the tallies say."""

    def bad(self) -> bool:
        """Whether anything is as it must not be."""
        return bool(
            self.not_done
            or self.lost
            or self.wrong
            or self.double
            or self.leftovers
            or self.orphans
            or self.database != "ok"
            or self.done != self.files
        )


def judge(home: Home, recordings: list[Recording], folder: Path, out: Path) -> Verdict:
    """Look at everything. The runner has been shut down."""
    verdict = Verdict(len(recordings))
    verdict.orphans = processes.of_home(home.state)
    _look_at_database(home, recordings, verdict)
    for recording in recordings:
        if wrong := recording.wrong():
            verdict.wrong.append(wrong)
    expected = {path for recording in recordings for path in recording.outputs()}
    expected |= {recording.source for recording in recordings}
    for top in (folder, out):
        for at, _, names in os.walk(top):
            found = {Path(at) / name for name in names}
            verdict.leftovers += sorted(os.fspath(path) for path in found - expected)
    verdict.leftovers += sorted(
        entry.name for entry in home.state.iterdir() if entry.name not in OF_A_HOME
    )
    return verdict


def _look_at_database(home: Home, recordings: list[Recording], verdict: Verdict) -> None:
    with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)) as db:
        (verdict.database,) = db.execute("PRAGMA integrity_check").fetchone()
        counted = dict(db.execute("SELECT state, COUNT(*) FROM jobs GROUP BY state"))
        tallies = dict(db.execute("SELECT state, jobs FROM tallies WHERE jobs != 0"))
        if counted != tallies:
            verdict.database = f"tallies {tallies} but {counted}"
        states = {
            Path(os.fsdecode(path)): (job, state)
            for job, path, state in db.execute("SELECT id, path, state FROM jobs")
        }
        open_tries = db.execute("SELECT job FROM attempts WHERE outcome = 'running'").fetchall()
        double = db.execute(
            "SELECT job FROM attempts WHERE outcome = 'done' GROUP BY job, series "
            "HAVING COUNT(*) > 1"
        ).fetchall()
        outputs = Counter(
            job for (job,) in db.execute("SELECT job FROM outputs WHERE state = 'done'")
        )
        unfinished = db.execute("SELECT path FROM outputs WHERE state != 'done'").fetchall()
        outcomes = db.execute("SELECT job, outcome FROM attempts").fetchall()
    verdict.struck.update(outcome for _, outcome in outcomes)
    tried = {(job, outcome) for job, outcome in outcomes}
    names = {job: path.name for path, (job, _) in states.items()}
    verdict.double += [names[job] for (job,) in double]
    verdict.lost += [f"{names[job]}: a try is still open" for (job,) in open_tries]
    verdict.leftovers += [f"in outputs: {os.fsdecode(path)}" for (path,) in unfinished]
    for recording in recordings:
        job, state = states.get(recording.source, (0, "missing"))
        if (job, recording.outcome) in tried:
            verdict.met[recording.kind] += 1
        if state == "done":
            verdict.done += 1
            if outputs[job] != len(FORMATS):
                verdict.double.append(f"{recording.source.name}: {outputs[job]} outputs")
        elif state in {"missing", "queued", "held", "running"}:
            verdict.lost.append(f"{recording.source.name}: {state}")
        else:
            verdict.not_done.append(f"{recording.source.name}: {state}")


def table(verdict: Verdict, damage: Damage, recordings: list[Recording]) -> str:
    """The count as a Markdown table, offenders named below it."""
    dealt = Counter(recording.kind for recording in recordings)
    kinds = ("oom", "cuda", "sticky", "crash", "hang", "device", "disk")
    rows: list[tuple[str, object]] = [
        ("files", verdict.files),
        ("of those, dealt a fault", sum(dealt[kind] for kind in WEIGHTS)),
        ("and met it", verdict.met.total()),
        ("met of dealt", ", ".join(f"{k} {verdict.met[k]}/{dealt[k]}" for k in WEIGHTS)),
        ("tries ended by a fault", ", ".join(f"{k} {verdict.struck[k]}" for k in kinds)),
        ("tries given back", verdict.struck["given back"]),
        ("runner killed", damage.runner_kills),
        ("of those, inside a commit", damage.in_commit),
        ("how", ", ".join(f"{how} {count}" for how, count in sorted(damage.kills.items()))),
        ("engines killed from outside", damage.engine_kills),
        ("resumed by hand, no device left", damage.resumes),
        ("**done**", verdict.done),
        ("failed or quarantined", len(verdict.not_done)),
        ("wrong", len(verdict.wrong)),
        ("double", len(verdict.double)),
        ("lost", len(verdict.lost)),
        ("leftovers", len(verdict.leftovers)),
        ("orphans", len(verdict.orphans)),
        ("engines that outlived their runner", damage.late_engines),
        ("runner deaths nobody meant", damage.unexpected),
        ("database", verdict.database),
        ("time", f"{damage.seconds:.0f} s"),
    ]
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    for name in ("not_done", "wrong", "double", "lost", "leftovers", "orphans"):
        offenders = getattr(verdict, name)
        lines += [f"{name}: {offender}" for offender in offenders[:20]]
    return "\n".join(lines)
