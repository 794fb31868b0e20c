"""One line for each lane: its model, how fast it is, how its device fares. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from speakeasy_tui.core.job import Lane, LaneState
from speakeasy_tui.core.text import printable
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.overview import justified
from speakeasy_tui.tui.rows import Line, Span, bar, width_of

LANE_LOOK = {
    LaneState.STARTING: Span("↻", "held"),
    LaneState.DOWNLOADING: Span("↓", "held"),
    LaneState.LOADING: Span("↻", "held"),
    LaneState.READY: Span("○", "quiet"),
    LaneState.RUNNING: Span("●", "running"),
    LaneState.RELOADING: Span("↻", "held"),
    LaneState.RESPAWNING: Span("↻", "held"),
    LaneState.RETIRED: Span("✗", "failed"),
    LaneState.STOPPED: Span("–", "quiet"),
}

ROOM = ("device", "model", "state", "speed", "faults", "use", "memory", "warmth", "batch")
"""Cells of a lane's line in the order in which they are given room."""

ORDER = ("device", "model", "state", "speed", "use", "memory", "warmth", "batch", "faults")

RIGHT = {"speed", "use", "memory", "warmth", "batch"}

GAUGES_FROM, BARS_FROM = 100, 150
"""Widths from which how full a GPU is stands there as a mark of one cell, and as a bar."""

GAUGE = "▁▂▃▄▅▆▇█"

BAR = 6

COOL, HOT = 30, 90
"""Degrees Celsius at the two ends of the gauge."""

TEXT_ROOM = 14
"""Cells that a lane's why is worth beginning with."""

WARNING_LINES = 2
"""Lines that warnings may take below their lanes' own, all together, where there is no room
beside."""


def lane_lines(lanes: Sequence[Lane], width: int, limit: int) -> list[Line]:
    """A line for each lane, cells under each other, at most `limit`, and warnings below them."""
    if len(lanes) > limit:
        rest = lanes[limit - 1 :]
        lanes = lanes[: limit - 1]
    else:
        rest = ()
    cells = [_cells(lane, width) for lane in lanes]
    widths = {name: max((width_of(cell[name]) for cell in cells), default=0) for name in ORDER}
    gap = 3 if width >= 100 else 2
    room = width - 2
    shown_names = set()
    for name in ROOM:
        if widths[name] and room >= widths[name]:
            shown_names.add(name)
            room -= widths[name] + gap
    lines = []
    spare = min(WARNING_LINES, max(0, limit - len(lanes) - 2))  # a low screen needs them for rows
    said: set[str] = set()  # what holds for several lanes is said once
    for lane, cell in zip(lanes, cells, strict=True):
        spans = [Span(" ")]
        for name in ORDER:
            if name in shown_names:
                padding = Span(" " * (widths[name] - width_of(cell[name])))
                spans += [padding, *cell[name]] if name in RIGHT else [*cell[name], padding]
                spans.append(Span(" " * gap))
        warned = bool(lane.warning) and lane.state is not LaneState.RETIRED  # else why it is lost
        text = printable(f"! {lane.warning}" if warned else lane.why)
        ink = "warning" if warned else "quiet"
        below: list[str] = []
        if text and text not in said:
            said.add(text)
            # A warning is read whole: it tells, say, that another model is used than was wanted.
            if warned and spare and cell_len(text) > room:
                below = _below(text, width - 4, spare)
                spare -= len(below)
            elif room >= TEXT_ROOM:
                spans.append(Span(text, ink))
        lines.append(justified(spans, [Span(" ")], width))
        lines += [justified([Span("   "), Span(part, ink)], [Span(" ")], width) for part in below]
    if rest:
        busy = sum(lane.state is LaneState.RUNNING for lane in rest)
        text = f" and {shown.plural(len(rest), 'more lane')}, {busy} running"
        lines.append(justified([Span(text, "quiet")], [], width))
    return lines


def _below(text: str, width: int, spare: int) -> list[str]:
    """`text` in at most `spare` lines; what is too long for them is cut."""
    lines = shown.wrap(text, width)
    if len(lines) <= spare:
        return lines
    return [*lines[: spare - 1], shown.fit(" ".join(lines[spare - 1 :]), width)]


def _cells(lane: Lane, width: int) -> dict[str, Line]:
    """What stands in a lane's line. Numbers that wander take the same room whatever they are."""
    glyph, ink = LANE_LOOK[lane.state]
    state = f"{glyph} {lane.state.value}"
    if lane.progress is not None and lane.state is LaneState.DOWNLOADING:
        state += f" {int(lane.progress * 100):2d}%"
    model = printable(lane.model or "no model yet")
    if lane.engine == "sim":
        model = "simulated"
    elif lane.compute_type:
        model += f" {printable(lane.compute_type)}"
    device = printable(lane.device)
    if lane.name and width >= 130:
        device += f" {printable(lane.name)}"
    faults = []
    if lane.reloads:
        faults.append(shown.plural(lane.reloads, "reload"))
    if lane.respawns:
        faults.append(shown.plural(lane.respawns, "respawn"))
    return {
        "device": (Span(shown.cut_middle(device, max(8, width // 5))),),
        "model": (Span(shown.cut_middle(model, max(12, width // 4)), "quiet"),),
        "state": (Span(state, ink),),
        "speed": (Span(f"{shown.speed(lane.speed):>6}"),),
        "use": _use(lane, width),
        "memory": _memory(lane, width),
        "warmth": _warmth(lane, width),
        "batch": (Span("" if lane.batch_size is None else f"batch {lane.batch_size}", "quiet"),),
        "faults": (Span(", ".join(faults), "warning"),),
    }


def _use(lane: Lane, width: int) -> Line:
    if lane.use is None:
        return ()
    number = Span(f"{lane.use * 100:3.0f}%")
    return (*_level(lane, lane.use, width, "running"), number)


def _memory(lane: Lane, width: int) -> Line:
    used, total = lane.memory_used, lane.memory_total
    if used is None:
        return ()
    if not total:
        return (Span(f"{shown.size(used):>7}", "quiet"),)
    text = f"{shown.size(used):>7} of {shown.size(total)}"
    if width < GAUGES_FROM:
        whole = f"{total / 2**30:.0f}"
        text = f"{used / 2**30:{len(whole)}.0f}/{whole} GB"
    return (*_level(lane, used / total, width, "quiet"), Span(text, "quiet"))


def _warmth(lane: Lane, width: int) -> Line:
    if lane.temperature is None:
        return ()
    number = Span(f"{lane.temperature:2d} °C", "quiet")
    if width < GAUGES_FROM:
        return (number,)
    return Span(f"{_gauge((lane.temperature - COOL) / (HOT - COOL))} ", "quiet"), number


def _level(lane: Lane, share: float, width: int, ink: str) -> Line:
    """How full a GPU is, drawn; nothing on a CPU, of which only the engine's share is known."""
    if not lane.memory_total or width < GAUGES_FROM:
        return ()
    if width < BARS_FROM:
        return (Span(f"{_gauge(share)} ", ink),)
    return (*bar(share, BAR, ink), Span(" "))


def _gauge(share: float) -> str:
    return GAUGE[min(len(GAUGE) - 1, max(0, int(share * len(GAUGE))))]
