"""Sound files of every common format, made of the bundled recordings with PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt

from speakeasy_tui.engine import audio
from speakeasy_tui.engine.timeline import RATE

SAMPLES = Path(__file__).parents[2] / "speakeasy_tui" / "samples"
Pcm = npt.NDArray[np.int16]


class Format(NamedTuple):
    """How to make a file of a kind."""

    suffix: str
    codec: str
    container: str
    rate: int = RATE
    bit_rate: int | None = None
    options: dict[str, str] = {}  # noqa: RUF012 - a constant


FORMATS = {
    "wav": Format("wav", "pcm_s16le", "wav"),
    "mp3": Format("mp3", "libmp3lame", "mp3", bit_rate=48_000),
    "m4a": Format("m4a", "aac", "mp4", bit_rate=64_000, options={"movflags": "+faststart"}),
    "ogg": Format("ogg", "libopus", "ogg", 48_000, 32_000),
    "flac": Format("flac", "flac", "flac"),
    "mkv": Format("mkv", "aac", "matroska", bit_rate=64_000),
}
MORE = {
    "mp3 without Xing": Format("mp3", "libmp3lame", "mp3", options={"write_xing": "0"}),
    "m4a, index last": Format("m4a", "aac", "mp4", bit_rate=64_000),
    "opus mkv": Format("mkv", "libopus", "matroska", 48_000, 32_000),
    "ts": Format("ts", "aac", "mpegts", bit_rate=64_000),
    "aac": Format("aac", "aac", "adts", bit_rate=64_000),
}


@cache
def speech(seconds: float) -> Pcm:
    """That much of the bundled recordings, int16 at 16 kHz, never digitally silent."""
    names = ("interviews/radio-repair.mp3", "field/river-bank.mp3")
    whole = np.concatenate([audio.decode(str(SAMPLES / name).encode()).samples for name in names])
    count = round(seconds * RATE)
    wanted = np.tile(whole, count // len(whole) + 1)[:count].astype(np.int32)
    hiss = np.random.default_rng(7).integers(-20, 21, count)
    return np.clip(wanted + hiss, -32768, 32767).astype(np.int16)


def write(
    path: Path,
    form: Format,
    samples: Pcm,
    *,
    start: float = 0.0,
    picture_s: float = 0.0,
    hole: tuple[float, float] | None = None,
    quality: int | None = None,
) -> Path:
    """Encode `samples` (16 kHz) as a file.

    Args:
        path: where to.
        form: one of `FORMATS` or `MORE`.
        samples: what.
        start: seconds on the container's clock at which the sound begins.
        picture_s: seconds of a small video track that begins at 0 beside it.
        hole: from and to, seconds, of packets that are left out.
        quality: of a variable bit rate, as the codec counts it.
    """
    with av.open(str(path), "w", format=form.container, options=dict(form.options)) as out:
        video = _video(out, picture_s) if picture_s else None
        stream = out.add_stream(form.codec, rate=form.rate, layout="mono")
        if form.bit_rate:
            stream.bit_rate = form.bit_rate
        if quality is not None:
            stream.codec_context.qscale = True
            stream.codec_context.global_quality = quality * 118  # FF_QP2LAMBDA
        stream.codec_context.open()
        if video is not None:
            for number in range(round(picture_s * 5)):
                image = np.full((32, 32, 3), number % 256, np.uint8)
                picture = av.VideoFrame.from_ndarray(image, format="rgb24")
                picture.pts = number
                out.mux(video.encode(picture))
            out.mux(video.encode(None))
        for packet in _packets(stream, form, samples):
            if packet.pts is not None:  # flac's last one carries the header, and no time
                at = float(packet.pts * packet.time_base)
                if hole is not None and hole[0] <= at < hole[1]:
                    continue
                shift = round(start / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            out.mux(packet)
    return path


def _video(out: Any, seconds: float) -> Any:
    video = out.add_stream("mpeg4", rate=5)
    video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
    video.codec_context.time_base = Fraction(1, 5)
    return video


def _packets(stream: Any, form: Format, samples: Pcm) -> Sequence[Any]:
    context = stream.codec_context
    resampler = av.AudioResampler(
        format=context.format.name, layout="mono", rate=form.rate, frame_size=0
    )
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate, frame.pts = RATE, 0
    fifo = av.audio.fifo.AudioFifo()
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        fifo.write(part)
    packets: list[Any] = []
    done = 0
    while (part := fifo.read(context.frame_size or 1024, partial=True)) is not None:
        part.pts, part.time_base = done, Fraction(1, form.rate)
        done += part.samples
        packets.extend(stream.encode(part))
    packets.extend(stream.encode(None))
    return packets
