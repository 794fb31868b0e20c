"""How loud a recording is, where somebody speaks, and how far it is: two lines. Pure functions."""

from __future__ import annotations

from rich.cells import cell_len

from speakeasy_tui.tui.rows import Line, Span

BLOCKS = "▁▂▃▄▅▆▇█"

SPEECH = "━"

HERE = "▲"

GRAIN = 8
"""Cells in a span: as the place moves on, only the spans around it are drawn anew."""


def resampled(strip: str, width: int) -> list[tuple[int, bool]]:
    """Level (0–7) and speech of each of `width` cells.

    `strip` is as `core.engineprotocol.Heard` has it. Of several parts in a cell the loudest counts,
    and the cell is speech when half of them are.
    """
    values = [int(digit, 16) for digit in strip]
    cells = []
    for cell in range(width):
        first = cell * len(values) // width
        here = values[first : max(first + 1, (cell + 1) * len(values) // width)]
        spoken = sum(value >= len(BLOCKS) for value in here)
        cells.append((max(value % len(BLOCKS) for value in here), 2 * spoken >= len(here)))
    return cells


def loudness_lines(
    strip: str, width: int, place: float | None, labels: tuple[str, str] = ("", "")
) -> list[Line]:
    """The blocks, and below them what is speech and the place that has been reached.

    Args:
        strip: as `core.engineprotocol.Heard` has it; empty: no lines.
        width: cells.
        place: share of the recording that is done, 0–1, while it runs.
        labels: what stands at the right of each line.
    """
    if not strip or set(strip) - set("0123456789abcdef"):
        return []
    margin = max(map(cell_len, labels))
    room = width - 2 - (margin + 2 if margin else 0)
    if room < GRAIN:
        return []
    cells = resampled(strip, room)
    here = None if place is None else min(room - 1, max(0, int(place * room)))
    blocks = "".join(BLOCKS[level] for level, _ in cells)
    speech = "".join(SPEECH if spoken else " " for _, spoken in cells)
    if here is not None:
        speech = speech[:here] + HERE + speech[here + 1 :]
    lines: list[Line] = []
    for text, label in zip((blocks, speech), labels, strict=True):
        spans = [Span(" ")]
        for first in range(0, room, GRAIN):
            spans += _inked(text[first : first + GRAIN], None if here is None else here - first)
        spans.append(Span(f"  {label:>{margin}} " if margin else " ", "quiet"))
        lines.append(tuple(spans))
    return lines


def _inked(text: str, here: int | None) -> list[Span]:
    """What is done stands out from what is to come."""
    if here is None:
        return [Span(text, "quiet")]
    cut = min(len(text), max(0, here + 1))
    parts = (Span(text[:cut], "running"), Span(text[cut:], "faint"))
    return [part for part in parts if part.text]
