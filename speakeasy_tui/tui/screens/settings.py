"""Every setting: its value, where that comes from, its help; changed and written back here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

from speakeasy_tui.core.configfile import write_setting
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import ALL_FIELDS, JOB_FIELDS, Settings
from speakeasy_tui.core.surroundings import OF_WINDOW
from speakeasy_tui.core.text import printable
from speakeasy_tui.core.values import Resolved, SettingsError, load
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.overview import justified
from speakeasy_tui.tui.rows import Line, Span
from speakeasy_tui.tui.screens.form import Form

NEW_FILES = "Holds for files queued from now on."
RESTART = "Holds from the next start of the runner: speakeasy runner stop, then speakeasy."
WINDOW = "Holds from the next start of the window."
AT_ONCE = frozenset({"theme"})


class SettingsScreen(Form[None]):
    """The settings."""

    NAMES: ClassVar[Sequence[str]] = tuple(name for name in ALL_FIELDS if name != "keys")

    def __init__(self, home: Home) -> None:
        super().__init__()
        self._file = home.config_file
        self._resolved = Resolved(Settings(), {})
        self._reload()

    def _reload(self) -> None:
        try:
            self._resolved = load(self._file)
        except SettingsError as error:
            self._said, self._wrong = str(error), True

    def title_line(self, width: int) -> Line:
        path = shown.cut_middle(printable(str(self._file)), max(10, width - 14))
        left = [Span(" settings  ", "title"), Span(path, "quiet")]
        return justified(left, [Span(" ")], width)

    def value(self, name: str) -> object:
        return getattr(self._resolved.settings, name)

    def note(self, name: str) -> Span:
        origin = self._resolved.origins.get(name)
        if origin is None or origin.kind == "default":
            return Span("default", "quiet")
        if origin.kind == "environment":
            return Span(origin.place, "held")
        line = origin.place.rpartition(", ")[2]
        return Span(f"file, {line}" if line.startswith("line") else "file", "accent")

    def change(self, name: str, value: object) -> str:
        written = write_setting(self._file, name, value)
        self._reload()
        variable = f"SPEAKEASY_{name.upper()}"
        if variable in os.environ:
            return f"Written, but {variable} in the environment is stronger."
        if name in AT_ONCE and self.app.get_theme(str(written)) is not None:
            self.app.theme = str(written)
            return "Written."
        if name in JOB_FIELDS:
            return f"Written. {NEW_FILES}"
        return f"Written. {WINDOW if name in OF_WINDOW else RESTART}"
