"""The command's options hold for what is added from its window, too."""

from __future__ import annotations

import os
import sys
import wave
from pathlib import Path

from speakeasy_tui.client.link import Link
from speakeasy_tui.core import protocol as p
from speakeasy_tui.core.paths import Home

from .test_terminal import Terminal


def test_what_is_added_has_the_options_that_the_window_was_opened_with(tmp_path: Path) -> None:
    for name in ("one.wav", "two.wav"):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(bytes(32_000))
    place = str(tmp_path / "home")
    home = Home(tmp_path / "home", tmp_path / "home", tmp_path / "home")
    command = (sys.executable, "-m", "speakeasy_tui", "--home", place, "--language", "de")
    terminal = Terminal(*command, "--engine", "sim", str(tmp_path / "one.wav"))
    try:
        terminal.read_until(lambda output: b"1 file" in output, 30)
        os.write(terminal.master, b"a")
        terminal.read_until(lambda output: b"Queue recordings" in output)
        os.write(terminal.master, str(tmp_path / "two.wav").encode())
        terminal.read_until(lambda output: b"1 recording," in output, 30)
        os.write(terminal.master, b"\r")
        link = Link.connect(home)
        ids: list[int] = []
        while len(ids) < 2:
            terminal.read(0.1)  # it must not wait for its terminal
            jobs = link.request(p.GetJobs())
            assert isinstance(jobs, p.Jobs)
            ids = [job.id for job in jobs.jobs]
        told = link.request(p.GetOptions(ids=ids))
        assert isinstance(told, p.Options)
        assert [(o.language, o.engine) for o in told.options] == [("de", "sim")]
    finally:
        terminal.close()
        link = Link.connect(home)
        link.request(p.Shutdown())
        link.close()
