"""What an engine says of a file, noted in its flight and, as far as it must last, in the store."""

from __future__ import annotations

from speakeasy_tui.core import engineprotocol as say
from speakeasy_tui.runner.flight import Flight, Part
from speakeasy_tui.runner.store import Store

FileReport = say.Opened | say.Progress | say.ChunkDone | say.Finished


def stale(flight: Flight, part: Part, report: FileReport) -> bool:
    """Whether `report` says nothing new: it is of an earlier part or try, or of a chunk that was in
    two models when the file was divided."""
    match report:
        case say.Finished():
            return report.ticket != part.ticket
        case say.ChunkDone():
            return report.chunk.start in flight.starts
    return False


def note(store: Store, flight: Flight, part: Part, report: FileReport) -> float:
    """Keep what `report` says; returns the progress from which this try has brought it on.

    Where several engines are at the file, its lengths and warnings are what the one says that
    comes to its end, and progress is counted in chunks.
    """
    before = flight.progress
    match report:
        case say.Opened():
            if part.last:
                _opened(store, flight, report)
            before = flight.progress
        case say.Progress():
            flight.worked_on(part, report.work_s)
            if not flight.split:
                flight.stage = report.stage
                flight.progress = max(flight.progress, min(1.0, report.progress))
        case say.ChunkDone():
            store.store_chunk(flight.id, report.chunk)
            flight.finish_chunk(report.chunk)
        case say.Finished():
            flight.worked_on(part, report.work_s)
            flight.warn(report.warnings)
            if not flight.split or flight.language is None:
                flight.language = report.language
                flight.language_probability = report.language_probability
            if len(flight.parts) == 1:
                flight.progress = 1.0
    return before


def _opened(store: Store, flight: Flight, report: say.Opened) -> None:
    flight.audio_s = report.audio_s
    flight.chunks = report.chunks
    flight.stage = "transcribe"
    flight.warn(report.warnings)
    if report.language:
        flight.language = report.language
        flight.language_probability = report.language_probability
    if flight.done and report.audio_s and not flight.resumed:
        stored = store.chunks(flight.id)
        share = max(chunk.end for chunk in stored) / report.audio_s
        # A file on which several engines were may have gaps.
        flight.resumed = min(0.99, share, len(stored) / max(1, report.chunks))
        flight.progress = max(flight.progress, flight.resumed)
    store.opened(flight.id, report.audio_s, report.language)
