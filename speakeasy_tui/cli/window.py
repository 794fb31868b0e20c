"""``speakeasy [PATHS…]``: opens the interface."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from speakeasy_tui.cli.door import (
    check_model,
    live_link,
    settings_of,
    sources_of,
    with_home,
    with_job_options,
    with_paths,
)
from speakeasy_tui.cli.say import Stop, say
from speakeasy_tui.core.paths import Home

if TYPE_CHECKING:
    from speakeasy_tui.client.link import Link
    from speakeasy_tui.core.protocol import AnyRequest
    from speakeasy_tui.core.settings import Settings


@click.command("open", hidden=True)
@with_paths
@with_job_options
@click.option(
    "--foreground/--background", default=None, help="Queue in this process; ends with it."
)
@click.option("--mouse/--no-mouse", default=None, help="Let the interface use the mouse. [on]")
@with_home
def open_(
    paths: tuple[str, ...],
    flags: dict[str, object],
    foreground: bool | None,
    mouse: bool | None,
    home: Home,
) -> int:
    """Open the interface; PATHS join the queue."""
    flags = {**flags, "foreground": foreground, "mouse": mouse}
    found = settings_of(home, flags)
    check_model(found)
    settings = found.settings
    top = click.get_current_context().find_root().command
    sources = sources_of(paths, list(top.commands) if isinstance(top, click.Group) else [])
    check_terminal("-" in paths)
    from speakeasy_tui.client.sources import adds
    from speakeasy_tui.core.settings import options_of

    requests: list[AnyRequest] = list(adds(sources, options_of(settings), start=True))
    if paths and not requests:
        raise Stop("nothing to do: the lists are empty")
    say(open_window(home, settings, requests, flags))
    return 0


def open_window(
    home: Home,
    settings: Settings,
    requests: list[AnyRequest],
    flags: dict[str, object] | None = None,
) -> str:
    """Run the interface until it is closed; returns its farewell.

    `flags` hold for what is added from it, too; without them that is as `settings` say.
    """
    from speakeasy_tui.client.launch import gives_way
    from speakeasy_tui.core.configfile import write_setting
    from speakeasy_tui.core.protocol import GetStatus, Start, Status
    from speakeasy_tui.core.settings import JobOptions, options_of
    from speakeasy_tui.tui import run as run_interface

    def save_theme(name: str) -> None:
        write_setting(home.config_file, "theme", name)

    def job_options() -> JobOptions:  # the file may be changed while the window is open
        return options_of(settings if flags is None else settings_of(home, flags).settings)

    with connector(home, settings.foreground) as connect:
        # With files to queue the window is there sooner than a runner that has to be started.
        link = live_link(home) if requests and not settings.foreground else None
        if link is not None and gives_way(home, link):
            link = None
        if not requests:
            link = connect()
            told = link.request(GetStatus())
            # A person's pause is left as it is.
            if isinstance(told, Status) and told.batch.state == "stopped":
                requests = [Start()]
        return run_interface(
            connect if link is None else _begun(link, connect),
            home,
            settings,
            on_connected=requests,
            save_theme=save_theme,
            job_options=job_options,
        )


def _begun(link: Link, connect: Callable[[], Link]) -> Callable[[], Link]:
    """`connect`, which the first time gives `link`; the rows come while Textual is imported."""
    link.subscribe(events=True, outputs=False)
    link.read_ahead()
    links = [link]
    return lambda: links.pop() if links else connect()


@contextlib.contextmanager
def connector(home: Home, in_this_process: bool) -> Iterator[Callable[[], Link]]:
    """What connects to the runner of `home`: a process of its own, or a thread of this one."""
    if in_this_process:
        from speakeasy_tui.client.foreground import foreground

        with foreground(home) as connect:
            yield connect
    else:
        from speakeasy_tui.client.launch import attach

        yield lambda: attach(home)


def check_terminal(list_came_by_stdin: bool = False) -> None:
    """Refuse to open the interface where there is no terminal to draw on.

    After a list on stdin the keys come from the controlling terminal instead.
    """
    if list_came_by_stdin and not sys.stdin.isatty() and sys.stdout.isatty():
        with contextlib.suppress(OSError):
            os.dup2(os.open("/dev/tty", os.O_RDWR), 0)
    hint = "without a screen: speakeasy run PATHS…, speakeasy status"
    if not (os.isatty(0) and sys.stdout.isatty()):
        raise Stop("the interface needs a terminal, and there is none here", hint=hint)
    if os.environ.get("TERM", "") in {"", "dumb"}:
        raise Stop("the interface needs a terminal that can move its cursor (TERM)", hint=hint)
