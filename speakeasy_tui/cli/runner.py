"""``speakeasy runner``: start, stop and status of the process that owns the queue."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from speakeasy_tui.cli.door import live_link, with_home
from speakeasy_tui.cli.grammar import Door
from speakeasy_tui.cli.say import Stop, say, say_json, table
from speakeasy_tui.core.paths import Home

if TYPE_CHECKING:
    from speakeasy_tui.core.job import Lane

STOP_TIMEOUT = 20.0
"""Seconds that a runner gets to end after it was told to: it waits for outputs that are being
written and for stuck engines, each for a while."""


@click.group(cls=Door, default="status")
def runner() -> None:
    """The process that owns the queue: start, stop, status."""


@runner.command()
@with_home
def start(home: Home) -> int:
    """Start the runner and work, whatever was paused or stopped."""
    from speakeasy_tui.client.launch import attach
    from speakeasy_tui.core.protocol import Start

    link = attach(home)
    link.request(Start())
    say(f"the runner works: pid {link.welcome.pid}, home {link.welcome.home}")
    return 0


@runner.command()
@with_home
def stop(home: Home) -> int:
    """End the runner; the queue stays, running files go back to it."""
    from speakeasy_tui.client.link import LinkError, Silent
    from speakeasy_tui.core.protocol import Shutdown

    link = live_link(home)
    if link is None:
        say("no runner is running")
        return 0
    pid = link.welcome.pid
    try:
        link.request(Shutdown(), timeout=STOP_TIMEOUT)
    except Silent:
        raise
    except LinkError:
        pass  # it has ended already
    deadline = time.monotonic() + STOP_TIMEOUT
    while _lives(pid):
        if time.monotonic() > deadline:
            raise Stop(
                f"the runner (pid {pid}) did not end in {STOP_TIMEOUT:.0f} s",
                1,
                f"its log: {home.runner_log}; as a last resort, nothing is lost: kill -9 {pid}",
            )
        time.sleep(0.02)
    say(f"the runner (pid {pid}) has ended; the queue is kept")
    return 0


@runner.command("status")
@click.option("--json", "as_json", is_flag=True, help="One object.")
@with_home
def runner_status(as_json: bool, home: Home) -> int:
    """Show what the runner and its lanes do."""
    from speakeasy_tui.cli.status import status_object, totals
    from speakeasy_tui.core.protocol import GetStatus, Status

    link = live_link(home)
    if link is None:
        from speakeasy_tui.runner.reader import read_status

        told = read_status(home)
    else:
        answer = link.request(GetStatus())
        assert isinstance(answer, Status)
        told = answer
    if as_json:
        say_json(status_object(told, home))
        return 0
    for line in [*reversed(totals(told)), f"home: {told.home or home.state}"]:
        say(line)
    if told.lanes:
        header = ["LANE", "DEVICE", "STATE", "MODEL", "BATCH", "RELOADS", "RESPAWNS", "PID", "NOTE"]
        rows = [header]
        for lane in told.lanes:
            cells = (lane.number, lane.device, lane.state, lane.model or "-")
            numbers = (lane.batch_size or "-", lane.reloads, lane.respawns, lane.pid or "-")
            rows.append([str(cell) for cell in (*cells, *numbers, _note(lane))])
        for line in table(rows, right=frozenset({4, 5, 6, 7})):
            say(line)
    return 0


def _note(lane: Lane) -> str:
    """What a person should know of a lane first: of one that is lost, why."""
    if lane.state == "retired":
        return lane.last_fault or lane.why
    return lane.warning or lane.last_fault or lane.why


def _lives(pid: int) -> bool:
    """Whether the process works on; one that ended and waits for its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return Path("/proc/self").exists() is False
    return state != "Z"
