"""Sorting, grouping, searching, undoing, editing: the keys beyond the first ones."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from speakeasy_tui.core import protocol as p
from speakeasy_tui.core.job import Job, State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.tui.app import SpeakeasyApp
from speakeasy_tui.tui.ink import LineView
from speakeasy_tui.tui.screens.board import Board
from speakeasy_tui.tui.screens.log import by_time, level_of, speaks_of
from speakeasy_tui.tui.screens.pick import Pick

from .conftest import ScriptedRunner, batch_of, make_app, ready, screen_text, until

SIZE = (130, 36)
Window = tuple[SpeakeasyApp, Pilot[Any], ScriptedRunner]


@pytest.fixture
async def window(runner: ScriptedRunner, home: Home) -> Any:
    app = make_app(runner, home)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        yield app, pilot, runner


async def test_o_sorts_by_a_column_and_capital_o_turns_it_round(window: Window) -> None:
    app, pilot, _ = window
    table = app.board.table
    await pilot.press("o")
    assert isinstance(app.screen, Pick)
    await pilot.press("5")
    lengths = [table.jobs[i].audio_s or 0 for i in table.ids_in_view()]
    assert lengths == sorted(lengths, reverse=True)
    assert table.cursor_job is not None and table.cursor_job.id == 1
    assert "audio▼" in screen_text(app) and "longest on top" in screen_text(app)
    await pilot.press("O")
    lengths = [table.jobs[i].audio_s or 0 for i in table.ids_in_view()]
    assert lengths == sorted(lengths)
    await pilot.press("o", "1")
    assert table.ids_in_view() == list(range(1, 15))


async def test_a_sorted_view_stays_sorted_as_rows_change(window: Window) -> None:
    app, pilot, runner = window
    table = app.board.table
    await pilot.press("o", "2")
    assert table.ids_in_view()[:2] == [5, 6]
    job = runner.jobs[14]
    job.state = State.RUNNING
    runner.change(job)
    await until(lambda: table.ids_in_view()[:3] == [5, 6, 14], pilot)


async def test_t_groups_by_folder_with_totals(window: Window) -> None:
    app, pilot, runner = window
    table = app.board.table
    await pilot.press("t")
    text = screen_text(app)
    assert "/data/recordings/interviews/1974/" in text and "3 of 3 files done" in text
    assert table.row_count == 14 and len(table.view) == 18
    await pilot.press("g", "space")
    assert table.marks == {6, 7, 8, 9}
    runner.tell(p.Rows(jobs=[], gone=[4, 5]))
    await until(lambda: "/interviews/1981/" not in screen_text(app), pilot)
    await pilot.press("O", "escape", "t")
    assert len(table.view) == 12


@pytest.mark.parametrize("turned", [False, True])
async def test_grouped_rows_are_counted_without_the_folders_lines(
    window: Window, turned: bool
) -> None:
    app, pilot, _ = window
    table = app.board.table
    await pilot.press("t", *("O" if turned else ""), "g")
    seen = []
    for row in range(18):
        table.action_go(row)
        await pilot.pause()
        (line,) = [one for one in screen_text(app).splitlines() if one.endswith(" of 14 ")]
        seen.append((isinstance(table.cursor_item, Job), int(line.split()[-3])))
    assert [number for is_job, number in seen if is_job] == list(range(1, 15))
    assert sorted(number for is_job, number in seen if not is_job) == [2, 3, 4, 5]


async def test_capital_f_follows_the_running_row_until_one_moves(window: Window) -> None:
    app, pilot, runner = window
    table = app.board.table
    await pilot.press("F")
    assert table.cursor_job is not None and table.cursor_job.id == 5
    job = runner.jobs[5]
    job.state = State.DONE
    runner.change(job)
    await until(lambda: table.cursor_job is not None and table.cursor_job.id == 6, pilot)
    await pilot.press("j")
    assert not table.following


async def test_following_shows_what_runs_next_below_the_row_that_runs(home: Home) -> None:
    jobs = [Job(id=n, position=n, path=f"/a/{n:03}.wav", root="/a") for n in range(1, 101)]
    runner = ScriptedRunner(jobs, batch_of(jobs), [])
    app = make_app(runner, home)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        jobs[39].state = State.RUNNING
        runner.change(jobs[39])
        await until(lambda: app.board.table.jobs[40].state is State.RUNNING, pilot)
        await pilot.press("F")
        tops = {app.board.table.scroll_offset.y}
        assert "040.wav" in screen_text(app) and "044.wav" in screen_text(app)
        for n in range(40, 45):
            jobs[n - 1].state, jobs[n].state = State.DONE, State.RUNNING
            runner.change(jobs[n - 1], jobs[n])
            await until(lambda n=n: app.board.table.cursor_job.id == n + 1, pilot)
            tops.add(app.board.table.scroll_offset.y)
        assert len(tops) == 1  # it went down the screen, which stood still


async def test_n_goes_from_match_to_match(window: Window) -> None:
    app, pilot, _ = window
    table = app.board.table
    await pilot.press("n")
    assert "No search yet" in screen_text(app)
    await pilot.press("slash", *"harbour", "enter", "escape", "n")
    assert table.row_count == 14
    seen = [table.cursor_row]
    for key in "nnN":
        await pilot.press(key)
        seen.append(table.cursor_row)
    assert seen == [8, 2, 8, 2]
    assert "Match 1 of 2 for harbour" in screen_text(app)


async def test_an_exclamation_mark_inverts_the_filter(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("exclamation_mark")
    assert "Nothing to invert" in screen_text(app)
    await pilot.press("slash", *"memo", "enter", "exclamation_mark")
    assert app.board.table.ids_in_view() == list(range(1, 10))
    assert "not: memo" in screen_text(app)


async def test_ranges_of_marks_and_their_inversion(window: Window) -> None:
    app, pilot, _ = window
    table = app.board.table
    await pilot.press("j", "v", "j", "j", "v", "j")
    assert table.marks == {2, 3, 4}
    await pilot.press("shift+down", "shift+down")
    assert table.marks == {2, 3, 4, 5, 6, 7}
    await pilot.press("i")
    assert table.marks == {1, *range(8, 15)}


async def test_a_range_begins_at_its_row_wherever_that_goes(window: Window) -> None:
    app, pilot, runner = window
    table = app.board.table
    await pilot.press("o", "2", "g", "j", "v")
    assert table.cursor_job is not None and table.cursor_job.id == 6
    job = runner.jobs[6]
    job.state = State.DONE  # below all that wait or were held
    runner.change(job)
    await until(lambda: table.ids_in_view()[1] != 6, pilot)
    row = table.ids_in_view().index(6)
    table.action_go(row - 1)
    assert table.marks == {6, table.ids_in_view()[row - 1]}


async def test_a_removal_is_asked_for_and_taken_back(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("u")
    assert "Nothing to take back" in screen_text(app)
    await pilot.press("G", "d")
    await until(lambda: runner.asked_of(p.Remove), pilot)
    await until(lambda: "taken off" in screen_text(app), pilot)
    await pilot.press("u")
    await until(lambda: runner.asked_of(p.Restore), pilot)
    assert runner.asked_of(p.Restore)[0].ids == [14]
    await until(lambda: "Taken back: memo-005.ogg: taken off" in screen_text(app), pilot)


async def test_a_hidden_row_that_is_taken_off_is_counted_no_more(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("j", "space", "slash", *"memo", "enter")
    assert "5 of 14" in screen_text(app) and "1 marked" in screen_text(app)
    runner.tell(p.Rows(jobs=[], gone=[2]))
    await until(lambda: "5 of 13" in screen_text(app), pilot)
    assert "marked" not in screen_text(app)


async def test_cancelled_waiting_and_held_files_come_back_as_they_were(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("G", "space")
    app.board.table.mark([9], True)
    await pilot.press("x", "y")
    await pilot.press("u")
    await until(lambda: runner.asked_of(p.Uncancel), pilot)
    (asked,) = runner.asked_of(p.Uncancel)
    assert (asked.ids, asked.held) == ([9, 14], [9])
    await until(lambda: "Taken back: 2 files cancelled" in screen_text(app), pilot)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "Taken back for 1 of 3 files cancelled; the others were running then"),
        (0, "Not taken back: 3 files cancelled were running then, or have been changed since"),
    ],
)
async def test_an_undo_says_for_how_many_files_it_could_be_done(
    window: Window, count: int, said: str
) -> None:
    app, pilot, runner = window
    runner.answers[p.Uncancel] = lambda _: p.Ok(count=count)
    app.board.table.mark([5, 9, 14], True)
    await pilot.press("x", "y")
    await pilot.press("u")
    await until(lambda: said in screen_text(app), pilot)
    assert runner.asked_of(p.Uncancel)[0].ids == [9, 14]


async def test_marked_rows_are_made_to_run_first_and_back(window: Window) -> None:
    app, pilot, runner = window
    app.board.table.mark([13, 14], True)
    await pilot.press("less_than_sign")
    await until(lambda: "2 files: next to run" in screen_text(app), pilot)
    (asked,) = runner.asked_of(p.ToEnd)
    assert (asked.ids, asked.first) == ([13, 14], True)
    await pilot.press("u")
    await until(lambda: "Taken back: 2 files moved" in screen_text(app), pilot)
    (back,) = runner.asked_of(p.Place)
    assert (back.ids, back.positions) == ([13, 14], [13, 14])
    await pilot.press("escape", "g", "greater_than_sign")
    assert "Nothing to move" in screen_text(app)


async def test_a_row_that_is_moved_is_named(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("G", "less_than_sign")
    await until(lambda: "memo-005.ogg: next to run" in screen_text(app), pilot)
    await pilot.press("K")
    await until(lambda: runner.asked_of(p.Move), pilot)
    await until(lambda: "memo-005.ogg: moved" in screen_text(app), pilot)
    await pilot.press("u")
    await until(lambda: "Taken back: memo-005.ogg: moved" in screen_text(app), pilot)


async def test_what_is_taken_back_is_the_last_that_was_done_answered_or_not(
    window: Window,
) -> None:
    app, pilot, runner = window
    answer = threading.Event()

    def cancel(request: p.Cancel) -> p.AnyMessage:
        answer.wait(10)
        return p.Ok(count=1, undo=p.Uncancel(ids=request.ids))

    runner.answers[p.Cancel] = cancel
    await pilot.press("G", "d")
    await until(lambda: "memo-005.ogg: taken off" in screen_text(app), pilot)
    await pilot.press("k", "x", "u", "u")
    await until(lambda: runner.asked_of(p.Cancel), pilot)
    assert not runner.asked_of(p.Restore)
    answer.set()
    await until(lambda: runner.asked_of(p.Restore), pilot)
    undone = [one for one in runner.asked if isinstance(one, p.Uncancel | p.Restore)]
    assert [(type(one), one.ids) for one in undone] == [(p.Uncancel, [13]), (p.Restore, [14])]


async def test_what_was_refused_is_not_taken_back(window: Window) -> None:
    app, pilot, runner = window
    answer = threading.Event()

    def cancel(_: p.Cancel) -> p.AnyMessage:
        answer.wait(10)
        return p.Refused(message="the disk is full")

    runner.answers[p.Cancel] = cancel
    await pilot.press("G", "h", "x", "u")
    answer.set()
    await until(lambda: "Nothing to take back: that was not done" in screen_text(app), pilot)
    await pilot.press("u")
    await until(lambda: runner.asked_of(p.Release), pilot)
    assert not runner.asked_of(p.Uncancel)


@pytest.mark.parametrize("full", [True, False])
async def test_an_undo_that_is_refused_can_be_tried_again_if_that_may_help(
    window: Window, full: bool
) -> None:
    app, pilot, runner = window
    runner.answers[p.Place] = lambda _: p.Refused(message="not now", later=full)
    await pilot.press("G", "h", "K", "u")
    await until(lambda: app._notifications, pilot)
    del runner.answers[p.Place]
    await pilot.press("u")
    await until(lambda: len(runner.asked_of(p.Place)) == 1 + full, pilot)
    await until(lambda: bool(runner.asked_of(p.Release)) is not full, pilot)


async def test_an_undo_while_the_runner_is_away_is_not_lost(
    runner: ScriptedRunner, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speakeasy_tui.tui.gpu_worker.RETRY", 0.2)
    app = make_app(runner, home)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        await pilot.press("G", "d")
        await until(lambda: "taken off" in screen_text(app), pilot)
        await pilot.press("K")
        await until(lambda: "moved" in screen_text(app), pilot)
        runner.refuse_connections = True
        runner.hang_up()
        await until(lambda: "The runner is gone." in screen_text(app), pilot)
        await pilot.press("u", "u")
        await until(lambda: len(app._notifications) == 2, pilot)
        runner.refuse_connections = False
        await until(lambda: "The runner is back" in screen_text(app), pilot)
        await pilot.press("u", "u")
        await until(lambda: runner.asked_of(p.Restore), pilot)
        undone = [one for one in runner.asked if isinstance(one, p.Place | p.Restore)]
        assert [type(one) for one in undone] == [p.Place, p.Restore]


async def test_e_changes_options_and_runs_again(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("G", "e")
    assert "it is not finished yet" in screen_text(app)
    await pilot.press("g", "e")
    await until(lambda: "run again with" in screen_text(app), pilot)
    for _ in range(3):
        await pilot.press("j")
    await pilot.press("enter")
    app.screen.focused.value = "klingon"  # type: ignore[union-attr]
    await pilot.press("enter")
    assert "language 'klingon' is not one Whisper knows" in screen_text(app)
    app.screen.focused.value = "fr"  # type: ignore[union-attr]
    await pilot.press("enter", "j", "enter", "r")
    await until(lambda: runner.asked_of(p.Rerun), pilot)
    asked = runner.asked_of(p.Rerun)[0]
    assert asked.ids == [1]
    assert (asked.options.language, asked.options.task) == ("fr", "translate")
    assert asked.names == ["language", "task"]


async def test_e_on_several_rows_says_where_they_differ_and_changes_only_what_was_changed(
    window: Window,
) -> None:
    app, pilot, runner = window
    runner.options[2] = p.JobOptions(language="fr", beam_size=1, output_dir="/data/texts")
    app.board.table.mark([1, 2, 3], True)
    await pilot.press("e")
    await until(lambda: "run again with  3 files" in screen_text(app), pilot)
    lines = {line.split()[0]: line for line in screen_text(app).splitlines() if line.strip()}
    for name in ("language", "output_dir"):
        assert "the files differ" in lines[name] and "each keeps its own" in lines[name]
    assert "the files differ" not in lines["beam_size"]
    await pilot.press(*"jjjjj", "enter")
    app.screen.focused.value = "7"  # type: ignore[union-attr]
    await pilot.press("enter", "j")
    assert "changed" in next(line for line in screen_text(app).splitlines() if "beam_size" in line)
    await pilot.press("r")
    await until(lambda: runner.asked_of(p.Rerun), pilot)
    (asked,) = runner.asked_of(p.Rerun)
    assert (asked.ids, asked.names, asked.options.beam_size) == ([1, 2, 3], ["beam_size"], 7)


async def test_e_says_what_another_row_is_already(window: Window) -> None:
    app, pilot, runner = window
    runner.answers[p.Rerun] = lambda _: p.Ok(count=0, note="1 left as it was: another row")
    await pilot.press("e")
    await until(lambda: "run again with" in screen_text(app), pilot)
    await pilot.press("r")
    said = "reel-01.flac: not queued again. 1 left as it was: another row"
    await until(lambda: said in screen_text(app), pilot)


async def test_changed_options_stay_until_the_file_runs_again(window: Window) -> None:
    app, pilot, runner = window
    runner.answers[p.Rerun] = lambda _: p.Refused(message="the disk is full")
    await pilot.press("e")
    await until(lambda: "run again with" in screen_text(app), pilot)
    await pilot.press(*"jjjj", "enter", "r")
    await until(lambda: app._notifications, pilot)
    assert "changed" in screen_text(app)
    del runner.answers[p.Rerun]
    await pilot.press("r")
    await until(lambda: app.screen is app.board, pilot)
    assert [asked.names for asked in runner.asked_of(p.Rerun)] == [["task"], ["task"]]


async def test_what_was_changed_and_changed_back_is_not_changed(window: Window) -> None:
    app, pilot, runner = window
    await pilot.press("e")
    await until(lambda: "run again with" in screen_text(app), pilot)
    await pilot.press(*"jjjj", "enter", "enter", "r")
    await until(lambda: runner.asked_of(p.Rerun), pilot)
    assert runner.asked_of(p.Rerun)[0].names == []


async def test_capital_y_copies_the_text(window: Window) -> None:
    app, pilot, _ = window
    await pilot.press("Y")
    await until(lambda: "Copied" in screen_text(app), pilot)
    assert app.clipboard.startswith("We started recording the bells")


async def test_l_shows_the_files_log_and_follows_it(window: Window) -> None:
    app, pilot, _ = window
    logs = app.home.logs
    logs.mkdir(parents=True)
    (logs / "runner.log").write_text(
        "2026 INFO r: job 1: begun\n2026 WARNING r: lane 0: cuda, files [1, 3]: bad → reload\n"
        "2026 INFO r: job 11: begun\n"
    )
    (logs / "engine-0.log").write_text("terminate called without an active exception\n")
    await pilot.press("l")
    await until(lambda: "job 1: begun" in screen_text(app), pilot)
    assert "files [1, 3]" in screen_text(app) and "job 11" not in screen_text(app)
    await pilot.press("f", "w")
    text = screen_text(app)
    assert "job 1: begun" not in text and "terminate called" in text and "files [1, 3]" in text
    with (logs / "engine-0.log").open("a") as log:
        log.write("RuntimeError: CUDA failed\n")
    await until(lambda: "RuntimeError: CUDA failed" in screen_text(app), pilot)
    await pilot.press("escape")
    assert isinstance(app.screen, Board)


def test_lines_of_several_logs_stand_in_the_order_of_their_times() -> None:
    runner = ["2026-01-01 10:00:00,001 a", "Traceback", "2026-01-01 10:00:09,000 c"]
    other = ["2026-01-01 10:00:05,000 b"]
    written = datetime(2026, 1, 1, 10, 0, 7).timestamp()
    logs = [("runner", written, runner), ("other", written, other), ("engine", written, ["died"])]
    order = [text.split()[-1] for _, text in by_time(logs)]
    assert order == ["a", "Traceback", "b", "died", "c"]


async def test_who_reads_further_up_in_a_full_log_goes_on_reading_there(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speakeasy_tui.tui.screens.log.MOST", 200)
    app, pilot, _ = window
    app.home.logs.mkdir(parents=True)
    path = app.home.logs / "runner.log"
    path.write_text("".join(f"line {n:04}\n" for n in range(400)))
    await pilot.press("L")
    await until(lambda: "line 0399" in screen_text(app), pilot)
    await pilot.press(*["pageup"] * 3)
    view = app.screen.query_one("#log", LineView)
    await until(lambda: "line 0399" not in screen_text(app), pilot)
    before = view.texts[view.scroll_offset.y]
    with path.open("a") as log:
        log.write("".join(f"more {n:04}\n" for n in range(30)))
    await until(lambda: view.texts[-1].endswith("more 0029"), pilot)
    assert len(view.lines) == 200
    assert view.texts[view.scroll_offset.y] == before


def test_lines_of_logs_have_a_level_and_a_file(runner: ScriptedRunner) -> None:
    assert [level_of(t) for t in ("x INFO y", "x WARNING y", "RuntimeError: z")] == [0, 1, 2]
    job = runner.jobs[3]
    for text in ("job 3: begun", "cuda, files [1, 3]: x", "flight: [3]", "open harbour-master.wav"):
        assert speaks_of(job, text), text
    for text in ("job 31: begun", "files [13, 30]", "3 files"):
        assert not speaks_of(job, text), text


async def test_w_opens_an_output_and_says_what_became_of_it(
    window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, pilot, runner = window
    monkeypatch.setenv("VISUAL", "true")
    await pilot.press("w")
    await until(lambda: "No outputs yet" in screen_text(app), pilot)
    job = runner.jobs[1]
    job.outputs = (str(tmp_path / "a.txt"), str(tmp_path / "a.srt"))
    (tmp_path / "a.srt").write_text("x")
    await pilot.press("w")  # the row does not name them: they are asked for
    await until(lambda: "a.srt" in screen_text(app), pilot)
    await pilot.press("escape")
    runner.change(job)
    await until(lambda: app.board.table.jobs[1].outputs, pilot)
    await pilot.press("w", "1")
    await until(lambda: "a.txt is not there any more" in screen_text(app), pilot)
    await pilot.press("w", "2")
    await until(lambda: "cannot be shared" in screen_text(app), pilot)  # headless: no terminal
