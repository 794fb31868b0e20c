"""One line a segment: plain text and tab-separated values, as WriteTXT and WriteTSV."""

from __future__ import annotations

from speakeasy_tui.core.transcript import Transcript
from speakeasy_tui.formats.clean import line, milliseconds


def write_txt(transcript: Transcript) -> bytes:
    """The text of each segment on its line; an empty file when nothing was said."""
    return "".join(f"{line(segment.text)}\n" for segment in transcript.segments).encode()


def write_tsv(transcript: Transcript) -> bytes:
    """A header, then start and end in whole milliseconds and the text, never quoted.

    A tab in the text is a space, as every control character is.
    """
    rows = (
        f"{milliseconds(segment.start)}\t{milliseconds(segment.end)}\t{line(segment.text)}\n"
        for segment in transcript.segments
    )
    return f"start\tend\ttext\n{''.join(rows)}".encode()
