"""The window on a real runner with a simulated engine: queue, watch, open, leave."""

from __future__ import annotations

import os
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from speakeasy_tui import samples
from speakeasy_tui.client.launch import attach
from speakeasy_tui.client.link import Link, LinkError
from speakeasy_tui.core import protocol as p
from speakeasy_tui.core.job import State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions, Settings
from speakeasy_tui.tui.app import SpeakeasyApp
from speakeasy_tui.tui.screens.summary import Summary

from .conftest import screen_text, until

QUIET = Settings(summary_at_end=False)


@pytest.fixture
def real_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home whose runner is ended after the test."""
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "400")
    monkeypatch.setenv("SPEAKEASY_FAULTS", "segv:broken-tape*:9")
    home = Home(state=tmp_path / "home", config=tmp_path / "home", cache=tmp_path / "cache")
    yield home
    try:
        link = Link.connect(home)
        link.request(p.Shutdown())
        link.close()
    except LinkError:
        pass


async def test_a_folder_is_queued_watched_and_opened(real_home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    bundled = Path(samples.__file__).parent
    for name in ("notes/green-box.ogg", "notes/broken-tape.mp3"):
        shutil.copy(bundled / name, folder)
    add = p.Add(
        sources=[p.Source(os.fsencode(folder))], options=JobOptions(engine="sim"), start=True
    )
    app = SpeakeasyApp(lambda: attach(real_home), real_home, QUIET, on_connected=[add])
    async with app.run_test(size=(120, 30)) as pilot:
        table = app.board.table
        await until(lambda: len(table.jobs) == 2, pilot, 20)
        await until(
            lambda: (
                sorted(job.state for job in table.jobs.values()) == [State.DONE, State.QUARANTINED]
            ),
            pilot,
            30,
        )
        text = screen_text(app)
        assert "simulated engine" in text.splitlines()[0]
        assert "⊗ quarantined" in text and "broken-tape.mp3" in text
        assert "respawn" in text
        done = next(job for job in table.jobs.values() if job.path.endswith("green-box.ogg"))
        table.action_go(table.ids_in_view().index(done.id))
        await pilot.press("enter")
        await until(lambda: "[simulated]" in screen_text(app), pilot)
        texts = [folder / f"green-box.{name}" for name in ("txt", "json")]
        for answer, becomes, written in (("s", State.SKIPPED, False), ("y", State.DONE, True)):
            for text in texts:
                os.utime(text, (0, 0))
            last = table.jobs[done.id]
            await pilot.press("escape", "r", answer)
            await until(lambda: "queued again" in screen_text(app), pilot)
            # What is said may come before the row changes.
            await until(lambda before=last: table.jobs[done.id] != before, pilot, 20)
            await until(lambda state=becomes: table.jobs[done.id].state is state, pilot, 20)
            assert all((text.stat().st_mtime > 0) is written for text in texts)
        before = table.jobs[done.id]
        await pilot.press("d")
        await until(lambda: done.id not in table.jobs, pilot)
        await pilot.press("u")
        await until(lambda: table.jobs.get(done.id) == before, pilot)
        await pilot.press("p")
        await until(lambda: "paused" in screen_text(app), pilot)
        await pilot.press("q")
        await until(lambda: not app.is_running, pilot)
    assert Link.connect(real_home).welcome.pid != os.getpid()


async def test_what_is_done_in_quick_succession_is_taken_back_as_quickly(
    real_home: Home, tmp_path: Path
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number in range(5):
        shutil.copy(Path(samples.__file__).parent / "notes/green-box.ogg", folder / f"{number}.ogg")
    add = p.Add(sources=[p.Source(os.fsencode(folder))], options=JobOptions(engine="sim"))
    app = SpeakeasyApp(lambda: attach(real_home), real_home, QUIET, on_connected=[add])
    async with app.run_test(size=(120, 30)) as pilot:
        table = app.board.table
        await until(lambda: len(table.jobs) == 5, pilot, 20)
        before = table.ids_in_view()
        await pilot.press("g", "J", "J", "J")
        moved = [*before[1:4], before[0], before[4]]
        await until(lambda: table.ids_in_view() == moved, pilot)
        await pilot.press("J", "h", "less_than_sign", "d", *"uuuu")
        await until(lambda: table.ids_in_view() == moved, pilot)
        await pilot.press(*"uuu")
        await until(lambda: table.ids_in_view() == before, pilot)
        await until(lambda: {job.state for job in table.jobs.values()} == {State.QUEUED}, pilot)
        assert not app.doing.take_back()


async def test_the_speed_of_files_that_run_together_is_not_that_of_waiting_for_each_other(
    real_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKEASY_SIM_SPEED", "40")
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number in range(60):
        with wave.open(str(folder / f"{number}.wav"), "wb") as clip:
            clip.setnchannels(1)
            clip.setsampwidth(1)
            clip.setframerate(8000)
            clip.writeframes(b"\x80" * 16_000)
    add = p.Add(
        sources=[p.Source(os.fsencode(folder))], options=JobOptions(engine="sim"), start=True
    )
    app = SpeakeasyApp(lambda: attach(real_home), real_home, QUIET, on_connected=[add])
    async with app.run_test(size=(120, 30)) as pilot:
        jobs = app.board.table.jobs
        await until(lambda: len(jobs) == 60, pilot, 20)
        await until(lambda: {job.state for job in jobs.values()} == {State.DONE}, pilot, 30)
        told = Summary(jobs.values())
        assert 30 < told.audio_s / told.work_s < 41
        await pilot.press("q")
        await until(lambda: not app.is_running, pilot)
