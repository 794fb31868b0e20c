"""Saving a transcript's text where a person says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from speakeasy_tui.core.paths import Home
from speakeasy_tui.tui.app import SpeakeasyApp
from speakeasy_tui.tui.saving import ThereAlready, resolved, save
from speakeasy_tui.tui.screens.detail import Detail
from speakeasy_tui.tui.screens.save import SaveScreen

from .conftest import SPOKEN, ScriptedRunner, make_app, ready, screen_text, until

Window = tuple[SpeakeasyApp, Pilot[Any], ScriptedRunner]
NAME = "bells-tower-north-reel-01.txt"
TEXT = "".join(f"{line}\n" for line in SPOKEN)


@pytest.fixture
async def window(
    runner: ScriptedRunner, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    app = make_app(runner, home)
    async with app.run_test(size=(110, 34), notifications=True) as pilot:
        await ready(app, pilot)
        await pilot.press("enter")
        await until(lambda: "swifts" in screen_text(app), pilot)
        await pilot.press("s")
        await until(lambda: isinstance(app.screen, SaveScreen), pilot)
        yield app, pilot, runner


async def test_the_text_is_saved_as_name_txt_where_one_is(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("enter")
    await until(lambda: isinstance(app.screen, Detail), pilot)
    assert Path(NAME).read_text() == TEXT
    await until(lambda: f"Saved 53 words as {NAME} in /" in screen_text(app), pilot)


async def test_a_folder_gets_the_usual_name_and_tilde_is_home(
    window: Window, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app, pilot, _ = window
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "texts").mkdir()
    app.screen.query_one(Input).value = "~/texts"
    await pilot.press("enter")
    await until(lambda: isinstance(app.screen, Detail), pilot)
    assert (tmp_path / "texts" / NAME).read_text() == TEXT


async def test_what_is_there_is_replaced_only_when_confirmed(window: Window) -> None:
    app, pilot, _ = window
    Path(NAME).write_text("mine")
    await pilot.press("enter")
    await until(lambda: f"Replace {NAME}?" in screen_text(app), pilot)
    await pilot.press("enter", "n")
    assert Path(NAME).read_text() == "mine" and isinstance(app.screen, SaveScreen)
    await pilot.press("enter")
    await until(lambda: f"Replace {NAME}?" in screen_text(app), pilot)
    await pilot.press("y")
    await until(lambda: isinstance(app.screen, Detail), pilot)
    assert Path(NAME).read_text() == TEXT
    assert os.listdir() == [NAME]


async def test_what_goes_wrong_is_told_and_the_path_can_be_changed(window: Window) -> None:
    app, pilot, _ = window
    app.screen.query_one(Input).value = "/nowhere/x.txt"
    await pilot.press("enter")
    await until(lambda: "Not saved" in screen_text(app), pilot)
    (told,) = app._notifications
    assert told.message == "/nowhere/x.txt: no such file or directory; make the folder first"
    app.screen.query_one(Input).value = "other.txt"
    await pilot.press("enter")
    await until(lambda: isinstance(app.screen, Detail), pilot)
    assert Path("other.txt").read_text() == TEXT


async def test_tab_completes_and_escape_saves_nothing(window: Window) -> None:
    app, pilot, _ = window
    Path("transcripts").mkdir()
    app.screen.query_one(Input).value = "./tr"
    await pilot.press("tab")
    assert app.screen.query_one(Input).value == "./transcripts/"
    await pilot.press("escape")
    assert isinstance(app.screen, Detail) and os.listdir() == ["transcripts"]


async def test_a_file_without_text_has_nothing_to_save(runner: ScriptedRunner, home: Home) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(110, 34)) as pilot:
        await ready(app, pilot)
        await pilot.press(*"jjjjjj", "s")
        await until(lambda: "Nothing to save" in screen_text(app), pilot)


def test_what_is_no_ordinary_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for replace in (False, True):
        with pytest.raises(FileExistsError, match="ordinary"):
            save(str(tmp_path / "pipe"), b"x", replace=replace)


def test_a_link_stays_a_link_and_rights_stay_as_they_are(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    target.chmod(0o640)
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(ThereAlready):
        save(str(tmp_path / "link"), b"new", replace=False)
    save(str(tmp_path / "link"), b"new", replace=True)
    assert target.read_text() == "new" and target.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link").is_symlink()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "old").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    for name, replace in (("old", True), ("new", False)):
        with pytest.raises(OSError, match="No space"):
            save(str(tmp_path / name), b"x", replace=replace)
    assert os.listdir(tmp_path) == ["old"] and (tmp_path / "old").read_text() == "old"


def test_no_path_means_the_usual_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolved(" ", "a.txt") == resolved("./", "a.txt") == str(tmp_path / "a.txt")
    assert resolved("b", "a.txt") == str(tmp_path / "b")
