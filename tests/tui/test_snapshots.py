"""How it looks: the board at four sizes and under every theme, and what else there is."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings

from .conftest import ScriptedRunner, make_app, ready

SIZES = [(60, 20), (80, 24), (140, 45), (220, 60)]
THEMES = [
    "archive", "high-contrast", "high-contrast-light", "speakeasy-light", "tape", "terminal",
]  # fmt: skip
LOOKS = [("speakeasy-dark", size) for size in SIZES] + [(name, (100, 30)) for name in THEMES]


@pytest.mark.parametrize(
    ("theme", "size"), LOOKS, ids=[f"{name}-{size[0]}x{size[1]}" for name, size in LOOKS]
)
def test_the_board(
    snap_compare: Any, runner: ScriptedRunner, home: Home, theme: str, size: tuple[int, int]
) -> None:
    app = make_app(runner, home, Settings(theme=theme))

    async def before(pilot: Pilot[Any]) -> None:
        await ready(app, pilot)
        await pilot.press("j", "j", "space", "space")
        await pilot.pause(0.1)

    assert snap_compare(app, terminal_size=size, run_before=before)


ON_TOP = {
    "opened": ("j", "j", "j", "j", "enter"),
    "help": ("question_mark",),
    "folders": ("t",),
    "sorting": ("o",),
    "summary": ("S",),
    "options": ("e",),
    "add": ("a",),
    "question": ("j", "j", "j", "j", "x"),
}


@pytest.mark.parametrize("keys", ON_TOP.values(), ids=ON_TOP)
def test_what_lies_on_top(
    snap_compare: Any, runner: ScriptedRunner, home: Home, keys: tuple[str, ...]
) -> None:
    app = make_app(runner, home)

    async def before(pilot: Pilot[Any]) -> None:
        await ready(app, pilot)
        await pilot.press(*keys)
        await pilot.pause(0.2)

    assert snap_compare(app, terminal_size=(100, 30), run_before=before)
