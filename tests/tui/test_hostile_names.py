"""Names and texts that hold what a terminal would obey: typed, completed, put into fields."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.segment import Segment
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import Input

from speakeasy_tui.core import protocol as p
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.text import printable
from speakeasy_tui.tui.app import SpeakeasyApp
from speakeasy_tui.tui.completion import completions
from speakeasy_tui.tui.diff import _cells
from speakeasy_tui.tui.saving import resolved
from speakeasy_tui.tui.screens.detail import Detail
from speakeasy_tui.tui.typed import meant, unescaped

from .conftest import ScriptedRunner, make_app, ready, screen_text, until

NAMES = {
    b"osc\x1b]0;pwned\x07.wav": "osc\\e]0;pwned\\x07.wav",
    b"new\nline.wav": "new\\nline.wav",
    b"by\xfete.wav": "by\\xfete.wav",
    b"c1\xc2\x9b2J.wav": "c1\\x9b2J.wav",
    "abc\u202evaw.exe.wav".encode(): "abc\\u202evaw.exe.wav",
    rb"plain\n.wav": r"plain\n.wav",
    b"blank at its end ": "blank at its end ",
}

Window = tuple[SpeakeasyApp, Pilot[Any], ScriptedRunner]


@pytest.fixture
async def window(runner: ScriptedRunner, home: Home) -> Any:
    app = make_app(runner, home)
    async with app.run_test(size=(130, 34)) as pilot:
        await ready(app, pilot)
        yield app, pilot, runner


def harmless(app: SpeakeasyApp) -> bool:
    """Whether nothing on the screen is more than text."""
    return all(printable(line) == line for line in screen_text(app).split("\n"))


@pytest.mark.parametrize(("name", "shown"), NAMES.items(), ids=NAMES.values())
async def test_a_name_is_completed_as_it_is_shown_and_the_right_file_queued(
    window: Window, tmp_path: Path, name: bytes, shown: str
) -> None:
    app, pilot, runner = window
    file = os.path.join(os.fsencode(tmp_path), b"tapes", name)
    os.mkdir(os.path.dirname(file))
    Path(os.fsdecode(file)).write_bytes(b"x" * 1000)
    await pilot.press("a")
    field = app.screen.query_one(Input)
    field.value = f"{tmp_path}/ta"
    await pilot.press("tab", "tab")
    assert field.value == f"{tmp_path}/tapes/{shown}"
    await until(lambda: "1 recording, 1 kB" in screen_text(app), pilot)
    assert shown.strip() in screen_text(app) and harmless(app)
    await pilot.press("enter")
    await until(lambda: runner.asked_of(p.Add), pilot)
    (asked,) = runner.asked_of(p.Add)
    assert [source.path for source in asked.sources] == [file]
    assert harmless(app)


async def test_what_is_pasted_cannot_steer_the_terminal(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("slash")
    app.screen.query_one(Input).value = "a\x1b]0;pwned\x07\u202e\udcfe"
    await pilot.pause()
    assert "a\\e]0;pwned\\x07\\u202e\\xfe" in screen_text(app) and harmless(app)


def test_folders_with_such_names_lead_on_and_patterns_stay_patterns(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1bb"
    folder.mkdir()
    (folder / "one.wav").touch()
    (folder / "two.wav").touch()
    typed = f"{tmp_path}/a\\eb/"
    assert completions(f"{tmp_path}/a") == [typed]
    assert completions(f"{typed}o") == [f"{typed}one.wav"]
    assert meant(f"{typed}*.wav") == f"{folder}/*.wav"
    assert resolved(f" {typed}new\\n.txt ", "x") == f"{folder}/new\\n.txt"
    assert meant("~") == os.path.expanduser("~") and meant("  ") == ""


async def test_a_text_is_saved_over_the_file_whose_name_is_completed(
    window: Window, tmp_path: Path
) -> None:
    app, pilot, _ = window
    file = tmp_path / "text\x1b.txt"
    file.write_text("old")
    await pilot.press("enter")
    await until(lambda: "swifts" in screen_text(app), pilot)
    await pilot.press("s")
    await until(lambda: app.screen.query("#path"), pilot)
    app.screen.query_one(Input).value = f"{tmp_path}/te"
    await pilot.press("tab", "enter")
    await until(lambda: "Replace text\\e.txt?" in screen_text(app), pilot)
    assert harmless(app)
    await pilot.press("y")
    await until(lambda: isinstance(app.screen, Detail), pilot)
    assert file.read_text().startswith("We started") and "text\\e.txt" in screen_text(app)


async def test_an_option_of_several_lines_keeps_them_when_its_words_are_changed(
    window: Window,
) -> None:
    app, pilot, runner = window
    runner.options[1] = p.JobOptions(initial_prompt="bells\nand \x1b[31mtowers")
    await pilot.press("e")
    await until(lambda: "run again with" in screen_text(app), pilot)
    names = list(p.JobOptions.__struct_fields__)
    await pilot.press(*"j" * names.index("initial_prompt"), "enter")
    assert "bells\\nand \\e[31mtowers" in screen_text(app) and harmless(app)
    await pilot.press("end", *" too", "enter", "r")
    await until(lambda: runner.asked_of(p.Rerun), pilot)
    (asked,) = runner.asked_of(p.Rerun)
    assert asked.options.initial_prompt == "bells\nand \x1b[31mtowers too"


def test_escapes_are_read_only_for_what_stood_there_before() -> None:
    assert unescaped(r"C:\new", r"C:\old") == r"C:\new"
    assert unescaped(r"a\nb\nd", "a\nb\nc") == "a\nb\nd"
    both = "a\\nb\nc"
    assert unescaped(printable(both), both) == both


def test_nothing_that_a_terminal_obeys_is_sent_whoever_draws_it() -> None:
    strip = Strip([Segment("a\x1b]0;b\x07"), Segment("ü\u202e\udcfe\n")])
    text = "".join(cell for cell, _ in _cells([strip], ColorSystem.TRUECOLOR))
    assert text == "a]0;bü\ufffd"


@pytest.mark.parametrize(
    "text", ["👨\u200d👩\u200d👧\u200d👦.wav", "❤\ufe0f.wav", "e\u0301", "留守", "🇩🇪"]
)
def test_a_character_of_several_takes_the_cells_for_which_it_was_laid_out(text: str) -> None:
    cells = _cells([Strip([Segment(f"a{text}|")])], ColorSystem.TRUECOLOR)
    assert len(cells) == cell_len(f"a{text}|")
    assert "".join(cell for cell, _ in cells) == f"a{text}|"
