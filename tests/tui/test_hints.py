"""The keys named below the table: those that are wanted at that moment."""

from __future__ import annotations

from typing import Any

import pytest

from speakeasy_tui.core.job import ErrorKind, Job, JobError, RunnerState, State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.tui.hints import Situation, hints

from .conftest import ScriptedRunner, make_app, ready, screen_text, until


def named(job: Job | None, **changes: Any) -> list[str]:
    """Names of the actions on a batch that runs, the cursor on `job`."""
    now = Situation(True, RunnerState.RUNNING, 9, 0, job, marked=False, filtered=False)
    return [name for name, _ in hints(now._replace(**changes))]


def row(state: State) -> Job:
    return Job(id=1, position=1, path="/a/b.wav", root="/a", state=state)


@pytest.mark.parametrize(
    ("state", "there", "not_there"),
    [
        (State.QUEUED, {"cancel", "hold"}, {"rerun", "outputs"}),
        (State.RUNNING, {"cancel", "hold", "follow"}, {"rerun", "outputs"}),
        (State.DONE, {"rerun", "outputs"}, {"cancel", "hold"}),
        (State.SKIPPED, {"rerun"}, {"cancel", "hold", "outputs"}),
        (State.FAILED, {"rerun", "log"}, {"cancel", "hold", "outputs"}),
        (State.CANCELLED, {"rerun"}, {"cancel", "hold", "outputs"}),
    ],
)
def test_only_what_can_be_done_to_the_row_is_named(
    state: State, there: set[str], not_there: set[str]
) -> None:
    keys = set(named(row(state)))
    assert there <= keys and not keys & not_there
    assert {"open", "help", "leave", "pause"} <= keys


def test_an_empty_queue_names_first_how_to_fill_it() -> None:
    keys = named(None, queued=0)
    assert keys[0] == "add" and not {"cancel", "mark", "filter", "pause"} & set(keys)


def test_a_filter_or_marks_name_the_way_out_of_them() -> None:
    assert named(None)[0] == "clear"  # nothing passes the filter
    assert "clear" in named(row(State.DONE), marked=True)[:3]
    assert "clear" in named(row(State.DONE), filtered=True)[:3]
    assert "clear" not in named(row(State.DONE))


def test_all_failed_files_can_be_run_again_where_there_are_several() -> None:
    assert "rerun_failed" in named(row(State.DONE), failed=2)
    assert "rerun_failed" not in named(row(State.DONE), failed=1)


def test_a_batch_that_is_over_names_the_summary_and_no_pause() -> None:
    keys = named(row(State.DONE), state=RunnerState.IDLE)
    assert keys[0] == "summary" and "pause" not in keys


def test_without_a_runner_no_key_is_named_that_asks_it_for_something() -> None:
    assert set(named(row(State.QUEUED), linked=False)) == {"help", "leave", "logs", "filter"}


async def test_a_row_that_fails_under_the_cursor_says_why_and_what_can_be_done(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press("j", "j", "j", "j")
        await until(lambda: "x cancel" in screen_text(app), pilot)
        job = runner.jobs[5]
        job.state = State.FAILED
        job.error = JobError(ErrorKind.INPUT, "it ends in the middle", "copy it once more")
        runner.change(job)
        await until(lambda: "it ends in the middle: copy it once more" in screen_text(app), pilot)
        last = screen_text(app).rstrip().splitlines()[-1]
        assert "r rerun" in last and "x cancel" not in last


async def test_an_answer_is_read_whole_where_the_number_of_the_row_leaves_too_little_room(
    runner: ScriptedRunner, home: Home
) -> None:
    note = "3 left as they were: their state does not allow it, or they have gone"
    app = make_app(runner, home)
    async with app.run_test(size=(76, 24)) as pilot:
        await ready(app, pilot)
        assert "1 of 14" in screen_text(app)
        app.board.say(note)
        await pilot.pause()
        assert note in screen_text(app) and "1 of 14" not in screen_text(app)
