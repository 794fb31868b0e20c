"""Only the cells that differ go to the terminal.

Textual's compositor sends a dirty region again from the left edge of its widget, changed or
not: 400 bytes for a digit. `Sent` remembers what stands on the terminal and turns an update
into the cells in which it differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.cells import get_character_cell_size, split_graphemes
from rich.color import ColorSystem
from rich.console import Console, RenderableType
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.screen import Screen
from textual.strip import Strip

from speakeasy_tui.core.text import printable

Cell = tuple[str, str]
"""Text (empty in the second half of a wide character) and its SGR codes."""

NEAR = 4
"""Cells that may be sent unchanged between two that differ: moving costs as much."""


Result = TypeVar("Result")


class Sent:
    """What stands on the terminal."""

    def __init__(self) -> None:
        self._lines: dict[int, list[Cell | None]] = {}
        self._size = (0, 0)

    def forget(self) -> None:
        """Something else has drawn on the terminal: everything is sent again."""
        self._lines.clear()

    def only_new(self, update: CompositorUpdate, size: tuple[int, int]) -> CompositorUpdate:
        """`update` for a terminal of `size`, to be rendered once, at once."""
        if size != self._size:  # a terminal may rearrange what it shows
            self.forget()
            self._size = size
        if isinstance(update, LayoutUpdate | ChopsUpdate):
            return _Difference(self, update)
        self.forget()
        return update

    def take(self, update: LayoutUpdate | ChopsUpdate, system: ColorSystem) -> str:
        """The sequences that bring the terminal to what `update` shows."""
        width = self._size[0]
        pen: str | None = None
        out: list[str] = []
        for y, x, strips in _pieces(update):
            line = self._lines.get(y)
            if line is None:
                line = self._lines[y] = [None] * width
            cells = _cells(strips, system)[: width - x]
            old = line[x : x + len(cells)]
            if len(old) < len(cells):
                continue  # of a layout that the terminal no longer has
            if old == cells:
                continue
            line[x : x + len(cells)] = cells
            for first, end in _runs(old, cells):
                out.append(f"\x1b[{y + 1};{x + first + 1}H")
                for text, codes in cells[first:end]:
                    if codes != pen:
                        out.append(f"\x1b[0;{codes}m" if codes and pen else f"\x1b[{codes or 0}m")
                        pen = codes
                    out.append(text)
        if pen:
            out.append("\x1b[0m")
        return "".join(out)


class _Difference(CompositorUpdate):
    def __init__(self, sent: Sent, update: LayoutUpdate | ChopsUpdate) -> None:
        self._sent = sent
        self._update = update

    def render_segments(self, console: Console) -> str:
        system = console._color_system or ColorSystem.TRUECOLOR
        return self._sent.take(self._update, system)


def _pieces(
    update: LayoutUpdate | ChopsUpdate,
) -> Iterator[tuple[int, int, Iterable[Strip]]]:
    """Line, column and strips of each part of an update."""
    if isinstance(update, LayoutUpdate):
        for y, line in enumerate(update.strips, update.region.y):
            yield y, update.region.x, line
        return
    for y, x1, x2 in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is None or x > x2 or end <= x1:
                continue
            yield y, x, (strip if end <= x2 else strip.crop(0, x2 - x),)


def _cells(strips: Iterable[Strip], system: ColorSystem) -> list[Cell]:
    cells: list[Cell] = []
    for strip in strips:
        for told, style, control in strip:
            if control:
                continue
            text = told if told.isprintable() else _harmless(told)
            codes = ""
            if style is not None:
                codes = Strip.render_ansi(style, system) if style._ansi is None else style._ansi
            if text.isascii():
                cells += [(char, codes) for char in text]
                continue
            # As Rich does that laid it out: several characters may share one or two cells.
            for start, end, width in split_graphemes(text)[0]:
                if width == 0 and cells:
                    before, its = cells[-1]
                    cells[-1] = (before + text[start:end], its)
                    continue
                cells.append((text[start:end], codes))
                cells += [("", codes)] * (width - 1)
    return cells


def _harmless(text: str) -> str:
    """`text` without what a terminal would obey, in as many cells: should any have come so far."""
    return "".join(
        char if printable(char) == char else "\ufffd" * get_character_cell_size(char)
        for char in text
    )


def _runs(old: list[Cell | None], new: list[Cell]) -> Iterator[tuple[int, int]]:
    """Where two pieces of a line differ: first cell and the one behind the last."""
    if any(len(cell[0]) != 1 for cell in new) or any(c and len(c[0]) != 1 for c in old):
        # Terminals do not agree on the width of such characters: no position behind one is sure.
        yield 0, len(new)
        return
    start = end = -1
    for number, (before, after) in enumerate(zip(old, new, strict=True)):
        if before == after:
            continue
        if start >= 0 and number - end > NEAR:
            yield start, end
            start = -1
        if start < 0:
            start = number
        end = number + 1
    if start >= 0:
        yield start, end


class SparingApp(App[Result]):
    """An application that sends only what differs from what the terminal shows."""

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        self._sent = Sent()

    def on_mount(self) -> None:
        """After another program had the terminal, nothing of ours stands there."""
        self.app_resume_signal.subscribe(self, lambda _: self.action_redraw())

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        if isinstance(renderable, CompositorUpdate) and self._running and not self._batch_count:
            renderable = self._sent.only_new(renderable, self.size)
        super()._display(screen, renderable)

    def action_redraw(self) -> None:
        """Send the whole screen again: something else may have written on it."""
        self._sent.forget()
        self.screen.refresh(layout=True)
