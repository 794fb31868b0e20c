"""What the guide pages and the README say of the code is true."""

from __future__ import annotations

import re
from pathlib import Path

from tests.tools import write_settings

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_of_settings_is_the_declaration() -> None:
    text = write_settings.PAGE.read_text("utf-8")
    assert write_settings.page(text) == text, "run: python -m tests.tools.write_settings"


def test_every_link_of_the_pages_leads_somewhere() -> None:
    missing = []
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            if not target.startswith("http") and not (page.parent / target).exists():
                missing += [f"{page.name}: {target}"]
    assert missing == []
