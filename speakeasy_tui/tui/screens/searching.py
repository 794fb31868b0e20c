"""Words looked for in what a screen shows, the same in a transcript and in logs."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding
from textual.widgets import Input

from speakeasy_tui.tui.field import FieldBar
from speakeasy_tui.tui.format import plural
from speakeasy_tui.tui.ink import LineView
from speakeasy_tui.tui.screens.screen import SpeakeasyScreen

SEARCH = [
    Binding("slash", "search", "Search", id="search", tooltip="Search for words"),
    Binding("n", "found(1)", "Next", id="next_found", tooltip="To the next place found"),
    Binding("N", "found(-1)", "Previous", id="previous_found",
            tooltip="To the place found before"),
]  # fmt: skip


class Searching(SpeakeasyScreen[None]):
    """Base of the screens with a `FieldBar` and a view in which words are marked."""

    SEARCHED: ClassVar[str] = ""
    """What is searched, as it is called."""
    NEWEST_FIRST: ClassVar[bool] = False
    """Whether a search begins at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.find = ""
        """What is looked for; the view's lines have it in the ink `match`."""
        self.found: int | None = None
        """The line of the view that was found last."""

    @property
    def searched(self) -> LineView:
        """The view."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Show a quiet line."""
        raise NotImplementedError

    def action_search(self) -> None:
        """Open the field."""
        self.query_one(FieldBar).open()

    def action_back(self) -> None:
        """Out of the field, then out of the search, or close."""
        bar = self.query_one(FieldBar)
        if bar.display:
            bar.close(self.searched)
        elif self.find:
            self.find = ""
            self.searched.show()
            self.say("")
        else:
            self.dismiss()

    @on(Input.Submitted, "#filter")
    def _wanted(self, event: Input.Submitted) -> None:
        self.find, self.found = event.value.strip(), None
        self.query_one(FieldBar).close(self.searched)
        self.searched.show()
        self.action_found(-1 if self.NEWEST_FIRST else 1)

    def action_found(self, by: int) -> None:
        """Scroll to the next line with what is looked for, or the one before."""
        if not self.find:
            self.say(f"No search yet: {self.speakeasy.key_of('search')} begins one")
            return
        view = self.searched
        rows = [row for row, line in enumerate(view.lines) if any(s.ink == "match" for s in line)]
        if not rows:
            self.say(f"{self.find}: not in the {self.SEARCHED}")
            return
        here = self.found
        if by > 0:
            row = next((row for row in rows if here is None or row > here), rows[0])
        else:
            row = next((row for row in reversed(rows) if here is None or row < here), rows[-1])
        self.found = row
        top = max(0, row - view.size.height // 2)
        view.scroll_to(y=top, animate=False, immediate=True, force=True)
        self.say(f"{self.find}: {rows.index(row) + 1:,} of {plural(len(rows), 'line')}")
