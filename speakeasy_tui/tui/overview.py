"""The lines above the table but for the lanes': who and where, the batch. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from rich.cells import cell_len

from speakeasy_tui.core.job import Batch, Lane, RunnerState, State
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

COUNTED = (
    (State.DONE, "done"),
    (State.SKIPPED, "quiet"),
    (State.FAILED, "failed"),
    (State.QUARANTINED, "failed"),
    (State.CANCELLED, "quiet"),
    (State.HELD, "held"),
    (State.RUNNING, "running"),
)


SENTENCE_LINES = 4
"""Lines that why it is paused may take where one is too short."""


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
    """Keys and what they do, as many as fit: the last line of a screen.

    Where esc is the last of them it is always there: it is the way out.
    """
    others = list(entries)
    way_out = [others.pop()] if others and others[-1][0] == "esc" else []
    room = width - 1 - sum(len(key) + len(text) + 4 for key, text in way_out)
    spans = [Span(" ")]
    for key, text in others:
        if len(key) + len(text) + 1 > room:
            break
        spans += [Span(key, "key"), Span(f" {text}   ", "quiet")]
        room -= len(key) + len(text) + 4
    for key, text in way_out:
        spans += [Span(key, "key"), Span(f" {text}   ", "quiet")]
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
        kept = "What is queued is kept. speakeasy runner start goes on with it."
        return _sentence("The runner was stopped.", kept, "held", width)
    if not link.why:
        return [(Span(" Connecting to the runner…", "quiet"),)]
    title = "The runner is gone." if ever_up else "No runner answers."
    often = "every second" if link.retry_s <= 1 else f"in {link.retry_s:.0f} s"
    texts = [part for text in link.why.strip().split("\n") for part in shown.wrap(text, width - 2)]
    return [
        *_sentence(
            title, f"What is queued is safe on disk. Trying again {often}.", "failed", width
        ),
        *((Span(f" {printable(text)}", "quiet"),) for text in texts[-6:]),
        (Span(" If it stays so: speakeasy runner status, speakeasy doctor", "quiet"),),
    ]


def batch_lines(batch: Batch, width: int) -> list[Line]:
    """State, bar, time left and speed; the counts; and why it is paused."""
    total = batch.whole_s
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
        lines += _sentence(batch.why.message, batch.why.hint, "held", width)
    if batch.notice:
        lines += _sentence(batch.notice, "", "quiet", width)
    return lines


def counts_line(batch: Batch, width: int) -> Line:
    """How many files are in which state, and how much audio is done."""
    left = _count_spans(batch, words=True)
    if width_of(left) > width - 1:  # as in the table, the glyph alone tells the state
        left = _count_spans(batch, words=False)
    right = [Span(" ")]
    total = batch.whole_s
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


def _sentence(text: str, hint: str, ink: str, width: int) -> list[Line]:
    """What happened and what to do, in a line, or in as many as it takes to be read whole."""
    spans = [Span(f" {printable(text)}", ink)]
    if hint:
        spans.append(Span(f"  {printable(hint)}", "quiet"))
    if width_of(spans) < width:
        return [justified(spans, [Span(" ")], width)]
    parts = [(part, ink) for part in shown.wrap(printable(text), width - 2)]
    parts += [(part, "quiet") for part in shown.wrap(printable(hint), width - 2) if hint]
    if len(parts) > SENTENCE_LINES:
        rest = " ".join(part for part, _ in parts[SENTENCE_LINES - 1 :])
        cut = shown.fit(rest, width - 2), parts[SENTENCE_LINES - 1][1]
        parts = [*parts[: SENTENCE_LINES - 1], cut]
    return [justified([Span(f" {part}", of)], [Span(" ")], width) for part, of in parts]


class End(Enum):
    """What becomes of the work when the window closes."""

    GOES_ON = "goes on"
    STOPPED = "stopped"
    """It ran in the window's process, or was stopped from it."""
    ASKED = "asked"
    """The runner was told to stop, and has not answered."""
    SOON = "soon"
    """The window was closed before a runner had answered it."""


def farewell(batch: Batch | None, connected: bool, end: End) -> str:
    """What is printed once the window is closed: whether work goes on, and what to type."""
    if end is End.SOON:
        return (
            "The window closed before a runner answered: what was named here is not queued. "
            "speakeasy opens it again."
        )
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
    if end is End.ASKED and running + waiting:
        return (
            "The runner was told to stop the work and has not answered yet. "
            "speakeasy status says what it does."
        )
    if end is End.STOPPED and running + waiting:
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
