"""A folder of everything that goes wrong, through the real command, runner and engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import av
import pytest

from speakeasy_tui.samples import sample_folder

CLIP = sample_folder() / "notes" / "shelf-count.wav"


def video_without_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    """Three good recordings among files that cannot be done."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    speech = CLIP.read_bytes()
    good = [b"caf\xe9.wav", b"two\nlines.wav", b"\x1b[31mred\x07[bold]markup.wav"]
    for name in good:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(speech)
    (folder / "empty.wav").touch()
    (folder / "text.mp3").write_text("this is not audio\n" * 50)
    (folder / "half.flac").write_bytes(b"fLaC" + b"\0" * 100)
    video_without_sound(folder / "silent-film.mp4")
    (folder / "gone.wav").symlink_to(folder / "nowhere.wav")
    (folder / "loop-a.wav").symlink_to(folder / "loop-b.wav")
    (folder / "loop-b.wav").symlink_to(folder / "loop-a.wav")
    (folder / "sub").mkdir()
    (folder / "sub" / "up").symlink_to(folder)
    return folder


def speakeasy(
    *arguments: str | bytes | Path, home: Path, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SPEAKEASY_")}
    return subprocess.run(
        [sys.executable, "-m", "speakeasy_tui", *arguments],
        env=clean | {"SPEAKEASY_HOME": str(home)} | environment,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=150,
        check=False,
    )


def last_jobs(output: bytes) -> dict[str, dict[str, object]]:
    """The newest job object of each file, by its path's last part."""
    jobs = {}
    for line in output.decode("utf-8").splitlines():
        job = json.loads(line).get("job")
        if job is not None:
            jobs[job["path"].rsplit("/", 1)[-1]] = job
    return jobs


def test_each_bad_input_is_one_failed_row_and_the_rest_is_done(messy: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    try:
        ran = speakeasy("run", messy, "--json", "--model", "tiny.en", "-f", "txt,json", home=home)
        assert ran.returncode == 1, ran.stderr
        jobs = last_jobs(ran.stdout)
        assert len(jobs) == 11
        for name in ("caf\\xe9.wav", "two\nlines.wav", "\x1b[31mred\x07[bold]markup.wav"):
            assert jobs[name]["state"] == "done", jobs[name]
        wrong = {
            "empty.wav": "input",
            "text.mp3": "input",
            "half.flac": "input",
            "silent-film.mp4": "no_audio",
            "gone.wav": "input",
            "loop-a.wav": "input",
            "loop-b.wav": "input",
            "up": "input",
        }
        for name, kind in wrong.items():
            error = jobs[name]["error"]
            assert isinstance(error, dict), name
            assert (jobs[name]["state"], error["kind"]) == ("failed", kind), jobs[name]
            assert error["message"]
            assert error["hint"], name
        texts = list(os.listdir(os.fsencode(messy)))
        assert sum(name.endswith(b".txt") for name in texts) == 3
        # On a terminal nothing of a name may be taken for a command.
        shown = speakeasy("status", home=home).stdout
        assert b"\x1b" not in shown
        assert b"\x07" not in shown
        assert b"two\\nlines.wav" in shown
    finally:
        speakeasy("runner", "stop", home=home)


def test_a_path_that_does_not_exist_is_refused_at_the_door(tmp_path: Path) -> None:
    ran = speakeasy("run", tmp_path / "nowhere.wav", home=tmp_path / "home")
    assert ran.returncode == 2
    assert b"nowhere.wav" in ran.stderr


def test_a_file_that_vanishes_while_queued_is_one_failed_row(tmp_path: Path) -> None:
    home = tmp_path / "home"
    folder = tmp_path / "r"
    folder.mkdir()
    for name in ("a.wav", "b.wav"):
        (folder / name).write_bytes(CLIP.read_bytes())
    try:
        speakeasy("add", folder, "--model", "tiny.en", "-f", "txt", home=home)
        (folder / "a.wav").unlink()
        ran = speakeasy("run", folder / "b.wav", "--model", "tiny.en", "-f", "txt", home=home)
        status = speakeasy("status", "--json", home=home)
        jobs = {Path(job["path"]).name: job for job in map(json.loads, status.stdout.splitlines())}
        assert jobs["a.wav"]["state"] == "failed", ran.stderr
        assert jobs["a.wav"]["error"]["kind"] == "input"
        assert jobs["b.wav"]["state"] == "done"
    finally:
        speakeasy("runner", "stop", home=home)


def test_an_output_folder_that_cannot_be_written_is_said_on_the_row(tmp_path: Path) -> None:
    # Root may write anywhere but below a file.
    home = tmp_path / "home"
    (tmp_path / "file").write_text("")
    try:
        ran = speakeasy(
            "run", CLIP, "--json", "--model", "tiny.en", "-o", tmp_path / "file" / "out", home=home
        )
        assert ran.returncode == 1
        job = last_jobs(ran.stdout)["shelf-count.wav"]
        error = job["error"]
        assert isinstance(error, dict)
        assert error["kind"] == "output"
        assert "--output-dir" in error["hint"]
    finally:
        speakeasy("runner", "stop", home=home)


def test_what_the_machine_cannot_do_does_not_stand_in_the_way_of_what_it_can(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    options = ("--model", "tiny.en", "-f", "txt", "-o", tmp_path / "out")
    try:
        for impossible in (("--compute-type", "float16"), ("--device", "cuda")):
            ran = speakeasy("run", CLIP, *options, *impossible, home=home)
            assert ran.returncode == 3, ran.stdout + ran.stderr
        ran = speakeasy("run", CLIP, *options, "--language", "en", home=home)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        lost = ("--device", "cuda", "--overwrite")
        again = speakeasy("run", CLIP, *options, *lost, home=home)
        assert again.returncode == 3, again.stdout + again.stderr
    finally:
        speakeasy("runner", "stop", home=home)


def test_a_pipe_given_by_name_is_refused_without_being_opened(tmp_path: Path) -> None:
    home = tmp_path / "home"
    os.mkfifo(tmp_path / "pipe.wav")
    opened = threading.Event()

    def writer() -> None:
        with (tmp_path / "pipe.wav").open("wb"):
            opened.set()

    thread = threading.Thread(target=writer, daemon=True)
    thread.start()
    try:
        ran = speakeasy("run", tmp_path / "pipe.wav", "--json", "--model", "tiny.en", home=home)
        assert ran.returncode == 1
        assert not opened.is_set()
    finally:
        speakeasy("runner", "stop", home=home)
        with (tmp_path / "pipe.wav").open("rb"):
            thread.join(5)
