"""A media file's container, and the track in it that is heard."""

from __future__ import annotations

import os
from typing import Any

import av

from speakeasy_tui.core.job import ErrorKind, JobWarning
from speakeasy_tui.core.text import printable
from speakeasy_tui.engine import datasize
from speakeasy_tui.engine.source import SourceError, explain

_PCM_PACKET = 16 * 1024
"""Bytes of a wav to be read at once. Beyond FFmpeg's buffer of 32 KiB it copies more often."""
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"v=0\r", b"v=0\n", b"<?xml", b"<MPD", b"[playlist]")
"""How files begin that only name others, which FFmpeg would open in their stead."""
_MONO_PCM = b"\x01\x00\x01\x00"
"""Format 1 and one channel, in a wav's header."""
_HEADER = "4096"
"""Bytes."""


def open_media(path: bytes, begin: int = 0) -> Any:
    """PyAV's container of a file.

    Args:
        path: the file.
        begin: byte at which it begins, where it was joined to another (`datasize.Data.then`).

    Raises:
        SourceError: it is none, or names other files.
    """
    with open(path, "rb") as file:
        file.seek(begin)
        head = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(_PLAYLISTS):
        raise SourceError(
            "not a recording: a text that names other files", "queue the files that it names"
        )
    # "file:" keeps a name such as "http:…" or "concat:…" a file name, and confines what a
    # container may refer to to files.
    name = "file:" + os.fsdecode(path)
    # Packets of PCM are some milliseconds long, and each costs what any packet does.
    options = {"max_size": str(_PCM_PACKET)} if head.startswith(datasize.WAVS) else {}
    if options and (data := datasize.find(path, begin)) is not None:
        if data.runs_on:
            options["ignore_length"] = "1"
        if begin or data.then:
            name = f"subfile,,start,{begin},end,{data.then},,:{name}"
    if head[8:16] == b"WAVEfmt " and head[20:24] == _MONO_PCM:
        # Its header says all. Looking further costs more than the rest of the front end on a
        # short clip, and is there for DTS disguised as stereo.
        options["probesize"] = _HEADER
    try:
        return av.open(name, mode="r", metadata_errors="ignore", options=options)
    except av.error.InvalidDataError:
        raise SourceError(
            "not an audio or video file, or damaged beyond recognition",
            "play it to check; if it plays, convert it to wav or mp3",
        ) from None
    except (av.error.FFmpegError, ValueError) as error:
        # The own classes derive from OSError where there is a matching errno.
        if isinstance(error, OSError):
            raise explain(error) from None
        text = printable(str(getattr(error, "strerror", None) or error))
        raise SourceError(
            f"the file cannot be opened: {text}",
            "play it to check; if it plays, convert it to wav or mp3",
        ) from None


def audio_stream(container: Any) -> tuple[Any, list[JobWarning]]:
    """The first audio track that can be decoded, and a warning where there are others before it.

    Raises:
        SourceError: there is none.
    """
    streams = container.streams.audio
    if not streams:
        what = "pictures only" if container.streams.video else "no tracks that hold sound"
        raise SourceError(
            f"no audio track: the file holds {what}",
            "remove it from the queue, or export it with its sound",
            ErrorKind.NO_AUDIO,
        )
    for number, stream in enumerate(streams, 1):
        if stream.codec_context is None:
            continue
        if number == 1:
            return stream, []
        before = "the first" if number == 2 else f"the first {number - 1}"
        text = f"audio track {number} was heard, for {before} cannot be decoded"
        return stream, [JobWarning("audio_track", text)]
    raise SourceError(
        "the audio is in a format that cannot be decoded, or protected (DRM)",
        "convert it to mp3, m4a, ogg, flac or wav first",
    )
