"""A line to type into, on which nothing stands that a terminal would obey."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input

from speakeasy_tui.core.text import printable
from speakeasy_tui.tui.ink import Lines
from speakeasy_tui.tui.rows import Span


class Field(Input):
    """Textual's input, which sends what is in it to the terminal as it is."""

    def validate_value(self, value: str) -> str:
        """Escapes for what is pasted, completed or put in."""
        return printable(value)


class FieldBar(Horizontal):
    """A sign and a field in one line, which is there only while something is typed."""

    def __init__(self, sign: str, placeholder: str = "") -> None:
        super().__init__(id="filter-bar")
        self._sign = sign
        self.field = Field(placeholder=placeholder, id="filter")
        self.field.cursor_blink = False
        self.field.can_focus = False

    def compose(self) -> ComposeResult:
        yield Lines(lambda width: [(Span(f" {self._sign} ", "key"),)], id="slash")
        yield self.field

    def open(self) -> None:
        """Show it; what is typed next belongs to it: now, not soon."""
        self.field.can_focus = True
        self.display = True
        self.screen.set_focus(self.field)

    def close(self, back: Widget) -> None:
        """Hide it; keys go to `back` again."""
        self.screen.set_focus(back)
        self.field.can_focus = False
        self.display = False
