"""The screens beside the table: add, models, settings, logs, summary."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot

from speakeasy_tui.core import models
from speakeasy_tui.core import protocol as p
from speakeasy_tui.core.job import RunnerState, State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.runner.scan import search
from speakeasy_tui.tui.app import SpeakeasyApp
from speakeasy_tui.tui.completion import completions
from speakeasy_tui.tui.listing import Listing
from speakeasy_tui.tui.screens.models import ModelsScreen
from speakeasy_tui.tui.screens.summary import SummaryScreen

from .conftest import ScriptedRunner, batch_of, make_app, ready, screen_text, until

Window = tuple[SpeakeasyApp, Pilot[Any], ScriptedRunner]


@pytest.fixture
async def window(runner: ScriptedRunner, home: Home, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in [name for name in os.environ if name.startswith("SPEAKEASY_")]:
        monkeypatch.delenv(name)
    app = make_app(runner, home)
    async with app.run_test(size=(110, 34), notifications=True) as pilot:
        await ready(app, pilot)
        yield app, pilot, runner


async def test_a_counts_what_would_be_queued_and_queues_it(window: Window, tmp_path: Path) -> None:
    app, pilot, runner = window
    tapes = tmp_path / "tapes"
    tapes.mkdir()
    for name in ("one.wav", "two.flac", "notes.pdf"):
        (tapes / name).write_bytes(b"x" * 1000)
    await pilot.press("a")
    app.screen.query_one("#path").value = str(tmp_path / "ta")  # type: ignore[attr-defined]
    await pilot.press("tab")
    field = app.screen.query_one("#path")
    await until(lambda: field.value == f"{tapes}/", pilot)  # type: ignore[attr-defined]
    await until(lambda: "2 recordings, 2 kB" in screen_text(app), pilot)
    await pilot.press("enter")
    await until(lambda: runner.asked_of(p.Add), pilot)
    (asked,) = runner.asked_of(p.Add)
    assert asked.start and [s.path for s in asked.sources] == [str(tapes).encode()]
    assert app.screen is app.board
    await until(lambda: "2 files queued" in screen_text(app), pilot)


async def test_a_disk_that_hangs_holds_up_neither_the_box_nor_leaving(
    window: Window, tmp_path: Path
) -> None:
    app, pilot, runner = window
    stuck = tmp_path / "list.txt"
    os.mkfifo(stuck)  # opening it waits for a writer, as a lost disk does
    before = threading.active_count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stat.S_ISREG", lambda mode: True)
        await pilot.press("a")
        app.screen.query_one("#path").value = str(stuck)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(lambda: "Looking…" in screen_text(app), pilot)
        assert threading.active_count() > before
        await pilot.press("escape")
        assert app.screen is app.board
        await pilot.press("q")
        await until(lambda: not app.is_running, pilot)
    assert not runner.asked_of(p.Add)
    os.close(os.open(stuck, os.O_RDWR | os.O_NONBLOCK))  # lets the thread go


def test_a_search_that_is_given_up_ends_at_the_next_folder(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).mkdir()
    asked: list[int] = []

    def given_up() -> bool:
        asked.append(1)
        return len(asked) > 2

    assert not list(search(p.Source(os.fsencode(tmp_path)), given_up))
    assert len(asked) == 3


async def test_how_long_they_are_is_estimated_from_a_sample(window: Window, tmp_path: Path) -> None:
    app, pilot, _ = window
    tapes = tmp_path / "tapes"
    tapes.mkdir()
    for number in range(60):
        with wave.open(str(tapes / f"{number}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(bytes(2 * 8000 * (20 + number % 3)))
    (tapes / "empty.mp3").touch()
    await pilot.press("a")
    app.screen.query_one("#path").value = str(tapes)  # type: ignore[attr-defined]
    await until(lambda: "61 recordings, 19 MB" in screen_text(app), pilot)
    await until(lambda: "≈ 21 min" in screen_text(app), pilot, 20)


async def test_what_is_typed_meanwhile_ends_the_estimate(
    window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, pilot, _ = window
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    (tmp_path / "one.wav").write_bytes(b"x" * 1000)
    monkeypatch.setattr(sys, "executable", str(slow))
    await pilot.press("a")
    field = app.screen.query_one("#path")
    field.value = str(tmp_path / "one.wav")  # type: ignore[attr-defined]
    await until(lambda: "1 recording, 1 kB" in screen_text(app), pilot)
    field.value = "/nowhere"  # type: ignore[attr-defined]
    await until(lambda: "no such file or folder" in screen_text(app), pilot)


async def test_a_path_that_is_not_there_is_said_and_queues_nothing(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("a", *"/nowhere", "enter")
    assert "/nowhere: no such file or folder" in screen_text(app)
    await pilot.press("escape")
    assert app.screen is app.board and not runner.asked_of(p.Add)


async def test_a_dash_is_a_file_of_that_name_and_nothing_is_read_from_the_terminal(
    window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> bytes:
        raise AssertionError("it would wait for the terminal")

    app, pilot, runner = window
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SimpleNamespace(read=read)))
    await pilot.press("a", "-", "enter")
    assert "./-: no such file or folder" in screen_text(app)
    await pilot.press("space", "-", "backspace", "backspace", "backspace", "-")
    await until(lambda: "./-: no such file or folder" in screen_text(app), pilot)
    assert not runner.asked_of(p.Add)
    (tmp_path / "-").mkdir()
    await pilot.press("enter")
    await until(lambda: runner.asked_of(p.Add), pilot)
    (asked,) = runner.asked_of(p.Add)
    assert [source.path for source in asked.sources] == [os.fsencode(tmp_path / "-")]


KEYS_AT_THE_END = {
    "cancel": ("jjjjx", ("y cancel", "n leave it")),
    "rerun": ("r", ("y replace outputs", "s skip what is there", "n leave it")),
    "stop": ("Q", ("y stop and leave", "n leave it")),
    "add": ("a", ("⏎ queue", "tab complete", "esc close")),
    "save": ("s", ("⏎ save", "tab complete", "esc close")),
    "options": ("e", ("r run again", "esc back")),
    "models": ("m", ("⏎ get", "esc back")),
    "settings": (",", ("⏎ change", "esc back")),
    "summary": ("S", ("esc back",)),
}


@pytest.mark.parametrize(("keys", "seen"), KEYS_AT_THE_END.values(), ids=KEYS_AT_THE_END)
async def test_on_a_small_terminal_the_keys_that_answer_are_in_sight(
    runner: ScriptedRunner, home: Home, tmp_path: Path, keys: str, seen: tuple[str, ...]
) -> None:
    for number in range(9):
        (tmp_path / f"recording-{number}.wav").touch()
    app = make_app(runner, home)
    async with app.run_test(size=(40, 12)) as pilot:
        await ready(app, pilot)
        await pilot.press(*("comma" if key == "," else key for key in keys))
        await until(lambda: app.screen is not app.board, pilot)
        if found := app.screen.query("#path"):
            found.only_one().value = f"{tmp_path}/rec"  # type: ignore[attr-defined]
            await pilot.press("tab")
            await pilot.pause(0.5)
        for text in seen:
            assert text in screen_text(app), text
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        await pilot.resize_terminal(36, 9)
        await pilot.pause()
        for text in seen:
            assert text in screen_text(app), text


async def test_a_menu_on_a_small_terminal_scrolls_to_its_last_line(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(40, 12)) as pilot:
        await ready(app, pilot)
        await pilot.press("o", "G")
        assert "message" in screen_text(app)


async def test_no_path_at_all_does_not_mean_the_present_folder(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("a", "space", "enter")
    assert "A file, a folder, a pattern or a list" in screen_text(app)
    await pilot.press("escape")
    assert app.screen is app.board and not runner.asked_of(p.Add)


async def test_no_path_at_all_is_not_the_folder_we_are_in(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("a", "enter")
    assert app.screen is not app.board
    assert not runner.asked_of(p.Add)


def test_hidden_names_are_completed_only_when_asked_for(tmp_path: Path) -> None:
    for name in (".trash", "tapes", "talk.mp3"):
        (tmp_path / name).mkdir() if "." not in name[1:] else (tmp_path / name).touch()
    assert completions(f"{tmp_path}/") == [f"{tmp_path}/talk.mp3", f"{tmp_path}/tapes/"]
    assert completions(f"{tmp_path}/.") == [f"{tmp_path}/.trash/"]


async def test_settings_are_shown_with_their_source_and_written(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, pilot, _ = window
    app.home.config_file.write_text("# mine\nbeam_size = 2\n")
    monkeypatch.setenv("SPEAKEASY_LANGUAGE", "de")
    await pilot.press("comma")
    text = screen_text(app)
    assert "file, line 2" in text and "SPEAKEASY_LANGUAGE" in text and "default" in text
    await pilot.press(*"jjjjj", "enter")
    app.screen.focused.value = "99"  # type: ignore[union-attr]
    await pilot.press("enter")
    assert "a whole number from 1 to 50" in screen_text(app)
    app.screen.focused.value = "4"  # type: ignore[union-attr]
    await pilot.press("enter")
    assert app.home.config_file.read_text() == "# mine\nbeam_size = 4\n"
    assert "Holds for files queued from now on" in screen_text(app)
    await pilot.press("k", "k", "enter")
    app.screen.focused.value = "fr"  # type: ignore[union-attr]
    await pilot.press("enter")
    assert "in the environment is stronger" in screen_text(app)
    await pilot.press("escape")
    assert app.screen is app.board


async def test_a_theme_chosen_in_the_settings_holds_at_once(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("comma")
    listing = app.screen.query_one(Listing)
    listing.index = list(app.screen.NAMES).index("theme")  # type: ignore[attr-defined]
    await pilot.press("enter")
    app.screen.focused.value = "archive"  # type: ignore[union-attr]
    await pilot.press("enter")
    assert app.theme == "archive"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A download folder with one model in it, made up."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = tmp_path / "hub" / "models--Systran--faster-whisper-base"
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    for name in ("model.bin", "config.json"):
        (snapshot / name).write_bytes(b"x")
    return folder


async def test_a_downloaded_model_is_deleted_when_confirmed(hub: Path, window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("m")
    assert "✓ base " in screen_text(app) and "large-v3-turbo" in screen_text(app)
    names = [model.name for model in models.local_models()]
    await pilot.press(*"j" * names.index("base"), "d", "enter", "n")
    assert hub.exists()
    await pilot.press("d", "y")
    await until(lambda: "base is deleted" in screen_text(app), pilot)
    assert not hub.exists()


async def test_a_model_is_fetched_with_progress_and_a_failure_is_said(
    window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, pilot, _ = window
    fetcher = tmp_path / "fetcher"
    fetcher.write_text(
        "#!/bin/sh\n"
        'echo \'{"op":"progress","done":30,"total":40}\'\nsleep 1.2\n'
        'echo \'{"op":"failed","message":"the hub is away"}\'\n'
    )
    fetcher.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fetcher))
    await pilot.press("m")
    assert isinstance(app.screen, ModelsScreen)
    await pilot.press("G", "x")
    assert "is not being downloaded" in screen_text(app)
    await pilot.press("enter")
    await until(lambda: " 75%" in screen_text(app), pilot)
    await until(lambda: "could not be had: the hub is away" in screen_text(app), pilot)
    await pilot.press("escape")
    assert app.screen is app.board


async def test_how_a_download_ended_is_told_wherever_one_is_and_leaving_says_that_it_ends(
    hub: Path, window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, pilot, _ = window
    go = tmp_path / "go"
    fetcher = tmp_path / "fetcher"
    fetcher.write_text(
        "#!/bin/sh\n"
        f"while [ ! -e {go} ]; do sleep 0.05; done\n"
        'echo \'{"op":"failed","message":"the hub is away"}\'\n'
    )
    fetcher.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fetcher))
    await pilot.press("m", "G", "enter")
    await until(lambda: app.downloads, pilot)
    (name,) = app.downloads
    await pilot.press("escape")
    go.touch()
    await until(lambda: app._notifications, pilot)
    assert [told.message for told in app._notifications] == [
        f"{name} could not be had: the hub is away"
    ]
    go.unlink()
    await pilot.press("m", "G", "enter")
    await until(lambda: app.downloads, pilot)
    await pilot.press("escape", "m")  # another screen, which sees that it has ended
    await until(lambda: "base " in screen_text(app), pilot)
    await pilot.press("g")
    shutil.rmtree(hub)
    go.touch()
    await until(lambda: "✓ base " not in screen_text(app), pilot)
    go.unlink()
    await pilot.press("G", "enter")
    await until(lambda: app.downloads, pilot)
    await pilot.press("escape", "q")
    await until(lambda: not app.is_running, pilot)
    assert f"The download of {name} has ended with the window" in str(app.return_value)


async def test_the_summary_groups_failures_and_reruns_a_group(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("S")
    text = screen_text(app)
    assert "✓      3 done" in text and "1 file  not readable as audio" in text
    assert "1 file  the engine died on them" in text and "slowest" in text
    assert "with a warning" in text
    await pilot.press("enter")
    await until(lambda: runner.asked_of(p.Rerun), pilot)
    assert runner.asked_of(p.Rerun)[0].ids == [7]
    assert app.screen is app.board


def end(runner: ScriptedRunner) -> None:
    """Tell that everything has ended."""
    for job in runner.jobs.values():
        if job.state in {State.QUEUED, State.RUNNING}:
            job.state = State.DONE
    runner.batch = batch_of(list(runner.jobs.values()), state=RunnerState.IDLE)
    runner.pulse()
    runner.change(*runner.jobs.values())


async def test_several_files_of_a_reason_run_again_when_that_is_meant(window: Window) -> None:
    app, pilot, runner = window
    job = runner.jobs[8]
    job.error = runner.jobs[7].error
    runner.change(job)
    await until(lambda: app.board.table.jobs[8].error == job.error, pilot)
    await pilot.press("S", "enter", "enter")
    assert "Run 2 files again?" in screen_text(app)
    await pilot.press("y")
    await until(lambda: runner.asked_of(p.Rerun), pilot)
    assert runner.asked_of(p.Rerun)[0].ids == [7, 8] and app.screen is app.board


async def test_the_summary_opens_once_when_the_batch_ends(window: Window) -> None:
    app, pilot, runner = window
    end(runner)
    await until(lambda: isinstance(app.screen, SummaryScreen), pilot)
    assert "the batch has ended" in screen_text(app) and "✓      9 done" in screen_text(app)
    await pilot.press("enter")  # was meant for the table
    assert isinstance(app.screen, SummaryScreen) and not runner.asked_of(p.Rerun)
    await pilot.press("escape")
    runner.pulse()
    await pilot.pause(1.0)
    assert app.screen is app.board


@pytest.mark.parametrize("keys", ["slash", "question_mark", "enter", "v"])
async def test_who_is_busy_with_something_else_is_told_the_key(
    window: Window, monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    app, pilot, runner = window
    told: list[str] = []
    monkeypatch.setattr(app, "notify", lambda text, **more: told.append(f"{more['title']}: {text}"))
    monkeypatch.setattr("speakeasy_tui.tui.app.REST", -1.0)
    await pilot.press(keys)
    before = app.screen
    end(runner)
    await until(lambda: told, pilot)
    assert told == ["The batch has ended: S on the table shows what it came to"]
    assert app.screen is before


async def test_whoever_is_pressing_keys_is_told_the_key(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("j")
    end(runner)
    await until(lambda: app._notifications, pilot)
    assert app.screen is app.board


async def test_an_old_batch_that_has_ended_opens_no_summary(
    runner: ScriptedRunner, home: Home
) -> None:
    runner.batch.state = RunnerState.IDLE
    app = make_app(runner, home)
    async with app.run_test(size=(110, 34)) as pilot:
        await ready(app, pilot)
        runner.pulse()
        await pilot.pause(1.0)
        assert app.screen is app.board


async def test_the_summary_stays_closed_where_the_settings_say_so(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home, Settings(summary_at_end=False))
    async with app.run_test(size=(110, 34), notifications=True) as pilot:
        await ready(app, pilot)
        end(runner)
        await pilot.pause(1.0)
        assert app.screen is app.board and not app._notifications


async def test_capital_l_shows_all_logs(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("L")
    await until(lambda: "No log yet." in screen_text(app), pilot)
    await pilot.press("tab", "w", "escape")
    assert app.screen is app.board
