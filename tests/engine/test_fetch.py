"""Downloading a model, against a small stand-in for the hub on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from speakeasy_tui.core.engineprotocol import (
    AnyFetch,
    FetchDone,
    FetchFailed,
    FetchProgress,
    fetch_decoder,
)
from speakeasy_tui.engine.fetch import begun

from .hub import FakeHub

MODEL = {
    "config.json": b"{}",
    "tokenizer.json": b"{}" * 1000,
    "vocabulary.txt": b"a\nb\n",
    "model.bin": bytes(2**20),
    "README.md": b"not needed",
    "model.safetensors": b"not needed",
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    kept["HF_HOME"] = str(tmp_path / "hf")
    kept["NO_PROXY"] = "127.0.0.1"
    return kept


def start(name: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "speakeasy_tui.engine.fetch", name],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


def messages(process: subprocess.Popen[bytes]) -> Iterator[AnyFetch]:
    assert process.stdout is not None
    for line in process.stdout:
        yield fetch_decoder.decode(line)


def snapshot(environment: dict[str, str]) -> list[Path]:
    return list(Path(environment["HF_HOME"]).glob("hub/models--*/snapshots/*/model.bin"))


def test_a_model_is_fetched_into_the_hub_cache_and_found_there(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = FakeHub("Systran/faster-whisper-tiny", MODEL)
    process = start("tiny", environment | {"HF_ENDPOINT": hub.url})
    said = list(messages(process))
    assert process.wait() == 0
    done = said[-1]
    assert isinstance(done, FetchDone)
    folder = Path(done.path)
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.json",
        "model.bin",
        "tokenizer.json",
        "vocabulary.txt",
    ]
    assert (folder / "model.bin").read_bytes() == MODEL["model.bin"]
    progress = [message for message in said if isinstance(message, FetchProgress)]
    total = sum(len(MODEL[path.name]) for path in folder.iterdir())
    assert (progress[-1].done, progress[-1].total) == (total, total)
    assert [p.done for p in progress] == sorted(p.done for p in progress)
    monkeypatch.setenv("HF_HUB_CACHE", environment["HF_HOME"] + "/hub")
    from speakeasy_tui.core.models import find_local

    found = find_local("tiny")
    assert found is not None
    assert found.path == folder


def test_a_cancelled_download_leaves_no_model_and_can_be_taken_up_again(
    environment: dict[str, str],
) -> None:
    # The hub's client writes 10 MB at a time, so less would not be seen half done.
    hub = FakeHub("some/model", MODEL | {"model.bin": bytes(25 * 2**20)}, delay=0.01)
    environment["HF_ENDPOINT"] = hub.url
    process = start("some/model", environment)
    for message in messages(process):
        if isinstance(message, FetchProgress) and message.done > 5_000_000:
            break
    process.send_signal(signal.SIGTERM)
    last = list(messages(process))[-1]
    assert isinstance(last, FetchFailed)
    assert last.message == "cancelled"
    assert not last.offline
    assert process.wait() != 0
    assert snapshot(environment) == []
    hub.delay = 0.0
    process = start("some/model", environment)
    assert isinstance(list(messages(process))[-1], FetchDone)
    assert len(snapshot(environment)) == 1


def test_a_model_that_is_there_needs_no_room(environment: dict[str, str], tmp_path: Path) -> None:
    environment["HF_ENDPOINT"] = FakeHub("some/model", MODEL).url
    *_, done = messages(start("some/model", environment))
    assert isinstance(done, FetchDone)
    (tmp_path / "sitecustomize.py").write_text(
        "import shutil, types\nshutil.disk_usage = lambda _: types.SimpleNamespace(free=0)\n"
    )
    environment["PYTHONPATH"] = str(tmp_path)  # a disk that is full
    *_, again = messages(start("some/model", environment))
    assert again == done
    snapshot(environment)[0].unlink()
    *_, last = messages(start("some/model", environment))
    assert isinstance(last, FetchFailed) and "has 0.00 GiB left" in last.message


def test_an_unfinished_file_counts_where_the_hubs_client_goes_on_with_it(tmp_path: Path) -> None:
    (tmp_path / "a1b2.incomplete").write_bytes(bytes(10))
    (tmp_path / "a1b2.0c9d8e7f.incomplete").write_bytes(bytes(1000))
    assert begun(tmp_path) == 10


def test_a_hub_that_refuses_connections_is_offline(environment: dict[str, str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    process = start("tiny", environment | {"HF_ENDPOINT": f"http://127.0.0.1:{port}"})
    last = list(messages(process))[-1]
    assert isinstance(last, FetchFailed)
    assert last.offline
    assert f"127.0.0.1:{port}" in last.message


def test_a_hub_that_never_answers_is_offline_within_ten_seconds(
    environment: dict[str, str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = start("tiny", environment | {"HF_ENDPOINT": url})
        last = list(messages(process))[-1]
        assert isinstance(last, FetchFailed)
        assert last.offline
        assert time.monotonic() - begun < 10


def test_a_model_that_does_not_exist_is_not_offline(environment: dict[str, str]) -> None:
    hub = FakeHub("some/model", MODEL)
    process = start("other/model", environment | {"HF_ENDPOINT": hub.url})
    last = list(messages(process))[-1]
    assert isinstance(last, FetchFailed)
    assert not last.offline
    assert "other/model" in last.message


def test_a_repository_without_a_ctranslate2_model_is_refused(environment: dict[str, str]) -> None:
    hub = FakeHub("some/model", {"config.json": b"{}", "model.safetensors": b"x"})
    process = start("some/model", environment | {"HF_ENDPOINT": hub.url})
    last = list(messages(process))[-1]
    assert isinstance(last, FetchFailed)
    assert "model.bin" in last.message
    assert snapshot(environment) == []


def test_an_unknown_name_gets_the_nearest_one(environment: dict[str, str]) -> None:
    last = list(messages(start("larg-v3", environment)))[-1]
    assert isinstance(last, FetchFailed)
    assert "'large-v3'" in last.message
