"""The queue's database."""

from __future__ import annotations

import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from speakeasy_tui.core.job import ErrorKind, Job, JobError, JobWarning, State
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.text import show_path
from speakeasy_tui.core.transcript import Chunk, Segment
from speakeasy_tui.runner.queueing import Found
from speakeasy_tui.runner.record import to_job
from speakeasy_tui.runner.rows import Staged
from speakeasy_tui.runner.schema import DamagedError, DatabaseError
from speakeasy_tui.runner.server import BEFORE_ALL
from speakeasy_tui.runner.store import Store
from speakeasy_tui.runner.writing import StateError

SIM = JobOptions(engine="sim")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "queue.db")


def fill(store: Store, count: int) -> list[int]:
    return store.add([Found(f"/r/{number}.wav".encode()) for number in range(count)], SIM).new


def begin(store: Store, job: int) -> int:
    return store.begin(job, lane=0, device="cpu", model="m", made_of="x")


def test_the_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    Store(tmp_path / "queue.db").close()
    assert stat.S_IMODE((tmp_path / "queue.db").stat().st_mode) == 0o600


def test_no_other_thread_may_use_the_store(store: Store) -> None:
    """It would wait for ever for a query that calls a function of Python's, as rows with names
    that are not UTF-8 do, and that one for it."""
    with ThreadPoolExecutor(1) as thread, pytest.raises(sqlite3.ProgrammingError, match="thread"):
        thread.submit(store.owner, b"/r/0.txt").result(10)


def test_a_database_others_may_read_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "queue.db").close()
    (tmp_path / "queue.db").chmod(0o644)
    with pytest.raises(DatabaseError, match="chmod 600"):
        Store(tmp_path / "queue.db")


def test_what_waits_for_a_model_that_is_not_there_fails_at_once_and_nothing_else(
    store: Store,
) -> None:
    first, second = fill(store, 2)
    other = store.add([Found(b"/r/x.wav")], JobOptions(engine="sim", model="base")).new[0]
    begin(store, first)
    claim = store.claim_of(second)
    assert claim is not None
    error = JobError(ErrorKind.MODEL, "no such model")
    assert store.fail_waiting(claim.request, error) == [second]
    assert [job.state for job in store.jobs([first, second, other])] == [
        State.RUNNING,
        State.FAILED,
        State.QUEUED,
    ]
    assert store.fail_waiting(claim.request, error) == []


def test_how_loud_a_file_is_goes_with_what_it_was_made_of(store: Store) -> None:
    (job,) = fill(store, 1)
    begin(store, job)
    store.heard(job, "0123")
    store.heard(job, "89ab")
    assert store.loudness(job) == "89ab"
    store.give_back(job, outcome="crash", message="")
    begin(store, job)
    assert store.loudness(job) == "89ab"
    store.give_back(job, outcome="crash", message="")
    store.remove([job])
    assert store.loudness(job) == ""
    store.restore([job])
    assert store.loudness(job) == "89ab"
    store.begin(job, lane=0, device="cpu", model="m", made_of="another recording")
    assert store.loudness(job) == ""


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    fill(store, 2)
    store.close()
    with sqlite3.connect(tmp_path / "queue.db") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(DatabaseError, match="newer version"):
        Store(tmp_path / "queue.db")
    with sqlite3.connect(tmp_path / "queue.db") as db:
        assert db.execute("SELECT COUNT(*) FROM jobs").fetchone() == (2,)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_bytes(b"not a database, but long enough to be read" * 50)
    (tmp_path / "queue.db").chmod(0o600)
    with pytest.raises(DamagedError, match="no database"):
        Store(tmp_path / "queue.db")


def test_paths_keep_their_bytes(store: Store) -> None:
    raw = b"/r/caf\xe9 \n\x1b[31m[bold].wav"
    (job,) = store.add([Found(raw)], SIM).new
    (row,) = store.jobs([job])
    assert row.path == "/r/caf\\xe9 \n\x1b[31m[bold].wav"
    claim = store.next_queued([r.text() for r in store.requests()], [], suspects=True)
    assert claim is not None
    assert claim.path == raw


def test_the_same_file_and_options_make_one_job(store: Store) -> None:
    fill(store, 3)
    taken = store.add([Found(b"/r/1.wav"), Found(b"/r/9.wav")], SIM)
    assert (len(taken.new), len(taken.known)) == (1, 1)


def test_a_queued_file_asked_for_again_takes_the_newest_device_and_overwrite(store: Store) -> None:
    (job,) = fill(store, 1)
    other = JobOptions(engine="sim", device="cpu", overwrite=True)
    assert store.add([Found(b"/r/0.wav")], other).known == [job]
    assert store.options(job) == other
    requests = [request.text() for request in store.requests() if request.device == "cpu"]
    assert store.next_queued(requests, [], suspects=True) is not None


def test_other_options_make_another_job(store: Store) -> None:
    fill(store, 1)
    taken = store.add([Found(b"/r/0.wav")], JobOptions(engine="sim", language="de"))
    assert len(taken.new) == 1


def test_a_finished_file_is_queued_again_with_a_new_series(store: Store) -> None:
    (job,) = fill(store, 1)
    store.fail(job, State.FAILED, JobError(ErrorKind.INPUT, "broken"))
    taken = store.add([Found(b"/r/0.wav")], SIM)
    assert taken.again == [job]
    begin(store, job)
    assert [(a.series, a.number) for a in store.attempts(job)] == [(2, 1)]


def test_attempts_are_kept_over_series(store: Store) -> None:
    (job,) = fill(store, 1)
    begin(store, job)
    store.fail(job, State.FAILED, JobError(ErrorKind.CUDA, "no handle"), "traceback")
    store.rerun([job])
    begin(store, job)
    first, second = store.attempts(job)
    assert (first.series, first.outcome, first.detail) == (1, "cuda", "traceback")
    assert (second.series, second.outcome) == (2, "running")
    assert store.jobs([job])[0].attempts == 1


def test_of_new_options_only_those_that_are_named_count(store: Store) -> None:
    mine, yours = (
        store.add([Found(b"/r/0.wav")], JobOptions(engine="sim", language=language)).new[0]
        for language in ("de", "fr")
    )
    for job in (mine, yours):
        store.turn([job], frozenset({State.QUEUED}), State.CANCELLED)
    assert [one.language for one in store.options_among([mine, yours, mine])] == ["de", "fr"]
    new = JobOptions(language="en", beam_size=2)
    assert store.rerun([mine, yours], new, ["beam_size"]).new == [mine, yours]
    for job, language in ((mine, "de"), (yours, "fr")):
        options = store.options(job)
        assert (options.language, options.beam_size, options.engine) == (language, 2, "sim")
    assert len(store.options_among([mine, mine])) == 1


def test_a_row_that_would_become_another_is_left_as_it_is(store: Store) -> None:
    german = store.add([Found(b"/r/0.wav")], JobOptions(engine="sim", language="de")).new
    french = store.add([Found(b"/r/0.wav")], JobOptions(engine="sim", language="fr")).new
    store.turn(german + french, frozenset({State.QUEUED}), State.CANCELLED)
    begun = store.rerun(german + french + german, JobOptions(language="fr"), ["language"])
    assert (begun.new, begun.same) == (french, german)
    assert store.state(german[0]) is State.CANCELLED
    assert store.options(german[0]).language == "de"


def test_a_state_change_outside_the_diagram_is_refused(store: Store) -> None:
    (job,) = fill(store, 1)
    with pytest.raises(StateError):
        store.done(job)
    assert store.state(job) is State.QUEUED


def test_chunks_are_forgotten_when_the_content_changes(store: Store) -> None:
    (job,) = fill(store, 1)
    begin(store, job)
    store.store_chunk(job, Chunk(0, 0.0, 30.0, (Segment(0, 1, " hello"),)))
    store.give_back(job, outcome="given back", message="")
    begin(store, job)
    assert [c.segments[0].text for c in store.chunks(job)] == [" hello"]
    store.give_back(job, outcome="given back", message="")
    store.begin(job, lane=0, device="cpu", model="m", made_of="something else")
    assert store.chunks(job) == []


def test_moving_keeps_a_block_in_order_and_stops_at_the_top(store: Store) -> None:
    ids = fill(store, 5)
    store.move([ids[2], ids[3]], -1)
    assert [job.id for job in store.jobs()] == [ids[0], ids[2], ids[3], ids[1], ids[4]]
    store.move([ids[2], ids[3]], -9)
    assert [job.id for job in store.jobs()] == [ids[2], ids[3], ids[0], ids[1], ids[4]]
    store.move([ids[2]], 2)
    assert [job.id for job in store.jobs()] == [ids[3], ids[0], ids[2], ids[1], ids[4]]


@pytest.mark.parametrize("first", [True, False])
def test_of_a_long_queue_only_the_row_that_is_moved_to_an_end_is_written(
    store: Store, first: bool
) -> None:
    jobs = fill(store, 300)
    done, *waiting = jobs if first else reversed(jobs)
    begin(store, done)
    moved = store.to_end([waiting[-1]], first=first)
    assert list(moved) == [waiting[-1]]
    ids = [job.id for job in store.jobs()]
    assert (ids if first else ids[::-1])[:3] == [done, waiting[-1], waiting[0]]
    assert store.to_end([waiting[-1]], first=first) == {}
    assert store.place(list(moved), list(moved.values())) is not None
    assert [job.id for job in store.jobs()] == jobs


def test_what_is_done_to_many_rows_is_a_few_statements(store: Store) -> None:
    """Nobody else has a turn meanwhile: row by row 100,000 took ten to eighteen seconds."""
    ids = fill(store, 500)
    queued, held = frozenset({State.QUEUED}), frozenset({State.HELD})
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    assert store.turn(ids, queued, State.HELD) == ids
    assert store.turn(ids, held, State.CANCELLED) == ids
    assert store.rerun(ids).new == ids
    assert store.remove(ids) == ids
    store._db.set_trace_callback(None)
    assert len(set(statements)) < 30  # a trigger's are told with the text of what set it off
    assert store.restore(ids[:3]) == ids[:3]


def test_where_there_is_no_room_at_the_end_of_the_queue_the_others_make_room(
    store: Store,
) -> None:
    jobs = fill(store, 5)
    store.place(jobs, [1, 2, 3, 4, 5])
    begin(store, jobs[0])
    moved = store.to_end([jobs[2], jobs[4]], first=True)
    assert [job.id for job in store.jobs()] == [jobs[n] for n in (0, 2, 4, 1, 3)]
    assert sorted(moved) == jobs[1:]
    assert store.place(list(moved), list(moved.values())) is not None
    assert [job.id for job in store.jobs()] == jobs


def test_the_next_job_is_the_first_by_position_that_may_run(store: Store) -> None:
    ids = fill(store, 3)
    requests = [request.text() for request in store.requests()]
    store.move([ids[2]], -2)
    claim = store.next_queued(requests, [ids[2]], suspects=True)
    assert claim is not None
    assert claim.id == ids[0]


def test_a_suspect_is_offered_only_to_an_empty_engine(store: Store) -> None:
    (job,) = fill(store, 1)
    begin(store, job)
    store.give_back(job, outcome="crash", message="", suspect=True)
    requests = [request.text() for request in store.requests()]
    assert store.next_queued(requests, [], suspects=False) is None
    assert store.next_queued(requests, [], suspects=True) is not None


def test_another_life_of_the_runner_gives_back_what_ran(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    jobs = fill(store, 3)
    begin(store, jobs[0])
    store.close()
    again = Store(tmp_path / "queue.db")
    assert again.give_back_running() == 1
    assert again.tallies()["queued"].jobs == 3
    assert again.attempts(jobs[0])[0].outcome == "given back"
    assert again.epoch == 2


def test_running_jobs_cannot_be_removed(store: Store) -> None:
    ids = fill(store, 2)
    begin(store, ids[0])
    assert store.remove(ids) == [ids[1]]


def test_the_socket_and_home_of_a_link_are_not_followed(tmp_path: Path) -> None:
    os.symlink("/dev/null", tmp_path / "queue.db")
    with pytest.raises(DatabaseError):
        Store(tmp_path / "queue.db")


def test_a_row_is_told_as_it_is_stored(store: Store) -> None:
    path = '/r/"quoted\\slash\n\x01/ä → 🎙.wav'.encode()
    (job,) = store.add([Found(path, b"/r")], SIM).new
    assert store.jobs([job]) == [Job(id=job, path=path.decode(), position=1, root="/r")]
    begin(store, job)
    third = 1 / 3  # as exact as it was
    store.opened(job, third, "de")
    warning = JobWarning("incomplete_audio", 'a "gap"', 0.1)
    parts = [Staged(job, f"/o/{name}".encode(), b"part", "") for name in ("b.txt", "a.srt")]
    store.stage(
        job,
        parts,
        language="de",
        elapsed_s=0.1 + 0.2,
        work_s=0.0,
        warnings=[warning],
        message="2 outputs",
    )
    store.done(job)
    told = Job(
        id=job,
        path=path.decode(),
        state=State.DONE,
        progress=1.0,
        position=1,
        attempts=1,
        outputs=("/o/a.srt", "/o/b.txt"),
        audio_s=third,
        elapsed_s=0.1 + 0.2,
        speed=1.11,
        model="m",
        device="cpu",
        language="de",
        warnings=(warning,),
        message="2 outputs",
        lane=0,
        root="/r",
    )
    assert store.jobs([job]) == [told]
    error = JobError(ErrorKind.INPUT, "it is\n'broken'", "look")
    (other,) = store.add([Found(b"/r/other", error=error)], SIM).new
    assert store.jobs([other])[0].error == error


def test_paths_that_are_not_utf8_are_spelled_out(store: Store) -> None:
    paths = [b"/r/gr\xfc\xdfe.wav", b"/r/\xed\xa0\x80.wav", "/r/grüße.wav".encode()]
    jobs = store.add([Found(path, b"/\xff") for path in paths], SIM).new
    store.adopt_outputs(jobs[0], [b"/r/gr\xfc\xdfe.txt"], "x")
    told = store.jobs(jobs)
    assert [job.path for job in told] == [show_path(path) for path in paths]
    assert {job.root for job in told} == {"/\\xff"}
    assert told[0].outputs == ("/r/gr\\xfc\\xdfe.txt",)


def test_pages_hold_every_row_once_and_outputs_when_asked(store: Store) -> None:
    jobs = fill(store, 25)
    store.move(jobs[20:22], -15)
    store.to_end(jobs[22:24], first=True)
    store.adopt_outputs(jobs[3], [b"/o/3.txt"], "x")
    for outputs in (True, False):
        told, after = [], BEFORE_ALL
        while page := store.page(after, 10, outputs=outputs):
            told += [to_job(row.json) for row in page]
            after = page[-1].position
        assert [job.id for job in told] == [job.id for job in store.jobs()]
        assert [job.id for job in told if job.outputs] == ([jobs[3]] if outputs else [])


def test_that_no_length_is_missing_is_known_without_looking_through_the_queue(
    store: Store,
) -> None:
    """It is asked with every change of a file: 3,000 that wait must not be looked at for it."""
    jobs = fill(store, 3000)
    store.lengths(dict.fromkeys(jobs[:-1], 5.0))
    assert store.unmeasured(jobs[-2], 9) == [(jobs[-1], b"/r/2999.wav")]
    store.lengths({jobs[-1]: 5.0})
    steps: list[int] = []
    store._db.set_progress_handler(lambda: steps.append(1), 100)
    assert store.unmeasured(store.newest(), 9) == []
    store._db.set_progress_handler(None, 0)
    assert len(steps) < 5, "hundreds of instructions of SQLite's"
