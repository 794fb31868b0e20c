"""A job as one line of the table: which columns fit, and what stands in them.

Pure functions: a line is a tuple of spans, a span is text and the name of an ink. Nothing
here knows the screen.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len

from speakeasy_tui.core.job import Job, State
from speakeasy_tui.core.text import printable
from speakeasy_tui.tui import format as shown

if TYPE_CHECKING:
    from speakeasy_tui.tui.view import Folder


class Span(NamedTuple):
    """Text in one ink."""

    text: str
    ink: str = ""
    """Name of an ink (see `tui.ink.INKS`); empty: the plain foreground."""


Line = tuple[Span, ...]


def width_of(line: Iterable[Span]) -> int:
    """Cells that `line` takes."""
    return sum(cell_len(span.text) for span in line)


STATE_LOOK: dict[State, Span] = {
    State.QUEUED: Span("○", "quiet"),
    State.HELD: Span("‖", "held"),
    State.RUNNING: Span("●", "running"),
    State.DONE: Span("✓", "done"),
    State.SKIPPED: Span("»", "quiet"),
    State.FAILED: Span("✗", "failed"),
    State.QUARANTINED: Span("⊗", "failed"),
    State.CANCELLED: Span("–", "quiet"),
}
"""Glyph and ink of each state: no two share a glyph."""

GUTTER = 2
"""Cells before the first column: the cursor and the mark."""


class Column(NamedTuple):
    """A column that stands in the table at some width."""

    name: str
    title: str
    width: int
    right: bool = False


ORDER = ("state", "file", "progress", "audio", "speed", "left", "language", "attempts", "message")
"""From left to right."""

COLUMNS = {
    column.name: column
    for column in (
        Column("state", "state", 13),
        Column("file", "file", 22),
        Column("progress", "progress", 10),
        Column("left", "left", 7, right=True),
        Column("message", "message", 16),
        Column("audio", "audio", 7, right=True),
        Column("speed", "speed", 6, right=True),
        Column("attempts", "tries", 5, right=True),
        Column("language", "lang", 4),
    )
}
"""In the order in which they are given room: the last ones go first when it gets narrow. Tries
tell of trouble, the language is mostly the same in every row."""

MESSAGE_FROM = 76
"""Narrower than this the names need the room more than the message does."""


FOLDER_LEAST = 9
"""Cells below which a cut folder says nothing."""

ROOMY = 100
"""From this width on two blank cells stand between columns."""

GOOD = {"file": 26, "message": 23}
"""Cells that names and messages get before the columns that are `FURTHER` get any."""

FURTHER = ("speed", "attempts", "language")

FILE_WIDEST = 72
"""Cells beyond which the message gets the rest."""


@lru_cache(maxsize=64)
def plan(width: int) -> tuple[Column, ...]:
    """The columns for a table `width` cells wide, and how wide each is."""
    gap = gap_of(width)
    least = {name: column.width for name, column in COLUMNS.items()}
    chosen = {"state", "file", "progress"}
    room = width - GUTTER - sum(least[name] for name in chosen) - 2 * gap
    for name in COLUMNS:
        if name in chosen or (name == "message" and width < MESSAGE_FROM):
            continue
        if name == FURTHER[0]:
            if room < sum(GOOD.values()) - sum(least[good] for good in GOOD):
                break
            room -= sum(GOOD.values()) - sum(least[good] for good in GOOD)
            least |= GOOD
        if room < least[name] + gap:
            break
        chosen.add(name)
        room -= least[name] + gap
    room = max(0, room)
    extra = {"progress": min(14, room // 4)}
    room -= extra["progress"]
    extra["file"] = min(room * 11 // 20, FILE_WIDEST - least["file"])
    if "message" in chosen:
        extra["message"] = room - extra["file"]
    else:
        extra["file"] = room
    return tuple(
        COLUMNS[name]._replace(width=max(1, least[name] + extra.get(name, 0)))
        for name in ORDER
        if name in chosen
    )


def gap_of(width: int) -> int:
    """Blank cells between two columns."""
    return 2 if width >= ROOMY else 1


def heading(width: int, sorted_by: str = "", reverse: bool = False) -> Line:
    """The table's first line: what stands in which column, and which sorts the rows."""
    gap = " " * gap_of(width)
    arrow = "▼" if reverse else "▲"
    spans = [Span(" " * GUTTER)]
    for column in plan(width):
        here = column.name == sorted_by
        title = f"{column.title}{arrow}" if here else column.title
        spans.append(
            Span(shown.fit(title, column.width, right=column.right), "accent" if here else "quiet")
        )
        spans.append(Span(gap))
    return tuple(spans[:-1])


FOLDER_COUNTS = (State.RUNNING, State.FAILED, State.QUARANTINED, State.HELD)


def folder_line(folder: Folder, width: int) -> Line:
    """A folder's line: its path, how many of its rows are done, what stands out, its audio."""
    done = folder.counts.get(State.DONE, 0) + folder.counts.get(State.SKIPPED, 0)
    total = len(folder.ids)
    right = [Span(f"{done:,} of {shown.plural(total, 'file')} done", "quiet")]
    right += [
        Span(f"  {STATE_LOOK[state].text} {count:,}", STATE_LOOK[state].ink)
        for state in FOLDER_COUNTS
        if (count := folder.counts.get(state, 0))
    ]
    if folder.audio_s > 0:
        right.append(Span(f"  {shown.span(folder.audio_s)}", "quiet"))
    room = max(4, width - GUTTER - width_of(right) - 2)
    name = shown.fit(shown.cut_middle(printable(folder.name) + "/", room), room)
    line = (Span(name, "title"), Span("  "), *right)
    return (*line, Span(" " * max(0, width - GUTTER - width_of(line))))


def line_of(job: Job, width: int) -> Line:
    """`job` as a line `width` cells wide, without the gutter."""
    columns = plan(width)
    gap = gap_of(width)
    spans: list[Span] = []
    used = GUTTER
    for number, column in enumerate(columns):
        if number:
            spans.append(Span(" " * gap))
            used += gap
        spans.extend(_cell(job, column))
        used += column.width
    if used < width:
        spans.append(Span(" " * (width - used)))
    return tuple(spans)


def _cell(job: Job, column: Column) -> tuple[Span, ...]:
    match column.name:
        case "state":
            glyph, ink = STATE_LOOK[job.state]
            return (Span(shown.fit(f"{glyph} {job.state.value}", column.width), ink),)
        case "file":
            return file_cell(job, column.width)
        case "progress":
            return progress_cell(job, column.width)
        case "message":
            text, ink = message_of(job)
            return (Span(shown.fit(text, column.width), ink),)
        case name:
            text, ink = _number(job, name)
            return (Span(shown.fit(text, column.width, right=column.right), ink),)


def _number(job: Job, name: str) -> tuple[str, str]:
    running = job.state is State.RUNNING
    match name:
        case "audio":
            return shown.clock(job.audio_s), "" if running else "quiet"
        case "speed":
            return shown.speed(job.speed), "" if running else "quiet"
        case "left":
            return (shown.clock(job.eta_s) if running else ""), ""
        case "language":
            return printable(job.language or ""), "quiet"
        case _:
            return (str(job.attempts) if job.attempts else ""), "quiet"


def short_path(job: Job) -> str:
    """The path below the folder that was queued; the whole path of a file queued by itself."""
    root = job.root.rstrip("/") + "/"
    if job.root and job.path.startswith(root):
        return job.path[len(root) :]
    return job.path


def file_cell(job: Job, width: int) -> tuple[Span, ...]:
    """Folder and name; the middle is cut so that the name's end stays in sight."""
    text = printable(short_path(job))
    slash = text.rfind("/") + 1
    folder, name = text[:slash], text[slash:]
    length = cell_len(name)
    if length + 2 >= width:
        folder = ""
        name = shown.cut_middle(name, width)
    elif cell_len(folder) + length > width:
        room = width - length
        folder = shown.cut_middle(folder, room) if room >= FOLDER_LEAST else "…/"
    padding = " " * (width - cell_len(folder) - cell_len(name))
    ink = "quiet" if job.state is State.CANCELLED else ""
    if folder:
        return Span(folder, "quiet"), Span(name + padding, ink)
    return (Span(name + padding, ink),)


def bar(share: float, width: int, ink: str = "running") -> tuple[Span, Span]:
    """A bar of text: what is finished, and the rest."""
    share = min(1.0, max(0.0, share))
    halves = int(share * width * 2)
    full, half = divmod(halves, 2)
    text = "━" * full + ("╸" if half else "")
    return Span(text, ink), Span("─" * (width - len(text)), "faint")


def progress_cell(job: Job, width: int) -> tuple[Span, ...]:
    """A bar and per cent while there is something to tell, else nothing: calm rows."""
    share = min(1.0, max(0.0, job.progress))
    if job.state is State.RUNNING:
        ink, number = "running", ""
    elif job.state is State.DONE:
        return (Span(shown.fit("━" * (width - 5), width), "faint"),)
    elif share > 0 and job.state is not State.SKIPPED:
        ink, number = "quiet", "quiet"
    else:
        return (Span(" " * width),)
    return *bar(share, width - 5, ink), Span(f" {int(share * 100):3d}%", number)


def message_of(job: Job) -> tuple[str, str]:
    """What the row has to say, and its ink."""
    if job.error is not None and job.state in {State.FAILED, State.QUARANTINED}:
        return printable(job.error.message), ""
    if job.warnings and job.state in {State.DONE, State.SKIPPED}:
        return printable(f"! {job.warnings[0].message}"), "warning"
    return printable(job.message), "quiet"
