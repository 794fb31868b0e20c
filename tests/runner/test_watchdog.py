"""Whether an engine gets on."""

from __future__ import annotations

import asyncio
import time

import pytest

from speakeasy_tui.core.engineprotocol import ChunkDone, FullBatch
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions, Settings
from speakeasy_tui.core.transcript import Chunk
from speakeasy_tui.runner.flight import Flight, Prepared
from speakeasy_tui.runner.lane import Lane
from speakeasy_tui.runner.modelfinder import Found
from speakeasy_tui.runner.outputs import Plan
from speakeasy_tui.runner.record import Claim, Content
from speakeasy_tui.runner.runner import Runner
from speakeasy_tui.runner.server import Server
from speakeasy_tui.runner.watchdog import BAD_FILES, FIRST_BATCHES, Watchdog

SETTINGS = Settings(stall_s=10, load_limit_s=100, decode_limit_s=20, recycle_files=3)


def flight(size: int = 0, chunks: int = 0) -> Flight:
    claim = Claim(1, b"/r/a.wav", b"", JobOptions(), "", False, 0, None, "")
    prepared = Prepared(claim, Plan({}, present=False), "", Found("m", ""), Content(size=size))
    return Flight(prepared, 1, 0, time.monotonic(), chunks=chunks)


@pytest.fixture
def watch() -> Watchdog:
    return Watchdog(SETTINGS, memory=2**30)


def test_loading_has_a_limit_of_its_own(watch: Watchdog) -> None:
    assert watch.limit(loading=True, flights=[]) == 100


def test_decoding_may_take_longer_the_larger_the_file(watch: Watchdog) -> None:
    small = watch.limit(loading=False, flights=[flight(size=1_000_000)])
    large = watch.limit(loading=False, flights=[flight(size=900_000_000)])
    assert (small, large) == (21, 920)


def test_inference_is_given_time_until_its_speed_is_known(watch: Watchdog) -> None:
    assert watch.limit(loading=False, flights=[flight(chunks=2)]) == 10 * FIRST_BATCHES
    watch.batch_done()
    known = watch.limit(loading=False, flights=[flight(chunks=2)])
    assert 10 <= known < 11


def test_a_slow_batch_makes_the_limit_grow(watch: Watchdog) -> None:
    time.sleep(0.2)
    watch.batch_done()
    assert watch.limit(loading=False, flights=[flight(chunks=2)]) > 11.5


async def test_what_is_told_of_a_full_batch_does_not_hide_how_long_its_chunks_took(
    home: Home,
) -> None:
    runner = Runner(home, SETTINGS, Server())
    lane = Lane(runner, 0, "cpu", 1, 1)
    try:
        await asyncio.sleep(0.2)
        await lane._heard_from(FullBatch(windows=4, seconds=0.2))
        chunk = Chunk(index=0, start=0.0, end=30.0, segments=())
        await lane._heard_from(ChunkDone(job=1, chunk=chunk))
        assert lane._watch.limit(loading=False, flights=[flight(chunks=2)]) > 11.5
    finally:
        await lane.close("the end")
        runner.store.close()


def test_an_engine_wears_by_files_and_by_memory(watch: Watchdog) -> None:
    assert watch.worn() == ""
    watch.resident(2 * 2**30)
    assert "2.0 GiB" in watch.worn()
    watch.engine_started()
    for _ in range(3):
        watch.file_done()
    assert watch.worn() == "after 3 files"


def test_different_files_that_fail_alone_in_a_row_convict_the_device(watch: Watchdog) -> None:
    verdicts = [watch.file_failed(job) for job in (1, 1, 2, 3)]
    assert verdicts == [False, False, False, True]
    assert BAD_FILES == 3


def test_a_success_between_clears_the_device(watch: Watchdog) -> None:
    watch.file_failed(1)
    watch.file_failed(2)
    watch.file_done()
    assert not watch.file_failed(3)
