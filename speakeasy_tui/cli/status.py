"""``speakeasy status``: the rows, from the runner, or from the database when there is none."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from speakeasy_tui.cli import plain as spoken
from speakeasy_tui.cli.door import live_link, with_home
from speakeasy_tui.cli.say import because, clock, say, say_json, several, table, times
from speakeasy_tui.core.job import Job, State, public
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.values import nearest

if TYPE_CHECKING:
    from speakeasy_tui.core.job import Batch
    from speakeasy_tui.core.protocol import Status

_STATES = tuple(str(state) for state in State)


def _complete_state(_ctx: object, _param: object, incomplete: str) -> list[CompletionItem]:
    before, _, last = incomplete.rpartition(",")
    before += "," if before else ""
    return [CompletionItem(before + state) for state in _STATES if state.startswith(last)]


def _states(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[str] | None:
    if value is None:
        return None
    wanted = [part.strip().lower() for part in value.split(",") if part.strip()]
    for word in wanted:
        if word not in _STATES:
            guess = nearest(word, _STATES) or "."
            raise click.UsageError(f"--state: {word!r}{guess} Possible: {', '.join(_STATES)}")
    return wanted


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One job a line.")
@click.option(
    "--state",
    "states",
    metavar="STATE[,STATE]",
    callback=_states,
    shell_complete=_complete_state,
    help=f"Only these: {', '.join(_STATES)}.",
)
@click.option(
    "--plain",
    is_flag=True,
    envvar="SPEAKEASY_PLAIN",
    help="Sentences instead of columns, for screen readers; SPEAKEASY_PLAIN=1 for always.",
)
@with_home
def status(as_json: bool, states: list[str] | None, plain: bool, home: Home) -> int:
    """Show the rows of the queue."""
    jobs, told = look(home)
    shown = [job for job in jobs if states is None or job.state in states]
    if as_json:
        for job in shown:
            say_json(public(job))
        return 0
    if plain or (sys.stdout.isatty() and os.environ.get("TERM") == "dumb"):
        say(spoken.summary(told))
        for place, job in enumerate(jobs, 1):
            if states is None or job.state in states:
                say(spoken.row(job, place, len(jobs)))
        return 0
    if shown:
        header = ["ID", "STATE", "DONE", "LENGTH", "SPEED", "FILE", "MESSAGE"]
        rows = [header, *([str(cell) for cell in _row(job)] for job in shown)]
        for line in table(rows, right=frozenset({0, 2, 3, 4})):
            say(line)
        say()
    for line in totals(told):
        say(line)
    return 0


def look(home: Home) -> tuple[list[Job], Status]:
    """All rows in the queue's order and the queue as a whole, whoever can tell them."""
    from speakeasy_tui.client.link import Silent
    from speakeasy_tui.core.protocol import GetStatus, Rows, Status, Subscribe

    link = live_link(home)
    if link is None:
        from speakeasy_tui.runner.reader import read_jobs, read_status

        return read_jobs(home, None), read_status(home)
    told = link.request(GetStatus())
    assert isinstance(told, Status)
    # Not GetJobs: its answer is one line, and a hundred thousand rows are too long for one.
    link.send(Subscribe())
    jobs: dict[int, Job] = {}
    while True:
        message = link.read(timeout=60.0)
        if message is None:
            raise Silent(60.0, link.welcome.pid)
        if isinstance(message, Rows):
            jobs.update((job.id, job) for job in message.jobs)
            if message.synced:
                break
    link.close()
    return sorted(jobs.values(), key=lambda job: (job.position, job.id)), told


def _row(job: Job) -> tuple[object, ...]:
    message = job.error.message if job.error else job.message
    if job.error:
        message = f"{job.error.kind}: {message}"
    elif job.warnings and not message:
        message = "; ".join(warning.message for warning in job.warnings)
    done = f"{100 * job.progress:.0f}%"
    return job.id, job.state, done, clock(job.audio_s), times(job.speed), job.path, message


def counts_of(batch: Batch) -> dict[str, int]:
    """All eight states, zeros too."""
    return {state: int(batch.counts.get(state, 0)) for state in _STATES}


def totals(told: Status) -> list[str]:
    """The queue as a whole, in two lines; a third for what the runner found at its start."""
    batch = told.batch
    counts = counts_of(batch)
    parts = [f"{count:,} {state}" for state, count in counts.items() if count]
    lines = [
        f"{several(sum(counts.values()), 'file')}" + (": " + ", ".join(parts) if parts else "")
    ]
    state = f"runner: {batch.state}" + (f" (pid {told.pid})" if told.pid else "")
    if batch.why:
        state += because(batch.state, batch.why.message).removeprefix(batch.state)
        state += f"; {batch.why.hint}" if batch.why.hint else ""
    if batch.speed and batch.state == "running":
        state += f", {times(batch.speed)} real time"
        state += f", about {clock(batch.eta_s)} left" if batch.eta_s else ""
    lines.append(state)
    if batch.notice:
        lines.append(batch.notice)
    return lines


def status_object(told: Status, home: Home) -> dict[str, Any]:
    """What ``runner status --json`` promises."""
    batch = told.batch
    why = batch.why
    return {
        "pid": told.pid,
        "home": told.home or str(home.state),
        "state": str(batch.state),
        "why": {"kind": why.kind, "message": why.message, "hint": why.hint} if why else None,
        "lanes": [
            {name: getattr(lane, name) for name in lane.__struct_fields__} for lane in told.lanes
        ],
        "counts": counts_of(batch),
    }
