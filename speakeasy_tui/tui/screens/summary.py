"""What a batch came to: done, failed by reason, hours, speed, the slowest files."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from speakeasy_tui.core.job import FINAL_STATES, Job, State
from speakeasy_tui.core.protocol import Rerun
from speakeasy_tui.core.text import printable
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.ink import Lines
from speakeasy_tui.tui.listing import Listing
from speakeasy_tui.tui.overview import justified, keys_line
from speakeasy_tui.tui.query import FAILED
from speakeasy_tui.tui.rows import STATE_LOOK, Line, Span, short_path
from speakeasy_tui.tui.screens.asking import Asking
from speakeasy_tui.tui.screens.deeds import rerun_question

SLOWEST = 5

GRACE = 1.0
"""Seconds in which Enter does nothing on a summary that opened by itself: it was meant for a row
of the table."""

REASONS = {
    "input": "not readable as audio",
    "no_audio": "no sound in them",
    "oom": "out of memory",
    "cuda": "CUDA errors",
    "sticky": "CUDA errors that needed a new engine",
    "crash": "the engine died on them",
    "hang": "the engine hung on them",
    "device": "the device failed",
    "disk": "no room on the disk",
    "output": "outputs could not be written",
    "model": "no model",
}


class Summary:
    """The figures of a batch."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.counts: Counter[State] = Counter()
        self.reasons: dict[str, list[Job]] = {}
        self.warned = 0
        self.audio_s = self.work_s = 0.0
        timed: list[Job] = []
        for job in jobs:
            self.counts[job.state] += 1
            if job.state in FAILED:
                kind = job.error.kind.value if job.error is not None else "crash"
                self.reasons.setdefault(kind, []).append(job)
            if job.state is State.DONE:
                self.audio_s += job.audio_s or 0.0
                self.warned += bool(job.warnings)
                if job.audio_s and job.speed:
                    self.work_s += job.audio_s / job.speed
                    timed.append(job)
        self.slowest = sorted(timed, key=lambda job: job.speed or 0.0)[:SLOWEST]


class SummaryScreen(Asking):
    """The summary; Enter on a reason runs those files again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,S", "dismiss", "Back", id="back", tooltip="Back to the table"),
    ]

    def __init__(self, jobs: Iterable[Job], *, unasked: bool = False) -> None:
        """`unasked`: it opens because the batch has ended."""
        super().__init__()
        self._title = "the batch has ended" if unasked else "summary"
        self._heeds_keys_from = time.monotonic() + (GRACE if unasked else 0.0)
        self._summary = Summary(jobs)
        self._kinds = sorted(
            self._summary.reasons, key=lambda kind: -len(self._summary.reasons[kind])
        )

    def compose(self) -> ComposeResult:
        title = [Span(f" {self._title}", "title")]
        yield Lines(lambda width: [justified(title, [], width)], id="head")
        yield Lines(self._figures, id="figures")
        yield Listing(self._reasons, id="reasons")
        yield Lines(self._slowest, id="slowest")
        yield Lines(self._footer, id="footer")

    def on_mount(self) -> None:
        listing = self.query_one(Listing)
        listing.styles.height = max(1, len(self._kinds))
        listing.focus()

    def _figures(self, width: int) -> list[Line]:
        told = self._summary
        lines: list[Line] = []
        for state, (glyph, ink) in STATE_LOOK.items():
            if count := told.counts[state]:
                lines.append((Span(f"  {glyph} {count:>6,} {state.value}", ink),))
        facts = []
        if told.audio_s:
            facts.append(f"{shown.span(told.audio_s)} of audio done")
        if told.work_s:
            facts.append(f"{shown.speed(told.audio_s / told.work_s)} real time on each engine")
        if told.warned:
            facts.append(f"{shown.plural(told.warned, 'file')} with a warning")
        lines += [(), *((Span(f"  {fact}"),) for fact in facts), ()]
        if self._kinds:
            hint = f"   {self.speakeasy.key_of('choose')} runs them again"
            lines.append((Span("  failed, by reason", "title"), Span(hint, "quiet")))
        return lines

    def _reasons(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for kind in self._kinds:
            jobs = self._summary.reasons[kind]
            names = ", ".join(short_path(job).rsplit("/", 1)[-1] for job in jobs[:3])
            text = f"{shown.plural(len(jobs), 'file')}  {REASONS.get(kind, kind)}"
            room = max(4, width - len(text) - 6)
            lines.append(
                (Span(f"  {text}  ", "failed"), Span(shown.fit(printable(names), room), "quiet"))
            )
        if lines:
            return lines
        if not self._summary.counts:
            return [(Span("  Nothing has been queued yet.", "quiet"),)]
        if not self._summary.counts.keys() & FINAL_STATES:
            return [(Span("  No file has been finished yet.", "quiet"),)]
        return [(Span("  Nothing failed.", "done"),)]

    def _slowest(self, width: int) -> list[Line]:
        if not self._summary.slowest:
            return [()]
        lines: list[Line] = [(), (Span("  slowest", "title"),)]
        for job in self._summary.slowest:
            name = shown.cut_middle(printable(short_path(job)), max(8, width - 24))
            lines.append(
                (
                    Span(f"  {shown.speed(job.speed):>8}"),
                    Span(f" {shown.clock(job.audio_s):>9}  ", "quiet"),
                    Span(name),
                )
            )
        return lines

    def _footer(self, width: int) -> list[Line]:
        again = [(self.speakeasy.key_of("choose"), "run those again")] if self._kinds else []
        return [keys_line([*again, ("esc", "back")], width)]

    @on(Listing.Chosen)
    def _again(self, event: Listing.Chosen) -> None:
        if event.index < len(self._kinds) and time.monotonic() >= self._heeds_keys_from:
            jobs = self._summary.reasons[self._kinds[event.index]]
            self.ask_first(rerun_question(jobs), jobs, lambda: self._rerun(jobs))

    def _rerun(self, jobs: Sequence[Job]) -> None:
        self.send([Rerun(ids=[job.id for job in jobs])], "queued again", jobs, keep_marks=True)
        self.dismiss()
