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
_BOXES = (b"ftyp", b"mdat", b"wide", b"free", b"skip")
"""What an MP4 or QuickTime file may begin with whose index is at its end."""
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
    if head.startswith(b"RIFX"):
        raise SourceError(  # FFmpeg opens it, takes its bytes in the wrong order, and hears noise
            "a wav whose bytes are in the other order (RIFX)", "convert it to wav, with SoX, say"
        )
    # "file:" keeps a name such as "http:…" or "concat:…" a file name, and confines what a
    # container may refer to to files.
    name = "file:" + os.fsdecode(path)
    # Packets of PCM are some milliseconds long, and each costs what any packet does.
    options = {"max_size": str(_PCM_PACKET)} if head.startswith(datasize.WAVS) else {}
    data = datasize.find(path, begin) if options else None
    if data is not None and data.runs_on:
        options["ignore_length"] = "1"
    if begin or (data is not None and data.then):
        name = f"subfile,,start,{begin},end,{data.then if data is not None else 0},,:{name}"
    if head[8:16] == b"WAVEfmt " and head[20:24] == _MONO_PCM:
        # Its header says all. Looking further costs more than the rest of the front end on a
        # short clip, and is there for DTS disguised as stereo.
        options["probesize"] = _HEADER
    try:
        return av.open(name, mode="r", metadata_errors="ignore", options=options)
    except av.error.InvalidDataError:
        if _index_lost(path):
            raise SourceError(
                "the recording breaks off before its index (moov), which an mp4 has at its end",
                "copy it again; if it is no larger there, a tool such as untrunc makes a new one",
            ) from None
        raise SourceError(
            "not an audio or video file, or damaged beyond recognition",
            "play it to check; if it plays, convert it to wav or mp3",
        ) from None
    except av.error.EOFError:
        raise SourceError(
            "the file breaks off before its sound begins", "it was cut off: copy it again"
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
    """The first audio track that can be decoded, and a warning where there are others.

    Raises:
        SourceError: there is none.
    """
    if not container.streams:
        raise SourceError(
            "the file holds no tracks: what describes them is damaged or cut off",
            "copy it again; play it to check",
        )
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
        if len(streams) == 1:
            return stream, []
        text = f"only audio track {number} of {len(streams)} was heard"
        if number > 1:
            before = "the first" if number == 2 else f"the first {number - 1}"
            text = f"{text}, for {before} cannot be decoded"
        if number < len(streams):
            text = f"{text}; to have others heard, export them as files"
        return stream, [JobWarning("audio_track", text)]
    raise SourceError(
        "the audio is in a format that cannot be decoded, or protected (DRM)",
        "convert it to mp3, m4a, ogg, flac or wav first",
    )


def _index_lost(path: bytes) -> bool:
    """Whether a file is an MP4 or QuickTime without its moov (ISO/IEC 14496-12, 4.2 and 8.2.1)."""
    there, at = os.path.getsize(path), 0
    with open(path, "rb") as file:
        while at + 8 <= there:
            file.seek(at)
            head = file.read(16)
            name = head[4:8]
            if at == 0 and name not in _BOXES:
                return False
            if name == b"moov":
                return at + int.from_bytes(head[:4], "big") > there
            size = int.from_bytes(head[:4], "big")
            if size == 1:  # the real one follows
                size = int.from_bytes(head[8:], "big")
            if size < 8:
                return True  # to the end of the file, or not known yet
            at += size
    return at > 0
