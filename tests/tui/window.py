"""Runs the window on a scripted runner, in this terminal. Started by test_terminal.py."""

from __future__ import annotations

import fcntl
import signal
import sys
import termios
import threading
import time
from pathlib import Path

from speakeasy_tui.core.job import State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.tui import run

from .conftest import ScriptedRunner, batch_of, recordings, two_lanes


def pour(runner: ScriptedRunner) -> None:
    """Change a running row twenty times a second."""
    step = 0
    while True:
        time.sleep(0.05)
        step += 1
        job = runner.jobs[5]
        job.state, job.progress = State.RUNNING, step % 100 / 100
        try:
            runner.change(job)
        except (OSError, AssertionError):
            continue


def stand_still() -> None:
    """Keep Textual's loop from turning."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        time.sleep(0.1)


if __name__ == "__main__":
    if "from-a-shell" not in sys.argv:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # it leads a session of its own
    if "hangups-ignored" in sys.argv:  # as under nohup
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    folder = Path(sys.argv[1])
    jobs = recordings()
    scripted = ScriptedRunner(jobs, batch_of(jobs), two_lanes())
    if "with-output" in sys.argv[2:]:
        jobs[0].outputs = (sys.argv[-1],)
    if "busy" in sys.argv[2:]:
        threading.Thread(target=pour, args=(scripted,), daemon=True).start()
    if "standing-still" in sys.argv[2:]:
        from speakeasy_tui.tui.app import SpeakeasyApp

        SpeakeasyApp.on_ready = lambda app: app.set_timer(0.5, stand_still)  # type: ignore[attr-defined]
    home = Home(state=folder, config=folder, cache=folder)
    print(run(scripted.connect, home, Settings()))
