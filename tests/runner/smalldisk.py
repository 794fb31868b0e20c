"""A home on a disk of its own, of 12 MiB, which is filled: ``python -m tests.runner.smalldisk``.

Mounted by this process in namespaces of its own (unshare), for which nobody need be root.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from speakeasy_tui.client.link import Unusable
from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.runner.reader import read_jobs

from .conftest import Desk, silence

UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")
MOUNT = 'mount -t tmpfs -o size=12m tmpfs "$0" && exec "$@"'


def fill(disk: Path) -> Path:
    """Write until there is no room left."""
    filler = disk / f"filler-{len(list(disk.iterdir()))}"
    with filler.open("wb", buffering=0) as file:
        size = 2**16
        while size:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 2
    return filler


def runner_starts_by_the_reserve(disk: Path, *, killed: bool) -> None:
    """With the disk full, and then with the reserve's room taken, too."""
    home = Home.find(disk / "home")
    home.make()
    desk = Desk(home)
    files = [silence(disk.parent / f"{number}.wav", 40) for number in range(4)]
    desk.add(*files, start=False)
    if killed:
        desk.ask(say.Start())
        desk.until(lambda: desk.status().batch.counts["running"] > 0)
        desk.kill()
        desk.link.close()
    else:
        desk.close()
    fillers = [fill(disk)]
    assert len(read_jobs(home)) == 4
    desk.again()
    assert len(desk.jobs()) == 4
    desk.close()
    fillers.append(fill(disk))
    try:
        desk.again()
    except Unusable as error:
        assert "is full" in str(error) and "\n" not in str(error), error
    else:
        raise AssertionError("it found room")
    for filler in fillers:
        filler.unlink()
    desk.again()
    desk.ask(say.Start())
    assert {job.state for job in desk.finish().values()} == {State.DONE}
    desk.until(home.reserve.exists)
    desk.close()


if __name__ == "__main__":
    os.environ["SPEAKEASY_SIM_SPEED"] = "20"
    runner_starts_by_the_reserve(Path(sys.argv[1]), killed=sys.argv[2] == "killed")
