"""What ``speakeasy run`` prints: lines for people and logs, or one JSON event a line."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol

from speakeasy_tui.cli.profile import lines as profile_lines
from speakeasy_tui.cli.say import because, clock, say, say_json, several, stdout, times, warn
from speakeasy_tui.core.job import FINAL_STATES, Batch, Job, State, public
from speakeasy_tui.core.protocol import Event
from speakeasy_tui.core.text import printable

PROGRESS_EVERY = 0.1
"""Seconds between two progress events."""
STATUS_EVERY = 0.25
"""Seconds between two repaints of the status line."""
_NAMES_SHOWN = 10


class Summary:
    """How a run ended."""

    def __init__(self, jobs: Sequence[Job], elapsed_s: float, exit_code: int) -> None:
        self.jobs = jobs
        self.elapsed_s = elapsed_s
        self.exit_code = exit_code
        self.profile: dict[str, Any] | None = None
        """Where the time went, where that was asked for (`cli.profile`)."""
        self.counts = {str(state): 0 for state in State}
        for job in jobs:
            self.counts[job.state] += 1
        lengths = [job.audio_s or 0.0 for job in jobs if job.state is State.DONE]
        self.audio_s = sum(lengths, 0.0)


class Reporter(Protocol):
    """Where a run's news go."""

    def event(self, event: Event) -> None: ...

    def note(self, text: str) -> None: ...

    def tick(self, jobs: dict[int, Job], batch: Batch | None, left: int) -> None: ...

    def finish(self, summary: Summary) -> None: ...


class JsonReporter:
    """One object a line: {event, ts, job?, detail?}; progress at most ten times a second."""

    def __init__(self) -> None:
        self._waiting: dict[int, Event] = {}
        self._last_progress = 0.0

    def event(self, event: Event) -> None:
        """Print an event; of the progress of a job only the latest is kept until its turn."""
        if event.event == "progress" and event.job is not None:
            self._waiting[event.job.id] = event
            self._flush_progress()
            return
        if event.job is not None and event.job.state in FINAL_STATES:
            self._waiting.pop(event.job.id, None)
        self._write(event.event, event.ts, event.job, event.detail)

    def note(self, text: str) -> None:
        """Notices are not events: they go to stderr."""
        warn(f"speakeasy: {text}")

    def tick(self, jobs: dict[int, Job], batch: Batch | None, left: int) -> None:
        """Print progress that waited for its turn."""
        self._flush_progress()

    def finish(self, summary: Summary) -> None:
        """The last line, and before it where the time went, if that was asked for."""
        if summary.profile is not None:
            self._write("profile", time.time(), None, summary.profile)
        detail = {
            "counts": summary.counts,
            "audio_s": summary.audio_s,
            "elapsed_s": summary.elapsed_s,
            "exit_code": summary.exit_code,
        }
        self._write("summary", time.time(), None, detail)

    def _flush_progress(self) -> None:
        now = time.monotonic()
        if self._waiting and now - self._last_progress >= PROGRESS_EVERY:
            self._last_progress = now
            event = self._waiting.pop(next(iter(self._waiting)))
            self._write(event.event, event.ts, event.job, event.detail)

    def _write(self, name: str, ts: float, job: Job | None, detail: Any) -> None:
        line: dict[str, Any] = {"event": name, "ts": ts}
        if job is not None:
            line["job"] = public(job)
        if detail is not None:
            line["detail"] = detail
        say_json(line)


class PlainReporter:
    """A line for each finished file; on a terminal also one line that shows where it stands."""

    def __init__(self, command: str = "speakeasy") -> None:
        self._command = command
        self._live = sys.stdout.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}
        self._shown = ""
        self._last = 0.0
        self._finished = 0
        self._total = 0

    def event(self, event: Event) -> None:
        """Print what a log should hold; progress is left to the status line."""
        job, name = event.job, event.event
        if job is not None and job.state in FINAL_STATES and name == job.state:
            self._finished += 1
            self._line(self._of(job))
        elif name in {"retry", "reload", "respawn"}:
            what = _detail(event.detail)
            where = job.path if job is not None else _lane(event.detail)
            self._line(f"{'':>9}  {name:<11}  {where}{': ' + what if what else ''}")

    def note(self, text: str) -> None:
        """A notice beside the result."""
        self._clear()
        warn(f"speakeasy: {text}")

    def tick(self, jobs: dict[int, Job], batch: Batch | None, left: int) -> None:
        """Repaint the status line, on a terminal and not too often."""
        self._total = len(jobs)
        now = time.monotonic()
        if not self._live or now - self._last < STATUS_EVERY:
            return
        self._last = now
        running = [job for job in jobs.values() if job.state is State.RUNNING]
        running.sort(key=lambda job: -job.progress)
        parts = [f"{len(jobs) - left}/{len(jobs)} files" if jobs else "queueing"]
        if batch is not None and batch.speed:
            parts.append(f"{times(batch.speed)} real time")
        if batch is not None and batch.eta_s:
            parts.append(f"{clock(batch.eta_s)} left")
        if batch is not None and batch.why is not None:
            parts.append(because("paused", batch.why.message))
        elif running:
            parts += [f"{job.progress:.0%} {os.path.basename(job.path)}" for job in running[:2]]
        elif batch is not None and batch.scanning:
            parts.append("searching folders")
        width = shutil.get_terminal_size().columns - 1
        text = printable("  ".join(parts))[:width]
        if text != self._shown:
            _paint(text)
            self._shown = text

    def finish(self, summary: Summary) -> None:
        """Counts, failures by what is wrong with them, and how to run them again."""
        self._clear()
        if not summary.jobs:
            return
        counts = [f"{count:,} {state}" for state, count in summary.counts.items() if count]
        text = f"{several(len(summary.jobs), 'file')}: {', '.join(counts)}"
        if summary.audio_s:
            speed = summary.audio_s / max(summary.elapsed_s, 1e-3)
            text += f"; {clock(summary.audio_s)} of audio in {clock(summary.elapsed_s)}"
            text += f" ({times(speed)} real time)"
        say(text)
        failed = [job for job in summary.jobs if job.error and job.state in FINAL_STATES]
        failed = [job for job in failed if job.state not in {State.DONE, State.SKIPPED}]
        for line in failures(failed):
            say(line)
        again = [job for job in failed if job.state is not State.CANCELLED]
        if again:
            ids = " ".join(str(job.id) for job in again)
            which = ids if len(again) <= 20 else "--failed"
            say(f"Run them again: {self._command} rerun {which}")
        if summary.profile is not None:
            for line in profile_lines(summary.profile):
                say(line)

    def _of(self, job: Job) -> str:
        count = f"[{self._finished}/{max(self._total, self._finished)}]"
        speed = f"{clock(job.audio_s)} at {times(job.speed)}" if job.speed else ""
        text = f"{count:>9}  {job.state:<11}  {job.path}"
        if job.error is not None:
            text += f": {job.error.kind}: {job.error.message}"
        elif speed:
            text += f"  ({speed})"
        elif job.message:
            text += f"  ({job.message})"
        for warning in job.warnings:
            text += f"; {warning.message}"
        return text

    def _line(self, text: str) -> None:
        self._clear()
        say(printable(text))
        with stdout() as out:
            out.flush()

    def _clear(self) -> None:
        if self._shown:
            _paint("")
            self._shown = ""


def _paint(text: str) -> None:
    """Put `text` in the place of the status line."""
    with stdout() as out:
        out.write(f"\r\x1b[K{text}")
        out.flush()


def failures(jobs: Sequence[Job]) -> list[str]:
    """Failed jobs, grouped by kind, message and hint, the largest group first."""
    groups: dict[tuple[str, str, str], list[Job]] = {}
    for job in jobs:
        if job.error is not None:
            key = (str(job.error.kind), job.error.message, job.error.hint)
            groups.setdefault(key, []).append(job)
    lines = []
    for (kind, message, hint), members in sorted(groups.items(), key=lambda item: -len(item[1])):
        lines.append(f"{several(len(members), 'file')} {kind}: {printable(message)}")
        if hint:
            lines.append(f"    what to do: {printable(hint)}")
        lines += [f"    {job.id}  {printable(job.path)}" for job in members[:_NAMES_SHOWN]]
        if len(members) > _NAMES_SHOWN:
            lines.append(f"    and {len(members) - _NAMES_SHOWN:,} more")
    return lines


def _lane(detail: Any) -> str:
    """Which engine an event without a job is about."""
    if isinstance(detail, dict) and "lane" in detail:
        return f"lane {detail['lane']} ({detail.get('device', '')})"
    return "engine"


def _detail(detail: Any) -> str:
    """The words in an event's detail."""
    if isinstance(detail, str):
        return detail
    if isinstance(detail, dict):
        return str(detail.get("message") or detail.get("text") or "")
    return ""
