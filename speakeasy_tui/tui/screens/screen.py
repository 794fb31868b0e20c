"""What every screen of the window has."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from textual.screen import Screen

if TYPE_CHECKING:
    from speakeasy_tui.tui.app import SpeakeasyApp

Result = TypeVar("Result")


class SpeakeasyScreen(Screen[Result]):
    """A screen that knows the application."""

    @property
    def speakeasy(self) -> SpeakeasyApp:
        """The application."""
        return cast("SpeakeasyApp", self.app)
