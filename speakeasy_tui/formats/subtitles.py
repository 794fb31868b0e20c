"""SubRip and WebVTT, laid out as Whisper's WriteSRT and WriteVTT do."""

from __future__ import annotations

from speakeasy_tui.core.transcript import Transcript
from speakeasy_tui.formats.clean import cue, timestamp


def write_srt(transcript: Transcript) -> bytes:
    """Numbered cues from 1, ``HH:MM:SS,mmm`` always with the hours.

    SRT has no comments: a simulated transcript says so in its text alone.
    """
    cues = (
        f"{number}\n"
        f"{timestamp(segment.start, mark=',', hours=True)} --> "
        f"{timestamp(segment.end, mark=',', hours=True)}\n"
        f"{cue(segment.text)}\n\n"
        for number, segment in enumerate(transcript.segments, start=1)
    )
    return "".join(cues).encode()


def write_vtt(transcript: Transcript) -> bytes:
    """``MM:SS.mmm``, hours only where there are any; a NOTE on a simulated transcript.

    ``&`` and ``<`` are escaped, which Whisper's own writer leaves out: players take what follows
    them for entities and tags (WebVTT §4.2.1), and a word would be missing.
    """
    note = "NOTE Simulated: no model heard this recording.\n\n" if transcript.simulated else ""
    cues = (
        f"{timestamp(segment.start, mark='.', hours=False)} --> "
        f"{timestamp(segment.end, mark='.', hours=False)}\n"
        f"{_escaped(cue(segment.text))}\n\n"
        for segment in transcript.segments
    )
    return f"WEBVTT\n\n{note}{''.join(cues)}".encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
