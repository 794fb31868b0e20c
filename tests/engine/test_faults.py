"""Every injected fault really happens, in both engines."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from speakeasy_tui.core.engineprotocol import (
    ChunkDone,
    Failed,
    Fault,
    Finished,
    Heard,
    Loaded,
    LoadFailed,
    Ready,
    Reload,
    SetBatch,
    Vitals,
)
from speakeasy_tui.core.faults import classify
from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.engine.inject import KINDS, BadSpec, Injector, Rule, parse

from .engine import LIST, RADIO, SHELF, Engine, load_command

Start = Callable[..., Engine]
BOTH = pytest.mark.parametrize("kind", ["sim", "real"])
TEXTS = {
    "oom": ("CUDA failed with error out of memory", ErrorKind.OOM),
    "cuda": ("cuBLAS failed with status CUBLAS_STATUS_NOT_INITIALIZED", ErrorKind.CUDA),
    "sticky": (
        "CUDA failed with error an illegal memory access was encountered",
        ErrorKind.STICKY,
    ),
    "device": ("CUDA failed with error no CUDA-capable device is detected", ErrorKind.DEVICE),
}


@pytest.fixture(scope="module", params=["sim", "real"])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A loaded engine for the faults that it survives: told apart by the file's first word."""
    faults = ";".join(f"{fault}:{fault}-*" for fault in ("oom", "cuda", "disk"))
    engine = Engine(
        request.param,
        tmp_path_factory.mktemp("shared") / "log",
        SPEAKEASY_FAULTS=f"{faults};oom:after-*",
        SPEAKEASY_FAULTS_SEED="1",
        SPEAKEASY_SIM_SPEED="200",
    )
    engine.load()
    yield engine
    engine.close()


def link(folder: Path, name: str, target: Path) -> Path:
    (folder / name).symlink_to(target)
    return folder / name


@pytest.mark.parametrize("fault", ["oom", "cuda"])
def test_a_cuda_fault_has_ctranslate2s_text_and_a_reload_cures_it(
    shared: Engine, tmp_path: Path, fault: str
) -> None:
    path = link(tmp_path, f"{fault}-shelf.wav", SHELF)
    shared.transcribe(1, path)
    report = shared.end_of(1)
    assert isinstance(report, Fault)
    assert (report.text, report.jobs) == (TEXTS[fault][0], [1])
    assert classify(report.text) is TEXTS[fault][1]
    assert "Traceback" in report.detail
    shared.send(Reload())
    assert isinstance(shared.wait_for((Loaded, LoadFailed)), Loaded)  # type: ignore[arg-type]
    shared.transcribe(1, path, attempt=2)
    assert isinstance(shared.end_of(1), Finished)


@BOTH
@pytest.mark.parametrize("fault", ["sticky", "device"])
def test_poison_outlives_a_reload_and_another_load(start: Start, kind: str, fault: str) -> None:
    engine = start(kind, SPEAKEASY_FAULTS=f"{fault}:shelf*")
    engine.load()
    engine.transcribe(1, SHELF)
    report = engine.end_of(1)
    assert isinstance(report, Fault)
    assert (report.text, report.jobs) == (TEXTS[fault][0], [1])
    assert classify(report.text) is TEXTS[fault][1]
    for command in (Reload(), load_command()):
        engine.send(command)
        again = engine.wait_for((Loaded, LoadFailed))  # type: ignore[arg-type]
        assert isinstance(again, LoadFailed)
        assert again.text == TEXTS[fault][0]


@BOTH
@pytest.mark.parametrize(
    ("fault", "number"),
    [("abort", signal.SIGABRT), ("segv", signal.SIGSEGV), ("kill", signal.SIGKILL)],
)
def test_a_deadly_fault_ends_the_process_by_that_signal(
    start: Start, kind: str, fault: str, number: signal.Signals, tmp_path: Path
) -> None:
    engine = start(kind, SPEAKEASY_FAULTS=f"{fault}:*.wav:2")
    engine.load()
    engine.transcribe(1, SHELF, attempt=2)
    assert engine.status() == -number
    assert not list(Path.cwd().glob("core*"))


@BOTH
def test_a_hang_stops_progress_while_the_vitals_go_on(start: Start, kind: str) -> None:
    engine = start(kind, SPEAKEASY_FAULTS="hang:radio*")
    engine.load()
    engine.transcribe(1, RADIO)
    engine.wait_for(Heard)  # all of it is decoded
    for _ in range(2):
        engine.wait_for(Vitals, timeout=10)
    mark = len(engine.reports)
    last = engine.wait_for(Vitals, timeout=10)
    assert last.busy > 0.5
    assert all(isinstance(report, Vitals) for report in engine.reports[mark:])


def test_a_full_disk_fails_that_file_and_the_engine_goes_on(shared: Engine, tmp_path: Path) -> None:
    path = link(tmp_path, "disk-shelf.wav", SHELF)
    shared.transcribe(21, path)
    shared.transcribe(22, path, attempt=2)
    report = shared.end_of(21)
    assert isinstance(report, Failed)
    assert report.kind is None
    assert classify(report.text) is ErrorKind.DISK
    assert isinstance(shared.end_of(22), Finished)


@BOTH
def test_a_bad_spec_is_a_failed_load_that_says_what_would_do_and_ends_the_engine(
    start: Start, kind: str
) -> None:
    engine = start(kind, SPEAKEASY_FAULTS="oops:*.wav")
    engine.wait_for(Ready)
    engine.send(load_command())
    report = engine.wait_for(LoadFailed)
    assert "'oops'" in report.text
    assert "segv" in report.text
    assert engine.status() == 2


def test_after_a_fault_chunks_that_were_reported_are_not_needed_again(
    shared: Engine, tmp_path: Path
) -> None:
    path = link(tmp_path, "after-radio.mp3", RADIO)
    shared.send(SetBatch(batch_size=1))
    shared.transcribe(31, path)
    report = shared.end_of(31)
    assert isinstance(report, Fault)
    assert report.batch_size == 1
    have = [chunk.start for chunk in shared.chunks(31)]
    assert have, "the seed puts the fault behind the first chunk"
    shared.transcribe(31, path, attempt=2, have=have)
    assert isinstance(shared.end_of(31), Finished)
    indices = [report.chunk.index for report in shared.said(ChunkDone, 31)]
    assert indices == sorted(set(indices))
    assert len(indices) == shared.opened(31).chunks


def test_a_fault_in_a_shared_batch_names_all_its_files(shared: Engine, tmp_path: Path) -> None:
    shared.send(SetBatch(batch_size=8))
    shared.transcribe(41, SHELF)
    shared.transcribe(42, link(tmp_path, "oom-list.flac", LIST))
    report = shared.end_of(42)
    assert isinstance(report, Fault)
    assert set(report.jobs) <= {41, 42}
    assert 42 in report.jobs
    shared.send(SetBatch(batch_size=1, go_on=True))
    if 41 not in report.jobs and not shared.said(Finished, 41):
        assert isinstance(shared.end_of(41), Finished)


def test_a_hang_is_in_the_process_until_it_is_killed(start: Start) -> None:
    engine = start("sim", SPEAKEASY_FAULTS="hang:shelf*")
    engine.load()
    engine.transcribe(1, SHELF)
    time.sleep(0.5)
    assert engine.process.poll() is None
    engine.process.kill()
    assert engine.status() == -signal.SIGKILL


def test_all_kinds_of_the_design_are_there() -> None:
    promised = {"oom", "cuda", "sticky", "abort", "segv", "kill", "hang", "device", "disk"}
    assert set(KINDS) == promised


def test_a_spec_is_read_with_globs_that_hold_colons_and_counts() -> None:
    assert parse("oom:a:b*.wav:3; kill:*;") == [Rule("oom", "a:b*.wav", 3), Rule("kill", "*", 1)]
    assert parse("") == []


@pytest.mark.parametrize("spec", ["oom", "oom:", "oom:*:0", "oom:*:-1", "OOM:*", ":*"])
def test_a_spec_that_cannot_be_read_is_refused_with_the_part_that_is_wrong(spec: str) -> None:
    with pytest.raises(BadSpec, match="SPEAKEASY_FAULTS: "):
        parse(spec)


def test_a_rule_matches_names_and_paths_also_when_they_are_not_utf8() -> None:
    assert Rule("oom", "*.wav").applies(b"/a/\xff\xfe.wav", 1)
    assert Rule("oom", "/a/*").applies(b"/a/b.wav", 1)
    assert not Rule("oom", "*.wav").applies(b"/a/b.wav", 2)
    assert Rule("oom", "*.wav", 2).applies(b"/a/b.wav", 2)


def test_a_seed_puts_a_fault_at_the_same_chunk_every_time() -> None:
    def point() -> int:
        trap = Injector(parse("oom:*"), seed="11").trap(b"/a.wav", 1)
        trap.cut(1000)
        for number in range(1000):
            try:
                trap.at_chunk(number)
            except RuntimeError:
                return number
        raise AssertionError

    assert point() == point()
