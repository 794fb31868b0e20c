"""Inside the measuring terminal: our table, Textual's DataTable, or the window on a feed.

python -m tests.bench.tables ours|datatable ROWS UPDATES REPORT
python -m tests.bench.tables window HOME REPORT
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")

from textual.app import App, ComposeResult
from textual.widgets import DataTable

from speakeasy_tui.core.job import State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.tui import run, theme
from speakeasy_tui.tui.batch_table import BatchTable
from speakeasy_tui.tui.diff import SparingApp
from speakeasy_tui.tui.ink import INK_CSS
from speakeasy_tui.tui.style import CSS as LOOK
from tests.bench.feed import row

MARK = b"\x1b[5n"
"""Asks a terminal for its state and changes nothing on it: parts the bytes of the phases."""

COLUMNS = ("state", "file", "progress", "audio", "speed", "left", "lang", "tries", "message")


class Measured(App[None]):
    """Textual's DataTable of `rows`, changed cell by cell, each change painted before the next."""

    CSS = LOOK + INK_CSS

    def __init__(self, kind: str, rows: int, updates: int, report: Path) -> None:
        super().__init__()
        self.kind, self.rows, self.updates, self.report = kind, rows, updates, report

    def compose(self) -> ComposeResult:
        yield BatchTable() if self.kind == "ours" else DataTable()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme.variable_defaults(self.current_theme)

    def on_mount(self) -> None:
        self.run_worker(self._measure())

    async def _measure(self) -> None:
        load, change, sort = self._ours() if self.kind == "ours" else self._textual()
        began = time.perf_counter()
        load()
        await self._painted()
        loaded = time.perf_counter() - began
        for step in range(5):
            change(step)
            await self._painted()
        self._mark()
        spent = time.process_time()
        for step in range(self.updates):
            change(step)
            await self._painted()
        cpu = (time.process_time() - spent) / self.updates
        await asyncio.sleep(0.2)  # what was written is on its way
        self._mark()
        began = time.perf_counter()
        sort()
        sorting = time.perf_counter() - began
        told = {"load_s": loaded, "cpu_s": cpu, "sort_s": sorting}
        self.report.write_text(json.dumps(told))
        self.exit()

    async def _painted(self) -> None:
        """Until what changed has been handed to the terminal."""
        done = asyncio.Event()
        self.call_after_refresh(done.set)
        await done.wait()
        await asyncio.sleep(0.02)

    def _mark(self) -> None:
        driver = self._driver
        assert driver is not None
        driver.write(MARK.decode())
        driver.flush()

    def _ours(self) -> Any:
        table = self.query_one(BatchTable)

        def load() -> None:
            table.apply({number: row(number) for number in range(1, self.rows + 1)})

        def change(step: int) -> None:
            job = row(7)
            job.state, job.progress = State.RUNNING, (step % 100) / 100
            table.apply({7: job})

        def sort() -> None:
            table.sort("file", reverse=True)

        return load, change, sort

    def _textual(self) -> Any:
        table: Any = self.query_one(DataTable)

        def load() -> None:
            table.add_columns(*((name, name) for name in COLUMNS))
            for number in range(1, self.rows + 1):
                job = row(number)
                cells = ("queued", job.path, " " * 15, "30:00", "", "", "", "", "")
                table.add_row(*cells, key=str(number))

        def change(step: int) -> None:
            done = step % 100
            text = "━" * (done // 10) + "─" * (10 - done // 10) + f"{done:4d}%"
            table.update_cell("7", "progress", text)

        def sort() -> None:
            table.sort("file", reverse=True)

        return load, change, sort


class Ours(Measured, SparingApp[None]):
    """The same with our table, sent as our window sends it."""


def window(folder: Path) -> None:
    """The whole window on what listens in `folder`."""
    from speakeasy_tui.client.link import Link

    home = Home(state=folder, config=folder, cache=folder)
    print(run(lambda: Link.connect(home), home, Settings()))


def main() -> None:
    """As the module says."""
    if sys.argv[1] == "window":
        window(Path(sys.argv[2]))
        return
    kind, rows, updates, report = sys.argv[1:]
    measured = Ours if kind == "ours" else Measured
    measured(kind, int(rows), int(updates), Path(report)).run()


if __name__ == "__main__":
    main()
