"""Truth about the audio: nothing is cut short in silence, and times stay where they were."""

from __future__ import annotations

import os
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.engine import promise, timeline
from speakeasy_tui.engine.audio import RATE, Decoded, decode
from speakeasy_tui.engine.opening import audio_stream, open_media
from speakeasy_tui.engine.reader import Reader
from speakeasy_tui.engine.source import SourceError
from speakeasy_tui.engine.timeline import Timeline
from tests.fuzz.corpus import FORMATS, MORE, Format, speech, write

LENGTH = 60.0
ALL = FORMATS | MORE


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A minute of speech in every format."""
    folder = tmp_path_factory.mktemp("whole")
    return {
        name: write(folder / f"{number}.{form.suffix}", form, speech(LENGTH))
        for number, (name, form) in enumerate(ALL.items())
    }


def hear(path: Path) -> Decoded:
    return decode(os.fsencode(path))


def changed(path: Path, into: Path, data: bytes) -> Path:
    target = into / f"changed{path.suffix}"
    target.write_bytes(data)
    return target


def damaged(path: Path, into: Path, size: int = 3000) -> Path:
    data = bytearray(path.read_bytes())
    at = len(data) // 3
    data[at : at + size] = np.random.default_rng(5).bytes(size)
    return changed(path, into, bytes(data))


def place(recording: Decoded, second: float, true: float) -> float:
    """Where in the recording, seconds, the speech of `second` lies; looked for around `true`."""
    pattern = speech(LENGTH)[round(second * RATE) :][: 2 * RATE].astype(np.float64)
    low = max(0, round((true - 3) * RATE))
    field = recording.samples[low : round((true + 5) * RATE)].astype(np.float64)
    size = 1 << (len(field) + len(pattern)).bit_length()
    match = np.fft.irfft(np.fft.rfft(field, size) * np.conj(np.fft.rfft(pattern, size)), size)
    return (low + int(np.argmax(match[: len(field)]))) / RATE


# What the ffmpeg program (5.1.9) makes of the same damage, seconds.
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("mp3", 59.3), ("mp3 without Xing", 59.0), ("m4a", 59.5), ("ogg", 57.9), ("flac", 59.7),
        ("mkv", 54.5), ("opus mkv", 54.5), ("ts", 59.5), ("aac", 59.3), ("wav", 60.0),
    ],
)  # fmt: skip
def test_3_kb_of_damage_cost_what_they_hold_and_later_times_stay_true(
    whole: dict[str, Path], tmp_path: Path, name: str, least: float
) -> None:
    sound = hear(whole[name])
    assert (sound.missing_s, sound.warnings) == (0.0, [])
    recording = hear(damaged(whole[name], tmp_path))
    assert recording.seconds - recording.missing_s >= least
    # AAC without a container has neither clock nor positions of bytes that were skipped.
    off = 0.45 if name == "aac" else 0.15
    assert place(recording, 50.0, 50.0) == pytest.approx(place(sound, 50.0, 50.0), abs=off)
    if name not in ("wav", "flac"):  # where noise is as good as sound, or a frame is 72 ms
        assert recording.missing_s >= 0.2
        assert [warning.kind for warning in recording.warnings] == ["incomplete_audio"]
        assert recording.warnings[0].seconds == pytest.approx(recording.missing_s, abs=0.001)


@pytest.mark.parametrize("name", ["wav", "mp3", "m4a", "flac", "mkv", "opus mkv"])
def test_a_file_that_breaks_off_says_how_much_of_its_promise_is_missing(
    whole: dict[str, Path], tmp_path: Path, name: str
) -> None:
    data = whole[name].read_bytes()
    recording = hear(changed(whole[name], tmp_path, data[: len(data) // 3]))
    assert 10 < recording.seconds < 35
    assert recording.missing_s == pytest.approx(60 - recording.seconds, abs=0.2)
    assert recording.warnings[0].message.endswith("s could not be decoded")


@pytest.mark.parametrize("name", ["wav", "flac"])
def test_of_a_clip_that_counts_its_samples_half_a_second_is_missed(
    tmp_path: Path, name: str
) -> None:
    clip = write(tmp_path / f"clip.{ALL[name].suffix}", ALL[name], speech(1.2))
    assert hear(clip).warnings == []
    data = clip.read_bytes()
    recording = hear(changed(clip, tmp_path, data[: len(data) * 6 // 10]))
    assert [warning.kind for warning in recording.warnings] == ["incomplete_audio"]
    assert recording.missing_s == pytest.approx(1.2 - recording.seconds, abs=0.05)


def test_an_ogg_that_breaks_off_promises_nothing_but_lacks_the_mark_of_its_end(
    whole: dict[str, Path], tmp_path: Path
) -> None:
    data = whole["ogg"].read_bytes()
    recording = hear(changed(whole["ogg"], tmp_path, data[: len(data) // 3]))
    assert recording.missing_s < 2.0  # of the page that is there in part
    assert [w.kind for w in recording.warnings] == ["incomplete_audio"]
    assert "breaks off at" in recording.warnings[0].message


def test_an_mp4_without_its_index_fails_clearly(whole: dict[str, Path], tmp_path: Path) -> None:
    path = whole["m4a, index last"]
    with pytest.raises(SourceError, match="breaks off before its index") as caught:
        hear(changed(path, tmp_path, path.read_bytes()[:100_000]))
    assert caught.value.kind is ErrorKind.INPUT


CLUSTER = b"\x1f\x43\xb6\x75"


@pytest.mark.parametrize(
    ("name", "mark", "more"),
    [
        ("mkv", CLUSTER, 0),
        ("mkv", CLUSTER, 40),
        ("wav", b"data", 8),
        ("ogg", b"OpusTags", 0),
        ("flac", b"fLaC", 42),
    ],
)
def test_a_file_that_is_cut_off_before_its_sound_is_not_called_empty(
    whole: dict[str, Path], tmp_path: Path, name: str, mark: bytes, more: int
) -> None:
    data = whole[name].read_bytes()
    with pytest.raises(SourceError) as caught:
        hear(changed(whole[name], tmp_path, data[: data.find(mark) + more]))
    assert caught.value.kind is ErrorKind.INPUT
    assert caught.value.hint == "it was cut off: copy it again"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (FORMATS["m4a"], FORMATS["m4a"]),
        (MORE["m4a, index last"], MORE["m4a, index last"]),
        (Format("aiff", "pcm_s16be", "aiff"), Format("aiff", "pcm_s16be", "aiff")),
        (Format("flv", "aac", "flv", 44_100), Format("flv", "aac", "flv", 44_100)),
        (Format("tta", "tta", "tta"), Format("tta", "tta", "tta")),
        (FORMATS["flac"], FORMATS["flac"]._replace(rate=48_000)),
        (Format("ogg", "flac", "ogg"), Format("ogg", "flac", "ogg", 48_000)),
        (FORMATS["ogg"], Format("ogg", "flac", "ogg", 48_000)),
    ],
    ids=["m4a", "m4a, index last", "aiff", "flv", "tta", "flac", "flac in ogg", "opus and flac"],
)
def test_what_was_joined_and_cannot_be_heard_is_said(
    tmp_path: Path, first: Format, second: Format
) -> None:
    one = write(tmp_path / "one", first, speech(10.0))
    two = write(tmp_path / "two", second, speech(15.0))
    assert hear(one).warnings == hear(two).warnings == []
    recording = hear(changed(one, tmp_path, one.read_bytes() + two.read_bytes()))
    assert np.array_equal(recording.samples[: 9 * RATE], hear(one).samples[: 9 * RATE])
    (warning,) = recording.warnings
    assert warning.kind == "incomplete_audio"
    assert "could not be decoded" in warning.message


# ----------------------------------------------------------------- lengths that lie


def test_a_vbr_mp3_without_a_header_is_not_measured_by_a_guess(tmp_path: Path) -> None:
    # Loud first, then silence: by the first frames' bit rate FFmpeg guesses a third too little
    # or too much.
    form = MORE["mp3 without Xing"]._replace(options={"write_xing": "0"})
    loud, quiet = speech(20.0), np.zeros(40 * RATE, np.int16)
    for number, parts in enumerate(([loud, quiet], [quiet, loud])):
        path = write(tmp_path / f"{number}.mp3", form, np.concatenate(parts), quality=4)
        recording = hear(path)
        assert recording.seconds == pytest.approx(60.0, abs=0.2)
        assert (recording.expected_s, recording.missing_s) == (None, 0.0)
        assert recording.warnings == []


def test_bytes_that_gave_no_sound_count_in_an_mp3_without_a_header(
    whole: dict[str, Path], tmp_path: Path
) -> None:
    data = bytearray(whole["mp3 without Xing"].read_bytes())
    for at in (len(data) // 3, len(data) - 20_000):
        broken = bytearray(data)
        broken[at : at + 20_000] = bytes(20_000)
        recording = hear(changed(Path("a.mp3"), tmp_path, bytes(broken)))
        assert recording.missing_s == pytest.approx(20_000 * 60 / len(data), rel=0.1)


def test_tags_at_the_end_of_an_mp3_are_not_lost_sound(
    whole: dict[str, Path], tmp_path: Path
) -> None:
    data = whole["mp3 without Xing"].read_bytes()
    tag = b"APETAGEX" + bytes(30_000) + b"TAG" + bytes(125)
    assert hear(changed(Path("a.mp3"), tmp_path, data + tag)).warnings == []


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF], ids=["0", "unknown"])
def test_a_wav_that_was_streamed_promises_nothing(
    whole: dict[str, Path], tmp_path: Path, size: int
) -> None:
    data = bytearray(whole["wav"].read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = size.to_bytes(4, "little")
    data[4:8] = b"\xff\xff\xff\xff"
    recording = hear(changed(Path("a.wav"), tmp_path, bytes(data)))
    assert recording.seconds == pytest.approx(60.0, abs=0.01)
    assert recording.warnings == []


def test_one_damaged_size_in_a_wav_is_no_promise(whole: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(whole["wav"].read_bytes())
    at = data.index(b"data") + 7
    data[at] |= 0x40
    assert hear(changed(Path("a.wav"), tmp_path, bytes(data))).warnings == []


def test_joined_mp3_and_ogg_files_are_heard_to_their_end(
    whole: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("mp3", "ogg"):
        recording = hear(changed(whole[name], tmp_path, whole[name].read_bytes() * 2))
        assert recording.seconds == pytest.approx(120.0, abs=0.2)
        assert recording.warnings == []


def cover_art(size: int) -> bytes:
    """An ID3v2 tag with that many bytes of something."""
    digits = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\4\0\0" + digits + np.random.default_rng(3).bytes(size)


@pytest.mark.parametrize("name", ["mp3", "mp3 without Xing", "aac"])
@pytest.mark.parametrize("before", [b"", b"TAG" + bytes(range(125))], ids=["", "ID3v1"])
def test_tags_of_files_that_were_joined_are_not_lost_sound(
    whole: dict[str, Path], tmp_path: Path, name: str, before: bytes
) -> None:
    data = whole[name].read_bytes()
    joined = data + before + cover_art(300_000) + data
    recording = hear(changed(whole[name], tmp_path, joined))
    assert recording.seconds == pytest.approx(120.0, abs=0.3)
    assert (recording.missing_s, recording.warnings) == (0.0, [])


# ----------------------------------------------------------------- where a recording starts


@pytest.mark.parametrize("name", ["m4a", "mkv", "opus mkv", "ts"])
@pytest.mark.parametrize("picture_s", [10.0, 30.0])
def test_sound_that_starts_late_in_a_video_keeps_its_times(
    tmp_path: Path, name: str, picture_s: float
) -> None:
    form = ALL[name]
    path = write(
        tmp_path / f"a.{form.suffix}", form, speech(LENGTH)[: 20 * RATE],
        start=4.0, picture_s=picture_s,
    )  # fmt: skip
    recording = hear(path)
    assert place(recording, 5.0, 9.0) == pytest.approx(9.0, abs=0.15)
    assert not recording.samples[: round(3.8 * RATE)].any()
    assert recording.warnings == []


def test_while_other_tracks_are_looked_at_there_are_signs_of_life(tmp_path: Path) -> None:
    path = os.fsencode(write(tmp_path / "a.mkv", ALL["mkv"], speech(10.0), picture_s=30.0))
    signs: list[float] = []
    with open_media(path) as container:
        stream, _ = audio_stream(container)
        reader = Reader(
            path, container, stream, promise.read(path, container, stream), signs.append
        )
        reader.look_at_other_tracks()
    assert signs


@pytest.mark.parametrize("name", ["mkv", "ts"])
def test_a_recording_cut_out_of_a_broadcast_starts_at_its_own_start(
    tmp_path: Path, name: str
) -> None:
    form = ALL[name]
    path = write(tmp_path / f"a.{form.suffix}", form, speech(20.0), start=30_000.0)
    recording = hear(path)
    assert recording.seconds == pytest.approx(20.0, abs=0.2)
    assert recording.warnings == []


def test_a_beginning_that_is_damaged_is_lost_and_not_a_late_start(
    whole: dict[str, Path], tmp_path: Path
) -> None:
    data = bytearray(whole["mkv"].read_bytes())
    data[700:120_000] = bytes(119_300)
    recording = hear(changed(whole["mkv"], tmp_path, bytes(data)))
    assert place(recording, 50.0, 50.0) == pytest.approx(50.0, abs=0.15)
    assert recording.missing_s > 10


@pytest.mark.parametrize("name", ["m4a", "mkv", "opus mkv", "ts"])
def test_packets_that_are_not_there_leave_silence_in_their_place(tmp_path: Path, name: str) -> None:
    form = ALL[name]
    path = write(
        tmp_path / f"a.{form.suffix}", form, speech(LENGTH)[: 30 * RATE], hole=(10.0, 15.0)
    )
    recording = hear(path)
    assert place(recording, 20.0, 20.0) == pytest.approx(20.0, abs=0.15)
    assert recording.missing_s == pytest.approx(5.0, abs=0.1)


def test_broadcasts_joined_to_one_file_follow_each_other(tmp_path: Path) -> None:
    first = write(tmp_path / "1.ts", MORE["ts"], speech(10.0))
    second = write(tmp_path / "2.ts", MORE["ts"], speech(10.0), start=20_000.0)
    for order in ([first, second], [second, first]):
        joined = tmp_path / "joined.ts"
        joined.write_bytes(b"".join(path.read_bytes() for path in order))
        recording = hear(joined)
        assert recording.seconds == pytest.approx(20.0, abs=0.5)
        assert recording.warnings == []


# ----------------------------------------------------------------- clocks


class Frames:
    """Frames of 0.1 s whose times the test says."""

    def __init__(self, end: float | None = None) -> None:
        self.line = Timeline(end, timeline.LONGEST_GAP, lambda _: None)

    def add(self, *times: float | None) -> None:
        for at in times:
            tone: npt.NDArray[np.int16] = np.full((1, RATE // 10), 1000, np.int16)
            frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            frame.sample_rate = RATE
            self.line.add(frame, at)

    def seconds(self) -> float:
        return round(sum(map(len, self.line.blocks(last=True))) / RATE, 3)


def test_a_time_that_is_wrong_once_changes_nothing() -> None:
    for wrong in (50.0, 3.0, -7.0, 1e12, 0.0):
        frames = Frames()
        frames.add(*(n / 10 for n in range(20)), wrong, *(n / 10 for n in range(21, 40)))
        assert frames.seconds() == 4.0, wrong
        assert frames.line.missing == pytest.approx(0.0, abs=0.01)


def test_a_clock_that_begins_anew_goes_on() -> None:
    frames = Frames()
    frames.add(*(n / 10 for n in range(20)), *(n / 10 for n in range(20)))
    assert frames.seconds() == 4.0


@pytest.mark.parametrize("pace", [0.99, 0.999, 1.01])
def test_a_clock_that_is_slower_or_faster_than_the_samples_is_followed(
    tmp_path: Path, pace: float
) -> None:
    # Each 64 ms of samples stand where the clock says; every 20 s of it they are a tone.
    path, size = tmp_path / "a.mka", 1024
    with av.open(str(path), "w", format="matroska") as out:
        stream = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for number in range(300 * RATE // size):
            at = number * size / RATE * pace
            level = 20_000 if at % 20 < 0.5 else 0
            packet = av.Packet(np.full(size, level, np.int16).tobytes())
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = round(at * 1000)
            out.mux(packet)
    recording = hear(path)
    assert recording.seconds == pytest.approx(300 * pace, abs=0.3)
    loud = np.flatnonzero(recording.samples > 10_000) / RATE
    begins = loud[1:][np.diff(loud) > 1.0]
    assert begins == pytest.approx(np.arange(20, 300 * pace, 20), abs=0.25)
    assert recording.warnings == []


def test_a_time_that_is_a_little_early_once_costs_nothing() -> None:
    frames = Frames()
    frames.add(*(n / 10 for n in range(20)), 1.8, *(n / 10 for n in range(21, 100)))
    assert frames.seconds() == 10.0
    assert frames.line.missing == 0.0


def test_a_clock_that_stands_still_costs_nothing() -> None:
    frames = Frames()
    frames.add(*(n / 10 for n in range(20)), *[2.0] * 200)
    assert frames.seconds() == 22.0


def test_jumps_to_and_fro_for_ever_take_no_memory() -> None:
    tracemalloc.start()
    frames = Frames()
    rng = np.random.default_rng(1)
    frames.add(*rng.uniform(-1e9, 1e9, 3000))
    frames.add(*rng.uniform(-1e300, 1e300, 1000), *[2.0**63 / 90_000] * 100)
    assert frames.seconds() == pytest.approx(410.0, abs=0.1)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


def test_a_gap_that_leads_beyond_the_promised_end_is_not_believed() -> None:
    frames = Frames(end=10.0)
    frames.add(0.0, 0.1, 500.0, 500.1, 500.2)
    assert frames.seconds() == 0.5


def test_a_recording_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "LONGEST", 3600.0)
    frames = Frames()
    with pytest.raises(timeline.TooLongError):
        for hour in range(10):
            frames.add(hour * 1800.0)


def test_memory_is_two_bytes_a_sample_and_an_eighth(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", FORMATS["flac"], np.tile(speech(60.0), 10))
    tracemalloc.start()
    recording = hear(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert recording.seconds == 600.0
    assert recording.samples.dtype == np.int16
    assert peak < 1.25 * recording.samples.nbytes + 8e6


def test_a_playlist_opens_nothing(tmp_path: Path) -> None:
    sound = write(tmp_path / "a.mp3", FORMATS["mp3"], speech(2.0))
    for text in (f"#EXTM3U\n#EXTINF:2,\n{sound}\n", f"ffconcat version 1.0\nfile {sound}\n"):
        path = tmp_path / "list.mp3"
        path.write_text(text)
        with pytest.raises(SourceError, match="names other files"):
            hear(path)
