"""An opened row: the transcript arriving, the attempts, the error with its hint."""

from __future__ import annotations

import pytest
from msgspec import structs
from rich.cells import cell_len

from speakeasy_tui.core import protocol as p
from speakeasy_tui.core.job import Job, State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.transcript import Chunk, Segment, Word
from speakeasy_tui.tui.ink import LineView, changed
from speakeasy_tui.tui.loudness import loudness_lines
from speakeasy_tui.tui.screens.detail import Detail
from speakeasy_tui.tui.transcript import segment_lines, stamp

from .conftest import STRIP, ScriptedRunner, chunk, make_app, ready, screen_text, until


async def test_parts_of_the_transcript_arrive_while_it_is_open(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(app, pilot)
        await pilot.press(*"jjjj", "enter")
        await until(lambda: "[00:42.4] You can hear the swifts" in screen_text(app), pilot)
        runner.tell(p.Chunks(id=5, chunks=[chunk(2)]))
        await until(lambda: "[00:56.8] We started recording" in screen_text(app), pilot)
        runner.tell(p.Chunks(id=5, chunks=[chunk(1)]))  # told twice: shown once
        runner.tell(p.Chunks(id=6, chunks=[chunk(9)]))  # another file's
        runner.tell(p.Chunks(id=5, chunks=[chunk(3)]))
        await until(lambda: "[01:25.2]" in screen_text(app), pilot)
        assert screen_text(app).count("[00:28.4]") == 1
        runner.tell(p.Chunks(id=5, chunks=[chunk(0)], reset=True))
        await until(lambda: "[00:28.4]" not in screen_text(app), pilot)
        assert "[00:14.0]" in screen_text(app)


async def test_the_end_is_followed_unless_one_has_scrolled_up(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press(*"jjjj", "enter")
        await pilot.pause(0.1)
        view = app.screen.query_one("#transcript", LineView)
        runner.tell(p.Chunks(id=5, chunks=[chunk(n) for n in range(2, 20)]))
        await until(lambda: len(view.texts) > 40, pilot)
        await until(lambda: view.is_vertical_scroll_end, pilot)
        await pilot.press("k", "k")
        before = view.scroll_offset.y
        runner.tell(p.Chunks(id=5, chunks=[chunk(n) for n in range(20, 30)]))
        await until(lambda: "[14:01.6]" in view.texts[-1] or len(view.texts) > 90, pilot)
        assert view.scroll_offset.y == before
        await pilot.press("G")
        assert view.is_vertical_scroll_end


async def test_how_loud_it_is_is_drawn_with_speech_and_the_place_reached(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press(*"jjjj", "enter")
        await until(lambda: "▲" in screen_text(app), pilot)
        blocks, marks = screen_text(app).split("\n")[1:3]
        assert {"▁", "▅", "█"} <= set(blocks)
        assert "45:10" in blocks and "━" in marks
        assert 0.60 < marks.index("▲") / len(blocks.split("  ")[0]) < 0.65
        job = runner.jobs[5]
        job.progress = 0.9
        runner.change(job)
        await until(lambda: screen_text(app).split("\n")[2].index("▲") > 75, pilot)
        runner.tell(p.Chunks(id=5, chunks=[], loudness="8" * 100))
        await until(lambda: "▁" * 80 in screen_text(app), pilot)


async def test_a_strip_that_becomes_known_while_it_is_open_appears(
    runner: ScriptedRunner, home: Home
) -> None:
    runner.detail = lambda request: p.Detail(  # type: ignore[method-assign]
        seq=request.seq,
        job=runner.jobs[request.id],
        options=p.JobOptions(engine="sim"),
        attempts=[],
        chunks=[],
    )
    app = make_app(runner, home)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press(*"jjjj", "enter")
        await until(lambda: "Nothing yet" in screen_text(app), pilot)
        assert "▲" not in screen_text(app)
        runner.tell(p.Chunks(id=5, chunks=[], loudness=STRIP))
        await until(lambda: "▲" in screen_text(app), pilot)
        assert "simulated" in screen_text(app)


@pytest.mark.parametrize("width", [20, 60, 100, 137, 200])
def test_the_strip_is_as_wide_as_the_screen_and_keeps_short_loud_parts(width: int) -> None:
    strip = "0" * 70 + "7" + "0" * 29 + "8" * 60
    blocks, marks = loudness_lines(strip, width, 0.5, ("1:02:13", ""))
    texts = ["".join(span.text for span in line) for line in (blocks, marks)]
    assert [cell_len(text) for text in texts] == [width, width]
    assert "█" in texts[0] and "▲" in texts[1] and "━" in texts[1]


def test_a_strip_that_makes_no_sense_is_left_out() -> None:
    assert loudness_lines("", 80, 0.5) == loudness_lines("xyz", 80, 0.5) == []
    assert loudness_lines("01", 6, 0.5) == []


def test_a_place_that_moves_on_changes_few_spans() -> None:
    one, two = (loudness_lines(STRIP, 200, place, ("", "")) for place in (0.5, 0.506))
    for before, after in zip(one, two, strict=True):
        difference = changed(before, after)
        assert difference is not None and difference[1] <= 16


async def test_a_failed_row_shows_error_hint_attempts_and_what_the_engine_said(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(140, 45)) as pilot:
        await ready(app, pilot)
        await pilot.press(*"jjjjjj", "enter")
        await until(lambda: "attempts" in screen_text(app), pilot)
        text = screen_text(app)
        assert "not an audio file: moov atom not found" in text
        assert "download it again" in text
        assert "signal 6 (SIGABRT)" in text
        assert "terminate called [recursively]" in text
        assert "10-09 08:53:20" in text and "0:43" in text
        assert "beam_size" in text
        assert "No transcript is kept" in text


async def test_of_a_file_without_a_text_the_attempts_are_read_at_once(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press(*"jjjjjjj", "enter")  # quarantined
        await until(lambda: "No transcript is kept" in screen_text(app), pilot)
        await until(lambda: "terminate called [recursively]" in screen_text(app), pilot)
        await pilot.press("G")  # without going there first
        await until(lambda: "options" in screen_text(app), pilot)
        last = screen_text(app).rstrip().splitlines()[-1]
        assert "r rerun" in last and "search" not in last and "cancel" not in last
        await pilot.press("left_square_bracket", "left_square_bracket")  # that of a running file
        await until(lambda: "You can hear the swifts" in screen_text(app), pilot)
        last = screen_text(app).rstrip().splitlines()[-1]
        assert "x cancel" in last and "/ search" in last and "rerun" not in last
        assert app.focused is app.screen.query_one("#transcript")


async def test_the_row_is_steered_from_where_it_is_open(runner: ScriptedRunner, home: Home) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press(*"jjjjjj", "enter")
        await pilot.press("r")
        await until(lambda: runner.asked_of(p.Rerun), pilot)
        assert runner.asked_of(p.Rerun)[0].ids == [7]
        await until(lambda: "broken-download.mp3: queued again" in screen_text(app), pilot)


async def test_brackets_open_the_rows_above_and_below_and_the_cursor_goes_along(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press("t", "g", "j", "enter")  # grouped: a folder's line is above
        assert isinstance(app.screen, Detail)
        seen = [app.screen.job.id]
        keys = ["left_square_bracket", *["right_square_bracket"] * 4, "left_square_bracket"]
        for key in keys:
            await pilot.press(key)
            await until(lambda: runner.asked_of(p.GetDetail)[-1].id == app.screen.job.id, pilot)
            seen.append(app.screen.job.id)
        assert seen == [6, 6, 7, 8, 9, 1, 9]
        assert "harbour-fog-horn" in screen_text(app)
        await pilot.press("escape")
        assert app.board.table.cursor_job == runner.jobs[9]
        await pilot.press("G", "enter", "right_square_bracket")
        assert "There is no row below" in screen_text(app)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("left", "above", "below"), [(7, None, 8), (8, 7, None)])
async def test_rows_beside_one_that_left_the_view_are_those_that_stood_there(
    runner: ScriptedRunner,
    home: Home,
    turned: bool,
    left: int,
    above: int | None,
    below: int | None,
) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press("f", *("O" if turned else ""))
        job = runner.jobs[left]
        job.state = State.QUEUED
        runner.change(job)
        table = app.board.table
        await until(lambda: table.row_count == 1, pilot)
        if turned:
            above, below = below, above
        for by, wanted in ((-1, above), (1, below)):
            found = table.beside(job, by)
            assert (found.id if found is not None else None) == wanted


async def test_a_change_of_state_asks_for_the_attempts_again(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press(*"jjjj", "enter")
        await until(lambda: len(runner.asked_of(p.GetDetail)) == 1, pilot)
        job = runner.jobs[5]
        job.state = State.DONE
        runner.change(job)
        await until(lambda: len(runner.asked_of(p.GetDetail)) == 2, pilot)
        assert "✓ done" in screen_text(app)


async def test_foreign_text_is_shown_as_it_is_and_moves_nothing(
    runner: ScriptedRunner, home: Home
) -> None:
    evil = "[red]x[/red] \x1b]0;owned\x07 \u202egnp.mp3"
    runner.detail = lambda request: p.Detail(  # type: ignore[method-assign]
        seq=request.seq,
        job=runner.jobs[request.id],
        options=p.JobOptions(initial_prompt=evil),
        attempts=[],
        chunks=[Chunk(0, 0.0, 1.0, (Segment(0.0, 1.0, evil),))],
    )
    runner.jobs[1].path = f"/data/{evil}\n/second\\xff.wav"
    runner.jobs[1].root = ""
    app = make_app(runner, home)
    async with app.run_test(size=(140, 40)) as pilot:
        await ready(app, pilot)
        assert "second\\xff.wav" in screen_text(app)
        await pilot.press("enter")
        await until(lambda: "[00:00.0] [red]x[/red] \\e]0;owned\\x07" in screen_text(app), pilot)
        assert "\x1b" not in screen_text(app) and "\u202e" not in screen_text(app)
        assert "\\n/second" in screen_text(app)


def test_times_are_minutes_then_hours() -> None:
    assert stamp(12.34) == "[00:12.3]"
    assert stamp(59.96) == "[01:00.0]"
    assert stamp(3733.4) == "[1:02:13.4]"


def test_what_the_model_was_unsure_of_is_marked_without_colour_too() -> None:
    words = (Word(0, 1, " We", 0.9), Word(1, 2, " sailed", 0.3), Word(2, 3, " we", 0.2))
    (line,) = segment_lines(Segment(0, 3, " We sailed we", words=words), 60)
    assert [span.text for span in line if span.ink == "unsure"] == ["sailed", "we"]
    (line,) = segment_lines(Segment(0, 3, " Mumble", avg_logprob=-1.4), 60)
    assert line[0].text == "[00:00.0] ? "


@pytest.mark.parametrize("width", [20, 33, 200])
def test_a_match_is_found_in_every_line_it_is_in(width: int) -> None:
    lines = segment_lines(
        Segment(0, 3, " the tower, the Tower and the towers again"), width, "TOWER"
    )
    found = [span.text for line in lines for span in line if span.ink == "match"]
    assert "".join(found).lower() == "tower" * 3
    text = " ".join("".join(span.text for span in line[1:]) for line in lines)
    assert text == "the tower, the Tower and the towers again"


def test_a_match_behind_a_letter_that_is_two_when_small_is_marked_where_it_is() -> None:
    (line,) = segment_lines(Segment(0, 3, " İİİİ and the tower"), 80, "tower")
    assert [span.text for span in line if span.ink == "match"] == ["tower"]


async def test_the_transcript_is_searched(runner: ScriptedRunner, home: Home) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press(*"jjjj", "enter")
        await until(lambda: "You can hear the swifts" in screen_text(app), pilot)
        await pilot.press("n")
        assert "No search yet" in screen_text(app)
        await pilot.press("slash", *"the", "enter")
        assert "the: 1 of 4 lines" in screen_text(app)
        await pilot.press("N")
        assert "the: 4 of 4 lines" in screen_text(app)
        await pilot.press("slash", *"xx", "enter")
        await until(lambda: "not in the transcript" in screen_text(app), pilot)
        await pilot.press("escape", "escape")
        assert app.screen is app.board


async def test_a_transcript_that_comes_in_several_answers_is_shown_and_copied_whole(
    runner: ScriptedRunner, home: Home
) -> None:
    def in_parts(request: p.GetDetail) -> p.Detail:
        answer = runner.detail(request)
        first = request.after is None
        answer.chunks = answer.chunks[:1] if first else answer.chunks[1:]
        answer.more = first
        return answer

    runner.answers[p.GetDetail] = in_parts
    app = make_app(runner, home)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press("enter")
        await until(lambda: "You can hear the swifts" in screen_text(app), pilot)
        assert "We started recording" in screen_text(app)
        await pilot.press("Y")
        await until(lambda: "swifts" in app.clipboard, pilot)
        assert app.clipboard.startswith("We started recording")


async def test_a_chunk_that_is_put_in_breaks_no_other_into_lines_again(
    runner: ScriptedRunner, home: Home
) -> None:
    app = make_app(runner, home)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press(*"jjjj", "enter")
        await until(lambda: "You can hear the swifts" in screen_text(app), pilot)
        view = app.screen.query_one("#transcript", LineView)
        before = list(view.lines)
        late = chunk(1)
        runner.tell(p.Chunks(id=5, chunks=[structs.replace(late, index=7, start=20.0)]))
        await until(lambda: len(view.lines) > len(before), pilot)
        kept = {id(line) for line in view.lines}
        assert all(id(line) in kept for line in before)


async def test_what_is_too_much_for_a_clipboard_is_not_sent(
    runner: ScriptedRunner, home: Home
) -> None:
    path = "/data/" + "x" * 200
    runner.jobs = {n: Job(id=n, position=n, path=f"{path}{n}.wav") for n in range(1, 1001)}
    app = make_app(runner, home)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press("V", "y")
        await until(lambda: "Not copied: 2" in screen_text(app), pilot)
        assert not app.clipboard
        await pilot.press("V", "y")
        assert app.clipboard.endswith("x1.wav")
