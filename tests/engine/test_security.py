"""A model folder is data, and nothing foreign leaves the engine with its control characters."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest

from speakeasy_tui.core.engineprotocol import Failed, Finished, Loaded, LoadFailed, Ready
from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.core.models import starter

from .engine import RIVER, SHELF, Engine, load_command

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
ESCAPES = "\x1b[31m\x1b]0;owned\x07\x9b2J\u2028"


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self._marker}'",)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine without a model; every test tries to load one."""
    process = Engine("real", tmp_path_factory.mktemp("security") / "engine.log")
    process.wait_for(Ready)
    yield process
    process.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good model folder, its files links to the starter's."""
    model = starter()
    assert model is not None
    path = tmp_path / "model"
    path.mkdir()
    for file in model.path.iterdir():
        (path / file.name).symlink_to(file)
    return path


def put(folder: Path, name: str, data: bytes | str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def load(engine: Engine, folder: Path) -> Loaded | LoadFailed:
    engine.send(load_command(model=str(folder)))
    return engine.wait_for((Loaded, LoadFailed))  # type: ignore[arg-type]


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings([key, inner])
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner)


def assert_tame(engine: Engine) -> None:
    """No text in any report so far holds a control character; a traceback has its lines."""
    for report in engine.reports:
        for text in strings(msgspec.to_builtins(report)):
            assert not CONTROLS.search(text.replace("\n", "")), text


BAD = [
    ("tokenizer.json", "garbage"),
    ("tokenizer.json", ""),
    ("tokenizer.json", "[]"),
    ("tokenizer.json", '{"version":"1.0","model":{"type":"BPE","vocab":{},"merges":[]}}'),
    ("tokenizer.json", "[" * 100_000),
    ("tokenizer.json", f'{{"version": "{ESCAPES}"}}'),
    ("config.json", "garbage"),
    ("config.json", "[1, 2]"),
    ("config.json", "{}"),
    ("config.json", '{"suppress_ids": [1e99], "suppress_ids_begin": []}'),
    ("config.json", '{"alignment_heads": "x", "lang_ids": {}, "suppress_ids": [1e99]}'),
    ("vocabulary.txt", ""),
    ("preprocessor_config.json", '{"feature_size": 7}'),
    ("preprocessor_config.json", '{"feature_size": "many", "n_fft": -1}'),
    ("model.bin", ""),
    ("model.bin", "garbage" * 1000),
]


@pytest.mark.parametrize(("name", "text"), BAD, ids=[f"{n}: {t[:20]!r}" for n, t in BAD])
def test_a_file_of_the_model_that_is_not_what_it_should_be_is_a_failed_load(
    engine: Engine, folder: Path, name: str, text: str
) -> None:
    put(folder, name, text)
    report = load(engine, folder)
    assert isinstance(report, LoadFailed), report
    assert report.kind is ErrorKind.MODEL
    assert report.hint
    assert_tame(engine)


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "config.json", "model.bin", "preprocessor_config.json"]
)
def test_a_pickle_in_the_place_of_a_models_file_is_not_unpickled(
    engine: Engine, folder: Path, tmp_path: Path, name: str
) -> None:
    marker = tmp_path / "executed"
    put(folder, name, pickle.dumps(Payload(marker)))
    report = load(engine, folder)
    assert isinstance(report, LoadFailed), report
    assert report.kind is ErrorKind.MODEL
    assert not marker.exists()


def test_a_missing_tokenizer_is_not_fetched_from_anywhere(engine: Engine, folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    report = load(engine, folder)
    assert isinstance(report, LoadFailed)
    assert "tokenizer.json is missing" in report.text


def test_a_folders_name_is_told_without_its_escapes(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / f"model{ESCAPES}"
    folder.mkdir()
    assert isinstance(load(engine, folder), LoadFailed)
    assert_tame(engine)


def test_code_beside_a_model_is_not_run_even_from_its_own_folder(
    folder: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "executed"
    code = f"open({str(marker)!r}, 'w').close()\n"
    names = ("__init__", "model", "modeling_whisper", "sitecustomize", "numpy", "av", "torch")
    for name in (*names, "ctranslate2", "faster_whisper", "tokenizers", "json", "conftest"):
        put(folder, f"{name}.py", code)
    (folder / "speakeasy_tui").mkdir()
    put(folder / "speakeasy_tui", "__init__.py", code)
    for name in ("pytorch_model.bin", "model.pkl", "model.pt", "weights.npy"):
        put(folder, name, pickle.dumps(Payload(marker)))
    put(folder, "config.json", json.dumps(
        json.loads((folder / "config.json").read_text())
        | {"auto_map": {"AutoModel": "modeling_whisper.Model"}, "trust_remote_code": True}
    ))  # fmt: skip
    engine = Engine("real", tmp_path / "log", cwd=folder)
    try:
        engine.load(model=str(folder))
        engine.transcribe(1, SHELF)
        assert isinstance(engine.end_of(1), Finished)
    finally:
        engine.close()
    assert not marker.exists()


def test_a_tokenizer_that_speaks_in_escapes_is_not_repeated(engine: Engine, folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    escape = {"type": "Replace", "pattern": {"String": "e"}, "content": f"e{ESCAPES}"}
    tokenizer["decoder"] = {"type": "Sequence", "decoders": [tokenizer["decoder"], escape]}
    put(folder, "tokenizer.json", json.dumps(tokenizer))
    assert isinstance(load(engine, folder), Loaded)
    engine.transcribe(1, SHELF, options={"word_timestamps": True})
    assert isinstance(engine.end_of(1), Finished)
    assert "owned" in engine.text(1)
    assert_tame(engine)


def test_escapes_in_names_and_tags_of_recordings_stay_inside(
    engine: Engine, folder: Path, tmp_path: Path
) -> None:
    assert isinstance(load(engine, folder), Loaded)
    path = tmp_path / f"a{ESCAPES}.mka"
    with av.open(str(RIVER)) as source, av.open(str(path), "w", format="matroska") as out:
        stream = out.add_stream_from_template(source.streams.audio[0])
        out.metadata["title"] = out.metadata["artist"] = ESCAPES
        stream.metadata["language"] = stream.metadata["title"] = ESCAPES
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    data = path.read_bytes()
    for job, content in enumerate((data, data[: len(data) // 2], data[:600], b"\x1b[31m" * 99), 10):
        path.write_bytes(content)
        engine.transcribe(job, path)
        assert isinstance(engine.end_of(job), Finished | Failed)
    assert_tame(engine)


def test_weights_damaged_anywhere_never_get_beyond_the_engine(folder: Path, tmp_path: Path) -> None:
    # In a process of its own: CTranslate2 reads sizes from this file, and may well crash.
    whole = (folder / "model.bin").read_bytes()
    rng = np.random.default_rng(4)
    program = (
        "import sys\n"
        "from tests.engine.engine import load_command\n"
        "from speakeasy_tui.engine.inject import Injector\n"
        "from speakeasy_tui.engine.model import Model\n"
        "from speakeasy_tui.engine.modelfolder import LoadError\n"
        "try:\n"
        "    Model(load_command(model=sys.argv[1]), Injector())\n"
        "    print('loaded')\n"
        "except LoadError as error:\n"
        "    print(error.kind)\n"
        "except (RuntimeError, MemoryError) as error:\n"
        "    print('model', error)\n"
    )
    for number in range(2):
        broken = bytearray(whole)
        for at in rng.integers(0, 4000, 8):
            broken[at] ^= 1 << int(rng.integers(0, 8))
        put(folder, "model.bin", bytes(broken if number else broken[:3000]))
        done = subprocess.run(
            [sys.executable, "-c", program, str(folder)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=Path(__file__).parents[2],
        )
        assert done.stdout.startswith(("loaded", "model")) or done.returncode < 0, done.stderr
