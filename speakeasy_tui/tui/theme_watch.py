"""Noticing that the person's themes were edited."""

from __future__ import annotations

from pathlib import Path

from textual.theme import Theme

from speakeasy_tui.tui.theme import ThemeError, read


class ThemeWatch:
    """What the files of a folder were like when they were last looked at."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = self._stamps()

    def look(self) -> tuple[list[Theme], list[str]]:
        """Themes that are new or changed since the last look, and what is wrong with others."""
        stamps = self._stamps()
        changed = [path for path, stamp in stamps.items() if self._seen.get(path) != stamp]
        self._seen = stamps
        themes: list[Theme] = []
        problems: list[str] = []
        for path in changed:
            try:
                themes.append(read(path))
            except ThemeError as error:
                problems.append(str(error))
        return themes, problems

    def _stamps(self) -> dict[Path, tuple[int, int]]:
        found = {}
        try:
            for path in self._folder.glob("*.toml"):
                info = path.stat()
                found[path] = info.st_mtime_ns, info.st_size
        except OSError:
            pass  # it went while it was looked at
        return found
