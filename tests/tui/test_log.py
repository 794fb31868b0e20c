"""The screen of logs: words looked for in it."""

from __future__ import annotations

from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.tui.app import SpeakeasyApp
from speakeasy_tui.tui.ink import LineView

from .conftest import ScriptedRunner, make_app, ready, screen_text, until

SIZE = (80, 12)


def write_log(home: Home, text: str) -> None:
    home.logs.mkdir(parents=True, exist_ok=True)
    with (home.logs / "runner.log").open("a") as log:
        log.write(text)


def marked(app: SpeakeasyApp) -> list[str]:
    """What is marked as found in the lines in sight."""
    view = app.screen.query_one("#log", LineView)
    top = view.scroll_offset.y
    lines = view.lines[top : top + view.size.height]
    return [span.text for line in lines for span in line if span.ink == "match"]


async def test_words_searched_in_a_log_are_marked_the_newest_first(
    runner: ScriptedRunner, home: Home
) -> None:
    write_log(
        home, "".join(f"line {n:03} {'CUDA cuda' if n % 50 == 0 else ''}\n" for n in range(200))
    )
    app = make_app(runner, home)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        await pilot.press("L")
        await until(lambda: "line 199" in screen_text(app), pilot)
        await pilot.press("slash", *"cuda", "enter")
        await until(lambda: "cuda: 4 of 4 lines" in screen_text(app), pilot)
        assert "line 150" in screen_text(app) and marked(app) == ["CUDA", "cuda"]
        await pilot.press("N")
        assert "line 100" in screen_text(app) and "cuda: 3 of 4 lines" in screen_text(app)
        await pilot.press("n", "n")
        assert "line 000" in screen_text(app) and "cuda: 1 of 4 lines" in screen_text(app)
        await pilot.press("escape")
        assert not marked(app)
        await pilot.press("escape")
        assert app.screen is app.board


async def test_a_line_that_is_logged_during_a_search_is_marked_too(
    runner: ScriptedRunner, home: Home
) -> None:
    write_log(home, "one cuda\n")
    app = make_app(runner, home)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        await pilot.press("L", "slash", *"cuda", "enter")
        await until(lambda: marked(app) == ["cuda"], pilot)
        write_log(home, "two cuda\n")
        await until(lambda: marked(app) == ["cuda", "cuda"], pilot)
        await pilot.press("slash", *"xyz", "enter")
        await until(lambda: "xyz: not in the lines shown" in screen_text(app), pilot)


async def test_the_footers_of_all_screens_name_the_keys_as_they_are_bound(
    runner: ScriptedRunner, home: Home
) -> None:
    keys = {"log_level": "z", "model_cancel": "Z", "default": "ctrl+t", "undo": "U"}
    app = make_app(runner, home, Settings(keys=keys))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        for screen, text in (("L", "z level"), ("m", "Z stop download"), ("comma", "^t default")):
            await pilot.press(screen)
            await until(lambda text=text: text in screen_text(app), pilot)
            await pilot.press("escape")
        await pilot.press("space", "space", "d")
        await until(lambda: "U brings the rows back" in screen_text(app), pilot)
