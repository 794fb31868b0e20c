"""Transcript in, bytes out: the formats Whisper's own tools write, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from speakeasy_tui.core.transcript import Transcript
from speakeasy_tui.formats.json import write_json
from speakeasy_tui.formats.subtitles import write_srt, write_vtt
from speakeasy_tui.formats.tables import write_tsv, write_txt

__all__ = ["FORMATS", "render"]

FORMATS: Mapping[str, Callable[[Transcript], bytes]] = MappingProxyType(
    {
        "txt": write_txt,
        "srt": write_srt,
        "vtt": write_vtt,
        "tsv": write_tsv,
        "json": write_json,
    }
)
"""Writer by format name, which is also the file's extension, in the order help shows them."""


def render(name: str, transcript: Transcript) -> bytes:
    """The whole file for `transcript` in the format `name`: UTF-8, ending in a newline.

    Where nothing was said, txt and srt are empty files, as Whisper's are.

    Raises ValueError for a format that is not in `FORMATS`.
    """
    writer = FORMATS.get(name)
    if writer is None:
        raise ValueError(f"unknown format {name!r}: choose from {', '.join(FORMATS)}")
    return writer(transcript)
