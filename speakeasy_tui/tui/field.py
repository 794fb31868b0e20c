"""A line to type into, on which nothing stands that a terminal would obey."""

from __future__ import annotations

from textual.widgets import Input

from speakeasy_tui.core.text import printable


class Field(Input):
    """Textual's input, which sends what is in it to the terminal as it is."""

    def validate_value(self, value: str) -> str:
        """Escapes for what is pasted, completed or put in."""
        return printable(value)
