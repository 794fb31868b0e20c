"""Finding the runner of a home, and starting one that outlives this terminal."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

from speakeasy_tui import __version__
from speakeasy_tui.client.link import Link, LinkError, NoRunner, RefusedError, Silent, Unusable
from speakeasy_tui.core.leaving import ANOTHER_RUNS, NO_ROOM
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.protocol import Shutdown
from speakeasy_tui.core.surroundings import surroundings
from speakeasy_tui.core.values import SettingsError, load

START_TIMEOUT = 20.0
"""Seconds; a runner that recovers a large queue from a slow disk takes a few."""


def attach(home: Home, *, begin: bool = True) -> Link:
    """The runner of `home`; one is started when there is none.

    It gets its own session (the terminal's hangup does not reach it), /dev/null as stdin and
    a log file as stdout and stderr. With `begin` it goes on with what an earlier one was cut
    off in, and takes the place of one that has nothing to do and was started in another version of
    the program, or with other settings or variables; without, it waits to be told.

    Raises:
        Unusable: it ended at once (the message has the end of its log), or what is there is not
            a runner of ours.
        LinkError: it did not come up in time.
    """
    try:
        link = Link.connect(home)
    except NoRunner:
        pass
    else:
        if not (begin and gives_way(home, link)):
            return link
    home.make()
    mark = home.runner_log.stat().st_size if home.runner_log.exists() else 0
    process = spawn(home, begin=begin)
    deadline = time.monotonic() + START_TIMEOUT
    pause = 0.005
    while time.monotonic() < deadline:
        try:
            return Link.connect(home)
        except NoRunner:
            status = process.poll()
            if status == NO_ROOM:  # nor may there have been any for its last words
                raise Unusable(
                    f"the runner did not start: the disk of the queue ({home.state}) is full, or "
                    f"fails; make room there and start again; the queue is not lost"
                ) from None
            if status not in {None, ANOTHER_RUNS}:
                raise Unusable(_complaint(home, mark)) from None
        time.sleep(pause)
        if status == ANOTHER_RUNS:
            # Another one was faster and will listen soon, or one was just about to end.
            process = spawn(home, begin=begin)
        pause = min(pause * 1.5, 0.1)
    raise LinkError(_complaint(home, mark))


def gives_way(home: Home, link: Link) -> bool:
    """Have the runner of `link` end if it is dated and nobody needs it; whether it has."""
    return _is_dated(home, link) and _ended(link)


def _is_dated(home: Home, link: Link) -> bool:
    """Whether a runner that is started now would be another one than that of `link`."""
    then = link.welcome
    if not then.surroundings:  # of a version that would end whoever needs it
        return False
    try:
        now = surroundings(load(home.config_file).settings)
    except SettingsError:
        return False
    return (then.program, then.surroundings) != (__version__, now)


def _ended(link: Link) -> bool:
    """Have a runner end that nobody needs, and wait until it has hung up.

    Raises:
        Silent: it does not answer.
    """
    try:
        link.request(Shutdown(if_free=True))
    except RefusedError:
        return False
    except Silent:
        raise
    except LinkError:
        return True
    with contextlib.suppress(LinkError):
        while link.read(START_TIMEOUT) is not None:
            pass
    link.close()
    return True


def spawn(home: Home, *, begin: bool = True) -> subprocess.Popen[bytes]:
    """Start a runner process for `home` and do not wait for it."""
    arguments = [sys.executable, "-P", "-m", "speakeasy_tui.runner"]
    arguments += ["--state", str(home.state), "--config", str(home.config)]
    arguments += ["--cache", str(home.cache)]
    arguments += [] if begin else ["--stopped"]
    descriptor = os.open(
        home.runner_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
    )
    try:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            cwd="/",
        )
    finally:
        os.close(descriptor)


def _complaint(home: Home, mark: int) -> str:
    return f"the runner did not start. The end of {home.runner_log}:\n{_tail(home, mark)}"


def _tail(home: Home, mark: int) -> str:
    try:
        with home.runner_log.open("rb") as log:
            log.seek(mark)
            return log.read()[-2000:].decode("utf-8", "replace").strip() or "(empty)"
    except OSError as error:
        return f"({error})"
