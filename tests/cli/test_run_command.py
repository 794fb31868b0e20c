"""speakeasy run, with real runner and engine processes (the engine simulated)."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from speakeasy_tui.cli.report import failures
from speakeasy_tui.cli.run import exit_code
from speakeasy_tui.core.job import ErrorKind, Job, JobError, State

SIM = ("--engine", "sim", "--output-dir", "out")
JOB_KEYS = {
    *("id", "path", "state", "progress", "position", "attempts", "error", "outputs", "audio_s"),
    *("elapsed_s", "speed", "eta_s", "model", "device", "language", "warnings"),
}


def events_of(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_folder_is_done_mirrored_and_the_second_time_skipped(
    speakeasy, recordings: Path, tmp_path: Path
) -> None:
    done = speakeasy("run", "recordings", *SIM, "-f", "txt,json")
    assert done.returncode == 0, done.stderr
    assert "3 files: 3 done" in done.stdout
    written = {str(path.relative_to(tmp_path / "out")) for path in tmp_path.glob("out/**/*.*")}
    assert written == {"a.txt", "a.json", "b.txt", "b.json", "deep/a.txt", "deep/a.json"}
    done = speakeasy("run", "recordings", *SIM, "-f", "txt,json")
    assert done.returncode == 0
    assert "3 skipped" in done.stdout


def test_equal_names_in_several_folders_are_told_apart_by_their_folders(
    speakeasy, recordings: Path, tmp_path: Path
) -> None:
    for day in ("monday", "tuesday", "friday"):
        (tmp_path / day).mkdir()
        shutil.copy(recordings / "a.wav", tmp_path / day / "001.wav")
    assert speakeasy("run", "monday", "tuesday", "friday", *SIM, "-f", "txt").returncode == 0
    names = {"monday/001.txt", "tuesday/001.txt", "friday/001.txt"}
    assert {
        str(path.relative_to(tmp_path / "out")) for path in tmp_path.glob("out/**/*.*")
    } == names
    listed = b"".join(b"%s/001.wav\n" % day for day in (b"monday", b"tuesday", b"friday"))
    done = speakeasy("run", "-", *SIM, "-f", "txt", stdin=listed)
    assert done.returncode == 0 and "3 skipped" in done.stdout


def test_beside_a_runner_there_is_no_foreground_and_the_events_end_all_the_same(
    speakeasy, recordings: Path
) -> None:
    assert speakeasy("run", "recordings/a.wav", *SIM).returncode == 0
    done = speakeasy("run", "recordings/b.wav", *SIM, "--foreground", "--json")
    assert done.returncode == 2
    assert "leave out --foreground, or: speakeasy runner stop" in done.stderr
    (last,) = events_of(done.stdout)
    assert last["event"] == "summary" and last["detail"]["exit_code"] == 2


def test_the_machines_lack_is_said_only_where_nothing_was_done() -> None:
    lost = JobError(ErrorKind.MODEL, "gone")
    failed = Job(id=1, path="a", state=State.FAILED, error=lost)
    done = Job(id=2, path="b", state=State.DONE)
    assert exit_code([failed]) == 3
    assert exit_code([failed, done]) == 1


def test_json_is_one_promised_event_a_line_and_ends_with_a_summary(
    speakeasy, recordings: Path
) -> None:
    done = speakeasy("run", "recordings", *SIM, "--json", env={"SPEAKEASY_SIM_SPEED": "4"})
    events = events_of(done.stdout)
    for event in events:
        assert event.keys() <= {"event", "ts", "job", "detail"}
        assert isinstance(event["ts"], float)
        if "job" in event:
            assert event["job"].keys() >= JOB_KEYS
    names = [event["event"] for event in events]
    assert names[-1] == "summary"
    assert names.count("queued") == names.count("started") == names.count("done") == 3
    assert events[-1]["detail"]["counts"] == {
        **dict.fromkeys(("queued", "held", "running", "skipped", "failed"), 0),
        **dict.fromkeys(("quarantined", "cancelled"), 0),
        "done": 3,
    }
    assert events[-1]["detail"]["audio_s"] == pytest.approx(12.0)
    assert events[-1]["detail"]["elapsed_s"] > 0
    assert events[-1]["detail"]["exit_code"] == 0
    took = events[-1]["ts"] - events[0]["ts"]
    assert names.count("progress") <= 10 * took + 2


def test_a_broken_file_fails_alone_and_the_summary_says_how_to_go_on(
    speakeasy, recordings: Path
) -> None:
    (recordings / "bad.mp3").write_bytes(b"this is no recording")
    listed = recordings / "list.txt"
    listed.write_bytes(b"a.wav\nbad.mp3\ngone.wav\n")
    done = speakeasy("run", str(listed), "--foreground", *SIM)
    # The simulated engine need not look into a file; the missing one fails in any case.
    assert done.returncode == 1
    assert "gone.wav" in done.stdout
    assert "input" in done.stdout
    assert "what to do:" in done.stdout
    assert "speakeasy rerun" in done.stdout


def test_a_name_that_is_not_utf8_is_transcribed_and_told_escaped(
    speakeasy, recordings: Path
) -> None:
    raw = os.fsencode(recordings) + b"/caf\xe9.wav"
    Path(os.fsdecode(raw)).write_bytes((recordings / "a.wav").read_bytes())
    done = speakeasy("run", raw, "--json", "--foreground", *SIM)
    assert done.returncode == 0, done.stderr
    events = events_of(done.stdout)
    assert events[0]["job"]["path"].endswith("/caf\\xe9.wav")
    done = speakeasy("run", raw, "--foreground", *SIM)
    assert "caf\\xe9.wav" in done.stdout


@pytest.mark.parametrize("as_json", [False, True])
def test_a_folder_without_recordings_is_nothing_to_do(speakeasy, tmp_path: Path, as_json) -> None:
    (tmp_path / "empty").mkdir()
    done = speakeasy("run", "empty", "--foreground", *SIM, *(["--json"] if as_json else []))
    assert done.returncode == 2
    assert "nothing to do" in done.stderr
    if as_json:
        assert events_of(done.stdout)[-1]["detail"]["exit_code"] == 2


@contextlib.contextmanager
def started(environment: dict[str, str], cwd: Path, *args: str):
    process = subprocess.Popen(
        [sys.executable, "-m", "speakeasy_tui", "run", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment | {"SPEAKEASY_SIM_SPEED": "3"},
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_event(process: subprocess.Popen[str], name: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == name:
            return
    raise AssertionError(f"no {name}: {process.communicate()[1]}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_the_queue_and_says_that_work_goes_on(
    speakeasy, environment, recordings: Path, tmp_path: Path, number: int
) -> None:
    with started(environment, tmp_path, "recordings", *SIM, "--json") as process:
        wait_for_event(process, "started")
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert events_of(out)[-1]["event"] == "summary"
    assert "the runner goes on" in err
    assert "speakeasy stop" in err
    assert json.loads(speakeasy("runner", "status", "--json").stdout)["state"] == "running"


def test_a_runner_that_is_killed_is_started_again_and_the_run_ends_well(
    speakeasy, environment, recordings: Path, tmp_path: Path
) -> None:
    with started(environment, tmp_path, "recordings", *SIM, "--json") as process:
        wait_for_event(process, "started")
        pid = json.loads(speakeasy("runner", "status", "--json").stdout)["pid"]
        os.kill(pid, signal.SIGKILL)
        out, err = process.communicate(timeout=40)
    assert process.returncode == 0, err
    assert "starting it again" in err
    names = [event["event"] for event in events_of(out)]
    assert names.count("done") == 3
    assert names[-1] == "summary"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_run_whose_queue_is_made_again_under_it_follows_its_own_files(
    speakeasy, environment, recordings: Path, tmp_path: Path, as_json: bool
) -> None:
    others = tmp_path / "others"
    others.mkdir()
    for number in range(3):
        shutil.copy(recordings / "a.wav", others / f"{number}.wav")
    slow = {"SPEAKEASY_SIM_SPEED": "1"}
    assert speakeasy("add", "others", *SIM, env=slow).returncode == 0
    with started(environment, tmp_path, "recordings", *SIM, *["--json"] * as_json) as process:
        until(lambda: "recordings" in running(speakeasy))
        process.send_signal(signal.SIGSTOP)  # it starts the next runner once it goes on
        for number in range(3, 6):  # from now on all that follows has other ids
            shutil.copy(recordings / "a.wav", others / f"{number}.wav")
        pid = json.loads(speakeasy("runner", "status", "--json").stdout)["pid"]
        os.kill(pid, signal.SIGKILL)
        for part in (tmp_path / "home").glob("queue.db*"):
            part.write_bytes(b"no database" * 1000)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=40)
    assert process.returncode == 0, err
    assert "the queue was damaged" in err
    assert "others" not in out
    assert {path.name for path in (tmp_path / "out").rglob("*.txt")} >= {"a.txt", "b.txt"}
    if as_json:
        last = {
            event["job"]["path"]: event["job"]["state"]
            for event in events_of(out)
            if event["event"] in {"done", "skipped"}
        }
        assert last.keys() == {str(path) for path in recordings.rglob("*.wav")}


def running(speakeasy) -> str:
    return speakeasy("status", "--state", "running").stdout


def until(condition: Callable[[], bool], timeout: float = 20.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_commands_to_copy_name_the_home_that_was_named(speakeasy, recordings: Path) -> None:
    (recordings / "list.txt").write_text("gone.wav\n")
    done = speakeasy("run", "recordings/list.txt", "--home", "my home", "--foreground", *SIM)
    assert f"speakeasy --home '{recordings.parent}/my home' rerun 1" in done.stdout


def test_a_runner_that_is_told_to_end_ends_the_run(
    speakeasy, environment, recordings: Path, tmp_path: Path
) -> None:
    with started(environment, tmp_path, "recordings", *SIM, "--json") as process:
        wait_for_event(process, "started")
        assert speakeasy("runner", "stop").returncode == 0
        _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "the queue is kept" in err


def test_a_reader_that_leaves_ends_the_run_quietly(
    environment, speakeasy, recordings: Path, tmp_path: Path
) -> None:
    with started(environment, tmp_path, "recordings", *SIM, "--json") as process:
        wait_for_event(process, "started")
        assert process.stdout is not None
        process.stdout.close()
        process.wait(15)
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_files_of_a_person_who_paused_wait_and_the_run_says_so(
    speakeasy, environment, recordings: Path, tmp_path: Path
) -> None:
    with started(environment, tmp_path, "recordings", *SIM, "--json") as process:
        wait_for_event(process, "started")
        speakeasy("stop", "--now")
        time.sleep(1)
        assert process.poll() is None
        speakeasy("cancel", "1", "2", "3")
        _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "speakeasy resume" in err


def job(number: int, state: State, kind: ErrorKind | None = None) -> Job:
    error = JobError(kind, f"{kind} happened", "do this") if kind else None
    return Job(id=number, path=f"/r/{number}.wav", state=state, error=error)


@pytest.mark.parametrize(
    ("jobs", "code"),
    [
        ([], 2),
        ([job(1, State.DONE), job(2, State.SKIPPED)], 0),
        ([job(1, State.DONE), job(2, State.FAILED, ErrorKind.INPUT)], 1),
        ([job(1, State.DONE), job(2, State.QUARANTINED, ErrorKind.CRASH)], 1),
        ([job(1, State.CANCELLED)], 1),
        ([job(1, State.FAILED, ErrorKind.MODEL), job(2, State.FAILED, ErrorKind.DEVICE)], 3),
        ([job(1, State.FAILED, ErrorKind.MODEL), job(2, State.FAILED, ErrorKind.INPUT)], 1),
    ],
)
def test_the_exit_code_is_as_promised(jobs: list[Job], code: int) -> None:
    assert exit_code(jobs) == code


def test_failures_are_grouped_by_what_is_wrong_largest_first() -> None:
    jobs = [job(n, State.FAILED, ErrorKind.INPUT) for n in range(30)]
    lines = failures([job(99, State.QUARANTINED, ErrorKind.CRASH), *jobs])
    assert lines[0].startswith("30 files input:")
    assert lines[1].strip() == "what to do: do this"
    assert "and 20 more" in lines[12]
    assert lines[13].startswith("1 file crash:")


def test_a_damaged_queue_is_said_by_run_and_status(
    speakeasy, recordings: Path, tmp_path: Path
) -> None:
    assert speakeasy("run", "recordings", *SIM).returncode == 0
    speakeasy("runner", "stop")
    (tmp_path / "home" / "queue.db").write_bytes(b"no database" * 1000)
    done = speakeasy("run", "recordings", *SIM)
    assert done.returncode == 0
    assert "the queue was damaged" in done.stderr
    assert "the queue was damaged" in speakeasy("status").stdout


def test_a_queue_damaged_inside_is_said_by_status_without_a_runner(
    speakeasy, tmp_path: Path
) -> None:
    names = "".join(f"{number}.wav\n" for number in range(300))
    assert speakeasy("add", "-", *SIM, stdin=names.encode()).returncode == 0
    speakeasy("runner", "stop")
    with (tmp_path / "home" / "queue.db").open("r+b") as file:
        file.seek(32768)
        file.write(os.urandom(24 * 1024))
    done = speakeasy("status")
    assert done.returncode == 1
    assert "runner start moves a damaged queue aside" in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_not_matter(
    speakeasy, environment: dict[str, str], recordings: Path, tmp_path: Path, closed: str
) -> None:
    command = f'exec "$0" -m speakeasy_tui run recordings "$@" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, *SIM],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert (tmp_path / "out" / "a.txt").exists()


def test_a_persons_pause_is_told_once_and_how_to_go_on(
    speakeasy, environment, recordings: Path, tmp_path: Path
) -> None:
    with started(environment, tmp_path, "recordings", *SIM, "--json") as process:
        wait_for_event(process, "started")
        speakeasy("pause")
        wait_for_event(process, "paused")
        time.sleep(0.5)  # the state of the queue follows the event
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert "speakeasy: paused; go on: speakeasy resume\n" in err


def test_a_socket_that_is_open_to_others_is_refused_without_new_tries(
    speakeasy, recordings: Path, tmp_path: Path
) -> None:
    speakeasy("runner", "start")
    socket = tmp_path / "home" / "runner.sock"
    socket.chmod(0o666)
    done = speakeasy("run", "recordings", *SIM)
    socket.chmod(0o600)
    assert done.returncode == 3
    assert "open to others" in done.stderr
    assert "went away" not in done.stderr


@pytest.mark.parametrize("command", ["run", "add"])
def test_a_recording_named_as_a_list_ends_with_2_and_queues_nothing(
    speakeasy, recordings: Path, tmp_path: Path, command: str
) -> None:
    (recordings / "talk.txt").write_bytes(b"RIFF\0..\0")
    done = speakeasy(command, "recordings/talk.txt", *SIM)
    assert done.returncode == 2
    assert "a list is text" in done.stderr
    assert not (tmp_path / "home" / "queue.db").exists()


def test_a_variable_that_cannot_be_meant_is_named_with_how_to_have_it_read_anew(
    speakeasy, recordings: Path
) -> None:
    bad, good = {"SPEAKEASY_SIM_SPEED": "fast"}, {"SPEAKEASY_SIM_SPEED": "5000"}
    done = speakeasy("run", "recordings", *SIM, env=bad)
    assert done.returncode == 3
    assert "SPEAKEASY_SIM_SPEED: 'fast' is not a speed" in done.stdout
    assert "keeps the old one: speakeasy runner stop" in done.stdout
    speakeasy("runner", "stop")
    assert speakeasy("run", "recordings", *SIM, env=good).returncode == 0


@pytest.mark.parametrize("command", ["run", "add"])
def test_a_queue_without_room_is_the_machines_lack_and_no_wrong_usage(
    speakeasy, recordings: Path, command: str
) -> None:
    speakeasy("add", "recordings/a.wav", *SIM)
    pid = json.loads(speakeasy("runner", "status", "--json").stdout)["pid"]
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))  # as on a full disk
    done = speakeasy(command, "recordings/b.wav", *SIM)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    assert done.returncode == 3
    assert "the disk of the queue" in done.stderr and "make room" in done.stderr
