"""Queueing more: a path with completion, and how many recordings and hours it would bring."""

from __future__ import annotations

import itertools
import os
import threading
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Input

from speakeasy_tui.client.lengths import Sample, lengths_of
from speakeasy_tui.client.manifests import ManifestError
from speakeasy_tui.client.sources import SourceError, adds, find_sources
from speakeasy_tui.core.protocol import Source
from speakeasy_tui.core.text import printable, show_path
from speakeasy_tui.core.values import SettingsError
from speakeasy_tui.runner.scan import search
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.aside import aside
from speakeasy_tui.tui.completion import complete, completions
from speakeasy_tui.tui.field import Field
from speakeasy_tui.tui.ink import Lines
from speakeasy_tui.tui.rows import Line, Span
from speakeasy_tui.tui.screens.dialog import Dialog, fitted, key_lines
from speakeasy_tui.tui.typed import meant

if TYPE_CHECKING:
    from speakeasy_tui.tui.app import SpeakeasyApp

PAUSE = 0.25
"""Seconds without a key before the disk is looked at."""

MOST = 200_000
"""Recordings counted."""

LISTED = 6

ABOVE = 3
"""Lines above the ones that tell what is there: the title, a blank one, the field."""

KEYS = (("⏎", "queue"), ("tab", "complete"), ("esc", "close"))

WANTED = "A file, a folder, a pattern or a list"


class AddScreen(Dialog[None]):
    """Asks for a path and queues what is there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="back", tooltip="Queue nothing"),
        Binding("tab", "complete", "Complete", id="complete", priority=True,
                tooltip="Complete the path"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._found: list[str] = []
        self._told: list[Line] = [(Span(WANTED, "quiet"),)]
        self._timer: Timer | None = None
        self._giving_up = threading.Event()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide -low"):
            yield Lines(lambda width: [(Span("Queue recordings", "title"),), ()], id="add-title")
            field = Field(placeholder="~/recordings", id="path")
            field.cursor_blink = False
            yield field
            yield Lines(self._lines, id="add-told")

    def on_mount(self) -> None:
        self.query_one(Field).focus()

    def on_unmount(self) -> None:
        self._giving_up.set()

    def _lines(self, width: int) -> list[Line]:
        lines: list[Line] = [(), *self._told]
        lines += [
            (Span(f"  {shown.cut_middle(printable(path), width - 2)}", "quiet"),)
            for path in self._found[:LISTED]
        ]
        if len(self._found) > LISTED:
            lines.append((Span(f"  and {len(self._found) - LISTED:,} more", "quiet"),))
        return fitted(lines, key_lines(KEYS, width), self.rows - ABOVE)

    def _show(self) -> None:
        self.query_one("#add-told", Lines).show()

    def _tell(self, text: str, ink: str = "") -> None:
        self._told = [(Span(part, ink),) for part in shown.wrap(printable(text), 70)]
        self._show()

    # ------------------------------------------------------------------ preview

    @on(Input.Changed)
    def _typed(self) -> None:
        self._giving_up.set()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(PAUSE, self._look)

    def _look(self) -> None:
        self._giving_up = threading.Event()
        self.run_worker(self._preview(self.query_one(Field).value), exclusive=True)

    async def _preview(self, text: str) -> None:
        self._found = []
        if not text.strip():
            self._tell(WANTED, "quiet")
            return
        self._found = (await aside(completions, text))[:1000]
        self._tell("Looking…", "quiet")
        sample = Sample()
        giving_up = self._giving_up
        told, ink = await aside(self._count, text, giving_up, sample)
        if giving_up.is_set():
            return
        self._tell(told, ink)
        if sample.count:
            lengths = await lengths_of([path for path, _ in sample.chosen])
            if (seconds := sample.seconds(lengths)) and not giving_up.is_set():
                self._tell(f"{told}, ≈ {shown.roughly(seconds)}", ink)

    @staticmethod
    def _count(text: str, giving_up: threading.Event, sample: Sample) -> tuple[str, str]:
        try:
            sources = _sources(text)
        except (SourceError, ManifestError) as error:
            return str(error), "quiet"
        count = 0
        found = itertools.chain.from_iterable(
            search(source, giving_up.is_set) for source in sources
        )
        for item in itertools.islice(found, MOST):
            if giving_up.is_set():
                break
            count += 1
            try:
                sample.add(item.path, os.stat(item.path).st_size)
            except OSError:
                continue
        if not count:
            return "No recordings there", "warning"
        more = "more than " if count == MOST else ""
        return f"{more}{shown.plural(count, 'recording')}, {shown.size(sample.amount)}", "done"

    # ------------------------------------------------------------------ actions

    def action_complete(self) -> None:
        """Complete as far as it is clear."""
        self.run_worker(self._complete(), group="complete", exclusive=True)

    async def _complete(self) -> None:
        found = await complete(self.query_one(Field))
        self._found = found if len(found) > 1 else []
        self._show()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.run_worker(self._queue(event.value), group="queue", exclusive=True)

    async def _queue(self, text: str) -> None:
        """Queue what `text` means; it has not been asked for any more once the box is closed."""
        self._giving_up.set()
        if self._timer is not None:
            self._timer.stop()
        self._tell("Looking…", "quiet")
        app = cast("SpeakeasyApp", self.app)
        try:
            sources = await aside(_sources, text)
            options = app.job_options()
        except (SourceError, ManifestError, SettingsError) as error:
            self._tell(str(error), "failed")
            return
        for request in adds(sources, options, start=True):
            app.ask(request, "")
        self.dismiss()
        app.say(f"Searching {show_path(sources[0].path)}" if sources else "Nothing to queue")


def _sources(text: str) -> list[Source]:
    """What a typed path means.

    ``-`` is a file of that name: to read a list from stdin would be to wait for the terminal.

    Raises:
        SourceError, ManifestError: nothing can be queued.
    """
    path = meant(text)
    if not path:
        raise SourceError(WANTED)
    return find_sources(["./-" if path == "-" else path])
