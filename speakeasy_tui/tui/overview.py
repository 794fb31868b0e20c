"""The lines above the table: who and where, the batch, one line for each lane. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from speakeasy_tui.core.job import Batch, Lane, LaneState, RunnerState, State
from speakeasy_tui.core.text import printable
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.gpu_worker import LinkNews
from speakeasy_tui.tui.rows import STATE_LOOK, Line, Span, bar, width_of

RUNNER_LOOK = {
    RunnerState.RUNNING: Span("● running", "running"),
    RunnerState.PAUSED: Span("‖ paused", "held"),
    RunnerState.IDLE: Span("○ idle", "quiet"),
    RunnerState.STOPPED: Span("■ stopped", "held"),
}

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

COUNTED = (
    (State.DONE, "done"),
    (State.SKIPPED, "quiet"),
    (State.FAILED, "failed"),
    (State.QUARANTINED, "failed"),
    (State.CANCELLED, "quiet"),
    (State.HELD, "held"),
    (State.RUNNING, "running"),
)


def what_stands(batch: Batch | None, lanes: Sequence[Lane]) -> object:
    """What of batch and lanes does not merely wander: a change of it is shown at once."""
    if batch is None:
        return None
    counts = tuple(batch.counts.values())
    return (
        (batch.state, batch.why, batch.notice, batch.scanning, counts),
        [
            (lane.state, lane.model, lane.batch_size, lane.reloads, lane.respawns, lane.warning)
            for lane in lanes
        ],
    )


def justified(left: Sequence[Span], right: Sequence[Span], width: int) -> Line:
    """`left` and `right` at the two ends of a line; `left` is cut when they do not fit."""
    room = max(0, width - width_of(right))
    spans: list[Span] = []
    for text, ink in left:
        fitting = text if cell_len(text) <= room else text.rstrip()
        if cell_len(fitting) > room:
            fitting = shown.fit(text, room)
        if fitting:
            spans.append(Span(fitting, ink))
        room -= cell_len(fitting)
    return (*spans, Span(" " * room), *right)


def keys_line(entries: Iterable[tuple[str, str]], width: int) -> Line:
    """Keys and what they do, as many as fit: the last line of a screen."""
    spans = [Span(" ")]
    room = width - 1
    for key, text in entries:
        if len(key) + len(text) + 1 > room:
            break
        spans += [Span(key, "key"), Span(f" {text}   ", "quiet")]
        room -= len(key) + len(text) + 4
    return justified(spans, [], width)


def head(identity: str, home: str, simulated: bool, width: int) -> Line:
    """The program's name, whether the engine is a simulation, and whose machine this is."""
    left = [Span(" speakeasy", "title")]
    if simulated:
        left.append(Span("  simulated engine", "warning"))
    place = printable(identity)
    if home:
        place += "  " + shown.cut_middle(printable(home), max(8, width // 2 - len(place)))
    return justified(left, [Span(f"{place} ", "quiet")], width)


def link_lines(link: LinkNews, ever_up: bool, width: int) -> list[Line]:
    """What is said while there is no link to a runner, and what to do."""
    if link.stopped:
        text = " What is queued is kept. speakeasy runner start goes on with it."
        spans = [Span(" The runner was stopped.", "held"), Span(text)]
        return [justified(spans, [], width)]
    if not link.why:
        return [(Span(" Connecting to the runner…", "quiet"),)]
    title = " The runner is gone." if ever_up else " No runner answers."
    texts = [part for text in link.why.strip().split("\n") for part in shown.wrap(text, width - 2)]
    return [
        justified(
            [
                Span(title, "failed"),
                Span(" What is queued is safe on disk. Trying again every second."),
            ],
            [],
            width,
        ),
        *((Span(f" {printable(text)}", "quiet"),) for text in texts[-6:]),
        (Span(" If it stays so: speakeasy runner status, speakeasy doctor", "quiet"),),
    ]


def batch_lines(batch: Batch, width: int) -> list[Line]:
    """State, bar, time left and speed; the counts; and why it is paused."""
    total = _all_audio(batch)
    share = batch.done_s / total if total > 0 else 0.0
    left = [Span(" "), RUNNER_LOOK[batch.state]]
    right: list[Span] = []
    if total > 0:
        right.append(Span(f" {int(min(1.0, share) * 100):3d}%"))
    if batch.eta_s is not None and batch.state is RunnerState.RUNNING:
        right.append(Span(f"   {shown.span(batch.eta_s)} left"))
    if batch.speed:
        right.append(Span(f"   {shown.speed(batch.speed)} real time", "quiet"))
    right.append(Span(" "))
    room = width - width_of((*left, *right)) - 2
    if total > 0 and room >= 6:
        left += [Span("  "), *bar(share, room)]
    lines = [justified(left, right, width), counts_line(batch, width)]
    if batch.why is not None:
        lines += [_sentence(batch.why.message, batch.why.hint, "held", width)]
    if batch.notice:
        lines.append(_sentence(batch.notice, "", "quiet", width))
    return lines


def _all_audio(batch: Batch) -> float:
    """Seconds of audio of the whole batch.

    The length of a file is known only once it has been opened; what the rest may be is in the
    runner's own estimate of the time left.
    """
    guessed = batch.done_s + (batch.eta_s or 0.0) * (batch.speed or 0.0)
    return max(batch.audio_s, guessed)


def counts_line(batch: Batch, width: int) -> Line:
    """How many files are in which state, and how much audio is done."""
    left = _count_spans(batch, words=True)
    if width_of(left) > width - 1:  # as in the table, the glyph alone tells the state
        left = _count_spans(batch, words=False)
    right = [Span(" ")]
    total = _all_audio(batch)
    amounts = [shown.amounts(batch.done_s, total)] if total > 0 else []
    free = [f"{shown.size(batch.disk_free)} free"] if batch.disk_free is not None else []
    for texts in (amounts + free, amounts):
        amount = "   ".join(texts) + " "
        if texts and width_of(left) + len(amount) + 2 <= width:
            right = [Span(amount, "quiet")]
            break
    return justified(left, right, width)


def _count_spans(batch: Batch, *, words: bool) -> list[Span]:
    counts = batch.counts
    spans = [Span(f" {shown.plural(sum(counts.values()), 'file')}  ")]
    for state, ink in COUNTED:
        if count := counts.get(state.value, 0):
            name = state.value if words else STATE_LOOK[state].text
            spans.append(Span(f" {count:,} {name} ", ink))
    if waiting := counts.get(State.QUEUED.value, 0):
        spans.append(Span(f" {waiting:,} waiting "))
    if batch.scanning:
        spans.append(Span(f" searching {shown.plural(batch.scanning, 'folder')}…", "quiet"))
    return spans


def _sentence(text: str, hint: str, ink: str, width: int) -> Line:
    spans = [Span(f" {printable(text)}", ink)]
    if hint:
        spans.append(Span(f"  {printable(hint)}", "quiet"))
    return justified(spans, [Span(" ")], width)


LANE_ROOM = ("device", "model", "state", "faults", "use", "memory", "warmth", "batch", "speed")
"""Cells of a lane's line in the order in which they are given room."""

LANE_ORDER = ("device", "model", "state", "use", "memory", "warmth", "batch", "speed", "faults")

LANE_RIGHT = {"use", "memory", "warmth", "batch", "speed"}

BARS_FROM = 150
"""Width from which a lane's use is a bar, too."""

BAR = 6

TEXT_ROOM = 14
"""Cells that a lane's warning or why is worth beginning with."""


def lane_lines(lanes: Sequence[Lane], width: int, limit: int) -> list[Line]:
    """A line for each lane, cells under each other; at most `limit` lines."""
    if len(lanes) > limit:
        rest = lanes[limit - 1 :]
        lanes = lanes[: limit - 1]
    else:
        rest = ()
    cells = [_lane_cells(lane, width) for lane in lanes]
    widths = {
        name: max((cell_len(cell[name].text) for cell in cells), default=0) for name in LANE_ORDER
    }
    gap = 3 if width >= 100 else 2
    room = width - 2
    shown_names = set()
    for name in LANE_ROOM:
        if widths[name] and room >= widths[name]:
            shown_names.add(name)
            room -= widths[name] + gap
    lines = []
    said: set[str] = set()  # what holds for several lanes is said once
    for lane, cell in zip(lanes, cells, strict=True):
        spans = [Span(" ")]
        for name in LANE_ORDER:
            if name in shown_names:
                text = shown.fit(cell[name].text, widths[name], right=name in LANE_RIGHT)
                spans += [Span(text, cell[name].ink), Span(" " * gap)]
        text = printable(f"! {lane.warning}" if lane.warning else lane.why)
        if room >= TEXT_ROOM and text not in said:
            said.add(text)
            spans.append(Span(text, "warning" if lane.warning else "quiet"))
        lines.append(justified(spans, [Span(" ")], width))
    if rest:
        busy = sum(lane.state is LaneState.RUNNING for lane in rest)
        text = f" and {shown.plural(len(rest), 'more lane')}, {busy} running"
        lines.append(justified([Span(text, "quiet")], [], width))
    return lines


def _lane_cells(lane: Lane, width: int) -> dict[str, Span]:
    glyph, ink = LANE_LOOK[lane.state]
    state = f"{glyph} {lane.state.value}"
    if lane.progress is not None and lane.state is LaneState.DOWNLOADING:
        state += f" {int(lane.progress * 100)}%"
    model = printable(lane.model or "no model yet")
    if lane.engine == "sim":
        model = "simulated"
    elif lane.compute_type:
        model += f" {printable(lane.compute_type)}"
    device = printable(lane.device)
    if lane.name and width >= 130:
        device += f" {printable(lane.name)}"
    use = "" if lane.use is None else f"{lane.use * 100:.0f}%"
    if use and width >= BARS_FROM:
        use = f"{shown.fit(bar(lane.use or 0.0, BAR)[0].text, BAR)} {use:>4}"
    memory = shown.size(lane.memory_used)
    if lane.memory_used is not None and lane.memory_total:
        if width >= 100:
            memory += f" of {shown.size(lane.memory_total)}"
        else:
            memory = f"{lane.memory_used / 2**30:.0f}/{lane.memory_total / 2**30:.0f} GB"
    faults = []
    if lane.reloads:
        faults.append(shown.plural(lane.reloads, "reload"))
    if lane.respawns:
        faults.append(shown.plural(lane.respawns, "respawn"))
    return {
        "device": Span(shown.cut_middle(device, max(8, width // 5))),
        "model": Span(shown.cut_middle(model, max(12, width // 4)), "quiet"),
        "state": Span(state, ink),
        "use": Span(use),
        "memory": Span(memory, "quiet"),
        "warmth": Span("" if lane.temperature is None else f"{lane.temperature} °C", "quiet"),
        "batch": Span("" if lane.batch_size is None else f"batch {lane.batch_size}", "quiet"),
        "speed": Span(shown.speed(lane.speed)),
        "faults": Span(", ".join(faults), "warning"),
    }


def farewell(batch: Batch | None, connected: bool, ended: bool) -> str:
    """What is printed once the window is closed: whether work goes on, and what to type.

    `ended`: work ended with the window, because it ran in its process or was stopped from it.
    """
    if connected and batch is None:
        return "The window has closed; the runner goes on with the batch. speakeasy shows it again."
    if batch is None or not connected:
        return (
            "No runner was reachable; what is queued is kept. "
            "speakeasy tries again, speakeasy doctor says what is wrong."
        )
    counts = batch.counts
    running = counts.get(State.RUNNING.value, 0)
    waiting = counts.get(State.QUEUED.value, 0)
    failed = counts.get(State.FAILED.value, 0) + counts.get(State.QUARANTINED.value, 0)
    held = counts.get(State.HELD.value, 0)
    if ended and running + waiting:
        return (
            f"Work has stopped; {shown.plural(running + waiting, 'file')} left. "
            "The queue is kept: speakeasy goes on with it."
        )
    if batch.state in {RunnerState.PAUSED, RunnerState.STOPPED} and running + waiting:
        why = f": {printable(batch.why.message)}" if batch.why is not None else ""
        busy = f"{shown.plural(running, 'running file')} finish, " if running else ""
        return f"Paused{why}. {busy}{waiting:,} wait. speakeasy resume goes on."
    if running + waiting:
        busy = f"{shown.plural(running, 'file')} running, " if running else ""
        return (
            f"{busy}{waiting:,} waiting: the batch goes on. "
            "speakeasy shows it again; speakeasy stop ends it."
        )
    done = counts.get(State.DONE.value, 0) + counts.get(State.SKIPPED.value, 0)
    parts = [f"{shown.plural(done, 'file')} done"] if done else []
    parts += [f"{held:,} held"] if held else []
    parts += [f"{failed:,} failed (speakeasy rerun --failed tries them again)"] if failed else []
    return ", ".join(parts) + "." if parts else "Nothing is queued. speakeasy FOLDER queues it."
