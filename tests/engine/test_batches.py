"""Several batches in flight, in an engine of this process: what waits for what."""

from __future__ import annotations

import queue
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import pytest

from speakeasy_tui.core.engineprotocol import (
    Fault,
    Finished,
    FullBatch,
    Heard,
    Loaded,
    LoadFailed,
    Progress,
    Quit,
    Reload,
    Report,
    SetBatch,
    Transcribe,
)
from speakeasy_tui.core.faults import classify
from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.engine import decode, generation, model, real
from speakeasy_tui.engine.batching import Ready
from speakeasy_tui.engine.crew import Crew, Decoded
from speakeasy_tui.engine.decode import Decoder, Result
from speakeasy_tui.engine.encoded import Encoded
from speakeasy_tui.engine.inject import TEXTS, Injector
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.wire import Mailbox, Meter, Writer
from speakeasy_tui.engine.work import Piece, Window

from .engine import LIST, SHELF, load_command
from .pieces import made_piece, sentences, spoken_piece

T = TypeVar("T", bound=Report)


def oom() -> RuntimeError:
    return RuntimeError(TEXTS["oom"])


class Collecting(Writer):
    """Keeps reports for the test."""

    def __init__(self) -> None:
        super().__init__(-1)
        self.queue: queue.SimpleQueue[Report] = queue.SimpleQueue()

    def send(self, report: Report, *, soon: bool = True) -> None:
        self.queue.put(report)


class Here:
    """A real engine in a thread; each batch waits in the model until the test lets it through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: queue.SimpleQueue[int] = queue.SimpleQueue()
        """Jobs whose batch is in the model."""
        self._let: dict[int, queue.SimpleQueue[Exception | None]] = {}
        self._closing = False
        through = Decoder.decode

        def gated(decoder: Decoder, windows: Sequence[Window]) -> list[Result]:
            if decoder.meter is not engine._meter:  # a worker that the test before has left
                return through(decoder, windows)
            job = windows[0].first.file.job
            gate = self._let.setdefault(job, queue.SimpleQueue())
            if not self._closing:
                self.begun.put(job)
                error = gate.get(timeout=60)
                if error is not None:
                    raise error
            return through(decoder, windows)

        monkeypatch.setattr(Decoder, "decode", gated)
        self.mailbox = Mailbox()
        self._writer = Collecting()
        self.reports: list[Report] = []
        engine = real.RealEngine(self.mailbox, self._writer)
        self.thread = threading.Thread(target=engine.run, daemon=True)
        self.thread.start()

    def load(self) -> None:
        """A model for two batches of one window at a time."""
        self.mailbox.put(load_command(workers=2, batch_size=1))
        self.wait_for(Loaded)

    def send(self, *jobs: int) -> None:
        """Send files of one chunk, which share no window."""
        for job in jobs:
            options = JobOptions(pack=False)
            path = str(SHELF if job % 2 else LIST).encode()
            self.mailbox.put(Transcribe(job=job, attempt=1, path=path, options=options))

    def pile_up(self, *jobs: int) -> None:
        """Send such files, and wait until they wait for a worker."""
        self.send(*jobs)
        for _ in jobs:
            self.wait_for(Heard)

    def transcribe(self, *jobs: int) -> None:
        """Send such files, and wait until they are in the model."""
        self.send(*jobs)
        assert {self.begun.get(timeout=60) for _ in jobs} == set(jobs)

    def let(self, job: int, error: Exception | None = None) -> None:
        """Let a batch through, or end it with an error."""
        self._let[job].put(error)

    def close(self) -> None:
        """Let everything through and end: what ran on would run into the next test's gates."""
        self._closing = True
        self.mailbox.put(Reload())  # drops what is left
        self.mailbox.put(Quit())
        for gate in list(self._let.values()):
            gate.put(None)
        self.thread.join(timeout=60)
        assert not self.thread.is_alive()

    def wait_for(self, kind: type[T]) -> T:
        while True:
            report = self._writer.queue.get(timeout=20)
            self.reports.append(report)
            if isinstance(report, kind):
                return report

    def silent(self, *kinds: type[Report]) -> bool:
        """None of these comes within half a second, nor came before."""
        deadline = time.monotonic() + 0.5
        while (left := deadline - time.monotonic()) > 0:
            try:
                self.reports.append(self._writer.queue.get(timeout=left))
            except queue.Empty:
                break
        return not any(isinstance(report, kinds) for report in self.reports)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    engine = Here(monkeypatch)
    yield engine
    engine.close()


def test_as_many_batches_as_workers_are_in_the_model(here: Here) -> None:
    here.load()
    here.transcribe(1, 2)
    here.let(2)
    assert here.wait_for(Finished).job == 2
    here.let(1)
    assert here.wait_for(Finished).job == 1


def test_a_worker_has_its_next_batch_before_the_last_one_is_told(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.load()
    here.transcribe(1, 2)
    here.pile_up(3, 4, 5)
    order: list[tuple[str, int]] = []
    give, send = Crew.give, Collecting.send

    def given(crew: Crew, decoder: Decoder, windows: Sequence[Window], size: int) -> None:
        order.append(("given", windows[0].first.file.job))
        give(crew, decoder, windows, size)

    def sent(writer: Collecting, report: Report, *, soon: bool = True) -> None:
        if isinstance(report, Finished):
            order.append(("told", report.job))
        send(writer, report)

    monkeypatch.setattr(Crew, "give", given)
    monkeypatch.setattr(Collecting, "send", sent)
    here.let(1)
    assert here.wait_for(Finished).job == 1
    assert order == [("given", 3), ("told", 1)]


def test_nothing_is_given_after_a_fault_however_much_waits(here: Here) -> None:
    here.load()
    here.transcribe(1, 2)
    here.pile_up(3, 4, 5)
    here.let(1, oom())
    here.let(2)
    here.wait_for(Fault)
    time.sleep(0.3)
    assert here.begun.empty()
    here.mailbox.put(SetBatch(batch_size=1, go_on=True))
    assert {here.begun.get(timeout=60), here.begun.get(timeout=60)} == {3, 4}


def test_a_fault_waits_for_the_batch_beside_it_which_is_kept(here: Here) -> None:
    here.load()
    here.transcribe(1, 2)
    here.let(1, oom())
    assert here.silent(Fault)
    here.let(2)
    fault = here.wait_for(Fault)
    assert (fault.jobs, fault.text, fault.batch_size) == ([1], TEXTS["oom"], 1)
    assert [report.job for report in here.reports if isinstance(report, Finished)] == [2]


def test_two_batches_that_fail_are_one_fault_of_both(here: Here) -> None:
    here.load()
    here.transcribe(1, 2)
    here.let(2, oom())
    here.let(1, oom())
    fault = here.wait_for(Fault)
    assert sorted(fault.jobs) == [1, 2]
    assert here.silent(Finished)
    assert sum(isinstance(report, Fault) for report in here.reports) == 1


def test_after_a_fault_nothing_goes_into_the_model_until_the_runner_has_answered(
    here: Here,
) -> None:
    here.load()
    here.transcribe(1)
    here.let(1, oom())
    here.wait_for(Fault)
    here.mailbox.put(SetBatch(batch_size=1, go_on=True))
    here.transcribe(3)
    here.let(3)
    assert here.wait_for(Finished).job == 3


def test_a_reload_waits_for_the_batches_under_way_and_drops_their_files(here: Here) -> None:
    here.load()
    here.transcribe(1, 2)
    here.mailbox.put(Reload())
    assert here.silent(LoadFailed, Finished)
    here.let(1)
    assert here.silent(LoadFailed, Finished)
    assert sum(isinstance(report, Loaded) for report in here.reports) == 1
    here.let(2)
    here.wait_for(Loaded)  # CTranslate2 would not unload a model that is in use
    here.transcribe(3)
    here.let(3)
    assert here.wait_for(Finished).job == 3
    assert not any(isinstance(report, LoadFailed) for report in here.reports)


def test_a_fault_while_a_reload_waits_is_not_reported(here: Here) -> None:
    here.load()
    here.transcribe(1, 2)
    here.mailbox.put(Reload())
    here.let(1, oom())
    here.let(2)
    here.wait_for(Loaded)
    assert here.silent(Fault, Finished)


def test_full_batches_are_told_with_their_time_and_sampled_ones_are_not(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "needs_fallback", lambda outcome: outcome.temperature == 0.0)
    here.load()
    here.transcribe(1)
    here.let(1)
    assert here.begun.get(timeout=60) == 1, "to be sampled"
    here.let(1)
    here.wait_for(Finished)
    (told,) = (report for report in here.reports if isinstance(report, FullBatch))
    assert told.windows == 1
    assert told.seconds > 0


def test_of_a_batch_that_is_not_full_nothing_is_told(here: Here) -> None:
    here.load()
    here.mailbox.put(SetBatch(batch_size=2))
    here.transcribe(1)
    here.mailbox.put(SetBatch(batch_size=1))
    here.let(1)
    here.wait_for(Finished)
    assert not any(isinstance(report, FullBatch) for report in here.reports)


def test_a_fault_tells_the_size_its_batch_was_made_for_and_waits_for_its_answer(here: Here) -> None:
    here.load()
    here.transcribe(1, 2)
    path, options = str(SHELF).encode(), JobOptions(pack=False)
    here.mailbox.put(Transcribe(job=3, attempt=1, path=path, options=options))
    here.mailbox.put(SetBatch(batch_size=4))
    here.let(1, oom())
    here.let(2)
    assert here.wait_for(Fault).batch_size == 1
    here.mailbox.put(SetBatch(batch_size=2))  # said before the runner knew
    assert here.silent(LoadFailed) and here.begun.empty()
    here.mailbox.put(SetBatch(batch_size=1, go_on=True))
    assert here.begun.get(timeout=60) == 3
    here.let(3)
    here.wait_for(Finished)


class Heavy:
    """Something as large as what a batch has on a GPU."""


@pytest.mark.parametrize("fails", [False, True])
def test_a_worker_that_waits_holds_nothing_of_the_batch_before(fails: bool) -> None:
    """After an error that memory is wanted at once, and a model that is replaced goes."""
    held: list[weakref.ref[Any]] = []

    class Decoding(Heavy):
        meter = Meter()

        def decode(self, windows: Sequence[Window]) -> list[Result]:
            encoded = Heavy()
            held.append(weakref.ref(encoded))
            if fails:
                raise oom()
            return [Result(windows[0].lone, complete=True)]

    mailbox, decoder, windows = Mailbox(), Decoding(), [Window((made_piece(),))]
    held += [weakref.ref(decoder), weakref.ref(windows[0].first)]
    crew = Crew(mailbox)
    crew.grow(1)
    crew.give(decoder, windows, 1)  # type: ignore[arg-type]
    (done,) = mailbox.take(wait=True)
    assert isinstance(done, Decoded)
    assert (done.error is not None) is fails
    if done.error is not None:
        assert done.error.text == TEXTS["oom"]
        assert "in decode" in done.error.detail
    del done, decoder, windows
    deadline = time.monotonic() + 5
    while any(one() for one in held) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(held) == 3 and not any(one() for one in held)


def test_the_error_of_one_piece_holds_nothing_of_its_batch(
    counted: tuple[Model, Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told when the main thread comes to it, and the next batch may be under way by then."""
    model, _ = counted

    def broken(*_: Any) -> None:
        raise ValueError("no such token")

    monkeypatch.setattr(decode, "finish", broken)
    piece = spoken_piece(model, sentences()[3][1])
    (result,) = Decoder(model, Meter(), lambda: None).decode([Window((piece,))])
    assert result.error is not None
    assert result.error.text == "ValueError: no such token"
    assert result.error.kind is None, "the runner judges by the text"
    assert "in broken" in result.error.detail


class Held:
    """CTranslate2's model, which so many requests to unload it find in use."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.refusals = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def unload_model(self) -> None:
        self.refusals -= 1
        if self.refusals < 0:
            self._model.unload_model()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, here: Here) -> Held:
    """That of the engine, which has been loaded."""
    held: list[Held] = []

    def bring(*given: Any) -> Model:
        model = Model(*given)
        held.append(Held(model.whisper.model))
        model.whisper.model = held[0]
        return model

    monkeypatch.setattr(real, "Model", bring)
    here.load()
    return held[0]


def test_a_reload_waits_until_ctranslate2_lets_go_of_a_batch_it_has_returned(
    here: Here, held: Held
) -> None:
    held.refusals = 20
    here.mailbox.put(Reload())
    here.wait_for(Loaded)
    assert held.refusals < 0
    here.transcribe(1)
    here.let(1)
    assert here.wait_for(Finished).job == 1


def test_a_model_that_stays_in_use_is_not_waited_for_for_ever(
    here: Here, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "UNLOAD_PATIENCE_S", 0.1)
    held.refusals = 10_000
    here.mailbox.put(Reload())
    failed = here.wait_for(LoadFailed)
    assert "still in use" in failed.text
    assert classify(failed.text) is ErrorKind.STICKY  # the runner starts the engine anew
    held.refusals = 0
    here.mailbox.put(Reload())
    here.wait_for(Loaded)


def test_files_are_opened_while_the_model_is_being_loaded(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = threading.Event()

    def slow(*given: Any) -> Model:
        assert loaded.wait(60)
        return Model(*given)

    monkeypatch.setattr(real, "Model", slow)
    here.mailbox.put(load_command(workers=2, batch_size=1))
    path, options = str(SHELF).encode(), JobOptions()
    here.mailbox.put(Transcribe(job=1, attempt=1, path=path, options=options))
    assert here.wait_for(Progress).stage == "decode"
    assert here.silent(Loaded)
    loaded.set()
    here.wait_for(Loaded)
    assert here.begun.get(timeout=60) == 1
    here.let(1)
    assert here.wait_for(Finished).job == 1


# ----------------------------------------------------------------- in one batch


class Counting:
    """CTranslate2's model, and how many windows each call had."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.encoded: list[int] = []
        self.generated: list[int] = []
        self.texts: list[int] = []
        """Wanted of each window, by call."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, features: Any, **how: Any) -> Any:
        self.encoded.append(features.shape[0])
        return self._model.encode(features, **how)

    def generate(self, encoded: Any, prompts: Any, **how: Any) -> Any:
        self.generated.append(len(prompts))
        self.texts.append(how["num_hypotheses"])
        assert encoded.shape[0] == len(prompts)
        return self._model.generate(encoded, prompts, **how)


@pytest.fixture
def counted() -> Iterator[tuple[Model, Counting]]:
    model = Model(load_command(), Injector())
    counting = Counting(model.whisper.model)
    model.whisper.model = counting
    yield model, counting


def batch(model: Model, count: int, **options: Any) -> list[Window]:
    """Windows of a sentence each."""
    pieces = [spoken_piece(model, sentences()[job][1], job, **options) for job in range(count)]
    return [Window((piece,)) for piece in pieces]


def test_what_is_suspicious_is_put_aside_and_sampled_together_and_encoded_once(
    monkeypatch: pytest.MonkeyPatch, counted: tuple[Model, Counting]
) -> None:
    model, counting = counted
    seen: list[decode.Outcome] = []

    def suspicious(outcome: decode.Outcome) -> bool:
        """Four of five at first; then the last two of them, until they are warm enough."""
        seen.append(outcome)
        place = len(seen) - 1
        return place < 4 or (place in {7, 8} and outcome.temperature == 0.2)

    for module in (decode, generation):
        monkeypatch.setattr(module, "needs_fallback", suspicious)
    decoder = Decoder(model, Meter(), lambda: None)
    windows = batch(model, 5)
    done = {id(one.piece) for one in decoder.decode(windows) if one.complete}
    assert done == {id(windows[4].lone)}, "which does not wait for the others"
    assert not any(window.lone.segments for window in windows[:4])
    assert all(result.complete for result in decoder.decode(windows[:4]))
    assert counting.generated == [5, 4, 2]
    assert sum(counting.encoded) == 5
    temperatures = [{s.temperature for s in window.lone.segments} for window in windows]
    assert temperatures == [{0.2}, {0.2}, {0.4}, {0.4}, {0.0}]


def test_without_fallback_what_is_suspicious_is_kept_as_it_is(
    monkeypatch: pytest.MonkeyPatch, counted: tuple[Model, Counting]
) -> None:
    model, counting = counted
    monkeypatch.setattr(decode, "needs_fallback", lambda outcome: True)
    windows = batch(model, 2, fallback=False)
    results = Decoder(model, Meter(), lambda: None).decode(windows)
    assert [result.complete for result in results] == [True, True]
    assert counting.generated == [2]
    assert all(window.lone.segments for window in windows)


def test_what_is_to_be_sampled_waits_for_others_of_its_kind_but_not_for_long() -> None:
    def suspicious() -> Piece:
        piece = made_piece(seconds=20.0)
        piece.tried = [decode.Outcome([], -2.0, 1.0, 0.1, 0.0)]
        return piece

    ready = Ready()
    for _ in range(88):
        ready.add(made_piece(seconds=20.0))

    def kinds(batches: int, size: int = 8) -> list[list[bool]]:
        return [[bool(one.first.tried) for one in ready.next(size)] for _ in range(batches)]

    ready.add_again([suspicious()])
    assert kinds(6) == [[False] * 8] * 4 + [[True]] + [[False] * 8]
    ready.add_again(suspicious() for _ in range(8))
    assert kinds(1) == [[True] * 8]
    ready.add_again([suspicious()])
    assert kinds(3, size=4) == [[False] * 4] * 2 + [[True]], "there is less to win by waiting"
    ready.add_again([suspicious()])
    assert kinds(4, size=16) == [[False] * 16] * 2 + [[False] * 8] + [[True]], "nothing else"


def test_without_a_beam_no_text_is_searched_for_twice(counted: tuple[Model, Counting]) -> None:
    model, counting = counted
    for beam in (1, 3):
        Decoder(model, Meter(), lambda: None).decode(batch(model, 1, beam_size=beam))
    assert counting.texts == [1, 6]


def test_any_rows_of_a_batch_can_be_had_on_a_cpu_without_encoding_again(
    counted: tuple[Model, Counting],
) -> None:
    model, counting = counted
    features = [window.features(3000) for window in batch(model, 3)]
    encoded = Encoded(model.whisper, features)
    alone = [np.asarray(model.whisper.encode(one)) for one in features]
    before = len(counting.encoded)
    for which in ([0], [2, 0], [1, 1, 2], [0, 1, 2]):
        rows = np.asarray(encoded.rows(which))
        assert np.array_equal(rows, np.concatenate([alone[n] for n in which]))
    assert len(counting.encoded) == before


def test_a_part_of_a_batch_is_aligned_on_a_gpu_without_encoding_again(
    counted: tuple[Model, Counting],
) -> None:
    """As on a GPU, on this CPU."""
    model, counting = counted
    decoder = Decoder(model, Meter(), lambda: None)
    features = [window.features(3000) for window in batch(model, 3)]
    tokenizer = decoder.text.tokenizer("en", "transcribe")
    texts = [tokenizer.encode(f" {text}") for text, _ in sentences()[:3]]
    frames = [len(samples) // 160 for _, samples in sentences()[:3]]
    on_cpu, on_gpu = (Encoded(model.whisper, features) for _ in range(2))
    on_gpu._all, on_gpu._on_cpu = on_cpu.rows([0, 1, 2]), False
    before = len(counting.encoded)
    for which in ([1], [0, 2], [0, 1, 2]):
        asked = [texts[n] for n in which], [frames[n] for n in which]
        own = on_cpu.align(tokenizer, which, *asked)
        parts = on_gpu.align(tokenizer, which, *asked)
        assert [[w.text for w in one] for one in parts] == [[w.text for w in one] for one in own]
        for one, other in zip(parts, own, strict=True):
            assert [w.start for w in one] == pytest.approx([w.start for w in other], abs=0.05)
    assert len(counting.encoded) == before
