"""Make the pictures of the README from a real run: real runner, real engine, starter model.

    python -m tests.tools.make_screenshots [FOLDER]

Needs the [starter] extra. FOLDER is docs/ by default. The user@host in the header is fixed,
so that the pictures say nothing about the machine they were made on.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from speakeasy_tui.client.launch import attach
from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings, options_of
from speakeasy_tui.samples import sample_folder
from speakeasy_tui.tui.app import SpeakeasyApp
from speakeasy_tui.tui.environment import prepare

DOCS = Path(__file__).resolve().parents[2] / "docs"


async def _until(app: SpeakeasyApp, share: float, patience: float = 120.0) -> None:
    """Wait until `share` of the batch's audio is done."""
    for _ in range(int(patience / 0.1)):
        batch = app.batch
        if batch is not None and batch.audio_s and batch.done_s >= share * batch.audio_s > 0:
            finished = batch.counts.get("queued", 0) + batch.counts.get("running", 0) == 0
            if share < 1 or finished:
                return
        await asyncio.sleep(0.1)
    raise SystemExit("the batch did not get on")


async def main(target: Path) -> None:
    """Run the samples and take a picture of the table at work, of a row, and at the end."""
    folder = Path(tempfile.gettempdir()) / "archive"  # the pictures show this path
    shutil.rmtree(folder, ignore_errors=True)
    recordings = folder / "recordings"
    shutil.copytree(
        sample_folder(),
        recordings,
        ignore=shutil.ignore_patterns("*.py", "*.tsv", "*.md", "__pycache__"),
    )
    home = Home.find(folder / "home")
    os.environ["SPEAKEASY_FAULTS"] = "cuda:radio-repair.mp3"
    settings = Settings(model="tiny.en", format=("txt", "srt", "json"))
    source = say.Source(os.fsencode(recordings), os.fsencode(recordings))
    add = say.Add(sources=[source], options=options_of(settings), start=True)
    app = SpeakeasyApp(
        lambda: attach(home), home, settings, on_connected=[add], identity="ada@gpu-box"
    )
    app.home_name = ""
    try:
        async with app.run_test(size=(120, 24)) as pilot:
            await _until(app, 0.35)
            await pilot.pause(0.3)
            (target / "running.svg").write_text(
                app.export_screenshot(title="speakeasy ~/recordings")
            )
            await _until(app, 1.0)
            await pilot.press("j", "enter")
            await pilot.pause(0.8)
            (target / "row.svg").write_text(app.export_screenshot(title="speakeasy ~/recordings"))
            await pilot.press("escape")
            app.theme = "speakeasy-light"
            await pilot.pause(0.5)
            (target / "light.svg").write_text(app.export_screenshot(title="speakeasy ~/recordings"))
            await app.run_action("leave")
    finally:
        link = attach(home)
        link.request(say.Shutdown())
        link.close()
        await asyncio.sleep(0.5)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    prepare(os.environ)
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS))
