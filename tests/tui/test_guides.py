"""The guide pages say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from speakeasy_tui.tui import theme
from speakeasy_tui.tui.keyed_app import KeyedApp, screens

from .keys_guide import PAGE, page


def test_the_page_of_keys_is_made_from_the_bindings() -> None:
    # python -m tests.tui.keys_guide writes it anew
    assert PAGE.read_text("utf-8") == page()


def test_every_binding_has_a_name_and_a_tooltip_and_no_key_is_bound_twice() -> None:
    for title, _ in screens():
        group = dict(zip([name for name, _ in screens()], KeyedApp().binding_groups(), strict=True))
        seen: dict[str, str] = {}
        for binding in group[title]:
            assert binding.tooltip, binding
            for key in binding.key.split(","):
                other = seen.setdefault(key, binding.id or "")
                assert other == (binding.id or ""), f"{title}: {key} is {other} and {binding.id}"


def test_the_page_of_themes_names_all_themes_and_variables() -> None:
    text = (PAGE.parent / "themes.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z_-]+)`", text))
    shipped, _ = theme.load(Path("/nonexistent"))
    assert {one.name for one in shipped} <= named
    for one in shipped:
        own = {key for key in one.variables if not key.startswith("block-cursor")}
        assert own <= named
    assert set(theme._KINDS) - {"variables"} <= named
