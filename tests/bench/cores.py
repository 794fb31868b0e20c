"""How many cores feed what GPU: the real front end before a pretend model.

    python -m tests.bench.cores FILE_OR_FOLDER… [--turns 2] [--svg docs/cores.svg]
        [--by processes,threads] [--speeds 1000,inf] [--many 1,2]

Runs the engine's own loop, front end (decode, VAD, cutting, mel) and packing in a process of its
own, whose files are read by its helpers (`--by processes`, as for a GPU) or by its threads, with a
model that only waits: it takes 30 s ÷ speed for each window, one batch after another
as a GPU does, and no processor time. Files of a minute and more and those that are shorter are
measured apart; both are repeated until there is enough of them. Printed are, for each speed of
the pretend model and number of helpers or threads, the best of the turns: × real time, the share of
the time in which the pretend model was at work, and processor seconds of the process and its
helpers for each hour of audio. Helpers are there when the clock starts: as a rule they start while
the model is loaded.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

SPEEDS = (200.0, 500.0, 1000.0, 3000.0, math.inf)
"""× real time of a window of 30 s; the last takes no time at all."""
THREADS = (1, 2, 4)
"""Of the front end, or helpers."""
WAYS = ("processes", "threads")
LONG = 60.0
"""Seconds from which a recording is a long one."""
LEAST, CEILING = 6.0, {"long recordings": 900.0, "short clips": 250.0}
"""Seconds that a run shall take, about, and × real time that a thread will not exceed."""
BATCH, WORKERS, MELS = 16, 2, 128
"""As on a GPU with large-v3."""


class Run(NamedTuple):
    """What one run took."""

    audio_s: float
    wall_s: float
    cpu_s: float
    """Of the process and its helpers, from the first file to the last."""
    windows: int
    model_s: float
    """That the pretend model was at work."""

    @property
    def speed(self) -> float:
        """× real time."""
        return self.audio_s / self.wall_s

    @property
    def busy(self) -> float:
        """Share of the time that the pretend model was at work."""
        return self.model_s / self.wall_s


# ------------------------------------------------------------- in a process of its own


class PretendGpu:
    """Does one batch after another, each in its time."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.windows = 0
        self.worked = 0.0
        self._lock = threading.Lock()
        self._free_at = 0.0

    def run(self, windows: int) -> None:
        """Wait until it would be done with `windows`."""
        takes = 30 * windows / self.speed
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + takes
            self.windows += windows
            self.worked += takes
            until = self._free_at
        time.sleep(max(0.0, until - time.monotonic()))


def processor_seconds() -> float:
    """Of this process and its children, those that live included."""
    ticks = 0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[1]) == os.getpid():
            ticks += int(words[11]) + int(words[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def child(speed: float, threads: int, apart: bool, files: Sequence[str]) -> None:
    """Run the engine over `files` and print a `Run`."""
    from speakeasy_tui.engine.process import prepare_environment

    prepare_environment(None)

    import numpy as np

    from speakeasy_tui.core import engineprotocol as p
    from speakeasy_tui.core.settings import JobOptions
    from speakeasy_tui.engine import real
    from speakeasy_tui.engine.decode import Result
    from speakeasy_tui.engine.frontend import FrontEnd
    from speakeasy_tui.engine.melspec import LogMel
    from speakeasy_tui.engine.wire import Mailbox, Writer

    gpu = PretendGpu(speed)
    mailbox = Mailbox()
    begun = [0.0, 0.0]

    class PretendModel:
        """What the loop and the front end ask of a model."""

        name, compute_type, seconds, multilingual = "pretend", "pretend", 0.0, False
        aligns, limit = True, BATCH

        def __init__(self, *_: object) -> None:
            self.mel = LogMel(MELS)

        def batch_sizes(self) -> tuple[int, int]:
            return BATCH, BATCH

        def expect(self, windows: int) -> None:
            pass

    class PretendDecoder:
        """Fills the windows as the real one does, then waits."""

        frames = 3000

        def __init__(self, _: object, meter: Any, __: object) -> None:
            self.meter = meter

        def decode(self, windows: Sequence[Any]) -> list[Any]:
            np.stack([window.features(self.frames) for window in windows])
            gpu.run(len(windows))
            return [Result(piece, complete=True) for one in windows for piece in one.pieces]

    class Front(FrontEnd):
        """With as many threads as asked for, and a helper for each or none."""

        def begin(self, device: str, **_: Any) -> None:
            super().begin(device, threads=threads, apart=apart)

    class Feeder(Writer):
        """Gives all files once every helper has read one, and adds up their lengths."""

        def send(self, report: p.Report) -> None:
            super().send(report)
            if isinstance(report, p.Loaded):
                for number in range(threads):
                    self._give(-1 - number, files[0])
            elif isinstance(report, p.Finished) and report.job < 0:
                warm.add(report.job)
                if len(warm) == threads:
                    gpu.windows, gpu.worked = 0, 0.0
                    begun[:] = [time.monotonic(), processor_seconds()]
                    for job, file in enumerate(files):
                        self._give(job, file)
                    mailbox.put(p.Quit())
            elif isinstance(report, p.Opened) and report.job >= 0:
                lengths[report.job] = report.audio_s
            elif isinstance(report, (p.Failed, p.Fault, p.LoadFailed)):
                raise SystemExit(f"{report.text}")

        def _give(self, job: int, file: str) -> None:
            mailbox.put(p.Transcribe(job, 1, os.fsencode(file), JobOptions(language="en")))

    warm: set[int] = set()
    lengths: dict[int, float] = {}
    real.Model, real.Decoder, real.FrontEnd = PretendModel, PretendDecoder, Front  # type: ignore
    engine = real.RealEngine(mailbox, Feeder(os.open(os.devnull, os.O_WRONLY)))
    mailbox.put(p.Load(model="", name="", device="cuda", compute_type="auto", workers=WORKERS))
    engine.run()
    wall, cpu = time.monotonic() - begun[0], processor_seconds() - begun[1]
    run = Run(sum(lengths.values()), wall, cpu, gpu.windows, gpu.worked)
    print(json.dumps(run), flush=True)
    os._exit(0)


# ------------------------------------------------------------- measuring


def run_once(speed: float, threads: int, apart: bool, files: Sequence[Path]) -> Run:
    """Run the engine once, with so many helpers (`apart`) or threads alone."""
    way = WAYS[0] if apart else WAYS[1]
    command = [sys.executable, "-m", "tests.bench.cores", "--child", f"{speed}", f"{threads}", way]
    ran = subprocess.run([*command, *map(str, files)], stdout=subprocess.PIPE, check=True)
    return Run(*json.loads(ran.stdout))


def kinds(given: Iterable[Path]) -> dict[str, dict[Path, float]]:
    """The recordings among `given`, folders searched, by what they are; their seconds."""
    import av

    lengths: dict[Path, float] = {}
    for place in given:
        inside = place.rglob("*") if place.is_dir() else [place]
        for path in sorted(p for p in inside if p.is_file()):
            try:
                with av.open(str(path)) as container:
                    if container.streams.audio:
                        lengths[path] = (container.duration or 0) / av.time_base
            except av.FFmpegError:
                continue
    found = {
        "long recordings": {path: long for path, long in lengths.items() if long >= LONG},
        "short clips": {path: long for path, long in lengths.items() if 0 < long < LONG},
    }
    return {kind: files for kind, files in found.items() if files}


def enough(kind: str, speed: float, files: dict[Path, float]) -> list[Path]:
    """`files` as often as a run at `speed` needs."""
    times = math.ceil(LEAST * min(speed, CEILING[kind]) / sum(files.values()))
    # As many for each of the threads, lest one of them ends long after the others.
    while len(files) * times % max(THREADS) and times < 100:
        times += 1
    return [*files] * times


@dataclass
class Line:
    """The runs of one row of a table."""

    kind: str
    speed: float
    threads: int
    apart: bool
    """Each with a helper."""
    runs: list[Run]

    @property
    def best(self) -> Run:
        """Of the turns: what else a machine does can only slow one down."""
        return max(self.runs, key=lambda run: run.speed)

    @property
    def cpu(self) -> float:
        """Processor seconds for a second of audio, the least of the turns."""
        return min(run.cpu_s / run.audio_s for run in self.runs)


def measure(
    files: dict[str, dict[Path, float]],
    turns: int,
    ways: Sequence[str] = WAYS,
    speeds: Sequence[float] = SPEEDS,
    many: Sequence[int] = THREADS,
) -> list[Line]:
    """All lines, their turns taken one after the other."""
    lines = [
        Line(kind, speed, number, way == WAYS[0], [])
        for kind in files
        for speed in speeds
        for way in ways
        for number in many
    ]
    for turn in range(turns):
        for line in lines if turn % 2 == 0 else reversed(lines):
            those = enough(line.kind, line.speed, files[line.kind])
            run = run_once(line.speed, line.threads, line.apart, those)
            line.runs.append(run)
            print(
                f"{turn + 1} {line.kind} {line.speed:g} × {line.threads} {WAYS[not line.apart]}: "
                f"{run.speed:.0f} × real time, busy {run.busy:.0%}, "
                f"{run.cpu_s:.1f} s of CPU in {run.wall_s:.1f} s, load {os.getloadavg()[0]:.1f}",
                file=sys.stderr,
                flush=True,
            )
    return lines


# ------------------------------------------------------------- telling


def named(speed: float) -> str:
    """A speed of the pretend model."""
    return f"{speed:,.0f} ×" if math.isfinite(speed) else "infinitely fast"


def tables(lines: Sequence[Line]) -> str:
    """What was measured, and what follows from it, as Markdown."""
    many = ", ".join(f"{n}" for n in sorted({line.threads for line in lines}))
    told = [
        f"| | pretend GPU | read by | × real time, {many} of them | GPU busy % "
        "| CPU s per hour of audio | cores used |",
        "|---|---|---|---|---|---|---|",
    ]
    rows: dict[tuple[str, float, bool], list[Line]] = {}
    for line in lines:
        rows.setdefault((line.kind, line.speed, line.apart), []).append(line)
    for (kind, speed, apart), row in rows.items():
        best = [line.best for line in row]
        busy = ", ".join(f"{100 * one.busy:.0f}" for one in best) if speed < math.inf else "–"
        told.append(
            f"| {kind} | {named(speed)} | {WAYS[not apart]} "
            f"| {', '.join(f'{one.speed:.0f}' for one in best)} | {busy} "
            f"| {', '.join(f'{3600 * line.cpu:.1f}' for line in row)} "
            f"| {', '.join(f'{one.cpu_s / one.wall_s:.2f}' for one in best)} |"
        )
    speeds = [speed for speed in SPEEDS if speed < math.inf]
    told += ["", "| cores, derived | " + " | ".join(named(speed) for speed in speeds) + " |"]
    told.append("|---|" + "--:|" * len(speeds))
    for kind, cpu in rates(lines).items():
        cells = " | ".join(f"{speed * cpu:.1f}" for speed in speeds)
        told.append(f"| {kind}: {3600 * cpu:.1f} CPU s per hour | {cells} |")
    return "\n".join(told)


def rates(lines: Sequence[Line]) -> dict[str, float]:
    """Processor seconds for a second of audio by kind, of one that never waits: a helper where
    there are any."""
    alone = [line for line in lines if line.threads == 1 and not math.isfinite(line.speed)]
    return {line.kind: line.cpu for line in sorted(alone, key=lambda line: line.apart)}


WIDTH, HEIGHT = 860, 500
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 60, 60
X = (50.0, 5000.0)
Y = (0.1, 64.0)
X_TICKS = (50, 100, 200, 500, 1000, 2000, 5000)
Y_TICKS = (0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .frame { fill: #ffffff }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .a { stroke: #0b5fba; fill: #0b5fba }
  .b { stroke: #b23c00; fill: #b23c00 }
  text.a, text.b { stroke: none; font-weight: 600 }
  path { fill: none !important; stroke-width: 2; stroke-dasharray: 7 5 }
  .mark { fill-opacity: .75; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .frame { fill: #0d1117 }
    .grid { stroke: #30363d }
    .a { stroke: #6cb6ff; fill: #6cb6ff }
    .b { stroke: #ffa657; fill: #ffa657 }
  }
"""


def _x(speed: float) -> float:
    share = math.log(speed / X[0]) / math.log(X[1] / X[0])
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(cores: float) -> float:
    share = math.log(cores / Y[0]) / math.log(Y[1] / Y[0])
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def picture(lines: Sequence[Line]) -> str:
    """Cores by × real time as SVG: dots as measured, lines as derived."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img">',
        "<title>Cores that the front end needs, by the speed at which a GPU is to be fed</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="frame" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
        f'<text class="title" x="{LEFT}" y="26">Cores that feed a GPU</text>',
        f'<text x="{LEFT}" y="46">dots: measured here; dashed lines: '
        "derived from CPU seconds for each second of audio</text>",
    ]
    parts += [
        f'<line class="grid" x1="{_x(x):.1f}" x2="{_x(x):.1f}" y1="{TOP}" '
        f'y2="{HEIGHT - BOTTOM}"/><text x="{_x(x):.1f}" y="{HEIGHT - BOTTOM + 20}" '
        f'text-anchor="middle">{x:,}</text>'
        for x in X_TICKS
    ]
    parts += [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(y):.1f}" '
        f'y2="{_y(y):.1f}"/><text x="{LEFT - 8}" y="{_y(y) + 4:.1f}" '
        f'text-anchor="end">{y:g}</text>'
        for y in Y_TICKS
    ]
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">'
        "× real time of the recordings</text>"
        f'<text transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
        'text-anchor="middle">cores</text>'
    )
    for place, (kind, cpu) in enumerate(rates(lines).items()):
        colour = "ab"[place]
        first, last = X[0], min(X[1], Y[1] / cpu)
        first = max(first, Y[0] / cpu)
        parts.append(
            f'<path class="{colour}" d="M{_x(first):.1f} {_y(first * cpu):.1f} '
            f'L{_x(last):.1f} {_y(last * cpu):.1f}"/>'
        )
        # Beside the line's upper part: above it for the upper line, below it for the lower.
        above = cpu == max(rates(lines).values())
        at = 1500.0 if cpu * 1500 < Y[1] else 600.0
        parts.append(
            f'<text class="{colour}" x="{_x(at) + (-10 if above else 10):.1f}" '
            f'y="{_y(at * cpu) + (-8 if above else 22):.1f}" '
            f'text-anchor="{"end" if above else "start"}">{kind}</text>'
        )
        for line in lines:
            if line.kind == kind:
                used = line.best.cpu_s / line.best.wall_s
                parts.append(
                    f'<circle class="{colour} mark" cx="{_x(line.best.speed):.1f}" '
                    f'cy="{_y(used):.1f}" r="5"/>'
                )
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Measure, print, draw."""
    if sys.argv[1:2] == ["--child"]:
        child(float(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == WAYS[0], sys.argv[5:])
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--by", default=",".join(WAYS), help="what reads: processes, threads")
    parser.add_argument("--speeds", default=",".join(f"{speed:g}" for speed in SPEEDS))
    parser.add_argument("--many", default=",".join(map(str, THREADS)), help="of them")
    parser.add_argument("--svg", type=Path, help="draw it here")
    parser.add_argument("--keep", type=Path, help="keep the runs here, and draw from there")
    given = parser.parse_args()
    if given.keep and given.keep.exists():
        lines = [
            Line(*one[:-1], [Run(*run) for run in one[-1]])
            for one in json.loads(given.keep.read_text())
        ]
    else:
        lines = measure(
            kinds(given.files),
            given.turns,
            given.by.split(","),
            [float(speed) for speed in given.speeds.split(",")],
            [int(number) for number in given.many.split(",")],
        )
    if given.keep:
        kept = [[one.kind, one.speed, one.threads, one.apart, one.runs] for one in lines]
        given.keep.write_text(json.dumps(kept))
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}\n")
    print(tables(lines))
    if given.svg:
        given.svg.write_text(picture(lines), "utf-8")


if __name__ == "__main__":
    main()
