"""Themes from TOML files: the shipped ones, and the person's own.

A file holds the fields of `textual.theme.Theme` (its name is the file's) and a table
``[variables]``. Ours: `quiet` and `faint` (text and lines that stand back), `quiet-style`
(`none` or `dim`), `row-cursor` (background) and `row-cursor-style`, `state-running`,
`state-done`, `state-held`, `state-failed`.
"""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

from textual.color import Color, ColorParseError
from textual.css.constants import VALID_STYLE_FLAGS
from textual.theme import Theme

from speakeasy_tui.core.text import printable
from speakeasy_tui.core.values import nearest

DEFAULT = "speakeasy-dark"

_COLORS = (
    "primary", "secondary", "warning", "error", "success", "accent",
    "foreground", "background", "surface", "panel", "boost",
)  # fmt: skip
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(_COLORS, str),
    "dark": bool,
    "ansi": bool,
    "luminosity_spread": (int, float),
    "text_alpha": (int, float),
    "variables": dict,
}
assert set(_KINDS) == {field.name for field in fields(Theme)} - {"name"}


class ThemeError(ValueError):
    """A theme that cannot be used; the message names the file and the key."""


def shipped_folder() -> Path:
    """Where our own themes lie: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "themes"
    return inside if inside.is_dir() else package.parent / "themes"


def read(path: Path) -> Theme:
    """The theme a file holds, fit to be applied.

    Raises:
        ThemeError: naming the file, the key and what would do.
    """
    where = printable(path.name)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ThemeError(f"{where}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ThemeError(f"{where}: not valid TOML: {error}") from None
    for key, value in table.items():
        if key not in _KINDS:
            raise ThemeError(f"{where}: unknown key {key!r}{nearest(key, list(_KINDS))}")
        kind = _KINDS[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ThemeError(f"{where}: {key} is {value!r}, which is not what it takes")
        if key in _COLORS and isinstance(value, str):
            _check_color(where, key, value)
    if "primary" not in table:
        raise ThemeError(f"{where}: primary is missing")
    for key, value in table.get("variables", {}).items():
        if not isinstance(value, str):
            raise ThemeError(f"{where}: variables.{key} is {value!r}; it must be text in quotes")
        if not key.endswith("-style"):
            _check_color(where, f"variables.{key}", value)
        elif unknown := set(value.split()) - VALID_STYLE_FLAGS:
            raise ThemeError(f"{where}: variables.{key} holds {unknown.pop()!r}, not a text style")
    return Theme(name=path.stem, **table)


def _check_color(where: str, key: str, value: str) -> None:
    # Textual accepts any text and dies of it when the theme is applied.
    try:
        Color.parse(value)
    except ColorParseError:
        raise ThemeError(f"{where}: {key} is {value!r}, which is not a colour") from None


def load(user_folder: Path) -> tuple[list[Theme], list[str]]:
    """Shipped themes, then those of `user_folder` (which may replace them), and what failed."""
    themes: dict[str, Theme] = {}
    problems: list[str] = []
    for folder in (shipped_folder(), user_folder):
        try:
            paths = sorted(folder.glob("*.toml"))
        except OSError:
            continue
        for path in paths:
            try:
                themes[path.stem] = read(path)
            except ThemeError as error:
                problems.append(str(error))
    return list(themes.values()), problems


def variable_defaults(theme: Theme) -> dict[str, str]:
    """Our variables for a theme that does not set them, Textual's own ones among them."""
    system = theme.to_color_system()
    colors = {
        "state-running": (system.accent or system.primary).hex,
        "state-done": (system.success or system.primary).hex,
        "state-failed": (system.error or system.primary).hex,
        "state-held": (system.warning or system.primary).hex,
    }
    if theme.ansi:
        return colors | {
            "ansi-background": "ansi_black",  # Textual's own, which it leaves undefined
            "ansi-foreground": "ansi_white",
            "quiet": "ansi_default",
            "faint": "ansi_default",
            "quiet-style": "dim",
            "row-cursor": "ansi_default",
            "row-cursor-style": "bold reverse",
        }
    generated = system.generate()
    background = Color.parse(generated["background"])
    foreground = Color.parse(generated["foreground"])
    return colors | {
        "quiet": foreground.blend(background, 0.38).hex,
        "faint": foreground.blend(background, 0.75).hex,
        "quiet-style": "none",
        "row-cursor-style": "bold",
        "row-cursor": background.blend(system.primary, 0.25).hex,
    }
