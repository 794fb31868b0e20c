"""Python, platform, terminal, disks."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from speakeasy_tui.cli.checks import Check, error, ok, warning
from speakeasy_tui.cli.say import mebibytes
from speakeasy_tui.core.paths import Home

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "fuse.sshfs", "9p", "afs", "beegfs", "ceph",
     "fuse.ceph", "gpfs", "fuse.glusterfs"}
)  # fmt: skip
"""SQLite's write-ahead log needs shared memory, which these do not have between hosts."""
LOW = 2**30
"""Bytes free below which a disk counts as nearly full."""


def python_and_platform() -> Iterator[Check]:
    """The interpreter and the system under it."""
    version = platform.python_version()
    yield ok("python", f"Python {version}, {sys.executable}")
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system += f", {cores} cores"
    if platform.system() == "Linux":
        yield ok("platform", system)
    else:
        yield warning("platform", system, "made and tested on Linux; GPUs need Linux")


def terminal(environ: Mapping[str, str] | None = None) -> Iterator[Check]:
    """What the interface can draw, and what tmux or SSH do to it."""
    env = os.environ if environ is None else environ
    name = env.get("TERM", "")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield ok("terminal", "not on a terminal: run, add and status work, the interface does not")
    elif name in {"", "dumb"}:
        yield error("terminal", f"TERM is {name!r}", "use a terminal; or `speakeasy run` here")
    else:
        size = shutil.get_terminal_size()
        colours = _colours(env)
        text = f"{name}, {size.columns}x{size.lines}, {colours}"
        if size.columns < 60 or size.lines < 15:
            yield warning("terminal", text, "small: 80x24 or more shows all columns")
        elif colours in {"256 colours", "16 colours"}:
            hint = "for full colours: export COLORTERM=truecolor, if your terminal has them"
            yield ok("terminal", text, hint)
        else:
            yield ok("terminal", text)
    if "TMUX" in env:
        yield ok("tmux", "inside tmux", "to copy to your clipboard: tmux set -g set-clipboard on")
    elif env.get("SSH_CONNECTION") and "STY" not in env:
        yield ok("ssh", "over SSH, not in tmux or screen", "work goes on when the connection ends")
    encoding = (sys.stdout.encoding or "").lower()
    if "utf" not in encoding:
        yield warning("locale", f"output is {encoding}", "export LANG=C.UTF-8")


def _colours(env: Mapping[str, str]) -> str:
    if env.get("NO_COLOR"):
        return "no colours wanted (NO_COLOR)"
    if env.get("COLORTERM", "") in {"truecolor", "24bit"}:
        return "16 million colours"
    return "256 colours" if "256" in env.get("TERM", "") else "16 colours"


def disks(home: Home, output_dir: str | None) -> Iterator[Check]:
    """Room and kind of file system where the queue and the outputs go."""
    yield from _folder("home", home.state, queue=True)
    if output_dir is not None:
        yield from _folder("output_dir", Path(output_dir), queue=False)


def _folder(check: str, folder: Path, *, queue: bool) -> Iterator[Check]:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        what = "--home DIR" if queue else "--output-dir DIR"
        yield error(check, f"{there} cannot be written", f"make it writable, or use {what}")
        return
    free = shutil.disk_usage(there).free
    kind = file_system(there)
    text = f"{folder}: {mebibytes(free)} free" + (f" on {kind}" if kind else "")
    if queue and kind in NETWORK_FILE_SYSTEMS:
        hint = "the queue belongs on a local disk: --home DIR or SPEAKEASY_HOME; outputs may stay"
        yield warning(check, f"{text}, a network file system", hint)
    elif free < LOW:
        yield warning(check, text, "make room: the batch pauses when the disk is full")
    else:
        yield ok(check, text)


def file_system(path: Path, mounts: str | None = None) -> str:
    """Type of the file system `path` is on, from /proc/self/mountinfo (proc(5)); or empty."""
    try:
        text = (
            Path("/proc/self/mountinfo").read_text("utf-8", "replace") if mounts is None else mounts
        )
    except OSError:
        return ""
    real = os.path.realpath(path)
    best, kind = "", ""
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # a later mount hides an earlier one
            best, kind = point, right.split()[0]
    return kind
