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
from huggingface_hub.utils import WeakFileLock

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


def unfinished(environment: dict[str, str]) -> list[str]:
    return [path.name for path in Path(environment["HF_HOME"]).glob("hub/models--*/blobs/*.inc*")]


def under_way(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A download whose largest file has begun to come."""
    process = start("some/model", environment)
    for message in messages(process):
        if isinstance(message, FetchProgress) and message.done > 5_000_000:
            break
    assert len(unfinished(environment)) == 1
    return process


@pytest.fixture
def slow(environment: dict[str, str]) -> FakeHub:
    hub = FakeHub("some/model", MODEL | {"model.bin": bytes(25 * 2**20)}, delay=0.01)
    environment["HF_ENDPOINT"] = hub.url
    return hub


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_cancelled_download_leaves_no_part_of_a_file_on_the_disk(
    environment: dict[str, str], slow: FakeHub, number: signal.Signals
) -> None:
    process = under_way(environment)
    process.send_signal(number)
    process.send_signal(signal.SIGTERM)  # who is impatient does no harm
    assert process.wait(5) == 130
    assert unfinished(environment) == []


def test_a_download_whose_listener_is_gone_leaves_no_part_of_a_file_on_the_disk(
    environment: dict[str, str], slow: FakeHub
) -> None:
    process = under_way(environment)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(10) == 130
    assert unfinished(environment) == []


def test_what_a_killed_download_leaves_behind_is_removed_by_the_next(
    environment: dict[str, str], slow: FakeHub
) -> None:
    process = under_way(environment)
    process.kill()
    process.wait()
    (left,) = Path(environment["HF_HOME"]).glob("hub/models--*/blobs/*.incomplete")
    os.utime(left, (1, 1))
    other = FakeHub("Systran/faster-whisper-tiny", MODEL)  # another model
    *_, done = messages(start("tiny", environment | {"HF_ENDPOINT": other.url}))
    assert isinstance(done, FetchDone)
    assert len(unfinished(environment)) == 1  # not one that we know: it is somebody else's
    slow.delay = 0.0
    *_, done = messages(start("some/model", environment))
    assert isinstance(done, FetchDone)
    assert unfinished(environment) == []


def test_what_another_download_is_still_at_is_left_alone(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment["HF_ENDPOINT"] = FakeHub("some/model", MODEL).url
    name = "models--some--model"
    blobs = tmp_path / "hf" / "hub" / name / "blobs"
    blobs.mkdir(parents=True)
    for left in ("locked.1a", "fresh.2b", "dead.3c", "resumed"):
        (blobs / f"{left}.incomplete").write_bytes(b"part")
        if left != "fresh.2b":
            os.utime(blobs / f"{left}.incomplete", (1, 1))
    with WeakFileLock(blobs.parents[1] / ".locks" / name / "locked.lock"):
        *_, done = messages(start("some/model", environment))
    assert isinstance(done, FetchDone)
    assert sorted(unfinished(environment)) == [
        "fresh.2b.incomplete",
        "locked.1a.incomplete",
        "resumed.incomplete",
    ]


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
