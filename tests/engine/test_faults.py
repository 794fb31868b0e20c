"""Every injected fault really happens, in both engines."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from speakeasy_tui.core.faults import classify
from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.core.protocol import (
    ChunkDone,
    Failed,
    Fault,
    Finished,
    Loaded,
    LoadFailed,
    Ready,
    Reload,
    Vitals,
)
from speakeasy_tui.engine.inject import KINDS, BadSpec, Injector, Rule, parse

from .engine import LIGHTHOUSE, RADIO, SHELF, Engine, load_command

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


@BOTH
@pytest.mark.parametrize("fault", TEXTS)
def test_a_cuda_fault_has_ctranslate2s_text_and_only_poison_outlives_a_reload(
    start: Start, kind: str, fault: str
) -> None:
    engine = start(kind, SPEAKEASY_FAULTS=f"{fault}:shelf*")
    engine.load()
    engine.transcribe(1, SHELF)
    report = engine.end_of(1)
    text, kind_of_error = TEXTS[fault]
    assert isinstance(report, Fault)
    assert (report.text, report.jobs) == (text, [1])
    assert classify(report.text) is kind_of_error
    assert "Traceback" in report.detail
    engine.send(Reload())
    again = engine.wait_for((Loaded, LoadFailed))  # type: ignore[arg-type]
    if fault in ("sticky", "device"):
        assert isinstance(again, LoadFailed)
        assert again.text == text
        engine.send(load_command())
        assert isinstance(engine.wait_for((Loaded, LoadFailed)), LoadFailed)  # type: ignore[arg-type]
    else:
        assert isinstance(again, Loaded)
        engine.transcribe(1, SHELF, attempt=2)
        assert isinstance(engine.end_of(1), Finished)


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
    engine.wait_for(Vitals, timeout=10)
    mark = len(engine.reports)
    last = engine.wait_for(Vitals, timeout=10)
    assert last.busy > 0.5
    assert all(isinstance(report, Vitals) for report in engine.reports[mark:])


@BOTH
def test_a_full_disk_fails_that_file_and_the_engine_goes_on(start: Start, kind: str) -> None:
    engine = start(kind, SPEAKEASY_FAULTS="disk:shelf*")
    engine.load()
    engine.transcribe(1, SHELF)
    engine.transcribe(2, SHELF, attempt=2)
    report = engine.end_of(1)
    assert isinstance(report, Failed)
    assert report.kind is None
    assert classify(report.text) is ErrorKind.DISK
    assert isinstance(engine.end_of(2), Finished)


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


@BOTH
def test_after_a_fault_chunks_that_were_reported_are_not_needed_again(
    start: Start, kind: str
) -> None:
    engine = start(kind, SPEAKEASY_FAULTS="oom:light*", SPEAKEASY_FAULTS_SEED="2")
    engine.load(batch_size=1)
    engine.transcribe(1, LIGHTHOUSE)
    report = engine.end_of(1)
    assert isinstance(report, Fault)
    assert report.batch_size == 1
    have = [chunk.start for chunk in engine.chunks(1)]
    assert have, "the seed puts the fault behind the first chunk"
    engine.transcribe(1, LIGHTHOUSE, attempt=2, have=have)
    assert isinstance(engine.end_of(1), Finished)
    indices = [report.chunk.index for report in engine.said(ChunkDone, 1)]
    assert indices == sorted(set(indices))
    assert len(indices) == engine.opened(1).chunks


@BOTH
def test_a_fault_in_a_shared_batch_names_all_its_files(start: Start, kind: str) -> None:
    engine = start(kind, SPEAKEASY_FAULTS="oom:radio*", SPEAKEASY_SIM_SPEED="20")
    engine.load(batch_size=8)
    engine.transcribe(1, SHELF)
    engine.transcribe(2, RADIO)
    report = engine.end_of(2)
    assert isinstance(report, Fault)
    assert set(report.jobs) <= {1, 2}
    assert 2 in report.jobs


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
