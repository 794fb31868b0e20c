"""Commands that change the queue: add, rerun, pause, resume, hold, release, cancel, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from speakeasy_tui.cli.door import (
    job_options,
    live_link,
    sources_of,
    with_home,
    with_job_options,
    with_paths,
)
from speakeasy_tui.cli.say import Stop, because, say, several
from speakeasy_tui.core.paths import Home

if TYPE_CHECKING:
    from speakeasy_tui.client.link import Link
    from speakeasy_tui.core.job import Batch
    from speakeasy_tui.core.protocol import AnyRequest, Ok

_ID = click.IntRange(max=2**63 - 1)
"""A job's; SQLite has no larger numbers."""
_NONE_BEGINS = "paused: no runner was at work, and none begins. Go on: speakeasy resume"


@click.command()
@with_paths
@with_job_options
@with_home
def add(paths: tuple[str, ...], flags: dict[str, object], home: Home) -> int:
    """Queue PATHS and return; starts no work that is stopped or paused."""
    from speakeasy_tui.client.launch import attach
    from speakeasy_tui.client.sources import adds
    from speakeasy_tui.core.protocol import Added

    if not paths:
        raise click.UsageError("no PATHS: name files, folders, globs, lists or -")
    options = job_options(home, flags)
    sources = sources_of(paths)
    queued: list[int] = []
    known: list[int] = []
    link = attach(home, begin=False)
    for request in adds(sources, options, start=False):
        answer = link.request(request, timeout=None)
        assert isinstance(answer, Added)
        queued += answer.ids
        known += answer.known
    if not queued and not known:
        raise Stop("nothing to do: no recordings there")
    text = f"queued {several(len(queued), 'file')}"
    if queued:
        text += f" ({_ids(queued)})"
    if known:
        text += f"; {len(known):,} already in the queue"
    say(text)
    _say_what_is_next(_batch(link))
    return 0


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...", type=_ID)
@click.option("--failed", is_flag=True, help="All that failed or are quarantined.")
@with_home
def rerun(ids: tuple[int, ...], failed: bool, home: Home) -> int:
    """Try jobs again: a new series of tries.

    The old tries are kept as history.
    """
    from speakeasy_tui.core.protocol import Rerun

    if not ids and not failed:
        raise click.UsageError("name the jobs (ID from `speakeasy status`), or --failed")
    link, answer = _change(home, Rerun(ids=list(ids), failed=failed))
    _say_changed(answer, "queued again")
    _say_what_is_next(_batch(link))
    return 0


@click.command()
@click.argument("ids", nargs=-1, metavar="ID...", type=_ID, required=True)
@with_home
def hold(ids: tuple[int, ...], home: Home) -> int:
    """Keep jobs waiting until released.

    A running one is given back to the queue first.
    """
    from speakeasy_tui.core.protocol import Hold

    _say_changed(_change(home, Hold(ids=list(ids)))[1], "held")
    return 0


@click.command()
@click.argument("ids", nargs=-1, metavar="ID...", type=_ID, required=True)
@with_home
def release(ids: tuple[int, ...], home: Home) -> int:
    """Undo hold."""
    from speakeasy_tui.core.protocol import Release

    link, answer = _change(home, Release(ids=list(ids)))
    _say_changed(answer, "released")
    _say_what_is_next(_batch(link))
    return 0


@click.command()
@click.argument("ids", nargs=-1, metavar="ID...", type=_ID, required=True)
@with_home
def cancel(ids: tuple[int, ...], home: Home) -> int:
    """Cancel jobs; running ones are stopped."""
    from speakeasy_tui.core.protocol import Cancel

    _say_changed(_change(home, Cancel(ids=list(ids)))[1], "cancelled")
    return 0


@click.command()
@with_home
def pause(home: Home) -> int:
    """Begin no more files; those running finish."""
    from speakeasy_tui.core.protocol import PauseQueue

    _tell_runner(
        home, PauseQueue(), "paused: running files finish, no more are begun", _NONE_BEGINS
    )
    return 0


@click.command()
@with_home
def resume(home: Home) -> int:
    """Lift a pause."""
    from speakeasy_tui.core.protocol import Resume

    _tell_runner(home, Resume(), "resumed")
    return 0


@click.command()
@click.option("--now", is_flag=True, help="Do not wait for the running files; they are queued.")
@with_home
def stop(now: bool, home: Home) -> int:
    """Let running files finish, then pause and free the GPUs."""
    from speakeasy_tui.core.protocol import Stop as StopRequest

    text = "stopped; running files went back to the queue" if now else "stopping after these files"
    _tell_runner(home, StopRequest(now=now), f"{text}. Go on: speakeasy resume", _NONE_BEGINS)
    return 0


def _change(home: Home, request: AnyRequest) -> tuple[Link, Ok]:
    """Ask the runner for a change to jobs; it refuses if one is not there."""
    from speakeasy_tui.client.launch import attach
    from speakeasy_tui.core.protocol import Ok

    link = attach(home, begin=False)
    answer = link.request(request)
    assert isinstance(answer, Ok)
    return link, answer


def _tell_runner(home: Home, request: AnyRequest, done: str, done_alone: str = "") -> None:
    """Send to the runner.

    Where there is none but files wait, one is started that begins nothing by itself, and keeps what
    it is told: the next one heeds it, whatever the last was doing when it was cut off.
    """
    from speakeasy_tui.client.launch import attach
    from speakeasy_tui.runner.reader import read_status

    link = live_link(home)
    if link is None:
        counts = read_status(home).batch.counts
        if not counts["queued"] + counts["held"]:
            say("no runner is running; nothing is being transcribed")
            return
        link = attach(home, begin=False)
        done = done_alone or done
    link.request(request)
    say(done)


def _say_changed(answer: Ok, done: str) -> None:
    say(f"{several(answer.count, 'job')} {done}" + (f"; {answer.note}" if answer.note else ""))


def _batch(link: Link) -> Batch:
    from speakeasy_tui.core.protocol import GetStatus, Status

    status = link.request(GetStatus())
    assert isinstance(status, Status)
    return status.batch


def _say_what_is_next(batch: Batch) -> None:
    from speakeasy_tui.core.job import RunnerState

    if batch.state is RunnerState.STOPPED:
        say("the runner is stopped; begin: speakeasy runner start")
    elif batch.state is RunnerState.PAUSED:
        text = because("paused", batch.why.message if batch.why else "")
        say(f"the queue is {text}; go on: speakeasy resume")


def _ids(ids: list[int]) -> str:
    if len(ids) == 1:
        return f"id {ids[0]}"
    if ids == list(range(ids[0], ids[0] + len(ids))):
        return f"ids {ids[0]}-{ids[-1]}"
    shown = " ".join(map(str, ids[:20]))
    return f"ids {shown}" + (" ..." if len(ids) > 20 else "")
