"""Write the table of settings in docs/configuration.md from their declaration.

python -m tests.tools.write_settings
"""

from __future__ import annotations

import re
from pathlib import Path

from speakeasy_tui.core.settings import ALL_FIELDS, DEFAULTS, help_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
BEGIN, END = "<!-- settings: written by tests.tools.write_settings -->", "<!-- end of settings -->"


def table() -> str:
    """The settings with default and help, as Markdown."""
    lines = ["| setting | default | what |", "|---|---|---|"]
    for name in ALL_FIELDS:
        value = getattr(DEFAULTS, name)
        default = f"`{_shown(value)}`" if _shown(value) else ""
        lines.append(f"| `{name}` | {default} | {help_of(name)} |")
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value) if value not in (None, {}) else ""


def page(text: str) -> str:
    """The page with its table renewed."""
    block = f"{BEGIN}\n{table()}\n{END}"
    return re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: block, text, flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
