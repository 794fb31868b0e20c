"""What the interface costs, in a real terminal of 140×45, Textual's DataTable beside ours.

    python -m tests.bench.tui [--quick] [--only WORD] [--json FILE]

Costs of a cell are measured with our table and Textual's own in the same run; load, keys and
quiet with the whole window on a feed that speaks the runner's protocol (`tests.bench.feed`);
opening and the frozen reader with the real program, runner and simulated engines. Rows of the
table that miss their bar are marked; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from speakeasy_tui.client.launch import attach
from speakeasy_tui.client.link import Link, LinkError
from speakeasy_tui.core import protocol as p
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.runner.queueing import Found
from speakeasy_tui.runner.store import Store
from tests.bench.feed import row
from tests.bench.tables import MARK
from tests.bench.terminal import Terminal

MANY = 100_000


class Measure(NamedTuple):
    """A line of the table."""

    what: str
    value: float
    unit: str
    bar: float | None = None
    least: bool = False
    """Whether the bar is a least value; else a most."""

    @property
    def missed(self) -> bool:
        """Whether the bar was not reached."""
        if self.bar is None:
            return False
        return self.value < self.bar if self.least else self.value > self.bar


def cells(quick: bool) -> Iterator[Measure]:
    """A cell's update, in our table and in Textual's, at three sizes."""
    sizes = (1000, 10_000) if quick else (1000, 10_000, MANY)
    for rows in sizes:
        found = {}
        for kind in ("ours", "datatable"):
            updates = 200 if kind == "ours" else (20 if rows == MANY else 50)
            found[kind] = told = _cells(kind, rows, updates)
            name = "ours" if kind == "ours" else "DataTable"
            ours = kind == "ours"
            yield Measure(f"CPU per cell update, {rows:,} rows, {name}", told["cpu_s"] * 1e3, "ms",
                          3.0 if ours else None)  # fmt: skip
            yield Measure(f"bytes per cell update, {rows:,} rows, {name}", told["bytes"], "B",
                          200 if ours else None)  # fmt: skip
            yield Measure(f"fill, {rows:,} rows, {name}", told["load_s"], "s")
            yield Measure(f"sort, {rows:,} rows, {name}", told["sort_s"] * 1e3, "ms",
                          150 if ours else None)  # fmt: skip
        ratio = found["datatable"]["cpu_s"] / found["ours"]["cpu_s"]
        yield Measure(f"DataTable's CPU ÷ ours, {rows:,} rows", ratio, "×",
                      15 if rows == 10_000 else None, least=True)  # fmt: skip


def _cells(kind: str, rows: int, updates: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "tests.bench.tables", kind, str(rows), str(updates)]
        terminal = Terminal([*command, str(report)])
        try:
            terminal.process.wait(300)
            time.sleep(0.2)
            told: dict[str, float] = json.loads(report.read_text())
            _, between, _ = bytes(terminal.output).split(MARK)
            return {**told, "bytes": len(between) / updates}
        finally:
            terminal.close()


@contextmanager
def window(rows: int, running: int) -> Iterator[Terminal]:
    """The window on a feed, painted."""
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "runner.sock"
        (Path(folder) / "told-of-tmux").touch()  # else that is said, and taken back after 8 s
        arguments = ["--rows", str(rows), "--running", str(running)]
        feed = subprocess.Popen([sys.executable, "-m", "tests.bench.feed", str(socket), *arguments])
        while not socket.exists():
            time.sleep(0.01)
        terminal = Terminal(
            [sys.executable, "-m", "tests.bench.tables", "window", folder],
            SSH_CONNECTION="10.0.0.1 1 10.0.0.2 22",
        )
        try:
            terminal.wait(f"of {rows:,} ")
            time.sleep(2)
            yield terminal
        finally:
            terminal.close()
            feed.kill()
            feed.wait()


def quiet(quick: bool) -> Iterator[Measure]:
    """A screen on which nothing, and then one file, goes on."""
    seconds = 5 if quick else 20
    with window(1000, 0) as terminal:
        sent, cpu = terminal.measure(seconds)
        yield Measure("idle screen", sent, "B/s", 0)
        yield Measure("idle screen, CPU", cpu * 100, "%", 1)
    with window(1000, 1) as terminal:
        sent, cpu = terminal.measure(seconds)
        yield Measure("one file running", sent, "B/s", 450)
        yield Measure("one file running, CPU", cpu * 100, "%")


def load(quick: bool) -> Iterator[Measure]:
    """Eight lanes, ten updates a second each, a hundred thousand rows."""
    seconds = 5 if quick else 20
    with window(MANY, 8) as terminal:
        yield Measure("100k rows on the screen: memory", terminal.memory(), "MB", 200)
        sent, cpu = terminal.measure(seconds)
        yield Measure("8 lanes × 10 updates/s, 100k rows", sent / 1000, "kB/s", 6)
        yield Measure("8 lanes × 10 updates/s, 100k rows, CPU", cpu * 100, "%", 15)
        waits = []
        place = 1
        for number in range(30 if quick else 200):
            key, row_now = (b"j", 1) if number % 40 < 20 else (b"k", -1)
            place += row_now
            waits.append(_painted(terminal, key, f" {place:,} of 100,000"))
            time.sleep(0.037)
        waits.sort()
        yield Measure("key to paint, median, same load", statistics.median(waits) * 1e3, "ms")
        yield Measure("key to paint, p95, same load", waits[int(len(waits) * 0.95)] * 1e3, "ms", 50)
        terminal.press(b"/")
        time.sleep(0.3)
        waits = []
        for typed, count in (("interview-7", "10,000 of"), ("7", "1,000 of"), ("z", " 0 of")):
            *first, last = typed.encode()
            for one in first:
                terminal.press(bytes([one]))
                time.sleep(0.08)
            waits.append(_painted(terminal, bytes([last]), count))
        yield Measure("filter 100k rows, typed to shown, slowest", max(waits) * 1e3, "ms", 150)


def _painted(terminal: Terminal, key: bytes, what: str) -> float:
    began = time.monotonic()
    terminal.press(key)
    return terminal.wait(what) - began


@contextmanager
def runner(folder: Path) -> Iterator[Home]:
    """A home whose runner is ended afterwards."""
    home = Home(state=folder, config=folder, cache=folder / "cache")
    home.make()
    try:
        yield home
    finally:
        try:
            link = Link.connect(home)
            link.request(p.Shutdown())
            link.close()
        except LinkError:
            pass


def opening(quick: bool) -> Iterator[Measure]:
    """From the command to a table in which one can move, 100,000 rows queued."""
    with tempfile.TemporaryDirectory() as folder, runner(Path(folder)) as home:
        store = Store(home.database)
        jobs = [row(number) for number in range(1, MANY + 1)]
        found = [Found(os.fsencode(job.path), os.fsencode(job.root)) for job in jobs]
        store.add(found, JobOptions(engine="sim"))
        store.put("wanted", "paused")
        store.close()
        link = attach(home)
        link.request(p.PauseQueue())
        for again in range(1 if quick else 3):
            terminal = Terminal(_program(home))
            try:
                rows_there = terminal.wait("interview-") - terminal.started
                usable = terminal.wait("1 of 100,000 ") - terminal.started
                terminal.press(b"j")
                moved = terminal.wait(" 2 of 100,000") - terminal.started
                if not again:
                    yield Measure("open on 100k rows, first rows painted", rows_there, "s")
                time.sleep(1)
                told = usable, moved, terminal.memory()
            finally:
                terminal.close()
        yield Measure("open on 100k rows, all there and a key answered", max(told[:2]), "s", 1.5)
        yield Measure("open on 100k rows, memory", told[2], "MB", 200)
        link.close()


def _program(home: Home, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "speakeasy_tui", "--home", str(home.state), *arguments]


def frozen(quick: bool) -> Iterator[Measure]:
    """A terminal that takes nothing for a while: the work, and the screen afterwards.

    Rounds with and without a freeze take turns, in all else alike. The work is counted in
    chunks of a quarter of a second: in batches of two seconds a round would count one more or
    one less by chance, a tenth of all.
    """
    seconds, rounds = (5, 2) if quick else (20, 4)
    count = 40 + rounds * seconds * 2
    with tempfile.TemporaryDirectory() as folder:
        recordings = Path(folder) / "recordings"
        recordings.mkdir()
        for number in range(count):
            with wave.open(str(recordings / f"tape-{number:03d}.wav"), "wb") as tape:
                tape.setparams((1, 1, 800, 0, "NONE", ""))
                tape.writeframes(bytes(800 * 300))
        os.environ["SPEAKEASY_SIM_SPEED"] = "120"
        with runner(Path(folder) / "home") as home:
            options = ["--engine", "sim", "--batch-size", "1"]
            terminal = Terminal(_program(home, str(recordings), *options))
            try:
                terminal.wait("running")
                time.sleep(4)
                watching = Link.connect(home)
                free, held, right = [], [], []
                for turn in range(rounds):
                    for freeze in (turn % 2 > 0, turn % 2 == 0):
                        if freeze:
                            terminal.frozen.set()
                        for _ in range(8):  # each repaints the screen
                            terminal.press(b"?\x1b[27u")
                            time.sleep(0.05)
                        (held if freeze else free).append(_progress(watching, seconds))
                        if freeze:
                            terminal.frozen.clear()
                            thawed = time.monotonic()
                            terminal.press(b"G")
                            right.append(terminal.wait(f"{count} of {count}") - thawed)
                        terminal.press(b"g")
                        terminal.wait(f" 1 of {count}")
                watching.close()
                ratio = statistics.median(held) / statistics.median(free)
                yield Measure("work while the terminal is frozen ÷ while it is read", ratio, "×",
                              0.97, least=True)  # fmt: skip
                yield Measure("the same without a freeze, least ÷ most", min(free) / max(free), "×")
                yield Measure("screen right again after the freeze, slowest", max(right), "s", 1)
            finally:
                terminal.close()


def _progress(link: Link, seconds: float) -> float:
    """Seconds of audio done a second over the next `seconds`."""

    def done() -> tuple[float, float]:
        told = link.request(p.GetStatus())
        assert isinstance(told, p.Status)
        return told.batch.done_s, time.monotonic()

    before, began = done()
    time.sleep(seconds)
    after, ended = done()
    return (after - before) / (ended - began)


PARTS: tuple[Callable[[bool], Iterator[Measure]], ...] = (quiet, load, opening, frozen, cells)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, no DataTable 100k")
    parser.add_argument("--only", default="", help="parts whose name holds this")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"| {'140×45 terminal':52} | {'measured':>11} | {'bar':>11} |")
    print(f"|{'-' * 54}|{'-' * 12}:|{'-' * 12}:|")
    measures = []
    for part in PARTS:
        if given.only not in part.__name__:
            continue
        for one in part(given.quick):
            measures.append(one)
            bar = ""
            if one.bar is not None:
                bar = f"{'≥' if one.least else '≤'} {one.bar:g} {one.unit}"
            value = f"{one.value:,.0f}" if one.value >= 100 else f"{one.value:.3g}"
            value += f" {one.unit}"
            missed = "  MISSED" if one.missed else ""
            print(f"| {one.what:52} | {value:>11} | {bar:>11} |{missed}", flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps([one._asdict() for one in measures], indent=1))
    return int(any(one.missed for one in measures))


if __name__ == "__main__":
    sys.exit(main())
