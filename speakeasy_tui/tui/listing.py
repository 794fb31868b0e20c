"""A list with a cursor: one line for each thing, chosen with Enter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from speakeasy_tui.tui.ink import Inked, strip_of
from speakeasy_tui.tui.rows import Line


class Listing(Inked, ScrollView, can_focus=True, inherit_bindings=False):
    """Lines, one of which the cursor is on."""

    DEFAULT_CSS = """
    Listing { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1;
              scrollbar-gutter: stable; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", id="down", show=False, tooltip="To the next line"),
        Binding("up,k", "move(-1)", "Up", id="up", show=False, tooltip="To the line before"),
        Binding("pagedown,ctrl+f", "move(10)", "Page down", id="page_down", show=False,
                tooltip="Ten lines down"),
        Binding("pageup,ctrl+b", "move(-10)", "Page up", id="page_up", show=False,
                tooltip="Ten lines up"),
        Binding("g,home", "move(-1000000)", "First", id="first", show=False,
                tooltip="To the first line"),
        Binding("G,end", "move(1000000)", "Last", id="last", show=False,
                tooltip="To the last line"),
        Binding("enter,space", "choose", "Choose", id="choose", show=False, tooltip="Choose it"),
    ]  # fmt: skip

    @dataclass
    class Chosen(Message):
        """Enter was pressed on a line."""

        index: int

    @dataclass
    class Moved(Message):
        """The cursor stands on another line."""

        index: int

    def __init__(self, make: Callable[[int], list[Line]], *, id: str | None = None) -> None:
        """`make` gives the lines for a width in cells."""
        super().__init__(id=id)
        self._make = make
        self._lines: list[Line] = []
        self.index = 0

    def show(self) -> None:
        """Make the lines anew."""
        self._lines = self._make(max(1, self.size.width - 1))
        self.virtual_size = Size(self.size.width, len(self._lines))
        self.index = min(max(0, self.index), max(0, len(self._lines) - 1))
        self.refresh()

    @property
    def texts(self) -> list[str]:
        """The lines as plain text."""
        return ["".join(span.text for span in line) for line in self._lines]

    def on_resize(self, event: events.Resize) -> None:
        self.show()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._make(width))

    def action_move(self, by: int) -> None:
        """Move the cursor by lines."""
        before, self.index = self.index, min(max(0, self.index + by), len(self._lines) - 1)
        if self.index < 0 or self.index == before:
            self.index = max(0, self.index)
            return
        top, height = self.scroll_offset.y, self.size.height
        if self.index < top:
            self.scroll_to(y=self.index, animate=False, immediate=True, force=True)
        elif self.index >= top + height:
            self.scroll_to(y=self.index - height + 1, animate=False, immediate=True, force=True)
        self.refresh()
        self.post_message(self.Moved(self.index))

    def action_choose(self) -> None:
        """Choose the line under the cursor."""
        if self._lines:
            self.post_message(self.Chosen(self.index))

    def on_click(self, event: events.Click) -> None:
        row = self.scroll_offset.y + event.y
        if row == self.index:
            self.action_choose()
        elif row < len(self._lines):
            self.action_move(row - self.index)

    def render_line(self, y: int) -> Strip:
        row = self.scroll_offset.y + y
        base = self.rich_style
        if row >= len(self._lines):
            return Strip.blank(self.size.width, base)
        if row == self.index and self.has_focus:
            base += self.style_of("cursor")
        return strip_of(self, self._lines[row], self.size.width, base)
