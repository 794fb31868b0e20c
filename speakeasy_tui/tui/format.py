"""Numbers as people read them: durations, speeds, sizes, and text cut to a width."""

from __future__ import annotations

from math import isnan

from rich.cells import cell_len, set_cell_size

ELLIPSIS = "…"


def clock(seconds: float | None) -> str:
    """``0:42``, ``12:03``, ``1:02:13``, ``12h02m``, ``3d04h``; empty for None."""
    if seconds is None or isnan(seconds) or seconds < 0:
        return ""
    whole = int(min(seconds, 1e9) + 0.5)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 100:
        return f"{hours // 24}d{hours % 24:02d}h"
    if hours >= 10:
        return f"{hours}h{minute:02d}m"
    if hours:
        return f"{hours}:{minute:02d}:{second:02d}"
    return f"{minute}:{second:02d}"


def span(seconds: float | None) -> str:
    """``8 s``, ``12 min``, ``1 h 02 min``, ``3 d 4 h``; empty for None."""
    if seconds is None or isnan(seconds) or seconds < 0:
        return ""
    whole = int(min(seconds, 1e10) + 0.5)
    if whole < 60:
        return f"{whole} s"
    minutes = (whole + 30) // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minute = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minute:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def roughly(seconds: float) -> str:
    """``8 min``, ``3.4 h``, ``120 h``: an estimate, no finer than it is."""
    if seconds < 90 * 60:
        return f"{max(1, round(seconds / 60))} min"
    hours = seconds / 3600
    if hours < 10:
        return f"{hours:.1f} h"
    grain = 10 ** max(0, len(str(round(hours))) - 2)
    return f"{round(hours / grain) * grain:,} h"


def amounts(done: float, total: float) -> str:
    """``0:58 of 12:03``, ``9.0 of 21.0 h``: how much audio of how much."""
    if total < 3600:
        return f"{clock(done)} of {clock(total)}"
    return f"{done / 3600:,.1f} of {total / 3600:,.1f} h"


def speed(times: float | None) -> str:
    """``0.8×``, ``12.4×``, ``112×``; empty for None and before there is any."""
    if times is None or isnan(times) or times <= 0:
        return ""
    return f"{times:.0f}×" if times >= 100 else f"{times:.1f}×"


def size(count: int | None) -> str:
    """``812 MB``, ``14.2 GB``, ``139 GB``: binary multiples, as nvidia-smi counts them."""
    if count is None:
        return ""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.0f} GB" if amount >= 100 else f"{amount:.1f} GB"


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 file``, ``12 files``, ``12,000 files``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: padded, or cut at its end with an ellipsis."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + ELLIPSIS
    padding = " " * (width - length)
    return padding + text if right else text + padding


def tail(text: str, width: int) -> str:
    """The end of `text`, at most `width` cells."""
    if width <= 0:
        return ""
    cut = text[-width:]  # a character takes no less than no cells; shorten below
    while cell_len(cut) > width:
        cut = cut[1:]
    return cut


def cut_middle(text: str, width: int) -> str:
    """`text` in at most `width` cells, its beginning and its longer end kept."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[:width]
    head = (width - 1) // 3
    beginning = set_cell_size(text, head).rstrip(" ")
    return beginning + ELLIPSIS + tail(text, width - 1 - cell_len(beginning))


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells, broken between words where there are any."""
    width = max(1, width)
    lines: list[str] = []
    for paragraph in text.split("\n"):
        if cell_len(paragraph) <= width:
            lines.append(paragraph)
            continue
        line = ""
        length = 0
        for whole in paragraph.split(" "):
            word, wide = whole, cell_len(whole)
            if line and length + 1 + wide > width:
                lines.append(line)
                line, length = "", 0
            while wide > width:  # a word longer than a line, or a script without spaces
                room = width - length - (1 if line else 0)
                piece = set_cell_size(word, room).rstrip(" ") or word[0]
                lines.append(f"{line} {piece}" if line else piece)
                word = word[len(piece) :]
                wide = cell_len(word)
                line, length = "", 0
            if line:
                line += " " + word
                length += 1 + wide
            else:
                line, length = word, wide
        lines.append(line)
    return lines
