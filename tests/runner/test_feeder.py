"""How much an engine is given ahead."""

from __future__ import annotations

from speakeasy_tui.core.settings import JobOptions, Settings
from speakeasy_tui.runner.devices import cores, workers_for
from speakeasy_tui.runner.feeder import MAX_FLIGHTS, Room
from speakeasy_tui.runner.flight import Flight, Prepared
from speakeasy_tui.runner.modelfinder import Found
from speakeasy_tui.runner.outputs import Plan
from speakeasy_tui.runner.record import Claim, Content


def flight(
    audio_s: float | None = None,
    *,
    size: int = 0,
    chunks: int = 0,
    suspect: bool = False,
    sequential: bool = False,
) -> Flight:
    claim = Claim(1, b"/a", b"", JobOptions(sequential=sequential), "", suspect, 0, audio_s, "")
    plan = Plan(paths={}, replace=frozenset(), present=False, unverified=False)
    prepared = Prepared(claim, plan, "", Found("tiny", "", ""), Content(size=size))
    return Flight(prepared, 1, 0, 0.0, audio_s=audio_s, chunks=chunks)


def given(one: Flight, batch_size: int, workers: int) -> int:
    """How many files like `one` an engine gets."""
    flights: list[Flight] = []
    while Room(flights, batch_size, workers):
        flights.append(one)
    return len(flights)


def test_short_files_fill_every_workers_batch_though_six_share_a_window() -> None:
    assert given(flight(5.0, chunks=1), 4, 2) == 6 * 4 * 3
    assert given(flight(5.0), 16, 2) == 6 * 16 * 3


def test_short_files_that_nobody_has_looked_into_are_judged_by_their_size() -> None:
    assert 12 <= given(flight(size=160_000), 4, 2) <= 6 * 4 * 3


def test_one_long_file_and_the_next_are_enough() -> None:
    assert given(flight(3600.0, chunks=120), 4, 2) == 1
    assert given(flight(3600.0), 4, 2) == 2
    assert given(flight(size=60_000_000), 4, 2) == 2


def test_of_files_heard_window_after_window_there_is_one_for_each_worker_and_the_next() -> None:
    assert given(flight(3600.0, chunks=1, sequential=True), 4, 2) == 3
    assert given(flight(2.0, sequential=True), 16, 2) == 3


def test_never_thousands_and_nothing_beside_a_suspect() -> None:
    assert given(flight(1.0, chunks=1), 512, 4) == MAX_FLIGHTS
    assert given(flight(1.0, suspect=True), 4, 2) == 1


def test_the_cores_are_shared_out_among_the_workers() -> None:
    workers, threads = workers_for(Settings(), "cpu")
    assert 1 <= workers <= 4
    assert workers * threads <= cores()
    assert workers_for(Settings(workers=3, cpu_threads=2), "cpu") == (3, 2)
    assert workers_for(Settings(), "cuda:0") == (2, 0)
    assert workers_for(Settings(workers=1), "cuda:0", 80 * 2**30) == (1, 0)


def test_a_gpu_with_ample_memory_has_another_worker() -> None:
    assert workers_for(Settings(), "cuda:0", 40 * 2**30) == (2, 0)
    assert workers_for(Settings(), "cuda:0", 47 * 2**30) == (3, 0)
