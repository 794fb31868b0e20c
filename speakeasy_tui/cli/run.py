"""``speakeasy run``: queue, wait, print progress; no screen."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

import click

from speakeasy_tui.cli.door import (
    check_model,
    command_for,
    settings_of,
    sources_of,
    with_home,
    with_job_options,
    with_paths,
)
from speakeasy_tui.cli.say import Stop, Unprinted, print_no_more, several, warn
from speakeasy_tui.core.paths import Home, HomeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from speakeasy_tui.cli.follow import Follow
    from speakeasy_tui.cli.report import Reporter
    from speakeasy_tui.core.job import Job
    from speakeasy_tui.core.protocol import Source
    from speakeasy_tui.core.settings import Settings

EXIT_DONE, EXIT_FAILED, EXIT_NOTHING, EXIT_MACHINE, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


@click.command()
@with_paths
@with_job_options
@click.option("--json", "as_json", is_flag=True, help="Print one event a line.")
@click.option(
    "--foreground/--background", default=None, help="Queue in this process; ends with it."
)
@click.option("--profile", is_flag=True, help="At the end print where the time went.")
@with_home
def run(
    paths: tuple[str, ...],
    flags: dict[str, object],
    as_json: bool,
    foreground: bool | None,
    profile: bool,
    home: Home,
) -> int:
    """Queue PATHS, wait until they are done, print progress.

    Exit code: 0 all done or skipped, 1 some failed, 2 wrong usage or nothing to do,
    3 this machine cannot run it (model or device), 130 interrupted, the queue kept.
    """
    if not paths:
        raise click.UsageError("no PATHS: name files, folders, globs, lists or -")
    found = settings_of(home, {**flags, "foreground": foreground})
    check_model(found)
    sources = sources_of(paths)
    if not sources:
        raise Stop("nothing to do: the lists are empty")
    return run_headless(home, found.settings, sources, as_json=as_json, profile=profile)[0]


def run_headless(
    home: Home,
    settings: Settings,
    sources: list[Source],
    *,
    as_json: bool,
    profile: bool = False,
) -> tuple[int, list[Job]]:
    """Queue `sources`, wait and report; returns the exit code and the jobs as they ended."""
    from speakeasy_tui.cli.follow import Follow, MachineCannot, RunnerStopped
    from speakeasy_tui.cli.profile import Costs
    from speakeasy_tui.cli.report import JsonReporter, PlainReporter, Summary
    from speakeasy_tui.cli.window import connector
    from speakeasy_tui.client.link import LinkError, RefusedError
    from speakeasy_tui.client.sources import adds
    from speakeasy_tui.core.settings import options_of

    command = command_for(home)
    reporter: Reporter = JsonReporter() if as_json else PlainReporter(command)
    requests = adds(sources, options_of(settings), start=True)
    begun = time.monotonic()
    costs = Costs() if profile else None
    follow: Follow | None = None
    after: list[str] = []
    try:
        with _signals_interrupt(), connector(home, settings.foreground) as connect:
            follow = Follow(connect, requests, reporter, costs)
            try:
                follow.run()
                code = exit_code(list(follow.jobs.values()))
                if code == EXIT_NOTHING:
                    after = ["nothing to do: no recordings there"]
            except MachineCannot as error:
                code = EXIT_MACHINE
                after = [f"this machine cannot run it: {error.why.message}"]
                after += [f"  {error.why.hint}"] if error.why.hint else []
                after += ["  the files are kept in the queue"]
            except RunnerStopped as error:
                code = EXIT_INTERRUPTED
                after = [f"the runner has ended ({error}); the queue is kept"]
                after += [f"  go on: {command} runner start"]
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
        after = _farewell(command, settings.foreground, follow)
    except (LinkError, RefusedError, HomeError) as error:
        lacking = isinstance(error, LinkError) or (isinstance(error, RefusedError) and error.later)
        code = EXIT_MACHINE if lacking else EXIT_NOTHING
        if as_json:  # whoever reads the events waits for the last one
            jobs = list(follow.jobs.values()) if follow is not None else []
            reporter.finish(Summary(jobs, time.monotonic() - begun, code))
        raise
    except Unprinted as error:
        if not error.reader_left:
            warn(f"speakeasy: {error}")
            for line in _farewell(command, settings.foreground, follow):
                warn(f"speakeasy: {line}" if not line.startswith(" ") else line)
        print_no_more()
        return EXIT_INTERRUPTED, []
    jobs = list(follow.jobs.values()) if follow is not None else []
    took = (follow.ended if follow is not None and follow.ended else time.monotonic()) - begun
    summary = Summary(jobs, took, code)
    if costs is not None:
        summary.profile = costs.detail(audio_s=summary.audio_s, wall_s=took)
    with contextlib.suppress(Unprinted):  # a terminal that was closed
        reporter.finish(summary)
    for line in after:
        warn(f"speakeasy: {line}" if not line.startswith(" ") else line)
    return code, jobs


def exit_code(jobs: Sequence[Job]) -> int:
    """What a run that ended in `jobs` says to its shell."""
    from speakeasy_tui.core.job import State

    if not jobs:
        return EXIT_NOTHING
    bad = [job for job in jobs if job.state not in {State.DONE, State.SKIPPED}]
    if not bad:
        return EXIT_DONE
    machine = all(job.error is not None and job.error.kind in {"model", "device"} for job in bad)
    if machine and len(bad) == len(jobs):
        return EXIT_MACHINE
    return EXIT_FAILED


def _farewell(command: str, foreground: bool, follow: Follow | None) -> list[str]:
    left = follow.unfinished if follow is not None else 0
    files = f" with {several(left, 'file')} to do" if left else ""
    lines = [f"interrupted; the queue is kept{files}"]
    if foreground:
        lines += [f"  go on: the same command, or {command} runner start"]
    else:
        lines += [f"  the runner goes on; watch: {command}   stop: {command} stop"]
    return lines


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end a run as Ctrl-C does; a second one does not cut the end short."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    wanted = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    # What was ignored from outside (nohup) stays ignored.
    wanted = [number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
