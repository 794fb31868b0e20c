"""A real runner process with simulated engines: the queue, steered over its socket."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from speakeasy_tui.client.launch import spawn
from speakeasy_tui.client.link import Link, LinkError, RefusedError
from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import RunnerState, State
from speakeasy_tui.core.leaving import ANOTHER_RUNS
from speakeasy_tui.core.lines import MAX_LINE, encode
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.transcript import Chunk, Segment
from speakeasy_tui.runner.office import part_of
from speakeasy_tui.runner.reader import read_jobs, read_status

from .conftest import Desk, silence, wait_gone

SLOW = "10"
"""× real time at which a clip of a few seconds takes about one."""


def test_a_folder_becomes_transcripts_beside_the_recordings(desk: Desk, clips: Path) -> None:
    desk.add(clips, root=clips)
    jobs = desk.finish()
    assert {job.state for job in jobs.values()} == {State.DONE}
    assert len(jobs) == 10
    job = jobs["clip-3.wav"]
    stem = str(clips / "a" / "clip-3.")
    assert job.outputs == tuple(stem + ending for ending in ("json", "srt", "tsv", "txt", "vtt"))
    assert json.loads(Path(stem + "json").read_text())["speakeasy"]["simulated"] is True
    assert job.audio_s == pytest.approx(2.25)
    assert job.progress == 1.0
    assert not list(clips.rglob("*.part"))


def test_every_file_is_queued_started_and_done_in_the_events(desk: Desk, clips: Path) -> None:
    desk.add(clips)
    desk.finish()
    assert desk.kinds("clip-1.wav") == ["queued", "started", "done"]


def test_a_second_run_skips_what_is_there(desk: Desk, clips: Path) -> None:
    desk.add(clips)
    desk.finish()
    desk.add(clips)
    jobs = desk.finish()
    assert {job.state for job in jobs.values()} == {State.SKIPPED}
    assert len(jobs) == 10
    assert jobs["clip-1.wav"].outputs


def test_overwrite_makes_them_again(desk: Desk, clips: Path) -> None:
    desk.add(clips / "a", format=("txt",))
    desk.finish()
    (clips / "a" / "clip-1.txt").write_text("changed")
    desk.add(clips / "a", format=("txt",), overwrite=True)
    jobs = desk.finish()
    assert {job.state for job in jobs.values()} == {State.DONE}
    assert "simulated" in (clips / "a" / "clip-1.txt").read_text()


def test_what_a_person_has_corrected_is_not_replaced(desk: Desk, clips: Path) -> None:
    clip, text = clips / "a" / "clip-1.wav", clips / "a" / "clip-1.txt"
    desk.add(clip, format=("txt",))
    desk.finish()
    text.write_text("Corrected by hand.")
    (number,) = desk.add(clip, format=("txt", "srt"))
    desk.finish()
    job = desk.job(number)
    assert job.state is State.FAILED
    assert job.error is not None
    assert "clip-1.txt is there already and was changed since it was written" in job.error.message
    assert text.read_text() == "Corrected by hand."


def test_outputs_that_are_gone_are_made_of_what_is_stored_but_not_with_overwrite(
    home: Home, clips: Path
) -> None:
    clip, text = clips / "a" / "clip-1.wav", clips / "a" / "clip-1.txt"
    desk = Desk(home)
    desk.add(clip, format=("txt",))
    desk.finish()
    made = text.read_text()
    desk.close()
    with sqlite3.connect(home.database) as db:
        db.execute("""UPDATE chunks SET segments = '[{"start":0,"end":1,"text":" stored"}]'""")
    text.unlink()
    desk = Desk(home)
    try:
        for overwrite, wanted in ((False, "stored\n"), (True, made), (True, made)):
            desk.add(clip, format=("txt",), overwrite=overwrite)
            assert desk.finish()["clip-1.wav"].state is State.DONE
            assert text.read_text() == wanted
    finally:
        desk.close()


def test_a_recording_that_is_changed_meanwhile_is_transcribed_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "60")
    clip = silence(tmp_path / "clip.wav", 120)
    desk = Desk(home)
    try:
        desk.add(clip, format=("json",))
        desk.until(lambda: desk.jobs()["clip.wav"].state is State.RUNNING)
        silence(tmp_path / "new.wav", 2).replace(clip)
        job = desk.finish()["clip.wav"]
        assert job.state is State.DONE
        answer = desk.ask(say.GetDetail(id=job.id))
        assert isinstance(answer, say.Detail)
        first, second = answer.attempts
        assert (first.outcome, first.charged) == ("input", True)
        assert "begins again after a change of the file" in first.message
        assert second.outcome == "done"
        assert job.audio_s == 2.0
        desk.add(clip, format=("json",))
        assert desk.finish()["clip.wav"].state is State.SKIPPED, "its identity is the new one's"
    finally:
        desk.close()


def test_another_home_sees_whose_outputs_they_are(desk: Desk, clips: Path, tmp_path: Path) -> None:
    desk.add(clips)
    desk.finish()
    other_home = Home.find(tmp_path / "other")
    other_home.make()
    other = Desk(other_home)
    try:
        other.add(clips)
        assert {job.state for job in other.finish().values()} == {State.SKIPPED}
        other.add(clips / "a" / "clip-1.wav", language="de")
        other.until(lambda: State.FAILED in {job.state for job in other.jobs().values()})
    finally:
        other.close()


def test_a_changed_recording_is_not_taken_for_the_old_one(desk: Desk, clips: Path) -> None:
    clip = clips / "a" / "clip-1.wav"
    desk.add(clip)
    desk.finish()
    silence(clip, 5)
    desk.add(clip)
    job = desk.finish()["clip-1.wav"]
    assert job.state is State.FAILED
    assert job.error is not None
    assert (job.error.kind, "--overwrite" in job.error.hint) == ("output", True)


def test_add_does_not_start_a_stopped_runner(desk: Desk, clips: Path) -> None:
    desk.add(clips, start=False)
    time.sleep(0.5)
    assert {job.state for job in desk.jobs().values()} == {State.QUEUED}
    assert desk.status().batch.state is RunnerState.STOPPED
    desk.ask(say.Start())
    assert {job.state for job in desk.finish().values()} == {State.DONE}


def test_pause_begins_no_more_files_and_resume_goes_on(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "100")
    desk = Desk(home)
    try:
        # Long enough that the engine is not given all of them ahead.
        desk.add(*(silence(tmp_path / f"{n}.wav", 40) for n in range(10)), batch_size=1)
        desk.until(lambda: desk.status().batch.counts["running"] > 0)
        desk.ask(say.PauseQueue())
        desk.until(lambda: desk.status().batch.counts["running"] == 0)
        counts = desk.status().batch.counts
        assert counts["done"] > 0
        assert counts["queued"] > 0
        assert desk.status().batch.state is RunnerState.PAUSED
        time.sleep(0.5)
        assert desk.status().batch.counts == counts
        desk.ask(say.Resume())
        assert len(desk.finish()) == 10
        assert desk.kinds().count("paused") == 1
        assert desk.kinds().count("resumed") == 1
    finally:
        desk.close()


def test_a_pause_outlasts_the_runner(desk: Desk, clips: Path) -> None:
    desk.ask(say.PauseQueue())
    desk.kill()
    desk.again()
    desk.add(clips, start=False)
    assert desk.status().batch.state is RunnerState.PAUSED


def test_stop_now_gives_running_files_back(
    home: Home, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "1")
    desk = Desk(home)
    try:
        desk.add(clips)
        desk.until(lambda: desk.status().batch.counts["running"] > 0)
        desk.ask(say.Stop(now=True))
        status = desk.status()
        assert status.batch.counts["running"] == 0
        assert status.batch.counts["queued"] + status.batch.counts["done"] == 10
        assert all(lane.pid is None for lane in status.lanes)
    finally:
        desk.close()


def test_hold_release_cancel_and_remove(desk: Desk, clips: Path) -> None:
    ids = desk.add(clips, start=False)
    desk.ask(say.Hold(ids=ids[:2]))
    desk.ask(say.Cancel(ids=ids[2:4]))
    desk.ask(say.Remove(ids=ids[4:5]))
    desk.ask(say.Start())
    desk.until(lambda: desk.status().batch.counts["done"] == 5)
    assert desk.status().batch.counts["held"] == 2
    assert desk.status().batch.counts["cancelled"] == 2
    desk.ask(say.Release(ids=ids[:2]))
    desk.until(lambda: desk.status().batch.counts["done"] == 7)
    desk.ask(say.Rerun(ids=ids[2:4]))
    jobs = desk.finish()
    assert len(jobs) == 9
    assert {job.state for job in jobs.values()} == {State.DONE}


def test_a_rerun_says_that_a_row_would_have_become_another(desk: Desk, clips: Path) -> None:
    clip = min(clips.glob("a/*"))
    (german,) = desk.add(clip, language="de")
    (french,) = desk.add(clip, language="fr", output_dir=str(clips))
    desk.until(lambda: desk.status().batch.counts["done"] == 2)
    answer = desk.ask(say.Rerun(ids=[german], options=desk.ask(say.GetDetail(id=french)).options))
    assert isinstance(answer, say.Ok)
    assert answer.count == 0 and answer.note == "1 left as it was: another row has these options"
    assert desk.job(german).state is State.DONE


def test_taking_a_cancelling_back_leaves_alone_what_has_run_since(desk: Desk, clips: Path) -> None:
    ids = desk.add(clips, start=False)
    held, waiting, ran, removed = ids[:4]
    desk.ask(say.Hold(ids=[held]))
    desk.ask(say.Cancel(ids=ids))
    desk.ask(say.Rerun(ids=[ran]))
    desk.ask(say.Remove(ids=[removed]))
    desk.ask(say.Start())
    desk.until(lambda: desk.job(ran).state is State.DONE)
    answer = desk.ask(say.Uncancel(ids=ids[:4], held=[held]))
    assert isinstance(answer, say.Ok) and answer.count == 2
    desk.until(lambda: desk.job(waiting).state is State.DONE)
    assert desk.job(held).state is State.HELD
    attempts = [desk.ask(say.GetDetail(id=job)).attempts for job in (ran, waiting)]
    assert [len(tries) for tries in attempts] == [1, 1]


def test_a_running_file_can_be_cancelled_or_held(
    home: Home, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "2")
    desk = Desk(home)
    try:
        first, second, third = desk.add(*sorted(clips.glob("a/*"))[:3])
        desk.until(lambda: desk.job(second).state is State.RUNNING)
        desk.ask(say.Cancel(ids=[first]))
        desk.ask(say.Hold(ids=[second]))
        assert desk.job(first).state is State.CANCELLED
        assert desk.job(second).state is State.HELD
        desk.until(lambda: desk.job(third).state is State.DONE)
        assert not (clips / "a" / "clip-1.txt").exists()
    finally:
        desk.close()


def test_moving_a_job_up_makes_it_run_sooner(
    home: Home, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(home)
    try:
        ids = desk.add(clips, start=False)
        answer = desk.ask(say.Move(ids=[ids[-1]], by=-20))
        assert isinstance(answer, say.Ok) and answer.count == 1
        desk.ask(say.Start())
        desk.finish()
        started = [e.job.id for e in desk.events if e.event == "started" and e.job]
        assert started[0] == ids[-1]
    finally:
        desk.close()


def test_an_unknown_id_is_refused_and_nothing_changes(desk: Desk, clips: Path) -> None:
    ids = desk.add(clips, start=False)
    with pytest.raises(RefusedError, match="no job with the id 999"):
        desk.ask(say.Cancel(ids=[ids[0], 999]))
    assert desk.job(ids[0]).state is State.QUEUED


def test_rerun_failed_takes_all_failed(desk: Desk, tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    empty.touch()
    good = silence(tmp_path / "good.wav")
    desk.add(empty, good)
    assert desk.finish()["empty.wav"].state is State.FAILED
    silence(empty)
    answer = desk.ask(say.Rerun(failed=True))
    assert isinstance(answer, say.Ok)
    assert answer.count == 1
    assert desk.finish()["empty.wav"].state is State.DONE


def test_the_transcript_arrives_live_for_who_watches(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "200")
    desk = Desk(home)
    try:
        (job,) = desk.add(silence(tmp_path / "long.wav", 240), start=False)
        detail = desk.ask(say.GetDetail(id=job, watch=True))
        assert isinstance(detail, say.Detail)
        assert detail.chunks == []
        desk.ask(say.Start())
        starts: list[float] = []
        deadline = time.monotonic() + 20
        while len(starts) < 8 and time.monotonic() < deadline:
            message = desk.link.read(1)
            if isinstance(message, say.Chunks):
                starts += [chunk.start for chunk in message.chunks]
        assert len(starts) == 8
        detail = desk.ask(say.GetDetail(id=job))
        assert isinstance(detail, say.Detail)
        assert sorted(starts) == [chunk.start for chunk in detail.chunks]
    finally:
        desk.close()


def test_a_transcript_too_long_for_one_answer_comes_in_several() -> None:
    long = [
        Chunk(n, 30.0 * n, 30.0 * n + 30, (Segment(30.0 * n, 30.0 * n + 30, "x" * 500_000),))
        for n in range(40)
    ]
    assert len(encode(say.Chunks(id=1, chunks=long))) > MAX_LINE
    had, answers, more = list[Chunk](), 0, True
    while more:
        chunks, more = part_of(long, had[-1].start if had else None)
        assert len(encode(say.Chunks(id=1, chunks=chunks))) < MAX_LINE / 2
        had += chunks
        answers += 1
    assert had == long and answers < 8
    assert part_of(long, long[-1].start) == ([], False)


# ---------------------------------------------------------------------- the process


def test_the_socket_is_for_its_owner_alone(desk: Desk) -> None:
    assert stat.S_IMODE(desk.home.socket.stat().st_mode) == 0o600


def test_a_second_runner_names_the_first_and_leaves(desk: Desk) -> None:
    second = spawn(desk.home)
    assert second.wait(20) == ANOTHER_RUNS
    assert f"pid {desk.pid}" in desk.home.runner_log.read_text()
    assert desk.status().pid == desk.pid


def test_a_home_with_a_very_long_path_works(tmp_path: Path, clips: Path) -> None:
    home = Home.find(tmp_path / ("long-" * 20) / ("path-" * 20))
    home.make()
    desk = Desk(home)
    try:
        desk.add(clips)
        assert len(desk.finish()) == 10
    finally:
        desk.close()


def test_nonsense_closes_that_client_only(desk: Desk) -> None:
    for nonsense in (b"what?\n", b'{"op":"hold"}\n', b"x" * (17 * 2**20)):
        other = socket.socket(socket.AF_UNIX)
        other.connect(str(desk.home.socket))
        with contextlib.suppress(OSError):
            other.sendall(nonsense)
        other.settimeout(10)
        try:
            while other.recv(65536):
                pass
        except ConnectionError:
            pass
        other.close()
    assert desk.status().pid == desk.pid


def test_how_loud_a_file_is_comes_with_its_detail_and_to_who_watches(
    home: Home, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "10")
    desk = Desk(home)
    try:
        (job,) = desk.add(clips / "a" / "clip-9.wav", start=False)
        before = desk.ask(say.GetDetail(id=job, watch=True))
        assert isinstance(before, say.Detail) and before.loudness == ""
        desk.ask(say.Start())
        told = ""
        while not told:
            message = desk.link.read(10)
            assert message is not None
            told = message.loudness if isinstance(message, say.Chunks) else ""
        desk.finish()
        after = desk.ask(say.GetDetail(id=job))
        assert isinstance(after, say.Detail) and after.loudness == told
        assert set(told) <= set("0123456789abcdef") and len(told) <= 160
    finally:
        desk.close()


def test_a_client_of_another_version_is_told_what_to_do(desk: Desk) -> None:
    other = socket.socket(socket.AF_UNIX)
    other.connect(str(desk.home.socket))
    other.sendall(encode(say.Hello(version=99, seq=1)))
    other.settimeout(5)
    answer = say.message_decoder.decode(other.makefile("rb").readline())
    assert isinstance(answer, say.Refused)
    assert "runner stop" in answer.hint


def test_a_killed_runner_goes_on_where_it_was(
    home: Home, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", SLOW)
    desk = Desk(home)
    try:
        desk.add(clips)
        desk.until(lambda: desk.status().batch.counts["done"] >= 2)
        engines = [lane.pid for lane in desk.status().lanes if lane.pid]
        desk.kill()
        for pid in engines:
            wait_gone(pid)  # no orphan keeps the GPU
        assert any(job.state is State.DONE for job in read_jobs(home))
        desk.again()
        assert "resumed" in desk.status().batch.notice
        jobs = desk.finish()
        assert {job.state for job in jobs.values()} == {State.DONE}
        assert not list(clips.rglob("*.part"))
    finally:
        desk.close()


def test_finished_chunks_are_not_done_again_after_a_crash(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "100")
    desk = Desk(home)
    try:
        (job,) = desk.add(silence(tmp_path / "long.wav", 300))
        desk.until(lambda: desk.job(job).progress > 0.3)
        desk.kill()
        before = read_jobs(home)[0]
        monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "20")  # what is left takes seconds
        desk.again()
        desk.until(lambda: desk.job(job).state is State.RUNNING, 5)
        desk.until(lambda: desk.job(job).progress >= 0.3, 2)
        assert before.state is State.QUEUED  # cut off: nobody runs it
    finally:
        desk.ask(say.Cancel(ids=[job]))
        desk.close()


def test_sigterm_gives_files_back_and_the_next_start_resumes(
    home: Home, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "1")
    desk = Desk(home)
    desk.add(clips)
    desk.until(lambda: desk.status().batch.counts["running"] > 0)
    os.kill(desk.pid, 15)
    wait_gone(desk.pid)
    assert {job.state for job in read_jobs(home)} <= {State.QUEUED, State.DONE}
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "400")
    desk.again()
    try:
        assert {job.state for job in desk.finish().values()} == {State.DONE}
    finally:
        desk.close()


def test_an_idle_runner_with_nobody_attached_ends(
    home: Home, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_LINGER_S", "0")
    desk = Desk(home)
    pid = desk.pid
    desk.add(clips)
    desk.finish()
    desk.link.close()
    wait_gone(pid)
    assert not home.socket.exists()
    with pytest.raises(LinkError):
        Link.connect(home)


def test_the_reader_shows_a_home_without_its_runner(home: Home, clips: Path) -> None:
    assert read_jobs(home) == []
    assert read_status(home).batch.counts["queued"] == 0
    desk = Desk(home)
    desk.add(clips, start=False)
    desk.close()
    assert len(read_jobs(home, ["queued"])) == 10
    assert read_jobs(home, ["failed"]) == []
    status = read_status(home)
    assert (status.pid, status.batch.state, status.batch.counts["queued"]) == (None, "stopped", 10)


def test_the_foreground_runner_speaks_the_same_protocol(home: Home, clips: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from speakeasy_tui.client.foreground import foreground
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.lines import encode
from speakeasy_tui.core.settings import JobOptions
with foreground(Home.find({str(home.state)!r})) as connect:
    link = connect()
    link.request(say.Subscribe(events=True))
    link.request(say.Add(sources=[say.Source({os.fsencode(clips)!r})],
                         options=JobOptions(engine="sim"), start=True))
    done = 0
    while done < 10:
        message = link.read(20)
        done += isinstance(message, say.Event) and message.event == "done"
print("threads and done:", done)
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert "done: 10" in ran.stdout, ran.stderr
    assert len(list(clips.rglob("*.txt"))) == 10
    assert "Traceback" not in ran.stderr
