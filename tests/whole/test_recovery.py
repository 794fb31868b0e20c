"""Faults in the real engine, on real speech: the file is done all the same, with its text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speakeasy_tui.samples import reference_texts, sample_folder

from .test_bad_input import last_jobs, speakeasy

NOTES = ("notes/shelf-count.wav", "notes/evening-list.flac")


@pytest.mark.parametrize(
    ("fault", "event"),
    [("cuda", "reload"), ("oom", None), ("kill", "respawn"), ("abort", "respawn"),
     ("segv", "respawn"), ("sticky", "respawn")],
)  # fmt: skip
def test_the_batch_is_done_whatever_happens_to_the_engine(
    tmp_path: Path, fault: str, event: str | None
) -> None:
    home = tmp_path / "home"
    try:
        ran = speakeasy(
            "run", "--json", "--model", "tiny.en", "-f", "txt", "-o", tmp_path / "out",
            *(sample_folder() / name for name in NOTES),
            home=home, SPEAKEASY_FAULTS=f"{fault}:evening-list.flac",
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        events = [json.loads(line)["event"] for line in ran.stdout.splitlines()]
        if event is not None:
            assert event in events
        assert events[-1] == "summary"
        job = last_jobs(ran.stdout)["evening-list.flac"]
        assert job["state"] == "done"
        assert job["attempts"] == 2
        text = (tmp_path / "out" / "evening-list.txt").read_text().lower()
        first = reference_texts()["notes/evening-list.flac"].lower().split()[0].strip(",.")
        assert first in text
    finally:
        speakeasy("runner", "stop", home=home)


def test_the_demo_runs_without_a_terminal_and_without_anything_set_up(tmp_path: Path) -> None:
    ran = speakeasy("demo", home=tmp_path / "home")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert b"broken-tape.mp3" in ran.stdout
    assert len(list((tmp_path / "home").rglob("*.srt"))) == 7
