"""How it looks: the board under two themes at two sizes, an opened row, help."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import ScriptedRunner, make_app, ready
from textual.pilot import Pilot

from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings


@pytest.mark.parametrize("size", [(80, 24), (140, 45)], ids=["80x24", "140x45"])
@pytest.mark.parametrize("theme", ["speakeasy-dark", "speakeasy-light"])
def test_the_board(
    snap_compare: Any, runner: ScriptedRunner, home: Home, theme: str, size: tuple[int, int]
) -> None:
    app = make_app(runner, home, Settings(theme=theme))

    async def before(pilot: Pilot[Any]) -> None:
        await ready(app, pilot)
        await pilot.press("j", "j", "space", "space")
        await pilot.pause(0.1)

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize(
    "keys", [("j", "j", "j", "j", "enter"), ("question_mark",)], ids=["opened", "help"]
)
def test_what_lies_on_top(
    snap_compare: Any, runner: ScriptedRunner, home: Home, keys: tuple[str, ...]
) -> None:
    app = make_app(runner, home)

    async def before(pilot: Pilot[Any]) -> None:
        await ready(app, pilot)
        await pilot.press(*keys)
        await pilot.pause(0.2)

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)
