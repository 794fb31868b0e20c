"""What the engine does about CUDA's ways, as far as it can be tried without a GPU."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from speakeasy_tui.core.models import starter
from speakeasy_tui.core.text import printable
from speakeasy_tui.engine import model as models
from speakeasy_tui.engine import vram, withtorch
from speakeasy_tui.engine.decode import Decoder
from speakeasy_tui.engine.echo import TRIES, PastEchoes
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.model import CUDA_BATCH, CUDA_MOST, Model
from speakeasy_tui.engine.packing import may_share
from speakeasy_tui.engine.real import RealEngine
from speakeasy_tui.engine.trouble import worded
from speakeasy_tui.engine.vram import decoder_layers, most_windows, window_bytes
from speakeasy_tui.engine.wire import Mailbox, Meter, Writer
from speakeasy_tui.engine.work import Window
from tests.fake_nvml import GIB, FakeGpu, FakeNvml

from .engine import load_command
from .pieces import made_piece, sentences, spoken_piece

ECHO = "parallel_for failed: cudaErrorInvalidDevice: invalid device ordinal"


class Failing:
    """In place of CTranslate2's model: its calls fail so many times."""

    def __init__(self, text: str, times: int) -> None:
        self.text, self.left, self.calls = text, times, 0
        self.n_mels = 80

    def generate(self, encoded: Any, *, beam_size: int) -> Any:
        self.calls += 1
        self.left -= 1
        if self.left >= 0:
            raise RuntimeError(self.text)
        return encoded, beam_size


def test_a_call_that_fails_for_an_error_that_is_over_is_made_again() -> None:
    failing = Failing(ECHO, TRIES - 1)
    model = PastEchoes(failing)
    assert model.generate("rows", beam_size=5) == ("rows", 5)
    assert (failing.calls, model.n_mels) == (TRIES, 80)


@pytest.mark.parametrize(("text", "calls"), [(ECHO, TRIES), ("CUDA failed with error x", 1)])
def test_what_goes_on_failing_or_fails_otherwise_is_raised(text: str, calls: int) -> None:
    failing = Failing(text, 100)
    with pytest.raises(RuntimeError, match=text):
        PastEchoes(failing).generate("rows", beam_size=5)
    assert failing.calls == calls


@pytest.mark.parametrize(
    ("free", "compute_type", "sizes"),
    [
        (None, "float16", (CUDA_BATCH, CUDA_BATCH)),
        (130 * GIB, "float16", (CUDA_BATCH, CUDA_MOST)),
        (8 * GIB, "float16", (2, 2)),
        (8 * GIB, "float32", (1, 1)),
        (GIB, "float16", (1, 1)),
    ],
)
def test_the_batch_size_fits_what_is_free(
    monkeypatch: pytest.MonkeyPatch,
    free: int | None,
    compute_type: str,
    sizes: tuple[int, int],
) -> None:
    model = Model(load_command(), Injector())
    assert model.batch_sizes() == (8, 8)
    model._width = 768
    assert model.batch_sizes() == (4, 4), "on a CPU, whisper small"
    monkeypatch.setattr(vram, "free_bytes", lambda _: free)
    monkeypatch.setattr(vram, "decoder_layers", lambda _, width: 4 if width == 384 else 32)
    model.device, model.compute_type, model._workers, model._width = "cuda", compute_type, 2, 1280
    if free == 130 * GIB:
        model._width = 384
    assert model.batch_sizes() == sizes


def test_without_torch_the_driver_says_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(
        sys.modules, "pynvml", FakeNvml(FakeGpu("GPU-1"), FakeGpu("GPU-2", 8 * GIB))
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-2")
    assert vram.free_bytes(0) == 8 * GIB
    assert vram.free_bytes(1) is None


def test_a_window_is_reckoned_with_what_sampling_takes() -> None:
    large = window_bytes(1280, 32, 2, by_torch=False)
    listened = 2 * 2 * 1500 * 1280 * 32
    assert large > 5 * listened, "keys and values of the encoder for each text"
    assert window_bytes(1280, 32, 4, by_torch=False) == 2 * large
    assert window_bytes(1280, 4, 2, by_torch=False) < large / 5, "large-v3-turbo"
    assert listened < window_bytes(1280, 32, 2, by_torch=True) < 3 * listened < large
    by_torch = window_bytes(1280, 32, 2, by_torch=True)
    assert by_torch < window_bytes(1280, 32, 2, by_torch=True, parts=5) < 2 * by_torch


def test_a_decoder_is_as_deep_as_its_file_says(tmp_path: Path) -> None:
    bundled = starter()
    assert bundled is not None
    assert decoder_layers(bundled.path / "model.bin", 1280) == 4
    (tmp_path / "model.bin").write_bytes(b"of another format")
    assert decoder_layers(tmp_path / "model.bin", 1280) == 32
    assert decoder_layers(tmp_path / "none", 512) == 6


@pytest.mark.parametrize("width", [384, 512, 768, 1024, 1280])
def test_no_batch_is_larger_than_cuda_can_count(width: int) -> None:
    heads = width // 64
    assert most_windows(width) * heads * 1500 * 1500 <= 2**32 - 1 + heads
    assert most_windows(width) >= CUDA_MOST


def test_a_model_that_cannot_align_goes_without_times_of_words() -> None:
    model = Model(load_command(), Injector())
    assert model.aligns
    model.aligns = False
    piece = spoken_piece(model, sentences()[4][1], word_timestamps=True)
    results = Decoder(model, Meter(), lambda: None).decode([Window((piece,))])
    assert [result.complete for result in results] == [True]
    assert piece.segments and piece.segments[0].words is None
    assert [warning.kind for warning in piece.file.warnings] == ["words"]


def test_with_such_a_model_nothing_shares_a_window() -> None:
    engine = RealEngine(Mailbox(), Writer(os.open(os.devnull, os.O_WRONLY)))
    for aligns in (True, False):
        piece = made_piece()
        engine._model = SimpleNamespace(aligns=aligns)  # type: ignore[assignment]
        engine._take(piece)
        assert may_share(piece) is aligns


def test_only_on_a_gpu_an_alignment_that_fails_is_done_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Model(load_command(), Injector())

    class NoAlignment(PastEchoes):
        text = ECHO

        def align(self, *_: Any) -> Any:
            raise RuntimeError(self.text)

    honest = model.whisper.model
    model.whisper.model = NoAlignment(honest)
    with pytest.raises(RuntimeError, match="cudaErrorInvalidDevice"):
        model.probe()
    model.device = "cuda"
    model.probe()
    assert not model.aligns
    model.whisper.model.text = "CUDA failed with error out of memory"
    with pytest.raises(RuntimeError, match="out of memory"):
        model.probe()
    model.whisper.model = honest
    model.probe()
    assert model.aligns


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_on_a_gpu_as_many_probes_meet_in_the_model_as_there_are_workers(device: str) -> None:
    model = Model(load_command(workers=3), Injector())
    model.device = device
    honest, together = model.whisper.model, threading.Barrier(3 if device == "cuda" else 1)

    class Meeting(PastEchoes):
        def encode(self, *given: Any, **how: Any) -> Any:
            together.wait(20)
            return honest.encode(*given, **how)

    model.whisper.model = Meeting(honest)
    model.probe()
    assert not together.broken and model.aligns


def test_what_one_of_the_probes_meets_is_raised() -> None:
    model = Model(load_command(workers=2), Injector())
    model.device = "cuda"
    honest, calls = model.whisper.model, itertools.count()

    class NoHandle(PastEchoes):
        def encode(self, *given: Any, **how: Any) -> Any:
            if next(calls) == 1:
                raise RuntimeError("cuBLAS failed with status CUBLAS_STATUS_NOT_INITIALIZED")
            return honest.encode(*given, **how)

    model.whisper.model = NoHandle(honest)
    with pytest.raises(RuntimeError, match="NOT_INITIALIZED"):
        model.probe()


@pytest.mark.parametrize(
    ("supported", "usual", "short"),
    [
        ({"float32", "float16", "int8", "int8_float16"}, "float16", "int8_float16"),
        ({"float32", "int8"}, "float32", "int8"),  # compute capability 6.1
        ({"float32"}, "float32", "float32"),  # 6.0
        ({"float32", "float16"}, "float16", "float16"),  # 12.0
    ],
)
def test_where_memory_is_short_auto_means_the_smallest_type_that_a_gpu_has(
    monkeypatch: pytest.MonkeyPatch, supported: set[str], usual: str, short: str
) -> None:
    monkeypatch.setattr("ctranslate2.get_supported_compute_types", lambda *_: supported)
    assert models._compute_type("cuda", 0, load_command()) == usual
    assert models._compute_type("cuda", 0, load_command(quantize=True)) == short
    chosen = load_command(compute_type=usual, quantize=True)
    assert models._compute_type("cuda", 0, chosen) == usual


def test_memory_that_python_does_not_get_is_not_the_fault_of_the_models_folder() -> None:
    assert not models._is_of_the_folder(MemoryError())
    assert models._is_of_the_folder(ValueError("unexpected end of json"))


class Talkative:
    """CTranslate2's model, but the first window's first text holds a sign that nobody speaks."""

    def __init__(self, model: Any, sign: int) -> None:
        self._model, self._sign = model, sign
        self.kept_out: list[tuple[int, int]] = []
        """Windows and tokens kept out, of each call."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, encoded: Any, prompts: Any, **how: Any) -> list[Any]:
        results = self._model.generate(encoded, prompts, **how)
        self.kept_out.append((len(prompts), len(how["suppress_tokens"])))
        if len(self.kept_out) > 1:
            return list(results)
        said = results[0].sequences_ids
        spoilt = [[tokens[0], self._sign, *tokens[1:]] for tokens in said]
        first = SimpleNamespace(
            sequences_ids=spoilt,
            scores=results[0].scores,
            no_speech_prob=results[0].no_speech_prob,
        )
        return [first, *results[1:]]


def test_on_a_gpu_a_text_with_a_sign_that_nobody_speaks_is_made_again() -> None:
    model = Model(load_command(), Injector())
    windows = [Window((spoken_piece(model, sentences()[n][1]),)) for n in (3, 4)]
    decoder = Decoder(model, Meter(), lambda: None)
    usual = decoder.decode(windows)
    texts = [[segment.text for segment in result.piece.segments] for result in usual]
    hurt = Talkative(model.whisper.model, decoder.text.tokenizer("en", "transcribe").encode("/")[0])
    model.whisper.model = hurt
    model.device = "cuda"  # as if
    windows = [Window((spoken_piece(model, sentences()[n][1]),)) for n in (3, 4)]
    results = Decoder(model, Meter(), lambda: None).decode(windows)
    assert [[segment.text for segment in result.piece.segments] for result in results] == texts
    assert [count for count, _ in hurt.kept_out] == [2, 1]
    assert hurt.kept_out[0][1] < 10 < hurt.kept_out[1][1]


def test_on_a_gpu_that_torch_feeds_no_thread_waits_long_for_pythons_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Writing:
        """torch on a GPU, which this machine has not."""

        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def searcher(self, workers: int) -> Any:
            return SimpleNamespace()

        def encoder(self) -> Any:
            raise ValueError("not on this machine")

    model = Model(load_command(), Injector())
    monkeypatch.delenv("SPEAKEASY_TORCH", raising=False)
    usual = sys.getswitchinterval()
    monkeypatch.setattr(withtorch, "Torch", Writing)
    model.device = "cuda"
    try:
        model._take_torch()
        assert sys.getswitchinterval() == pytest.approx(models.SWITCH_S) != usual
    finally:
        sys.setswitchinterval(usual)


def test_an_error_of_cuda_is_said_without_torchs_advice() -> None:
    said = "CUDA error: an illegal memory access was encountered"
    advice = "\nCUDA kernel errors might be asynchronously reported at some other API call."
    assert worded(RuntimeError(said + advice)) == said
    assert worded(RuntimeError("CUDA failed with error out of memory")).endswith("out of memory")
    assert worded(RuntimeError("one\ntwo")) == printable("one\ntwo"), "others are said whole"
