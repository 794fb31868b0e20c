"""The recovery ladder, climbed by a real runner; the faults are the simulated engine's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.faults import Rung, classify, classify_exit, climb, describe_exit
from speakeasy_tui.core.job import ErrorKind, Job, LaneState, State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.runner.engineprocess import EngineProcess

from .conftest import Desk

Faulty = Callable[..., Desk]


@pytest.fixture
def faulty(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """A client of a runner whose engines meet the faults given."""
    opened: list[Desk] = []

    def start(faults: str, **environment: str) -> Desk:
        monkeypatch.setenv("SPEAKEASY_FAULTS", faults)
        for name, value in environment.items():
            monkeypatch.setenv(f"SPEAKEASY_{name}", value)
        opened.append(Desk(home))
        return opened[-1]

    yield start
    for desk in opened:
        desk.close()


def attempts(desk: Desk, job: Job) -> list[tuple[str, bool]]:
    detail = desk.ask(say.GetDetail(id=job.id))
    assert isinstance(detail, say.Detail)
    return [(attempt.outcome, attempt.charged) for attempt in detail.attempts]


def test_a_cuda_error_reloads_the_model_and_the_file_is_done(faulty: Faulty, clips: Path) -> None:
    desk = faulty("cuda:clip-3.wav")
    desk.add(clips / "a" / "clip-3.wav")
    job = desk.finish()["clip-3.wav"]
    assert job.state is State.DONE
    assert job.attempts == 2
    assert desk.kinds() == ["queued", "started", "retry", "reload", "started", "done"]
    (lane,) = [lane for lane in desk.status().lanes if lane.reloads]
    assert (lane.reloads, lane.respawns) == (1, 0)
    assert "CUBLAS_STATUS_NOT_INITIALIZED" in (lane.last_fault or "")
    assert attempts(desk, job) == [("cuda", True), ("done", True)]


def test_a_cuda_error_that_stays_fails_after_three_tries(faulty: Faulty, clips: Path) -> None:
    desk = faulty("cuda:clip-3.wav:99")
    desk.add(clips)
    jobs = desk.finish()
    failed = jobs.pop("clip-3.wav")
    assert failed.state is State.FAILED
    assert failed.attempts == 3
    assert failed.error is not None
    assert failed.error.kind is ErrorKind.CUDA
    assert failed.error.hint
    assert {job.state for job in jobs.values()} == {State.DONE}


@pytest.mark.parametrize("signal", ["kill", "abort", "segv"])
def test_a_dead_engine_is_replaced_and_the_file_is_done(
    faulty: Faulty, clips: Path, signal: str
) -> None:
    desk = faulty(f"{signal}:clip-3.wav")
    desk.add(clips)
    jobs = desk.finish()
    assert {job.state for job in jobs.values()} == {State.DONE}
    assert jobs["clip-3.wav"].attempts == 2
    assert "respawn" in desk.kinds()
    detail = desk.ask(say.GetDetail(id=jobs["clip-3.wav"].id))
    assert isinstance(detail, say.Detail)
    name = {"kill": "SIGKILL", "abort": "SIGABRT", "segv": "SIGSEGV"}[signal]
    assert name in detail.attempts[0].detail


def test_a_file_that_takes_two_engines_down_is_quarantined(faulty: Faulty, clips: Path) -> None:
    desk = faulty("segv:clip-3.wav:99")
    desk.add(clips)
    jobs = desk.finish()
    bad = jobs.pop("clip-3.wav")
    assert bad.state is State.QUARANTINED
    assert bad.error is not None
    assert bad.error.kind is ErrorKind.CRASH
    assert {job.state for job in jobs.values()} == {State.DONE}


def test_out_of_memory_halves_the_batch_and_charges_nobody(faulty: Faulty, clips: Path) -> None:
    desk = faulty("oom:clip-3.wav")
    desk.add(clips)
    jobs = desk.finish()
    assert {job.state for job in jobs.values()} == {State.DONE}
    assert desk.status().lanes[0].batch_size == 2
    assert ("oom", False) in attempts(desk, jobs["clip-3.wav"])
    assert "respawn" not in desk.kinds()


def test_the_third_lack_of_memory_gets_a_new_process_and_a_smaller_compute_type(
    faulty: Faulty, clips: Path
) -> None:
    desk = faulty("oom:clip-3.wav:3")
    desk.add(clips / "a" / "clip-3.wav")
    job = desk.finish()["clip-3.wav"]
    assert job.state is State.DONE
    lane = desk.status().lanes[0]
    assert (lane.reloads, lane.respawns) == (1, 1)
    assert lane.warning == "memory is short: simulated"


def test_a_sticky_error_needs_a_new_process(faulty: Faulty, clips: Path) -> None:
    desk = faulty("sticky:clip-3.wav")
    desk.add(clips)
    jobs = desk.finish()
    assert {job.state for job in jobs.values()} == {State.DONE}
    lane = desk.status().lanes[0]
    assert (lane.reloads, lane.respawns) == (0, 1)


def test_an_engine_without_progress_is_killed(faulty: Faulty, clips: Path) -> None:
    desk = faulty("hang:clip-3.wav", STALL_S="0.5")
    desk.add(clips / "a" / "clip-3.wav")
    job = desk.finish()["clip-3.wav"]
    assert job.state is State.DONE
    assert attempts(desk, job)[0] == ("hang", True)


def test_an_engine_that_hangs_over_a_file_whose_chunks_are_all_kept_is_killed_as_soon(
    faulty: Faulty, clips: Path
) -> None:
    desk = faulty("hang:clip-3.wav", STALL_S="0.5")
    (job,) = desk.add(clips / "a" / "clip-3.wav", overwrite=True)
    desk.finish()
    desk.ask(say.Rerun(ids=[job]))  # a new series, whose first try meets the fault again
    desk.until(lambda: ("hang", True) in attempts(desk, desk.job(job))[2:])


def test_the_last_device_gone_pauses_the_batch_and_charges_nobody(
    faulty: Faulty, clips: Path
) -> None:
    desk = faulty("device:clip-3.wav")
    desk.add(clips / "a" / "clip-3.wav")
    desk.until(lambda: desk.status().batch.why is not None)
    status = desk.status()
    assert status.batch.why is not None
    assert status.batch.why.kind == "device"
    assert status.lanes[0].state is LaneState.RETIRED
    job = desk.jobs()["clip-3.wav"]
    assert job.state is State.QUEUED
    assert ("device", False) in attempts(desk, job)
    desk.ask(say.Resume())  # the fault was for the first try only
    assert desk.finish()["clip-3.wav"].state is State.DONE


def test_a_full_disk_pauses_and_the_batch_goes_on_by_itself(faulty: Faulty, clips: Path) -> None:
    desk = faulty("disk:clip-3.wav")
    desk.add(clips)
    jobs = desk.finish()
    assert {job.state for job in jobs.values()} == {State.DONE}
    assert desk.kinds().count("paused") == 1
    assert desk.kinds().count("resumed") == 1
    assert ("disk", False) in attempts(desk, jobs["clip-3.wav"])


def test_rerun_after_failure_starts_a_new_series(faulty: Faulty, clips: Path) -> None:
    desk = faulty("cuda:clip-3.wav:3", MAX_ATTEMPTS="3")
    desk.add(clips / "a" / "clip-3.wav")
    job = desk.finish()["clip-3.wav"]
    assert job.state is State.FAILED
    # The simulated fault counts tries in a series, so it is met again; the history stays.
    desk.ask(say.Rerun(ids=[job.id]))
    desk.finish()
    assert len(attempts(desk, job)) == 6


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("CUDA failed with error out of memory", ErrorKind.OOM),
        ("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED", ErrorKind.OOM),
        ("cuBLAS failed with status CUBLAS_STATUS_NOT_INITIALIZED", ErrorKind.CUDA),
        ("CUDA failed with error an illegal memory access was encountered", ErrorKind.STICKY),
        ("cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED", ErrorKind.STICKY),
        ("CUDA error: device-side assert triggered", ErrorKind.STICKY),
        ("CUDA failed with error something nobody has seen", ErrorKind.STICKY),
        ("CUDA failed with error no CUDA-capable device is detected", ErrorKind.DEVICE),
        ("Library libcublas.so.12 is not found or cannot be loaded", ErrorKind.DEVICE),
        ("[Errno 28] No space left on device", ErrorKind.DISK),
        ("list index out of range", ErrorKind.CRASH),
    ],
)
def test_error_texts_are_classified(text: str, kind: ErrorKind) -> None:
    assert classify(text) is kind


def test_out_of_memory_climbs_from_halving_to_a_new_process() -> None:
    def rungs(batch: int) -> list[Rung]:
        found, before = [], Rung.NONE
        while before is not Rung.RESPAWN:
            before = climb(ErrorKind.OOM, batch_size=batch, before=before).rung
            found.append(before)
            batch = max(1, batch // 2)
        return found

    assert rungs(8) == [Rung.HALVE, Rung.RELOAD, Rung.RESPAWN]
    assert rungs(2) == [Rung.HALVE, Rung.RELOAD, Rung.RESPAWN]
    # Nothing to halve; a file's three tries must reach the engine with the smaller compute type.
    assert rungs(1) == [Rung.RELOAD, Rung.RESPAWN]
    assert climb(ErrorKind.OOM, batch_size=1).charged


def test_an_exit_is_described_by_its_signal() -> None:
    assert describe_exit(-9) == "engine process ended by SIGKILL"
    assert describe_exit(3) == "engine process ended with status 3"


def test_a_smaller_batch_outlasts_the_engine(faulty: Faulty, clips: Path) -> None:
    desk = faulty("oom:clip-3.wav;kill:clip-9.wav", SIM_SPEED="100")
    desk.add(clips)
    jobs = desk.finish()
    assert {job.state for job in jobs.values()} == {State.DONE}
    lane = desk.status().lanes[0]
    assert lane.respawns == 1
    assert lane.batch_size is not None
    assert lane.batch_size < 4


def test_what_ends_the_engine_charges_none_of_several(faulty: Faulty, clips: Path) -> None:
    desk = faulty("sticky:clip-3.wav")
    desk.add(clips)
    jobs = desk.finish()
    retries = [event for event in desk.events if event.event == "retry"]
    assert retries
    if len(retries) > 1:  # clip-3 shared its batch
        assert not any(event.detail["charged"] for event in retries)
    assert {job.state for job in jobs.values()} == {State.DONE}


def test_the_last_words_of_a_dead_engine_are_found_before_the_stacks_of_its_threads(
    tmp_path: Path,
) -> None:
    engine = object.__new__(EngineProcess)
    engine._logfile, engine._mark = tmp_path / "engine.log", 0
    words = "terminate called after throwing an instance of 'std::runtime_error'\n"
    words += "  what():  CUDA failed with error an illegal memory access was encountered\n"
    engine._logfile.write_text(words + '  File "a.py", line 1 in work\n' * 500, "utf-8")
    assert classify_exit(engine._last_lines()) is ErrorKind.STICKY
