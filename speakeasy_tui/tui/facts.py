"""What is known of a job: errors, progress, outputs, attempts, options. Pure functions."""

from __future__ import annotations

import time
from collections.abc import Sequence

from speakeasy_tui.core.job import Attempt, Job, State
from speakeasy_tui.core.settings import DEFAULTS, JOB_FIELDS, JobOptions
from speakeasy_tui.core.text import printable, printable_lines
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui.overview import justified
from speakeasy_tui.tui.rows import Line, Span, progress_cell

LABEL = 11
"""Cells of the labels before the facts."""


def facts_lines(
    job: Job, options: JobOptions | None, attempts: Sequence[Attempt], width: int
) -> list[Line]:
    """Error, progress, facts, outputs, attempts and options, as far as they are known."""
    lines: list[Line] = []
    if job.error is not None:
        lines += _block(job.error.message, width, "failed" if _has_failed(job) else "warning")
        if job.error.hint:
            lines += _block(job.error.hint, width)
        lines.append(())
    for warning in job.warnings:
        lines += _block(f"! {warning.message}", width, "warning")
    if job.warnings:
        lines.append(())
    if job.state is State.RUNNING:
        room = min(40, width - LABEL)
        left = f"   {shown.clock(job.eta_s)} left" if job.eta_s is not None else ""
        progress = progress_cell(job, max(8, room - len(left)))
        lines.append((Span(shown.fit("progress", LABEL), "quiet"), *progress, Span(left)))
    facts = (
        ("audio", shown.clock(job.audio_s)),
        ("took", shown.clock(job.elapsed_s)),
        ("speed", f"{shown.speed(job.speed)} real time" if job.speed else ""),
        ("language", job.language or ""),
        ("model", job.model or ""),
        ("device", job.device or ""),
        ("status", job.message),
        ("error kind", job.error.kind.value if job.error is not None else ""),
    )
    for label, value in facts:
        lines += _fact(label, value, width)
    for number, output in enumerate(job.outputs):
        lines += _fact("" if number else "outputs", output, width)
    lines += _attempt_lines(attempts, width)
    if options is not None:
        lines += _option_lines(options, width)
    return lines


def _attempt_lines(attempts: Sequence[Attempt], width: int) -> list[Line]:
    if not attempts:
        return []
    lines: list[Line] = [(), (Span("attempts", "title"),)]
    series = {attempt.series for attempt in attempts}
    for attempt in reversed(attempts):
        began = time.localtime(attempt.started)
        number = f"{attempt.series}.{attempt.number}" if len(series) > 1 else attempt.number
        seconds = None if attempt.ended is None else attempt.ended - attempt.started
        outcome = printable(attempt.outcome)
        good = attempt.outcome in {"done", "running"}
        spans = [
            Span(shown.fit(str(number), 5)),
            Span(time.strftime("%m-%d %H:%M:%S ", began), "quiet"),
            Span(shown.fit(shown.clock(seconds), 8, right=True)),
            Span("  " + shown.fit(printable(attempt.device or ""), 7), "quiet"),
            Span(outcome, "" if good else "warning"),
            Span("" if attempt.charged or good else "  not counted", "quiet"),
        ]
        lines.append(justified(spans, [], width))
        for text in dict.fromkeys((attempt.message, attempt.detail)):
            parts = shown.wrap(printable_lines(text.rstrip()), width - 5) if text else []
            lines += [(Span("     "), Span(part, "quiet")) for part in parts]
    return lines


def _has_failed(job: Job) -> bool:
    return job.state in {State.FAILED, State.QUARANTINED}


def _block(text: str, width: int, ink: str = "") -> list[Line]:
    return [(Span(part, ink),) for part in shown.wrap(printable_lines(text), width)]


def _fact(label: str, value: str, width: int) -> list[Line]:
    if not value:
        return []
    parts = shown.wrap(printable(value), max(8, width - LABEL))
    return [
        (Span(shown.fit("" if number else label, LABEL), "quiet"), Span(part))
        for number, part in enumerate(parts)
    ]


def _option_lines(options: JobOptions, width: int) -> list[Line]:
    """What was asked for; what differs from the defaults stands out."""
    lines: list[Line] = [(), (Span("options", "title"),)]
    room = max(len(name) for name in JOB_FIELDS) + 2
    for name in JOB_FIELDS:
        value = getattr(options, name)
        if value in ("", None):
            continue
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        if isinstance(value, bool):
            text = "yes" if value else "no"
        ink = "quiet" if value == getattr(DEFAULTS, name) else ""
        for number, part in enumerate(shown.wrap(printable(text), max(8, width - room))):
            lines.append((Span(shown.fit("" if number else name, room), "quiet"), Span(part, ink)))
    return lines
