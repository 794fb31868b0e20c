"""doctor and models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from speakeasy_tui.cli.checks import gpu
from speakeasy_tui.cli.checks.machine import disks, file_system, terminal
from speakeasy_tui.cli.main import main
from speakeasy_tui.cli.models import fetch
from speakeasy_tui.core.engineprotocol import EngineFacts, FetchDone, FetchProgress, GpuFacts
from speakeasy_tui.core.lines import encode
from speakeasy_tui.core.models import REPOSITORIES, starter
from speakeasy_tui.core.paths import Home
from tests.fake_nvml import FakeGpu, FakeNvml

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:30 / /data rw - nfs4 server:/data rw
31 30 0:31 / /data/local\\040disk rw - xfs /dev/sdb rw
32 22 0:32 / /database rw - btrfs /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/x", "ext4"),
        ("/data", "nfs4"),
        ("/data/x", "nfs4"),
        ("/data/local disk/x", "xfs"),
        ("/database/x", "btrfs"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_deepest_mount(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_a_home_on_a_network_disk_is_a_warning(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("speakeasy_tui.cli.checks.machine.file_system", lambda path: "nfs4")
    check = next(disks(Home.find(tmp_path), None))
    assert check.level == "warning"
    assert "--home" in check.hint


def test_tmux_and_ssh_get_their_hints() -> None:
    hints = [check.hint for check in terminal({"TERM": "xterm", "TMUX": "/tmp/x"})]
    assert any("set-clipboard" in hint for hint in hints)
    hints = [check.hint for check in terminal({"TERM": "xterm", "SSH_CONNECTION": "1 2 3 4"})]
    assert any("work goes on" in hint for hint in hints)


def test_a_gpu_without_cublas_is_an_error_that_says_what_to_install() -> None:
    facts = EngineFacts(
        torch="2", ctranslate2="4", faster_whisper="1", av="14", cuda_devices=1,
        gpus=[GpuFacts("cuda:0", "A GPU", "9.0", 1 << 34, 1 << 33, ["float16"])],
    )  # fmt: skip
    found = {check.check: check for check in gpu.engine(facts, any_gpu=True)}
    assert found["cublas"].level == "error"
    assert "speakeasy-tui[cuda]" in found["cublas"].hint
    facts.cublas = "/lib/libcublas.so.12"
    assert all(check.level == "ok" for check in gpu.engine(facts, any_gpu=True))


def test_a_torch_without_cuda_is_a_warning_beside_a_gpu() -> None:
    facts = EngineFacts(
        torch="2+cpu", ctranslate2="4", faster_whisper="1", av="14", cuda_devices=1, cublas="there"
    )
    warned = [check for check in gpu.engine(facts, any_gpu=True) if check.level != "ok"]
    assert [(check.check, check.level) for check in warned] == [("torch", "warning")]
    assert "torch 2+cpu cannot use CUDA" in warned[0].message
    facts.cuda_devices = 0
    assert all(check.level == "ok" for check in gpu.engine(facts, any_gpu=False))


@pytest.mark.parametrize(
    ("asked", "levels", "first"),
    [
        ("1,0", ["ok", "ok", "error"], "cuda:0: NVIDIA 2, 40.0 GiB of 80.0 GiB free"),
        ("GPU-9", ["warning"], None),
    ],
)
def test_doctor_names_the_gpus_as_cuda_does(
    monkeypatch, asked: str, levels: list[str], first: str | None
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", asked)
    driver = FakeNvml(FakeGpu("GPU-1", lost=True), FakeGpu("GPU-2"))
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    found = list(gpu.driver())
    assert [check.level for check in found] == levels
    assert "2 GPUs" in found[0].message
    if first is None:
        assert "CUDA_VISIBLE_DEVICES" in found[0].hint
    else:
        assert found[1].message == first


def test_a_library_that_cannot_be_imported_is_named() -> None:
    facts = EngineFacts(torch="2", ctranslate2="4", av="14", problems=["faster_whisper: gone"])
    check = next(gpu.engine(facts, any_gpu=False))
    assert check.level == "error"
    assert "faster_whisper: gone" in check.message


def test_doctor_tells_each_finding_in_json(speakeasy) -> None:
    done = speakeasy("doctor", "--json", "--no-smoke")
    found = json.loads(done.stdout)
    assert all(check.keys() == {"check", "level", "message", "hint"} for check in found)
    assert {"python", "platform", "terminal", "home", "driver", "engine", "runner"} <= {
        check["check"] for check in found
    }
    errors = [check for check in found if check["level"] == "error"]
    assert done.returncode == (1 if errors else 0)
    assert all(check["hint"] for check in found if check["level"] != "ok")


@pytest.mark.parametrize(
    ("variables", "named", "hint"),
    [
        ({"SPEAKEASY_MODEL": "nosuch"}, "SPEAKEASY_MODEL=nosuch", "speakeasy models"),
        ({"SPEAKEASY_MODEL": "/nonex/model"}, "SPEAKEASY_MODEL=/nonex/model", "model.bin"),
        (
            {"SPEAKEASY_MODEL": "large-v3", "HF_ENDPOINT": "http://127.0.0.1:9", "no_proxy": "*"},
            "SPEAKEASY_MODEL=large-v3: not on this machine, and not to be had",
            "--model FOLDER",
        ),
        (
            {"SPEAKEASY_MODEL": "large-v3", "HF_HUB_OFFLINE": "1"},
            "HF_HUB_OFFLINE",
            "--model FOLDER",
        ),
        ({"SPEAKEASY_DEVICE": "cuda:7"}, "SPEAKEASY_DEVICE=cuda:7: no cuda:7 here", "cpu works"),
        ({"SPEAKEASY_FAULTS": "garbage"}, "unknown kind", "unset it"),
        ({"SPEAKEASY_TORCH": "garbage"}, "SPEAKEASY_TORCH: 'garbage' is none of", "unset it"),
        ({"SPEAKEASY_WINDOWS": "garbage"}, "is none of short, shared", "unset it"),
        ({"SPEAKEASY_BEAM_SIZE": "0"}, "SPEAKEASY_BEAM_SIZE", "correct SPEAKEASY_BEAM_SIZE, or"),
        ({"SPEAKEASY_MODLE": "tiny"}, "'SPEAKEASY_MODEL'", "correct SPEAKEASY_MODLE, or"),
    ],
)
def test_doctor_does_not_pass_what_every_run_would_end_with(
    speakeasy, variables: dict[str, str], named: str, hint: str
) -> None:
    done = speakeasy("doctor", "--json", "--no-smoke", env=variables)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    (bad,) = [check for check in found if check["level"] == "error" and named in check["message"]]
    assert hint in bad["hint"]


def test_doctor_warns_of_a_model_that_is_still_to_be_downloaded(speakeasy) -> None:
    """The hub is a server of our own: tests have no network."""

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200 if self.path.startswith("/Systran/") else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        env = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "no_proxy": "*"}
        known = speakeasy("doctor", "--no-smoke", env=env | {"SPEAKEASY_MODEL": "large-v3"}).stdout
        unknown = speakeasy("doctor", "--no-smoke", env=env | {"SPEAKEASY_MODEL": "x/y"}).stdout
        hub.shutdown()
    assert "warning  model: SPEAKEASY_MODEL=large-v3: not on this machine; the first run" in known
    assert "answers 404" in unknown


def test_models_lists_each_model_once_and_whether_it_is_here(speakeasy) -> None:
    rows = [json.loads(line) for line in speakeasy("models", "--json").stdout.splitlines()]
    assert {row["repository"] for row in rows} == set(REPOSITORIES.values())
    assert len(rows) == len(set(REPOSITORIES.values()))
    assert all(row["size"] > 0 and isinstance(row["local"], bool) for row in rows)
    assert "models get small" in speakeasy("models").stdout


def test_a_model_nobody_knows_is_refused_with_the_nearest(speakeasy) -> None:
    done = speakeasy("models", "get", "smal")
    assert done.returncode == 2
    assert "'small'" in done.stderr


def test_a_download_that_fails_names_the_ways_out(speakeasy) -> None:
    done = speakeasy(
        "models", "get", "tiny", env={"HF_ENDPOINT": "http://127.0.0.1:9", "no_proxy": "*"}
    )
    assert done.returncode == 3
    for way in ("HF_ENDPOINT", "--model FOLDER", "speakeasy-tui[starter]"):
        assert way in done.stderr


def test_a_model_that_is_here_can_be_got_without_the_hub(speakeasy) -> None:
    if starter() is None:
        pytest.skip("no starter model")
    done = speakeasy(
        "models", "get", "tiny.en", env={"HF_ENDPOINT": "http://127.0.0.1:9", "no_proxy": "*"}
    )
    assert done.returncode == 0
    assert "tiny.en is here: " in done.stdout
    assert "cannot be reached" in done.stderr


def test_a_download_shows_its_progress_and_where_the_model_is(
    monkeypatch, tmp_path, capsys
) -> None:
    fetcher = tmp_path / "fetcher"  # stands in for the network, which tests do not have
    lines = [FetchProgress(done, 100 * 2**20) for done in range(0, 101 * 2**20, 2**20)]
    sent = b"".join(encode(line) for line in [*lines, FetchDone("/models/small")])
    (tmp_path / "lines").write_bytes(sent)
    fetcher.write_text(f"#!/bin/sh\ncat {tmp_path / 'lines'}\n")
    fetcher.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(fetcher))
    assert fetch("small") == 0
    shown = capsys.readouterr().out.splitlines()
    assert "100% of 100 MiB" in shown[-2]
    assert len(shown) == 12
    assert "/models/small" in shown[-1]


def test_ctrl_c_ends_a_download_and_its_process(tmp_path, environment) -> None:
    fetcher = tmp_path / "fetcher"
    fetcher.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    fetcher.chmod(0o755)
    code = (
        f"import sys; sys.executable = {str(fetcher)!r}\n"
        "sys.argv[1:] = ['models', 'get', 'small']\n"
        "from speakeasy_tui.cli.main import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "whole files are kept" in err
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_ctrl_c_while_a_download_is_being_started_ends_it_too(monkeypatch, capsys) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def interrupted(*_: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(start(["sleep", "60"], **options))
        os.kill(os.getpid(), signal.SIGINT)
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    before = signal.getsignal(signal.SIGINT)
    try:
        assert fetch("small") == 130
        assert started[0].poll() == -signal.SIGTERM
    finally:
        started[0].kill()
    assert signal.getsignal(signal.SIGINT) is before
    assert "whole files are kept" in capsys.readouterr().err


def test_the_demo_without_the_starter_says_what_to_install(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr("speakeasy_tui.core.models.starter", lambda: None)
    monkeypatch.setattr("sys.argv", ["speakeasy", "--home", str(tmp_path), "demo"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 3
    assert "speakeasy-tui[starter]" in capsys.readouterr().err
