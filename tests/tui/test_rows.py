"""Rows, numbers and sentences, without a screen."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from rich.cells import cell_len

from speakeasy_tui.core.job import (
    Batch,
    ErrorKind,
    Job,
    JobError,
    JobWarning,
    Lane,
    LaneState,
    Pause,
    RunnerState,
    State,
)
from speakeasy_tui.core.paths import Home
from speakeasy_tui.tui import environment, overview, place
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.gpu_worker import LinkNews
from speakeasy_tui.tui.lanes import lane_lines
from speakeasy_tui.tui.overview import End
from speakeasy_tui.tui.query import compile_filter
from speakeasy_tui.tui.rows import MESSAGE_FROM, STATE_LOOK, heading, line_of, plan, width_of
from speakeasy_tui.tui.view import SORTS

from .conftest import batch_of, recordings, two_lanes


def text_of(line: tuple[object, ...]) -> str:
    return "".join(span.text for span in line)  # type: ignore[attr-defined]


def test_every_row_is_as_wide_as_the_table() -> None:
    for width in range(60, 251):
        for job in recordings():
            assert width_of(line_of(job, width)) == width - 2
        assert width_of(heading(width)) <= width
        assert [width_of(line) for line in overview.batch_lines(batch_of([]), width)] == [width] * 2
        assert [width_of(line) for line in lane_lines(two_lanes(), width, 4)] == [width] * 2


def test_columns_go_one_after_the_other_as_it_narrows() -> None:
    names = [[column.name for column in plan(width)] for width in (200, 116, 84, 80, 60)]
    assert len(names[0]) == 9
    assert "attempts" in names[1] and "language" not in names[1]
    assert names[2] == ["state", "file", "progress", "audio", "left", "message"]
    assert names[3] == ["state", "file", "progress", "left", "message"]
    assert names[4] == ["state", "file", "progress", "left"]


def test_a_wider_table_never_shows_fewer_columns() -> None:
    shown_at = [{column.name for column in plan(width)} for width in range(MESSAGE_FROM, 260)]
    for narrow, wide in pairwise(shown_at):
        assert narrow <= wide


def test_a_hundred_and_twenty_columns_show_everything() -> None:
    assert len(plan(119)) == 9  # one is the scroll bar's


def test_no_two_states_share_a_glyph() -> None:
    assert set(STATE_LOOK) == set(State)
    assert len({look.text for look in STATE_LOOK.values()}) == len(State)


def test_a_long_name_keeps_its_end_and_a_long_folder_gives_way_first() -> None:
    path = "/r/interviews/of/nineteen/eighty-one/at-the-harbour.flac"
    row = text_of(line_of(Job(id=1, path=path, root="/r"), 104))
    assert "at-the-harbour.flac" in row and "…" in row
    row = text_of(line_of(Job(id=1, path="/r/" + "x" * 80 + "-part-2.mp3", root="/r"), 80))
    assert "-part-2.mp3" in row


def test_hostile_names_are_escaped_and_never_markup() -> None:
    name = "a\nb\x1b[2J[red]\u202e\\xff.mp3"
    row = text_of(line_of(Job(id=1, path=f"/{name}"), 200))
    assert "a\\nb\\e[2J[red]\\u202e\\xff.mp3" in row


def test_numbers_are_as_people_read_them() -> None:
    assert [shown.clock(s) for s in (None, 0.2, 42, 723, 3723, 43_320, 400_000)] == [
        "", "0:00", "0:42", "12:03", "1:02:03", "12h02m", "4d15h",
    ]  # fmt: skip
    assert [shown.span(s) for s in (8, 740, 3720, 273_600)] == [
        "8 s", "12 min", "1 h 02 min", "3 d 4 h",
    ]  # fmt: skip
    assert [shown.roughly(s) for s in (5, 480, 12_240, 43_900, 431_000, 4_444_000)] == [
        "1 min", "8 min", "3.4 h", "12 h", "120 h", "1,200 h",
    ]  # fmt: skip
    assert shown.amounts(58, 2400) == "0:58 of 40:00"
    assert shown.amounts(32_508, 75_600) == "9.0 of 21.0 h"
    assert [shown.speed(s) for s in (None, 0, 0.84, 12.44, 112.2)] == [
        "",
        "",
        "0.8×",
        "12.4×",
        "112×",
    ]
    assert [shown.size(s) for s in (512, 800 * 2**20, 14 * 2**30, 139 * 2**30)] == [
        "512 B", "800 MB", "14.0 GB", "139 GB",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [1, 2, 7, 20, 40])
def test_wrapping_and_cutting_keep_to_the_width(width: int) -> None:
    text = "Ein Wort 留守番電話のメッセージです unbreakablyverylongword\nand a second line"
    assert all(cell_len(line) <= max(2, width) for line in shown.wrap(text, width))
    joined = "".join(shown.wrap(text, width)).replace(" ", "")
    assert joined == text.replace(" ", "").replace("\n", "")
    assert cell_len(shown.cut_middle(text, width)) <= width
    assert cell_len(shown.fit(text, width)) == width


def test_filter_terms_all_have_to_match() -> None:
    job = Job(id=1, path="/A/Bell.wav", state=State.FAILED, language="de", message="late")
    for text in ("bell", "BELL a/", "state:fail lang:de", "late !early", "!state:done"):
        test = compile_filter(text)
        assert test is not None and test(job)
    for text in ("bells", "bell lang:en", "!bell"):
        test = compile_filter(text)
        assert test is not None and not test(job)
    assert compile_filter("  ") is None


def test_the_filter_knows_kinds_of_errors_warnings_and_lengths() -> None:
    error = JobError(ErrorKind.OOM, "out of memory")
    warning = JobWarning("no_speech", "nobody speaks")
    job = Job(id=1, path="/a.wav", audio_s=4000.0, error=error, warnings=(warning,))
    other = Job(id=2, path="/b.wav", audio_s=50.0)
    for text in ("kind:oom", "has:warning", "audio>1h", "audio>66.5min", "!audio<51s"):
        test = compile_filter(text)
        assert test is not None and test(job) and not test(other), text


def test_the_filter_finds_what_the_row_says_however_accents_are_spelled() -> None:
    missing = JobWarning("incomplete_audio", "3 min are missing")
    job = Job(id=1, path="/Mu\u0308ller.wav", state=State.DONE, warnings=(missing,))
    for text in ("missing", "m\u00fcller", "mu\u0308ller", "MÜLLER 3"):
        test = compile_filter(text)
        assert test is not None and test(job), text
    message = SORTS["message"].value
    assert message(job) == "3 min are missing"


def test_a_pause_says_why_and_what_to_do() -> None:
    batch = batch_of(recordings(), state=RunnerState.PAUSED)
    batch.why = Pause("disk", "no room left on /out", "free some space and it goes on by itself")
    text = "\n".join(text_of(line) for line in overview.batch_lines(batch, 120))
    assert "‖ paused" in text and "no room left on /out" in text and "goes on by itself" in text


@pytest.mark.parametrize("width", [40, 60, 80])
def test_what_to_do_is_read_whole_on_a_narrow_terminal(width: int) -> None:
    batch = batch_of(recordings(), state=RunnerState.PAUSED)
    hint = "free some space there, or choose another folder; it goes on by itself"
    batch.why = Pause("disk", "no room left on /archive/recordings/out", hint)
    lines = [text_of(line) for line in overview.batch_lines(batch, width)]
    assert f"no room left on /archive/recordings/out {hint}" in " ".join(" ".join(lines).split())
    stopped = [
        text_of(line) for line in overview.link_lines(LinkNews(False, "x", True), True, width)
    ]
    assert "speakeasy runner start goes on with it." in " ".join(" ".join(stopped).split())
    assert all(len(line) == width for line in [*lines, *stopped])
    batch.why = Pause("disk", "no room", "so " * 400)
    assert len(overview.batch_lines(batch, width)) == 2 + overview.SENTENCE_LINES


def test_how_much_is_done_does_not_depend_on_the_speed() -> None:
    running = batch_of(recordings(), audio_s=36_000.0, whole_s=120_000.0, done_s=36_000.0)
    paused = batch_of(recordings(), audio_s=36_000.0, whole_s=120_000.0, done_s=36_000.0,
                      state=RunnerState.PAUSED, speed=None, eta_s=None)  # fmt: skip
    for batch in (running, paused):
        first, second = (text_of(line) for line in overview.batch_lines(batch, 150))
        assert " 30%" in first and "10.0 of 33.3 h" in second


def test_more_lanes_than_fit_are_summed_up() -> None:
    lanes = [Lane(number=n, device=f"cuda:{n}", state=LaneState.RUNNING) for n in range(8)]
    lines = [text_of(line) for line in lane_lines(lanes, 100, 4)]
    assert len(lines) == 4
    assert "and 5 more lanes, 5 running" in lines[-1]


def test_a_lane_that_is_lost_says_why_not_what_its_model_is() -> None:
    lane = Lane(0, "cpu", LaneState.RETIRED, "tiny", why="no device", warning="starter model")
    (line,) = lane_lines([lane], 120, 4)
    assert "no device" in text_of(line)
    assert "starter" not in text_of(line)


def test_a_lanes_warning_and_its_restarts_are_told() -> None:
    lane = Lane(number=0, device="cpu", model="tiny", respawns=2, warning="no cuBLAS: on the CPU")
    (line,) = lane_lines([lane], 120, 4)
    assert "2 respawns" in text_of(line) and "! no cuBLAS: on the CPU" in text_of(line)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_warning_that_has_no_room_beside_its_lane_is_read_whole_below_it(width: int) -> None:
    warning = "base not to be had (the model hub cannot be reached): tiny.en is used"
    lanes = [
        Lane(number=n, device=f"cuda:{n}", model="tiny.en", compute_type="int8", respawns=5,
             state=LaneState.RUNNING, batch_size=8, speed=7.6, use=0.9, warning=warning)
        for n in range(2)
    ]  # fmt: skip
    lines = [text_of(line) for line in lane_lines(lanes, width, 6)]
    assert warning in " ".join(" ".join(lines[1:-1]).split())
    assert len(lines) <= 4 and "cuda:1" in lines[-1]
    lanes[0].warning = warning * 9
    lines = [text_of(line) for line in lane_lines(lanes[:1], width, 6)]
    assert len(lines) == 3 and lines[-1].rstrip().endswith("…")
    assert len(lane_lines(lanes[:1], width, 3)) == 1  # a low screen
    assert all(len(line) == width for line in lines)


def test_what_holds_for_several_lanes_is_said_once() -> None:
    lines = [text_of(line) for line in lane_lines(two_lanes(), 180, 4)]
    assert "the GPU's fastest" in lines[0] and "the GPU's fastest" not in lines[1]


def test_how_full_a_gpu_is_is_drawn_where_there_is_room() -> None:
    (line, _) = lane_lines(two_lanes(), 160, 4)
    assert "━━━━━╸  97%" in text_of(line) and "╸───── 14.0 GB of 140 GB" in text_of(line)
    assert "▅ 61 °C" in text_of(line)
    (line, _) = lane_lines(two_lanes(), 120, 4)
    assert "█  97%" in text_of(line) and "▁ 14.0 GB of 140 GB" in text_of(line)
    (line, _) = lane_lines(two_lanes(), 80, 4)
    assert "97%" in text_of(line) and not set("▁▂▃▄▅▆▇█━") & set(text_of(line))


def test_a_cpu_has_no_bars() -> None:
    lane = Lane(number=0, device="cpu", model="tiny", use=0.97, memory_used=2**30)
    for width in (100, 200):
        (line,) = lane_lines([lane], width, 4)
        assert "97%" in text_of(line) and "1.0 GB" in text_of(line)
        assert not set("▁▂▃▄▅▆▇█━") & set(text_of(line))


@pytest.mark.parametrize("width", [80, 100, 120, 160, 220])
def test_numbers_that_wander_move_nothing(width: int) -> None:
    places = set()
    for use, speed, memory, warmth in (
        (0.0, None, 700 * 2**20, 31), (0.05, 9.9, 9 * 2**30, 42), (1.0, 412.0, 139 * 2**30, 88),
    ):  # fmt: skip
        lane = two_lanes()[0]
        lane.use, lane.speed, lane.memory_used, lane.temperature = use, speed, memory, warmth
        text = text_of(lane_lines([lane], width, 4)[0])
        places.add(
            tuple(text.rfind(word) for word in ("running", "%", "GB", "°C", "batch", "1 rel"))
        )
    assert len(places) == 1


@pytest.mark.parametrize(
    ("batch", "connected", "end", "words"),
    [
        (Batch(state=RunnerState.RUNNING, counts={"running": 3, "queued": 12}), True, End.GOES_ON,
         "3 files running, 12 waiting: the batch goes on."),
        (Batch(state=RunnerState.RUNNING, counts={"running": 1, "queued": 1}), True, End.STOPPED,
         "Work has stopped; 2 files left."),
        (Batch(state=RunnerState.RUNNING, counts={"running": 1, "queued": 1}), True, End.ASKED,
         "has not answered yet"),
        (Batch(state=RunnerState.PAUSED, counts={"queued": 4}), True, End.GOES_ON,
         "speakeasy resume goes on"),
        (Batch(state=RunnerState.IDLE, counts={"done": 9, "failed": 1}), True, End.GOES_ON,
         "9 files done, 1 failed"),
        (Batch(state=RunnerState.IDLE), True, End.GOES_ON, "Nothing is queued."),
        (None, False, End.GOES_ON, "No runner was reachable"),
        (None, True, End.GOES_ON, "the runner goes on"),
        (None, False, End.SOON, "what was named here is not queued"),
    ],
)  # fmt: skip
def test_the_farewell_tells_whether_work_goes_on(
    batch: Batch | None, connected: bool, end: End, words: str
) -> None:
    assert words in overview.farewell(batch, connected, end)


def test_over_ssh_textual_is_told_to_be_sparing_unless_the_person_said_otherwise() -> None:
    away = {"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22", "TEXTUAL_FPS": "30"}
    environment.prepare(away)
    assert away["TEXTUAL_FPS"] == "30" and away["TEXTUAL_ANIMATIONS"] == "none"
    here: dict[str, str] = {}
    environment.prepare(here)
    assert not here


def test_that_no_tmux_is_needed_is_said_once_and_only_over_ssh(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path, tmp_path)
    away = {"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22"}
    assert not place.mention_tmux({}, home)
    assert not place.mention_tmux({**away, "TMUX": "/tmp/tmux"}, home)
    assert [place.mention_tmux(away, home) for _ in range(2)] == [True, False]


def test_importing_the_package_imports_no_textual_and_the_window_nothing_heavy() -> None:
    code = (
        "import sys, speakeasy_tui.tui; assert 'textual' not in sys.modules\n"
        "import speakeasy_tui.tui.app\n"
        "heavy = {'torch', 'av', 'numpy', 'ctranslate2', 'faster_whisper', 'markdown_it'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
