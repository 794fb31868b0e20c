"""What cannot be transcribed says so, with its kind and what to do; odd names are just names."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from speakeasy_tui.core.engineprotocol import Failed, Fault, Finished, SetBatch
from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.engine.audio import decode
from speakeasy_tui.engine.source import SourceError, check
from tests.fuzz.corpus import FORMATS, speech, write

from .engine import RIVER, SAMPLES, Engine, write_wav


def fails(engine: Engine, path: Path | bytes, kind: ErrorKind = ErrorKind.INPUT) -> Failed:
    job = len(engine.reports) + 1000
    engine.transcribe(job, path)
    report = engine.end_of(job)
    assert isinstance(report, Failed), report
    assert report.kind is kind
    assert report.text
    assert report.hint
    assert "Traceback" not in report.text
    return report


def succeeds(engine: Engine, path: Path | bytes) -> int:
    job = len(engine.reports) + 1000
    engine.transcribe(job, path)
    report = engine.end_of(job)
    assert isinstance(report, Finished), report
    return job


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


def dangling(path: Path) -> Path:
    path.symlink_to("nowhere")
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def listening(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def prose(path: Path) -> Path:
    path.write_text("This is not sound. " * 200)
    return path


def swapped(path: Path) -> Path:
    sound = speech(2.0)
    path.write_bytes(
        b"RIFX" + struct.pack(">I", 36 + sound.nbytes)
        + b"WAVEfmt " + struct.pack(">IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
        + b"data" + struct.pack(">I", sound.nbytes) + sound.astype(">i2").tobytes()
    )  # fmt: skip
    return path


def noise(path: Path) -> Path:
    path.write_bytes(np.random.default_rng(0).bytes(50_000))
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path, "not found"),
        (lambda path: path / "below" / "a.wav", "not found"),
        (folder, "folder"),
        (loop, "loop"),
        (dangling, "points to nothing"),
        (pipe, "named pipe"),
        (listening, "socket"),
        (lambda _: Path("/dev/null"), "device"),
        (empty, "empty (0 bytes)"),
        (prose, "not an audio or video file"),
        (noise, "not an audio or video file"),
        (swapped, "RIFX"),
        (lambda path: path.with_name("x" * 300), "name is too long"),
    ],
    ids=lambda value: getattr(value, "__name__", None) if callable(value) else value,
)
def test_an_input_that_cannot_be_read_is_failed_with_what_is_wrong(
    real: Engine, tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    assert words in fails(real, make(tmp_path / "a.mp3")).text


def test_a_file_without_permission_is_failed_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Root may read everything, so the system's answer is played here.
    def refuse(*_: object, **__: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(SourceError, match="no permission") as caught:
        check(b"/secret.wav")
    assert "chmod" in caught.value.hint


def test_a_video_without_sound_is_no_audio(real: Engine, tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert "pictures only" in fails(real, path, ErrorKind.NO_AUDIO).text


def two_tracks(path: Path, lost: bool = True) -> Path:
    """A Matroska file with speech on two tracks, the first of an unknown codec if `lost`."""
    with av.open(str(path), "w") as out:
        tracks = [out.add_stream(codec, rate=48_000, layout="mono") for codec in ("mp3", "opus")]
        for at in range(0, 48_000 * 5, 960):
            for track in tracks:
                frame = av.AudioFrame.from_ndarray(
                    np.full((1, 960), at % 77, np.int16), layout="mono"
                )
                frame.sample_rate, frame.pts = 48_000, at
                out.mux(track.encode(frame))
        for track in tracks:
            out.mux(track.encode(None))
    data = path.read_bytes()
    assert data.count(b"A_MPEG/L3") == 1
    if lost:
        path.write_bytes(data.replace(b"A_MPEG/L3", b"A_UNKNOWN"))
    return path


def cut_off(path: Path, kept: Callable[[bytes], int]) -> Path:
    """An mp4 of which only the first bytes are there."""
    write(path, FORMATS["m4a"]._replace(options={}), speech(5.0))
    data = path.read_bytes()
    path.write_bytes(data[: kept(data)])
    return path


@pytest.mark.parametrize("kept", [0.3, 0.9, 1.0])
def test_an_mp4_without_its_index_says_so(real: Engine, tmp_path: Path, kept: float) -> None:
    path = cut_off(tmp_path / "a.m4a", lambda data: round(kept * (data.rfind(b"moov") - 4)))
    failed = fails(real, path)
    assert "breaks off before its index" in failed.text
    assert "untrunc" in failed.hint


def test_an_mp4_that_breaks_off_in_its_index_is_not_said_to_have_no_sound(
    real: Engine, tmp_path: Path
) -> None:
    path = cut_off(tmp_path / "a.m4a", lambda data: data.rfind(b"moov") + 96)
    failed = fails(real, path)
    assert "cut off" in failed.text
    assert "remove" not in failed.hint


def test_of_two_tracks_it_is_said_that_one_was_heard(tmp_path: Path) -> None:
    path = two_tracks(tmp_path / "two.mkv", lost=False)
    (warning,) = decode(os.fsencode(path)).warnings
    assert warning.kind == "audio_track"
    assert warning.message.startswith("only audio track 1 of 2 was heard; ")


def test_the_first_track_that_can_be_decoded_is_heard_and_said(
    real: Engine, tmp_path: Path
) -> None:
    job = succeeds(real, two_tracks(tmp_path / "two.mkv"))
    assert real.opened(job).audio_s == pytest.approx(5, abs=0.1)
    warnings = real.said(Finished, job)[0].warnings
    assert warnings[0].kind == "audio_track"
    assert warnings[0].message.startswith("only audio track 2 of 2 was heard, for")


def test_a_track_without_samples_is_no_audio(real: Engine, tmp_path: Path) -> None:
    write_wav(tmp_path / "none.wav", b"")
    assert "no samples" in fails(real, tmp_path / "none.wav", ErrorKind.NO_AUDIO).text


def test_the_broken_sample_is_failed_as_input(real: Engine) -> None:
    fails(real, SAMPLES / "notes" / "broken-tape.mp3")


def test_recordings_of_a_moment_are_done(real: Engine, tmp_path: Path) -> None:
    real.send(SetBatch(batch_size=8))
    left = set()
    for samples in (1, 10, 160, 400, 1599, 1600, 1601):
        path = tmp_path / f"{samples}.wav"
        write_wav(path, bytes(2 * samples))
        for job, vad in ((5000 + samples, True), (7000 + samples, False)):
            real.transcribe(job, path, options={"vad": vad})
            left.add(job)
    while left:
        ended = real.wait_for((Finished, Failed, Fault))  # type: ignore[arg-type]
        assert isinstance(ended, Finished), ended
        left.remove(ended.job)


def test_silence_is_finished_with_a_warning_and_no_text(real: Engine, tmp_path: Path) -> None:
    write_wav(tmp_path / "silence.wav", bytes(2 * 16_000 * 40))
    job = succeeds(real, tmp_path / "silence.wav")
    finished = real.said(Finished, job)[0]
    assert [warning.kind for warning in finished.warnings] == ["no_speech"]
    assert real.text(job) == ""
    assert real.opened(job).audio_s == 40.0
    assert real.opened(job).speech_s == 0.0


NAMES = [
    b"\xff\xfe not utf-8.wav",
    b"new\nline.wav",
    b"[red]markup[bold].wav",
    b"http:example.wav",
    b"concat:a.wav|b.wav",
    b"file:%d.wav",
    b"-n \x1b[31m.wav",
    "日本語 \u202e.wav".encode(),
    b"data:,x",
]


def test_names_that_look_like_something_else_are_names(real: Engine, tmp_path: Path) -> None:
    # Each as long as its number says, so that none is taken for another.
    for number, name in enumerate(NAMES, 1):
        path = os.fsencode(tmp_path) + b"/" + name
        write_wav(path, bytes(2 * 1600 * number))
        real.transcribe(9000 + number, path)
    for number in range(1, len(NAMES) + 1):
        assert isinstance(real.end_of(9000 + number), Finished)
        assert real.opened(9000 + number).audio_s == number / 10


def test_an_error_about_an_undecodable_name_can_be_reported(real: Engine, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.mp3"
    with open(path, "wb") as file:
        file.write(b"no sound")
    fails(real, path)


def test_damage_in_the_middle_does_not_cut_the_rest_off(real: Engine, tmp_path: Path) -> None:
    data = bytearray(RIVER.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(5).bytes(3000)
    path = tmp_path / "damaged.mp3"
    path.write_bytes(data)
    job = succeeds(real, path)
    assert real.opened(job).audio_s > 13.5
    assert "way through it" in real.text(job).lower()


def test_a_file_cut_short_says_how_much_is_missing(real: Engine, tmp_path: Path) -> None:
    data = RIVER.read_bytes()
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(data[: len(data) // 2])
    job = succeeds(real, cut)
    warnings = real.said(Finished, job)[0].warnings
    assert [warning.kind for warning in warnings] == ["incomplete_audio"]
    assert "could not be decoded" in warnings[0].message
    assert warnings[0].seconds == pytest.approx(7.9, abs=0.1)
