"""Themes: the shipped ones are sound, a broken one is named and does no harm."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.color import Color

from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.tui import theme

from .conftest import ScriptedRunner, make_app, ready, until

SHIPPED = [
    "archive", "high-contrast", "high-contrast-light", "speakeasy-dark", "speakeasy-light",
    "tape", "terminal",
]  # fmt: skip


def luminance(color: Color) -> float:
    """Relative luminance, WCAG 2."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(Color.parse(one)), luminance(Color.parse(other))))[::-1]
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", SHIPPED)
async def test_a_shipped_theme_can_be_applied(
    name: str, runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home, Settings(theme=name))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        assert app.theme == name
        await pilot.press("enter")
        await pilot.press("escape", "question_mark")


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "terminal"])
def test_text_of_a_shipped_theme_can_be_read(name: str) -> None:
    loaded = {one.name: one for one in theme.load(Path("/nonexistent"))[0]}[name]
    least = 7.0 if name.startswith("high-contrast") else 4.5
    background = loaded.background or ""
    assert contrast(loaded.foreground or "", background) >= 7
    for key in ("quiet", "state-running", "state-done", "state-held", "state-failed"):
        assert contrast(loaded.variables[key], background) >= least, key
        if key != "quiet":
            assert contrast(loaded.variables[key], loaded.variables["row-cursor"]) >= 3.5, key


def test_all_shipped_themes_are_found_and_sound() -> None:
    themes, problems = theme.load(Path("/nonexistent"))
    assert sorted(one.name for one in themes) == SHIPPED and not problems


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('primary = "notacolour"', "primary is 'notacolour', which is not a colour"),
        (
            'primary = "#fff"\nsecondry = "#000"',
            "unknown key 'secondry'; did you mean 'secondary'?",
        ),
        ('accent = "#fff"', "primary is missing"),
        ("primary = ", "not valid TOML"),
        ('primary = "#fff"\ndark = "yes"', "dark is 'yes'"),
        ('primary = "#fff"\n[variables]\nquiet = "mud"', "variables.quiet is 'mud'"),
        ('primary = "#fff"\n[variables]\nquiet-style = "shiny"', "'shiny', not a text style"),
    ],
)
def test_a_broken_theme_is_named_with_its_key(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    themes, problems = theme.load(tmp_path)
    assert len(themes) == len(SHIPPED)
    (problem,) = problems
    assert problem.startswith("mine.toml: ") and words in problem


async def test_broken_themes_are_one_toast_and_the_default_is_kept(
    runner: ScriptedRunner, home: Home
) -> None:
    home.themes.mkdir()
    (home.themes / "a.toml").write_text('primary = "x"')
    (home.themes / "b.toml").write_text("nonsense")
    app = make_app(runner, home, Settings(theme="a"))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(app, pilot)
        assert app.theme == theme.DEFAULT
        await until(lambda: app._notifications, pilot)
        (toast,) = app._notifications
        for words in ("a.toml: primary", "b.toml:", "there is no theme 'a'"):
            assert words in toast.message


async def test_a_theme_of_ones_own_with_few_colours_is_filled_in(
    runner: ScriptedRunner, home: Home
) -> None:
    home.themes.mkdir()
    (home.themes / "mine.toml").write_text('primary = "#8844aa"\ndark = false')
    app = make_app(runner, home, Settings(theme="mine"))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        assert app.theme == "mine"
        for name in ("nord", "ansi-dark", "textual-light"):
            app.theme = name
            await pilot.pause()


async def test_no_color_leaves_the_colours_out(
    runner: ScriptedRunner, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(runner, home)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        assert app.theme == "terminal" and app.native_ansi_color
        await pilot.press("j")
        colours = {
            segment.style.color
            for strip in app.screen._compositor.render_strips()
            for segment in strip.apply_filter(app._filters[-1], app.background_colors[0])
            if segment.style is not None and segment.style.color is not None
        }
        assert {c.name for c in colours} <= {"default"}


async def test_a_theme_is_taken_in_while_it_is_edited_and_a_mistake_is_said(
    runner: ScriptedRunner, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speakeasy_tui.tui.themed_app.THEMES_EVERY", 0.05)
    home.themes.mkdir()
    mine = home.themes / "mine.toml"
    mine.write_text('primary = "#8844aa"\nbackground = "#101010"')
    app = make_app(runner, home, Settings(theme="mine"))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(app, pilot)
        mine.write_text('primary = "#8844aa"\nbackground = "#202020" ')
        await until(lambda: app.screen.styles.background.hex == "#202020", pilot)
        mine.write_text('primary = "#8844aa"\nbackground = "mud"  ')
        await until(lambda: app._notifications, pilot)
        (toast,) = app._notifications
        assert "mine.toml: background is 'mud'" in toast.message
        assert app.screen.styles.background.hex == "#202020"
        (home.themes / "new.toml").write_text('primary = "#44aa88"')
        await until(lambda: app.get_theme("new"), pilot)
