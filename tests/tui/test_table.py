"""The table with a hundred thousand rows: only those in sight cost anything."""

from __future__ import annotations

import time
from typing import Any

import pytest
from textual.app import App, ComposeResult

from speakeasy_tui.core.job import Job, State
from speakeasy_tui.tui import batch_table, theme
from speakeasy_tui.tui.batch_table import BatchTable
from speakeasy_tui.tui.ink import INK_CSS
from speakeasy_tui.tui.query import compile_filter
from speakeasy_tui.tui.style import CSS

MANY = 100_000


class TableApp(App[None]):
    """The table alone."""

    CSS = CSS + INK_CSS

    def compose(self) -> ComposeResult:
        yield BatchTable()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme.variable_defaults(self.current_theme)


def jobs(count: int) -> dict[int, Job]:
    return {n: Job(id=n, position=n, path=f"/data/{n % 100}/{n}.wav") for n in range(1, count + 1)}


def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the rows whose line is made from now on."""
    seen: list[int] = []
    make = batch_table.line_of

    def counting(job: Job, width: int) -> Any:
        seen.append(job.id)
        return make(job, width)

    monkeypatch.setattr(batch_table, "line_of", counting)
    return seen


async def test_updates_of_many_rows_make_only_the_lines_in_sight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = TableApp()
    async with app.run_test(size=(100, 30)) as pilot:
        table = app.query_one(BatchTable)
        rows = jobs(MANY)
        began = time.perf_counter()
        table.apply(rows)
        loaded = time.perf_counter() - began
        await pilot.pause()
        seen = drawn(monkeypatch)
        changed = {
            n: Job(id=n, position=n, path=rows[n].path, state=State.RUNNING, progress=0.5)
            for n in range(1, MANY + 1, 10)
        }
        began = time.perf_counter()
        table.apply(changed)
        updated = time.perf_counter() - began
        await pilot.pause()
        assert set(seen) == {1, 11, 21}
        began = time.perf_counter()
        table.apply({50_000: Job(id=50_000, position=50_000, path="/x", progress=0.1)})
        one = time.perf_counter() - began
        began = time.perf_counter()
        table.filter(compile_filter("99999"))
        filtered = time.perf_counter() - began
        assert table.ids_in_view() == [99_999]
    # Generous: other work shares this machine.
    assert loaded < 2.0 and updated < 0.5 and one < 0.02 and filtered < 1.0


async def test_a_changed_cell_refreshes_its_cells_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = TableApp()
    async with app.run_test(size=(100, 30)) as pilot:
        table = app.query_one(BatchTable)
        job = Job(id=3, position=3, path="/c.wav", state=State.RUNNING, progress=0.50)
        table.apply({**jobs(5), 3: job})
        await pilot.pause()
        regions: list[Any] = []
        monkeypatch.setattr(table, "refresh", lambda *args, **_: regions.extend(args))
        table.apply({3: Job(id=3, position=3, path="/c.wav", state=State.RUNNING, progress=0.50)})
        assert not regions
        table.apply({3: Job(id=3, position=3, path="/c.wav", state=State.RUNNING, progress=0.51)})
        assert len(regions) == 1
        assert regions[0].height == 1 and regions[0].width <= 5


async def test_rows_added_and_removed_above_leave_the_cursor_on_its_job_and_line() -> None:
    app = TableApp()
    async with app.run_test(size=(100, 22)) as pilot:
        table = app.query_one(BatchTable)
        table.apply({n: Job(id=n, position=n * 10, path=f"/{n}") for n in range(1, 101)})
        table.action_go(50)
        await pilot.pause()
        line = table.cursor_row - table.scroll_offset.y
        table.apply({900 + n: Job(id=900 + n, position=n, path=f"/n{n}") for n in range(5)})
        await pilot.pause()
        assert table.cursor_job is not None and table.cursor_job.id == 51
        assert table.cursor_row == 55
        assert table.cursor_row - table.scroll_offset.y == line
        table.apply({}, gone=[900, 901, 902])
        assert table.cursor_job.id == 51 and table.cursor_row == 52


async def test_when_the_cursors_job_goes_the_next_one_has_it() -> None:
    app = TableApp()
    async with app.run_test(size=(100, 22)):
        table = app.query_one(BatchTable)
        table.apply(jobs(10))
        table.action_go(4)
        table.apply({}, gone=[5])
        assert table.cursor_job is not None and table.cursor_job.id == 6
        table.action_go(-1)
        table.apply({}, gone=[10])
        assert table.cursor_job.id == 9
        table.apply({}, gone=list(range(1, 10)))
        assert table.cursor_job is None and table.cursor_row == -1


async def test_a_renumbered_queue_is_drawn_in_its_new_order() -> None:
    app = TableApp()
    async with app.run_test(size=(100, 22)):
        table = app.query_one(BatchTable)
        table.apply(jobs(1000))
        table.apply({n: Job(id=n, position=2000 - n, path=f"/{n}") for n in range(1, 1001)})
        assert table.ids_in_view() == list(range(1000, 0, -1))
        table.apply({7: Job(id=7, position=0, path="/7")})
        assert table.ids_in_view()[0] == 7
        assert len(set(table.ids_in_view())) == 1000
