"""What runner and engines wrote into their logs, followed, filtered by level or by file."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import aiofiles
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from speakeasy_tui.core.job import Job
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.text import printable
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.field import FieldBar
from speakeasy_tui.tui.ink import Lines, LineView
from speakeasy_tui.tui.marking import inked, matches
from speakeasy_tui.tui.overview import justified, keys_line
from speakeasy_tui.tui.rows import Line, Span, short_path
from speakeasy_tui.tui.screens.searching import SEARCH, Searching

TAIL = 1 << 18
"""Bytes read of each log's end when the screen opens."""

LOOK_EVERY = 0.5

MOST = 5000
"""Lines kept."""

LEVELS = ("everything", "warnings and errors", "errors")

_ERROR = re.compile(r"\b(ERROR|CRITICAL|FATAL|Traceback|\w*Error\b|terminate called|what\(\))")
_WARNING = re.compile(r"\b(WARNING|WARN|[Ww]arning)\b")


_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[,.]\d+")


def by_time(logs: Iterable[tuple[str, float, list[str]]]) -> list[tuple[str, str]]:
    """Lines of several logs (name, when last written, lines) in one order, each with its log.

    A line without a time belongs to the one before it; where a log has none at all, as those of
    engines, it is taken to have been written when the file was.
    """
    timed: list[tuple[str, str, str]] = []
    for name, written, lines in logs:
        first = next(filter(None, map(_STAMP.match, lines)), None)
        stamp = first[0] if first else time.strftime("%F %T,999", time.localtime(written))
        for text in lines:
            if found := _STAMP.match(text):
                stamp = found[0]
            timed.append((stamp, name, text))
    timed.sort(key=lambda line: line[0])
    return [(name, text) for _, name, text in timed]


def level_of(text: str) -> int:
    """0 for anything, 1 for a warning, 2 for an error."""
    return 2 if _ERROR.search(text) else 1 if _WARNING.search(text) else 0


def speaks_of(job: Job, text: str) -> bool:
    """Whether a line of a log is about `job`: by its number, or by its file's name."""
    number = (
        rf"\bjobs?\W+{job.id}\b|\b(?:files|flight:?)\s*\[(?:[\d, ]*\D)?{job.id}(?:\D[\d, ]*)?\]"
    )
    return bool(re.search(number, text)) or job.path.rsplit("/", 1)[-1] in text


class LogScreen(Searching):
    """The end of the logs; new lines appear as they are written."""

    SEARCHED = "lines shown"
    NEWEST_FIRST = True

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,l", "back", "Back", id="back", tooltip="Back"),
        *SEARCH,
        Binding("w", "level", "Level", id="log_level",
                tooltip="Everything, warnings and errors, or errors alone"),
        Binding("tab", "source(1)", "Next log", id="log_source",
                tooltip="The runner's log, each engine's, or all together"),
        Binding("f", "file", "File", id="log_file",
                tooltip="Only lines about the file, or all"),
    ]  # fmt: skip

    def __init__(self, home: Home, job: Job | None = None) -> None:
        super().__init__()
        self._folder = home.logs
        self._job = job
        self._only_job = job is not None
        self._level = 0
        self._source = 0
        self._read: dict[Path, int] = {}
        self._rest: dict[Path, bytes] = {}
        self._texts: list[tuple[str, str]] = []
        """Name of the log, and a line of it."""
        self._names: dict[str, None] = {}
        """Of the logs that have lines, the runner's first."""
        self._fits = False
        """Whether any line fits what is wanted."""
        self._said = ""

    def compose(self) -> ComposeResult:
        yield Lines(self._title, id="head")
        yield LineView(self._lines, follow=True, id="log")
        yield FieldBar("/", "words in the lines shown")
        yield Lines(lambda width: [justified([Span(f" {self._said}")], [], width)], id="status")
        yield Lines(self._footer, id="footer")

    async def on_mount(self) -> None:
        self.query_one("#log").focus()
        await self._look()
        # Not sooner: until it is laid out it has no end to go to.
        self.call_after_refresh(self.query_one("#log", LineView).action_scroll_end)
        self.set_interval(LOOK_EVERY, self._look)

    async def _look(self) -> None:
        """Read what the logs have grown by."""
        try:
            paths = sorted(self._folder.glob("*.log"), key=lambda p: (p.stem != "runner", p.stem))
        except OSError:
            paths = []
        grown = [(path.stem, *await self._grown(path)) for path in paths]
        new = by_time(grown)
        if not new:
            return
        self._names.update(dict.fromkeys(name for name, _, lines in grown if lines))
        texts = [*self._texts, *new]
        dropped, self._texts = texts[:-MOST], texts[-MOST:]
        view = self.query_one("#log", LineView)
        if not self._fits:  # a sentence stands there that says so
            view.show(follow=True)
        else:
            gone = len(self._shown(dropped, view.width))
            if self.found is not None:
                self.found -= gone
            view.extend(self._shown(new[-MOST:], view.width), follow=True, dropped=gone)

    async def _grown(self, path: Path) -> tuple[float, list[str]]:
        """When the log was written last, and the lines that are new."""
        try:
            async with aiofiles.open(path, "rb") as file:
                size = await file.seek(0, 2)
                written = os.fstat(file.fileno()).st_mtime
                start = self._read.get(path, max(0, size - TAIL))
                if size < start:  # begun anew
                    start = 0
                await file.seek(start)
                data = self._rest.get(path, b"") + await file.read(size - start)
                self._read[path] = size
        except OSError:
            return 0.0, []
        *lines, self._rest[path] = data.split(b"\n")
        return written, [line.decode("utf-8", "backslashreplace") for line in lines]

    # ------------------------------------------------------------------ lines

    def _sources(self) -> list[str]:
        return ["", *self._names]

    def _lines(self, width: int) -> list[Line]:
        lines = self._shown(self._texts, width)
        self._fits = bool(lines)
        if lines:
            return lines
        return [(Span("Nothing is logged that fits." if self._texts else "No log yet.", "quiet"),)]

    def _shown(self, texts: list[tuple[str, str]], width: int) -> list[Line]:
        sources = self._sources()
        wanted = sources[self._source % len(sources)]
        lines: list[Line] = []
        for name, written in texts:
            level = level_of(written)
            if level < self._level or (wanted and name != wanted):
                continue
            if self._only_job and self._job is not None and not speaks_of(self._job, written):
                continue
            label = shown.fit(name, 10)
            ink = ("", "warning", "failed")[level]
            text = printable(written)
            parts = shown.wrap(text, max(20, width - 10))
            marked = inked(text, parts, list(matches(text, self.find)), ink)
            lines.append((Span(label, "quiet"), *next(marked)))
            lines += [(Span(" " * 10), *line) for line in marked]
        return lines

    def _title(self, width: int) -> list[Line]:
        sources = self._sources()
        what = sources[self._source % len(sources)] or "runner and engines"
        left = [Span(" log  ", "title"), Span(f"{what}, {LEVELS[self._level]}", "quiet")]
        right = []
        if self._only_job and self._job is not None:
            name = printable(short_path(self._job).rsplit("/", 1)[-1])
            right = [Span(shown.cut_middle(f"only about {name}", width // 2) + " ", "accent")]
        return [justified(left, right, width)]

    def _footer(self, width: int) -> list[Line]:
        file = [("log_file", "all lines" if self._only_job else "only the file's")]
        entries = [
            ("back", "back"),
            ("search", "search"),
            ("log_level", "level"),
            *(file if self._job is not None else []),
            ("log_source", "which log"),
            ("last", "follow the end"),
        ]
        return [keys_line(((self.speakeasy.key_of(name), text) for name, text in entries), width)]

    def say(self, text: str) -> None:
        self._said = printable(text)
        self.query_one("#status", Lines).show()

    @property
    def searched(self) -> LineView:
        return self.query_one("#log", LineView)

    def _anew(self) -> None:
        for lines in self.query(Lines):
            lines.show()
        view = self.query_one("#log", LineView)
        view.show()
        view.action_scroll_end()

    # ------------------------------------------------------------------ actions

    def action_level(self) -> None:
        """The next level."""
        self._level = (self._level + 1) % len(LEVELS)
        self._anew()

    def action_source(self, by: int) -> None:
        """The next log."""
        self._source = (self._source + by) % len(self._sources())
        self._anew()

    def action_file(self) -> None:
        """Only the file's lines, or all."""
        if self._job is not None:
            self._only_job = not self._only_job
            self._anew()
