"""The look: the shipped themes and the person's, which are taken in again while they are edited."""

from __future__ import annotations

import os
from collections.abc import Callable

from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.tui import theme
from speakeasy_tui.tui.ink import INK_CSS
from speakeasy_tui.tui.keyed_app import KeyedApp
from speakeasy_tui.tui.style import CSS
from speakeasy_tui.tui.theme_watch import ThemeWatch

THEMES_EVERY = 1.0
"""Seconds between two looks at the person's themes."""


class ThemedApp(KeyedApp):
    """An application in the theme that was chosen, or without colours (https://no-color.org)."""

    CSS = CSS + INK_CSS

    def __init__(
        self, home: Home, settings: Settings, save_theme: Callable[[str], None] | None = None
    ) -> None:
        """`save_theme` keeps the name of a theme that is chosen here."""
        self._no_color = bool(os.environ.get("NO_COLOR"))
        super().__init__(ansi_color=True if self._no_color else None)
        self._save_theme = save_theme
        themes, self._theme_problems = theme.load(home.themes)
        self._watched = ThemeWatch(home.themes)
        for one in themes:
            self.register_theme(one)
        wanted = "terminal" if self._no_color else settings.theme
        if self.get_theme(wanted) is None:
            self._theme_problems.append(f"there is no theme {wanted!r}")
            wanted = theme.DEFAULT
        self.theme = wanted

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables, for themes that lack them."""
        return theme.variable_defaults(self.current_theme)

    def on_mount(self) -> None:
        """Say what is wrong with themes, and watch them."""
        if self._theme_problems:
            self.warn("Theme not used", "\n".join(self._theme_problems))
        self.theme_changed_signal.subscribe(self, self._theme_chosen)
        self.set_interval(THEMES_EVERY, self._look_at_themes)

    def _look_at_themes(self) -> None:
        """Take in what was changed in the person's themes; the one in use is drawn anew."""
        changed, problems = self._watched.look()
        for one in changed:
            self.register_theme(one)
            if one.name == self.theme:
                self.mutate_reactive(ThemedApp.theme)
        if problems:
            self.warn("Theme not used", "\n".join(problems))

    def _theme_chosen(self, chosen: object) -> None:
        if self._save_theme is None or self._no_color:
            return
        try:
            self._save_theme(self.theme)
        except Exception as error:  # the screen must not end because a file cannot be written
            self.warn("The theme could not be kept", str(error))
