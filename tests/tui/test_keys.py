"""Every key of the table: what the runner is asked, and what the screen shows."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from textual.pilot import Pilot

from speakeasy_tui.client.board import Changes
from speakeasy_tui.core import protocol as p
from speakeasy_tui.core.job import RunnerState, State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions, Settings
from speakeasy_tui.tui.app import SpeakeasyApp
from speakeasy_tui.tui.ink import LineView
from speakeasy_tui.tui.keyed_app import QuietPalette
from speakeasy_tui.tui.screens.board import Board
from speakeasy_tui.tui.screens.confirm import Confirm
from speakeasy_tui.tui.screens.detail import Detail
from speakeasy_tui.tui.screens.help import Help

from .conftest import ScriptedRunner, batch_of, make_app, ready, screen_text, until

SIZE = (120, 34)


@pytest.fixture
async def window(runner: ScriptedRunner, home: Home) -> Any:
    """The app on the scripted runner, its pilot, and the runner."""
    app = make_app(runner, home)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        yield app, pilot, runner


Window = tuple[SpeakeasyApp, Pilot[Any], ScriptedRunner]


def table(app: SpeakeasyApp) -> Any:
    board = app.screen_stack[0]
    assert isinstance(board, Board)
    return board.table


async def test_all_rows_lanes_and_totals_are_on_the_screen(window: Window) -> None:
    app, _, _ = window
    text = screen_text(app)
    assert "ana@gpubox" in text
    assert "14 files" in text and "3 done" in text and "1 failed" in text
    assert "cuda:0" in text and "large-v3 float16" in text and "1 reload" in text
    assert "✗ failed" in text and "not an audio file" in text
    assert "⊗ quarantined" in text and " 62%" in text


async def test_moving_by_letters_arrows_and_pages(window: Window) -> None:
    app, pilot, _ = window
    rows = []
    for key in ("j", "down", "k", "up", "G", "g", "pagedown", "pageup"):
        await pilot.press(key)
        rows.append(table(app).cursor_row)
    assert rows == [1, 2, 1, 0, 13, 0, 13, 0]


async def test_ctrl_d_and_ctrl_u_move_by_half_a_screenful(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(100, 16)) as pilot:
        await ready(app, pilot)
        await pilot.press("pagedown")
        whole = table(app).cursor_row
        await pilot.press("g", "ctrl+d", "ctrl+d")
        assert abs(table(app).cursor_row - whole) <= 1
        await pilot.press("ctrl+u", "ctrl+u")
        assert table(app).cursor_row == 0


async def test_enter_opens_the_row_and_escape_closes_it(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("j", "enter")
    await until(lambda: runner.asked_of(p.GetDetail), pilot)
    assert isinstance(app.screen, Detail)
    assert runner.asked_of(p.GetDetail)[0].id == 2
    await pilot.press("escape")
    await until(lambda: runner.asked_of(p.Unwatch), pilot)
    assert isinstance(app.screen, Board)


async def test_p_pauses_and_resumes(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("p")
    await until(lambda: runner.asked_of(p.PauseQueue), pilot)
    runner.batch = batch_of(list(runner.jobs.values()), state=RunnerState.PAUSED)
    runner.pulse()
    await until(lambda: "paused" in screen_text(app), pilot)
    assert "p resume" in screen_text(app)
    await pilot.press("p")
    await until(lambda: runner.asked_of(p.Resume), pilot)


async def test_p_starts_a_stopped_batch(window: Window) -> None:
    app, pilot, runner = window
    runner.batch = batch_of(list(runner.jobs.values()), state=RunnerState.STOPPED)
    runner.pulse()
    await until(lambda: "stopped" in screen_text(app), pilot)
    await pilot.press("p")
    await until(lambda: runner.asked_of(p.Start), pilot)


async def test_x_on_a_waiting_row_cancels_it(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("G", "x")
    await until(lambda: runner.asked_of(p.Cancel), pilot)
    assert runner.asked_of(p.Cancel)[0].ids == [14]
    await until(lambda: "memo-005.ogg: cancelled" in screen_text(app), pilot)


async def test_x_on_a_running_row_asks_first_and_enter_is_not_yes(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("j", "j", "j", "j", "x")
    assert isinstance(app.screen, Confirm)
    await pilot.press("enter")
    assert isinstance(app.screen, Confirm)
    await pilot.press("n")
    assert not runner.asked_of(p.Cancel)
    await pilot.press("x", "y")
    await until(lambda: runner.asked_of(p.Cancel), pilot)
    assert runner.asked_of(p.Cancel)[0].ids == [5]


async def test_x_on_a_finished_row_says_why_not(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("x")
    await until(lambda: "Nothing to cancel" in screen_text(app), pilot)
    assert not runner.asked_of(p.Cancel)


async def test_h_holds_and_releases(window: Window) -> None:
    _, pilot, runner = window
    await pilot.press("G", "h")
    await until(lambda: runner.asked_of(p.Hold), pilot)
    assert runner.asked_of(p.Hold)[0].ids == [14]
    await pilot.press("g", *"jjjjjjjj", "h")
    await until(lambda: runner.asked_of(p.Release), pilot)
    assert runner.asked_of(p.Release)[0].ids == [9]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("G>", "memo-005.ogg: last to run already"),
        ("GJ", "memo-005.ogg: last to run already"),
        ("gjjjjjjjjK", "harbour-fog-horn.flac: next to run already"),
        ("GVK", "5 files: next to run already"),
    ],
)
async def test_what_is_at_an_end_of_the_queue_is_said_to_be(
    window: Window, keys: str, said: str
) -> None:
    app, pilot, runner = window
    runner.answers = dict.fromkeys((p.Move, p.ToEnd), lambda _: p.Ok())
    await pilot.press(*("greater_than_sign" if key == ">" else key for key in keys))
    await until(lambda: said in screen_text(app), pilot)
    assert not app.doing.take_back()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("r", "There is no file to run again"),
        ("x", "There is no file to cancel"),
        ("h", "There is no file to hold"),
        ("d", "There is no file to take off the table"),
        ("e", "There is no file to run again with other options"),
        ("w", "There is no file to open the outputs of"),
        ("y", "There is no file to copy the path of"),
        ("Y", "There is no file to copy the text of"),
        ("s", "There is no file to save the text of"),
        ("K", "There is no file to move"),
        ("less_than_sign", "There is no file to move"),
        ("enter", "There is no file to open"),
        ("space", "There is no row to mark"),
        ("V", "There is no row to mark"),
        ("i", "There is no row to mark"),
        ("v", "There is no row to mark"),
        ("shift+down", "There is no row to mark"),
        ("R", "Nothing to rerun: no file has failed"),
        ("u", "Nothing to take back"),
        ("n", "No search yet"),
        ("F", "Nothing runs"),
    ],
)
async def test_on_an_empty_table_every_key_says_why_it_does_nothing(
    home: Home, key: str, said: str
) -> None:
    app = make_app(ScriptedRunner([], batch_of([], state=RunnerState.IDLE), []), home)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        await pilot.press(key)
        assert said in screen_text(app) and app.screen is app.board


async def test_where_no_row_passes_the_filter_there_is_nothing_to_mark(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("slash", *"qqq", "enter", "v")
    assert "There is no row to mark" in screen_text(app)
    await pilot.press("d")
    assert "There is no file to take off the table" in screen_text(app)


async def test_following_says_when_nothing_runs(window: Window) -> None:
    app, pilot, runner = window
    for number in (5, 6):
        runner.jobs[number].state = State.DONE
    runner.change(runner.jobs[5], runner.jobs[6])
    await until(lambda: table(app).jobs[6].state is State.DONE, pilot)
    await pilot.press("F")
    assert "Nothing runs; the cursor goes there when something does" in screen_text(app)


async def test_what_cannot_be_looked_up_is_said(window: Window) -> None:
    app, pilot, runner = window
    for kind in (p.GetDetail, p.GetOptions):
        runner.answers[kind] = lambda _: p.Refused(message="no such job: 1")
    for key in "eYsw":
        app.board.say("")
        await pilot.press(key)
        await until(lambda: "no such job: 1" in screen_text(app), pilot)


@pytest.mark.parametrize(("key", "by"), [("K", -1), ("J", 1), ("alt+up", -1), ("alt+down", 1)])
async def test_moving_a_row(window: Window, key: str, by: int) -> None:
    _, pilot, runner = window
    await pilot.press("G", "k", key)
    await until(lambda: runner.asked_of(p.Move), pilot)
    asked = runner.asked_of(p.Move)[0]
    assert (asked.ids, asked.by) == ([13], by)


async def test_the_cursor_stays_on_its_job_when_the_job_moves(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("G")
    moved, other = runner.jobs[14], runner.jobs[13]
    moved.position, other.position = 13, 14
    runner.change(moved, other)
    await until(lambda: table(app).ids_in_view()[-2:] == [14, 13], pilot)
    assert table(app).cursor_job.id == 14
    assert table(app).cursor_row == 12


async def test_r_reruns_the_row_and_capital_r_all_failed(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press(*"jjjjjj", "r")
    await until(lambda: runner.asked_of(p.Rerun), pilot)
    await pilot.press("R")
    assert "Run 2 files again?" in screen_text(app)
    await pilot.press("y")
    await until(lambda: len(runner.asked_of(p.Rerun)) == 2, pilot)
    one, every = runner.asked_of(p.Rerun)
    assert (one.ids, one.failed) == ([7], False)
    assert (every.ids, every.failed) == ([], True)


@pytest.mark.parametrize(("key", "overwrite"), [("y", True), ("s", False)])
async def test_r_on_finished_files_asks_what_becomes_of_their_outputs(
    window: Window, key: str, overwrite: bool
) -> None:
    app, pilot, runner = window
    table(app).mark([1, 3, 7], True)
    await pilot.press("r")
    assert "Transcribe 3 files again?" in screen_text(app) and "2 are done" in screen_text(app)
    await pilot.press("enter", key)
    await until(lambda: len(runner.asked_of(p.Rerun)) == 2, pilot)
    finished, failed = runner.asked_of(p.Rerun)
    assert (finished.ids, finished.names) == ([1, 3], ["overwrite"])
    assert finished.options.overwrite is overwrite
    assert (failed.ids, failed.options) == ([7], None)
    await until(lambda: "3 files queued again" in screen_text(app), pilot)


async def test_r_on_one_finished_file_asks_too_and_n_leaves_it(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("r")
    assert "It is done." in screen_text(app)
    await pilot.press("n")
    assert app.screen is app.board and not runner.asked_of(p.Rerun)


async def test_actions_apply_to_the_marks_and_clear_them(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("G", "k", "k", "space", "space")
    assert table(app).marks == {12, 13}
    assert "2 marked" in screen_text(app)
    await pilot.press("g", "h")
    await until(lambda: runner.asked_of(p.Hold), pilot)
    assert runner.asked_of(p.Hold)[0].ids == [12, 13]
    await until(lambda: not table(app).marks, pilot)


async def test_what_a_refused_request_was_about_stays_marked(window: Window) -> None:
    app, pilot, runner = window
    runner.answers[p.Hold] = lambda _: p.Refused(message="the disk is full")
    table(app).mark([12, 13], True)
    await pilot.press("h")
    await until(lambda: app._notifications, pilot)
    assert table(app).marks == {12, 13}
    del runner.answers[p.Hold]
    await pilot.press("h")
    await until(lambda: not table(app).marks, pilot)


async def test_marks_that_the_filter_hides_are_counted_and_asked_about(window: Window) -> None:
    app, pilot, runner = window
    table(app).mark([11, 12, 13], True)
    await until(lambda: "3 marked" in screen_text(app), pilot)
    assert "hidden" not in screen_text(app)
    await pilot.press("f", "h")
    assert "3 marked, 3 hidden" in screen_text(app) and not runner.asked_of(p.Hold)
    assert "Hold 3 files?" in screen_text(app)
    assert "The filter hides all of them." in screen_text(app)
    await pilot.press("n")
    job = runner.jobs[12]
    job.state = State.FAILED
    runner.change(job)
    await until(lambda: "3 marked, 2 hidden" in screen_text(app), pilot)
    await pilot.press("less_than_sign")
    assert "Move 2 files?" in screen_text(app)
    await pilot.press("n", "f")
    assert "hidden" not in screen_text(app)
    await pilot.press("h")
    await until(lambda: runner.asked_of(p.Hold), pilot)
    assert runner.asked_of(p.Hold)[0].ids == [11, 13]


async def test_of_hidden_marks_every_question_tells(window: Window) -> None:
    app, pilot, _ = window
    table(app).mark([1, 7], True)
    await pilot.press("f")
    for key in "rde":
        await pilot.press(key)
        await until(lambda: "The filter hides 1 of them." in screen_text(app), pilot)
        await pilot.press("escape")


async def test_several_failed_files_run_again_when_that_is_meant(window: Window) -> None:
    app, pilot, runner = window
    table(app).mark([7, 8], True)
    await pilot.press("r", "enter")
    assert "Run 2 files again?" in screen_text(app) and not runner.asked_of(p.Rerun)
    await pilot.press("y")
    await until(lambda: runner.asked_of(p.Rerun), pilot)
    assert runner.asked_of(p.Rerun)[0].ids == [7, 8]


async def test_marks_survive_the_filter_and_escape_clears_them(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("space", "f")
    assert table(app).marks == {1}
    assert table(app).row_count == 2
    await pilot.press("escape")
    assert table(app).row_count == 14 and table(app).marks == {1}
    await pilot.press("escape")
    assert not table(app).marks


async def test_capital_v_marks_what_the_filter_shows(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("f", "V")
    assert table(app).marks == {7, 8}
    await pilot.press("V")
    assert not table(app).marks


@pytest.mark.parametrize(
    ("typed", "ids"),
    [
        ("memo", [10, 11, 12, 13, 14]),
        ("state:failed", [7]),
        ("lang:de", [4]),
        ("MOOV", [7]),
        ("interviews !1974", [4, 5]),
        ("[bold", []),
    ],
)
async def test_the_filter_works_as_it_is_typed(window: Window, typed: str, ids: list[int]) -> None:
    app, pilot, _ = window
    await pilot.press("slash")
    app.screen.focused.value = typed  # type: ignore[union-attr]
    await until(lambda: table(app).ids_in_view() == ids, pilot)
    await pilot.press("enter")
    assert table(app).has_focus
    assert f"{len(ids)} of 14" in screen_text(app)
    if not ids:
        assert "No row matches" in screen_text(app)
    await pilot.press("escape")
    assert table(app).row_count == 14


async def test_letters_typed_into_the_filter_steer_nothing(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("slash", *"pxhrq", "escape")
    assert not [r for r in runner.asked if not isinstance(r, p.Hello | p.Subscribe)]
    assert app.is_running and table(app).has_focus


async def test_a_row_that_fails_comes_into_the_failed_view(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("f")
    job = runner.jobs[5]
    job.state = State.FAILED
    runner.change(job)
    await until(lambda: table(app).ids_in_view() == [5, 7, 8], pilot)


async def test_y_copies_the_path(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("y")
    assert app.clipboard == "/data/recordings/interviews/1974/bells-tower-north-reel-01.flac"


async def test_help_lists_every_bound_key(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("question_mark")
    assert isinstance(app.screen, Help)
    view = app.screen.query_one(LineView)
    shown = "\n".join(view.texts)
    assert view.scroll_offset.y == 0
    for group in app.binding_groups():
        for binding in group:
            assert binding.tooltip
            assert binding.id or not binding.show
    for text in ("Pause", "Run every failed file again", "To the last row", "state:failed"):
        assert text in shown
    await pilot.press("escape")
    assert isinstance(app.screen, Board)


async def test_the_palette_changes_the_theme_and_keeps_it(
    runner: ScriptedRunner, home: Home
) -> None:
    kept: list[str] = []
    app = make_app(runner, home, save_theme=kept.append)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        await pilot.press("ctrl+p")
        await pilot.pause(0.1)
        assert not app.screen.query_one("CommandInput").cursor_blink  # type: ignore[attr-defined]
        await pilot.press(*"theme")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await pilot.pause(0.3)
        await pilot.press(*"archive")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await until(lambda: kept, pilot)
    assert kept == ["archive"]


async def choose(pilot: Pilot[Any], command: str) -> None:
    """Find a command in the palette, and choose it."""
    await pilot.press("ctrl+p")
    await pilot.pause(0.1)
    await pilot.press(*command)
    await pilot.pause(0.3)
    await pilot.press("enter")
    await until(lambda: not isinstance(pilot.app.screen, QuietPalette), pilot)
    await pilot.pause()


async def test_a_command_from_the_palette_is_done_to_the_row_that_is_open(window: Window) -> None:
    app, pilot, runner = window
    table(app).mark([12], True)
    await pilot.press("G", "enter")
    await choose(pilot, "hold")
    await until(lambda: runner.asked_of(p.Hold), pilot)
    assert runner.asked_of(p.Hold)[0].ids == [14]
    assert isinstance(app.screen, Detail) and table(app).marks == {12}


async def test_the_palette_offers_no_command_about_rows_where_none_is_seen(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("G", "S")
    offered = {command.title for command in app.get_system_commands(app.screen)}
    assert {"Pause", "Add", "Help", "Theme"} <= offered
    assert not offered & {"Hold", "Cancel", "Remove", "Run first", "Mark", "Back"}
    await choose(pilot, "pause")
    await until(lambda: runner.asked_of(p.PauseQueue), pilot)


async def test_the_palette_tells_the_keys_that_would_do_it_here(window: Window) -> None:
    app, pilot, _ = window

    def offered() -> dict[str, str]:
        return {one.title: one.help for one in app.get_system_commands(app.screen)}

    assert offered()["Cancel"].startswith("x   Cancel;")
    assert offered()["Add"].startswith("a   ")
    await pilot.press("m")
    assert offered()["Add"].startswith("Queue more")  # a is nothing there
    assert offered()["Stop download"].startswith("x   ")


async def test_help_and_redraw_are_done_from_the_palette(window: Window) -> None:
    app, pilot, _ = window
    drawn: list[bool] = []
    app.action_redraw = lambda: drawn.append(True)  # type: ignore[method-assign]
    await choose(pilot, "redraw")
    await until(lambda: drawn, pilot)
    await choose(pilot, "help")
    await until(lambda: isinstance(app.screen, Help), pilot)


async def test_help_begins_with_the_keys_of_the_screen_in_front(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("enter", "question_mark")
    texts = app.screen.query_one(LineView).texts
    assert texts[0] == "an opened row" and "Search for words" in "".join(texts[:6])
    assert "the table" in texts
    await pilot.press("escape", "escape", "question_mark")
    assert app.screen.query_one(LineView).texts[0] == "files"


@pytest.mark.parametrize("height", [1, 2, 3, 4, 5, 24])
async def test_the_palette_has_pages_on_any_terminal(
    runner: ScriptedRunner, home: Home, height: int
) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(80, height)) as pilot:
        await ready(app, pilot)
        await pilot.press("ctrl+p", "pagedown", "pageup", *"th", "pagedown", "down", "up")
        await pilot.pause(0.3)
        await pilot.press("pagedown", "pageup", "ctrl+end", "ctrl+home", "escape")
        app.action_change_theme()
        await pilot.press("pagedown", "pageup", "escape")
        assert app.screen is app.board


async def test_the_palette_can_be_opened_while_the_last_one_closes(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("ctrl+p")
    for _ in range(3):
        app.screen.dismiss()
        app.action_command_palette()
        await pilot.pause()
        assert isinstance(app.screen, QuietPalette)
    await pilot.press("escape")
    assert app.screen is app.board


async def test_q_leaves_and_says_that_the_batch_goes_on(runner: ScriptedRunner, home: Home) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        await pilot.press("q")
        await until(lambda: not app.is_running, pilot)
    assert app.return_value is not None
    assert app.return_value.startswith("2 files running, 4 waiting: the batch goes on.")
    assert not runner.asked_of(p.Stop) and not runner.asked_of(p.Shutdown)


async def test_capital_q_stops_the_work_when_confirmed(runner: ScriptedRunner, home: Home) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        await pilot.press("Q")
        await pilot.press("enter")
        assert isinstance(app.screen, Confirm)
        await pilot.press("y")
        await until(lambda: not app.is_running, pilot)
    assert [request.now for request in runner.asked_of(p.Stop)] == [True]
    assert app.return_value is not None and app.return_value.startswith("Work has stopped;")


async def test_a_refused_stop_leaves_the_window_open_and_the_batch_going_on(
    runner: ScriptedRunner, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speakeasy_tui.tui.leaving_app.LEAVE_WAIT", 0.2)
    runner.answers[p.Stop] = lambda _: p.Refused(message="the disk is full")
    app = make_app(runner, home)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(app, pilot)
        await pilot.press("Q", "y")
        await until(lambda: app._notifications, pilot)
        await pilot.pause(0.4)
        assert app.is_running
        await pilot.press("q")
        await until(lambda: not app.is_running, pilot)
    assert app.return_value is not None and "the batch goes on" in app.return_value


async def test_what_a_stop_without_an_answer_came_to_is_not_made_up(
    runner: ScriptedRunner, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speakeasy_tui.tui.leaving_app.LEAVE_WAIT", 0.2)
    answer = threading.Event()

    def stop(_: p.Stop) -> p.AnyMessage:
        answer.wait(10)
        return p.Ok()

    runner.answers[p.Stop] = stop
    app = make_app(runner, home)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        await pilot.press("Q", "y")
        await until(lambda: not app.is_running, pilot)
    answer.set()
    assert app.return_value is not None and "has not answered yet" in app.return_value


async def test_leaving_asks_when_the_work_would_end_with_the_window(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home, Settings(foreground=True))
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        await pilot.press("q")
        assert isinstance(app.screen, Confirm)
        await pilot.press("n")
        assert isinstance(app.screen, Board)
        await pilot.press("q", "y")
        await until(lambda: not app.is_running, pilot)
    assert app.return_value is not None and app.return_value.startswith("Work has stopped;")


async def test_ctrl_z_would_stop_the_work_that_runs_in_the_window(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home, Settings(foreground=True))
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        await pilot.press("ctrl+z")
        await until(lambda: "Not with --foreground" in screen_text(app), pilot)


async def test_ctrl_c_says_how_to_leave(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("ctrl+c")
    await until(lambda: "leaves and the work goes on" in screen_text(app), pilot)


async def test_a_refusal_is_shown_with_its_hint(runner: ScriptedRunner, home: Home) -> None:
    runner.answers[p.Add] = lambda _: p.Refused(message="no such folder", hint="check the path")
    app = make_app(runner, home, on_connected=[p.Add(sources=[], options=p.JobOptions())])
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(app, pilot)
        await until(lambda: app._notifications, pilot)
        (told,) = app._notifications
        assert "no such folder" in told.message and "check the path" in told.message
    assert len(runner.asked_of(p.Add)) == 1


async def test_keys_are_rebound_from_the_settings(runner: ScriptedRunner, home: Home) -> None:
    settings = Settings(keys={"rerun_failed": "ctrl+r", "down": "b,down"})
    app = make_app(runner, home, settings)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        await pilot.press("b")
        assert table(app).cursor_row == 1
        await pilot.press("j")
        assert table(app).cursor_row == 1
        await pilot.press("R")
        await pilot.press("ctrl+r", "y")
        await until(lambda: runner.asked_of(p.Rerun), pilot)
        assert len(runner.asked_of(p.Rerun)) == 1
        assert app.key_of("rerun_failed") == "^r"


async def test_esc_goes_back_whatever_else_does_for_in_a_field_keys_are_letters(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home, Settings(keys={"back": "q", "clear": "z"}))
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        await pilot.press("a", "q")
        assert app.screen.query_one("#path").value == "q"  # type: ignore[attr-defined]
        await pilot.press("escape")
        assert app.screen is app.board
        await pilot.press("slash", "z", "escape")
        assert not app.board.query_one("#filter-bar").display


async def test_unknown_and_clashing_keys_are_named(runner: ScriptedRunner, home: Home) -> None:
    settings = Settings(keys={"rerrun": "z", "pause": "x"})
    app = make_app(runner, home, settings)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(app, pilot)
        text = "\n".join(told.message for told in app._notifications)
        assert "rerrun: no such action; did you mean 'rerun'?" in text
        assert "pause: x belongs to cancel already" in text
        await pilot.press("p")
        await until(lambda: runner.asked_of(p.PauseQueue), pilot)


async def test_one_toast_for_each_kind_of_fault(window: Window) -> None:
    app, pilot, runner = window
    told: list[str] = []
    app.notify = lambda text, title="", **_: told.append(title)  # type: ignore[assignment]
    jobs = list(runner.jobs.values())
    for job in jobs[:5]:
        runner.tell(p.Event(event="reload", ts=1.0, job=job, detail={"kind": "cuda"}))
    runner.tell(p.Event(event="respawn", ts=1.0, detail={"kind": "crash", "message": "SIGSEGV"}))
    await until(lambda: len(told) == 2, pilot)
    assert told == [
        "Reloaded the model after a CUDA error",
        "New engine process after the engine died",
    ]


async def test_an_empty_queue_says_what_to_do(home: Home) -> None:
    app = make_app(ScriptedRunner([], batch_of([], state=RunnerState.IDLE), []), home)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await until(lambda: "Nothing is queued." in screen_text(app), pilot)
        assert "speakeasy add FILE" in screen_text(app)
        await pilot.press("enter", "x", "r", "space", "y", "h", "K", "G")
        assert isinstance(app.screen, Board)


async def test_a_folder_without_recordings_is_not_called_0_files(home: Home) -> None:
    runner = ScriptedRunner([], batch_of([], state=RunnerState.IDLE), [])
    runner.answers[p.Add] = lambda request: p.Added(ids=[])
    app = make_app(runner, home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: "Nothing is queued" in screen_text(app), pilot)
        app.ask(p.Add(sources=[], options=JobOptions()), "")
        await until(lambda: "no recordings were found there" in screen_text(app), pilot)
        last = screen_text(app).rstrip().splitlines()[-1]
        assert last.startswith(" a add files")
        await pilot.press("S")
        assert "Nothing has been queued yet" in screen_text(app)


async def test_the_keys_are_those_of_an_empty_table_as_soon_as_it_is_known_to_be_empty(
    home: Home,
) -> None:
    app = make_app(ScriptedRunner([], batch_of([], state=RunnerState.IDLE), []), home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: "Nothing is queued" in screen_text(app), pilot)
        app.synced = False
        app.board.show_overview()
        app.apply_changes(Changes(synced=True))  # as where the batch was told a moment before
        await pilot.pause()
        assert screen_text(app).rstrip().splitlines()[-1].startswith(" a add files")


async def test_what_is_just_being_started_is_not_called_stopped(home: Home) -> None:
    runner = ScriptedRunner([], batch_of([], state=RunnerState.STOPPED), [])
    answer = threading.Event()

    def start(_: p.Start) -> p.AnyMessage:
        answer.wait(10)
        return p.Ok()

    runner.answers[p.Start] = start
    app = make_app(runner, home, on_connected=[p.Start()])
    async with app.run_test(size=(120, 24)) as pilot:
        await ready(app, pilot)
        await until(lambda: runner.asked_of(p.Start), pilot)
        text = screen_text(app)
        assert "Starting…" in text and "Reading the queue…" in text
        assert "stopped" not in text and "p resume" not in text and "0 files" not in text
        answer.set()
        await until(lambda: "stopped" in screen_text(app), pilot)
        assert "p resume" in screen_text(app) and "Nothing is queued." in screen_text(app)


async def test_a_simulated_engine_is_named(runner: ScriptedRunner, home: Home) -> None:
    for lane in runner.lanes:
        lane.engine = "sim"
    app = make_app(runner, home)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        assert "simulated engine" in screen_text(app).splitlines()[0]


@pytest.mark.parametrize(
    ("before", "goodbye", "started"),
    [
        (RunnerState.IDLE, False, True),
        (RunnerState.RUNNING, False, True),
        (RunnerState.STOPPED, False, False),
        (RunnerState.IDLE, True, False),
    ],
)
async def test_a_runner_in_the_place_of_one_that_died_is_set_to_work_unless_it_was_stopped(
    runner: ScriptedRunner,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    before: RunnerState,
    goodbye: bool,
    started: bool,
) -> None:
    monkeypatch.setattr("speakeasy_tui.tui.gpu_worker.RETRY", 0.1)
    runner.batch.state = before
    app = make_app(runner, home)
    app.worker._rejoin = runner.connect
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        runner.batch.state = RunnerState.STOPPED
        if goodbye:
            runner.tell(p.Goodbye(reason="stopped"))
        else:
            runner.hang_up()
        await until(lambda: "The runner is back" in screen_text(app), pilot)
        await until(lambda: "stopped" in screen_text(app), pilot)
        await pilot.pause(0.2)
        assert bool(runner.asked_of(p.Start)) is started
        runner.pulse()
        await pilot.pause(0.2)
        assert len(runner.asked_of(p.Start)) == started


async def test_the_runner_going_away_is_said_and_it_is_found_again(
    runner: ScriptedRunner, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speakeasy_tui.tui.gpu_worker.RETRY", 0.2)
    app = make_app(runner, home)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        runner.refuse_connections = True
        del runner.jobs[14]
        runner.hang_up()
        await until(lambda: "The runner is gone." in screen_text(app), pilot)
        assert "speakeasy doctor" in screen_text(app)
        assert "14 files" in screen_text(app) and "cuda:0" not in screen_text(app)
        runner.refuse_connections = False
        await until(lambda: runner.connections == 2, pilot)
        await until(lambda: "The runner is back" in screen_text(app), pilot)
        await until(lambda: table(app).row_count == 13, pilot)
