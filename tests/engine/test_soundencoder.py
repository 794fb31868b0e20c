"""torch's encoder hears what CTranslate2's does, or it is not taken."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from faster_whisper.audio import pad_or_trim

from speakeasy_tui.core.models import starter
from speakeasy_tui.engine import cpu, vram, withtorch
from speakeasy_tui.engine.decode import Decoder
from speakeasy_tui.engine.encoded import Encoded
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.soundencoder import SoundEncoder
from speakeasy_tui.engine.weights import Weights
from speakeasy_tui.engine.wire import Meter
from speakeasy_tui.engine.work import Mel, Window
from tests.gpu.widened import read, write

from .engine import load_command
from .pieces import sentences, spoken_piece

CPU = torch.device("cpu")


def with_torch(monkeypatch: pytest.MonkeyPatch, wanted: str = "all", **load: Any) -> Model:
    monkeypatch.setenv("SPEAKEASY_TORCH", wanted)
    return Model(load_command(compute_type="float32", **load), Injector())


def features(model: Model) -> list[Mel]:
    """Windows of a sentence each."""
    extract = model.whisper.feature_extractor
    parts = [sentences()[n][1].astype(np.float32) / 32768 for n in (3, 4, 8)]
    return [pad_or_trim(extract(part)) for part in parts]


@pytest.fixture(scope="module")
def model() -> Model:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return with_torch(monkeypatch)


def test_states_are_those_of_ctranslate2(model: Model) -> None:
    assert model.encoder is not None
    windows = features(model)
    theirs = np.concatenate([np.asarray(model.whisper.encode(one)) for one in windows])
    ours = model.encoder(windows).numpy()
    assert ours.shape == theirs.shape == (3, 1500, 384)
    assert np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()


def test_a_batch_is_decoded_to_the_same_text(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    for one in (model, with_torch(monkeypatch, "none")):
        windows = [Window((spoken_piece(one, sentences()[n][1]),)) for n in (3, 4, 8)]
        results = Decoder(one, Meter(), lambda: None).decode(windows)
        texts.append([[s.text for s in result.piece.segments] for result in results])
    assert texts[0] == texts[1]
    assert all(texts[0])


def test_on_a_gpu_ctranslate2_is_shown_what_torch_has_heard(model: Model) -> None:
    """As on a GPU, on this CPU: nothing is encoded a second time, no part of it either."""
    windows = features(model)
    silent = SimpleNamespace(model=SimpleNamespace(device="cuda"))
    encoded = Encoded(silent, windows, encoder=model.encoder)
    theirs = model.whisper.model
    for which in ([0, 1, 2], [2], [2, 0]):
        rows = encoded.rows(which)
        assert np.array_equal(np.asarray(rows), encoded.tensor(which).numpy())
        alone = [np.asarray(model.whisper.encode(windows[n])) for n in which]
        assert np.abs(np.asarray(rows) - np.concatenate(alone)).max() < 0.02
        prompts = [[model.whisper.hf_tokenizer.token_to_id("<|startoftranscript|>")]] * len(which)
        assert len(theirs.generate(rows, prompts, beam_size=1, max_length=8)) == len(which)


def test_of_a_model_that_is_loaded_again_it_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_torch(monkeypatch)
    before = model.encoder
    model.reload()
    assert model.encoder is not None and model.encoder is not before


def test_ctranslate2_listens_where_only_the_decoder_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = with_torch(monkeypatch, "decoder")
    assert model.searcher is not None and model.encoder is None


@pytest.mark.parametrize("how", [0.5, float("nan")])
def test_an_encoder_that_hears_something_else_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], how: float
) -> None:
    honest = SoundEncoder.__call__
    monkeypatch.setattr(SoundEncoder, "__call__", lambda self, windows: honest(self, windows) * how)
    model = with_torch(monkeypatch)
    assert model.encoder is None
    assert model.searcher is not None, "the decoder is another matter"
    assert "without torch's encoder: its output lies" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("tiles", "compute_type", "listens"),
    [(True, "int8", True), (True, "auto", True), (True, "float32", False), (False, "int8", False)],
)
def test_on_a_cpu_with_tiles_torch_listens_beside_int8(
    monkeypatch: pytest.MonkeyPatch, tiles: bool, compute_type: str, listens: bool
) -> None:
    monkeypatch.delenv("SPEAKEASY_TORCH", raising=False)
    monkeypatch.setattr(cpu, "tiles", lambda: tiles)
    model = Model(load_command(compute_type=compute_type), Injector())
    assert (model.encoder is not None) == listens
    assert model.searcher is None
    assert model.batch_sizes() == ((6, 6) if listens else (8, 8)), "torch itself takes memory"


def test_torch_alone_hears_no_less_than_ctranslate2_in_int8(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_TORCH", "encoder")
    small = Model(load_command(compute_type="int8"), Injector())
    windows = [window[:, :1000] for window in features(small)]
    true = [np.asarray(model.whisper.encode(window)) for window in windows]
    alone = Encoded(small.whisper, windows, encoder=small.encoder)
    for number, window in enumerate(windows):
        ours, theirs = np.asarray(alone.rows([number])), np.asarray(small.whisper.encode(window))
        assert ours.dtype == theirs.dtype == np.float32
        away = [np.linalg.norm(one - true[number]) for one in (ours, theirs)]
        assert away[0] < 1.2 * away[1]
    pieces = [Window((spoken_piece(small, sentences()[n][1]),)) for n in (3, 4, 8)]
    results = Decoder(small, Meter(), lambda: None).decode(pieces)
    said = ["".join(s.text for s in result.piece.segments).lower() for result in results]
    for n, text in zip((3, 4, 8), said, strict=True):
        assert sentences()[n][0].split()[-1].lower().strip(".,;!?") in text


def test_an_encoder_that_takes_longer_is_not_worth_it() -> None:
    withtorch.worth_it(0.1, 0.2)
    with pytest.raises(ValueError, match=r"0.200 s where CTranslate2's takes 0.100"):
        withtorch.worth_it(0.2, 0.1)


def test_on_a_gpu_its_weights_must_leave_room(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = starter()
    assert bundled is not None
    part = withtorch.Torch(bundled.path / "model.bin", model.whisper, "cpu", 0, "float32")
    needed = part._weights.bytes_of("encoder")
    assert 8_000_000 * 4 < needed < 9_000_000 * 4, "parameters of tiny's encoder"
    part._weights.device = torch.device("cuda", 0)
    monkeypatch.setattr(vram, "free_bytes", lambda _: 2 * needed)
    with pytest.raises(ValueError, match=r"MB are free, and it should have \d\d"):
        part.encoder()


def test_on_a_gpu_torch_writes_where_its_weights_and_a_window_of_each_worker_fit(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its decoder is there beside CTranslate2's, which writes where they do not."""
    bundled = starter()
    assert bundled is not None
    part = withtorch.Torch(bundled.path / "model.bin", model.whisper, "cpu", 0, "float32")
    window = vram.window_bytes(384, 4, 4, by_torch=True)
    needed = part._weights.bytes_of("decoder") + 3 * window
    part._weights.device = torch.device("cuda", 0)
    monkeypatch.setattr(withtorch, "TextDecoder", lambda _: "made")
    monkeypatch.setattr(withtorch, "Searcher", lambda *given: given[0])
    monkeypatch.setattr(vram, "free_bytes", lambda _: needed)
    assert part.searcher(3) == "made"  # type: ignore[comparison-overlap]
    with pytest.raises(ValueError, match=r"MB are free, and it takes \d+"):
        part.searcher(4)


@pytest.mark.parametrize(
    ("device", "compute_type", "has", "dtype"),
    [
        ("cuda", "int8", {"int8", "float32", "float16"}, torch.float16),
        ("cuda", "int8", {"int8", "float32"}, torch.float32),  # compute capability 6.1
        ("cuda", "int8_float32", {"int8", "float32", "float16"}, torch.float32),
        ("cuda", "int8_bfloat16", {"int8_bfloat16"}, torch.bfloat16),
        ("cpu", "int8", {"int8", "float32"}, torch.float32),
    ],
)
def test_torch_calculates_in_ctranslate2s_floats_and_where_it_has_eight_bits_in_half_ones(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    compute_type: str,
    has: set[str],
    dtype: torch.dtype,
) -> None:
    monkeypatch.setattr("ctranslate2.get_supported_compute_types", lambda *_: has)
    assert withtorch.floats(device, 0, compute_type) is dtype


def test_a_convolution_of_eight_bits_has_a_scale_for_each_channel(tmp_path: Path) -> None:
    values = np.arange(-12, 12, dtype=np.int8).reshape(2, 4, 3)
    scale = np.array([2.0, 4.0], np.float32)
    file = tmp_path / "model.bin"
    write(file, {"encoder/conv1/weight": values, "encoder/conv1/weight_scale": scale})
    assert read(file).keys() == {"encoder/conv1/weight", "encoder/conv1/weight_scale"}
    found = Weights(file, CPU, torch.float32).matrix("encoder/conv1/weight")
    assert np.array_equal(found.numpy(), values / scale[:, None, None])
