"""What an engine says of a file, noted in its flight and, as far as it must last, in the store."""

from __future__ import annotations

from speakeasy_tui.core import protocol as say
from speakeasy_tui.runner.flight import Flight
from speakeasy_tui.runner.store import Store

FileReport = say.Opened | say.Progress | say.ChunkDone | say.Finished


def note(store: Store, flight: Flight, report: FileReport) -> float:
    """Keep what `report` says; returns the progress from which this try has brought it on."""
    before = flight.progress
    match report:
        case say.Opened():
            _opened(store, flight, report)
            before = flight.progress
        case say.Progress():
            flight.stage = report.stage
            flight.work_s = max(flight.work_s, report.work_s)
            flight.progress = max(flight.progress, min(1.0, report.progress))
        case say.ChunkDone():
            store.store_chunk(flight.id, report.chunk)
            flight.finish_chunk(report.chunk)
        case say.Finished():
            flight.language = report.language
            flight.language_probability = report.language_probability
            flight.warn(report.warnings)
            flight.work_s = max(flight.work_s, report.work_s)
            flight.progress = 1.0
    return before


def _opened(store: Store, flight: Flight, report: say.Opened) -> None:
    flight.audio_s = report.audio_s
    flight.chunks = report.chunks
    flight.stage = ""
    flight.warn(report.warnings)
    if report.language:
        flight.language = report.language
        flight.language_probability = report.language_probability
    if flight.done and report.audio_s and not flight.resumed:
        stored = store.chunks(flight.id)
        flight.resumed = min(0.99, max(chunk.end for chunk in stored) / report.audio_s)
        flight.progress = max(flight.progress, flight.resumed)
    store.opened(flight.id, report.audio_s, report.language)
