"""What PATHS mean."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from speakeasy_tui.client.sources import SourceError, adds, find_sources
from speakeasy_tui.core.lines import encode
from speakeasy_tui.core.protocol import Source
from speakeasy_tui.core.settings import JobOptions


@pytest.fixture
def place(tmp_path: Path) -> bytes:
    base = os.fsencode(tmp_path)
    for name in (b"a.wav", b"b.wav", b"caf\xe9.wav", b"what[1].wav", b"sub/c.wav"):
        path = os.path.join(base, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).write_bytes(b"")
    return base


def found(place: bytes, *paths: bytes | str, stdin: bytes = b"") -> list[bytes]:
    sources = find_sources(paths, cwd=place, read_stdin=lambda: stdin)
    return [os.path.relpath(source.path, place) for source in sources]


def write(place: bytes, name: str, data: bytes) -> str:
    Path(os.fsdecode(place), name).write_bytes(data)
    return name


def test_a_file_has_no_root_and_a_folder_is_its_own(place: bytes) -> None:
    file, folder = find_sources(["a.wav", "sub/"], cwd=place)
    assert file == Source(place + b"/a.wav", b"")
    assert folder == Source(place + b"/sub", place + b"/sub")


def test_each_source_comes_once_in_the_order_given(place: bytes) -> None:
    assert found(place, "b.wav", "a.wav", "./b.wav", "sub/../a.wav") == [b"b.wav", b"a.wav"]


def test_a_folder_with_the_signs_of_a_glob_in_its_name_is_no_pattern(tmp_path: Path) -> None:
    here = tmp_path / "[2024]"
    here.mkdir()
    (here / "a.wav").touch()
    assert found(os.fsencode(here), "*.wav") == [b"a.wav"]


def test_a_glob_is_expanded_only_when_no_such_file_exists(place: bytes) -> None:
    assert found(place, "what[1].wav") == [b"what[1].wav"]
    assert found(place, "[ab].wav") == [b"a.wav", b"b.wav"]
    assert found(place, "**/c.wav") == [b"sub/c.wav"]


def test_what_a_glob_finds_is_mirrored_below_its_fixed_part(place: bytes) -> None:
    assert find_sources(["sub/*"], cwd=place)[0].root == place + b"/sub"
    assert find_sources(["*/c.wav"], cwd=place)[0].root == place


@pytest.mark.parametrize("path", ["nowhere.wav", "no*where", b"\xff.wav"])
def test_what_is_not_there_is_refused_by_name(place: bytes, path: str | bytes) -> None:
    with pytest.raises(SourceError, match="no such file"):
        find_sources([path], cwd=place)


def test_a_broken_link_is_queued(place: bytes) -> None:
    os.symlink(b"gone", place + b"/link.wav")
    assert found(place, "link.wav") == [b"link.wav"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("list.txt", b"a.wav\r\ncaf\xe9.wav\n\n#1.wav\n"),
        ("list.txt", b"\xef\xbb\xbfa.wav\ncaf\xe9.wav\n#1.wav"),
        ("list.txt", b"a.wav\0caf\xe9.wav\0#1.wav\0"),
        ("list.csv", b"id,audio_filepath\n1,a.wav\n2,caf\xe9.wav\n3,#1.wav\n"),
        ("list.csv", b'Path;text\na.wav;x\n"caf\xe9.wav";y\n#1.wav;\n'),
        ("list.csv", b"a.wav,1\ncaf\xe9.wav,2\n#1.wav,3\n"),
        ("list.csv", b"recording\na.wav\ncaf\xe9.wav\n#1.wav\n"),
        ("list.csv", b"id, path\n1, a.wav\n2, caf\xe9.wav\n3, #1.wav\n"),
        ("list.csv", b"\n,\npath\na.wav\ncaf\xe9.wav\n#1.wav\n"),
        (
            "list.jsonl",
            b'{"audio_filepath": "a.wav", "duration": 1}\n{"path": "caf\xe9.wav"}\n"#1.wav"\n',
        ),
        ("list.m3u", b"#EXTM3U\n#EXTINF:1,x\na.wav\nfile:caf\n"),
        ("LIST.M3U8", b"#EXTM3U\na.wav\n"),
    ],
)
def test_each_kind_of_list_gives_its_entries(place: bytes, name: str, data: bytes) -> None:
    entries = found(place, write(place, name, data))
    if "m3u" in name.lower():
        assert entries[0] == b"a.wav"
    else:
        assert entries == [b"a.wav", b"caf\xe9.wav", b"#1.wav"]


def test_an_m3u_may_hold_file_urls(place: bytes) -> None:
    url = b"file://" + place + b"/a%20b.wav"
    assert found(place, write(place, "x.m3u", url)) == [b"a b.wav"]


def test_entries_are_relative_to_their_list_not_to_us(place: bytes) -> None:
    write(place, "sub/list.txt", b"c.wav\n../a.wav\n")
    assert found(place, "sub/list.txt") == [b"sub/c.wav", b"a.wav"]


def test_an_entry_that_is_not_there_is_kept_for_its_row(place: bytes) -> None:
    assert found(place, write(place, "list.txt", b"gone.wav\n")) == [b"gone.wav"]


def test_what_a_list_names_by_a_relative_path_is_mirrored_below_the_lists_folder(
    place: bytes,
) -> None:
    entries = b"a.wav\nsub\nsub/c.wav\n" + place + b"/sub/c.wav\n" + place + b"/sub\n"
    write(place, "list.txt", entries)
    assert find_sources(["list.txt"], cwd=place) == [
        Source(place + b"/a.wav", place),
        Source(place + b"/sub", place),
        Source(place + b"/sub/c.wav", place),
        Source(place + b"/sub/c.wav", b""),
        Source(place + b"/sub", place + b"/sub"),
    ]
    write(place, "sub/list.txt", b"../a.wav\n")
    assert find_sources(["sub/list.txt"], cwd=place) == [Source(place + b"/a.wav", b"")]


def test_several_folders_keep_their_names_as_one_alone_need_not(tmp_path: Path) -> None:
    base = os.fsencode(tmp_path)
    for name in ("monday/cd", "tuesday", "old/monday"):
        (tmp_path / name).mkdir(parents=True)

    def roots(*paths: str) -> list[bytes]:
        return [os.path.relpath(source.root, base) for source in find_sources(paths, cwd=base)]

    assert roots("monday") == [b"monday"]
    assert roots("monday", "monday/cd") == [b"monday", b"monday/cd"]
    assert roots("monday", "tuesday", "monday/cd") == [b".", b".", b"."]
    assert roots("tuesday", "old/monday") == [b".", b"old"]
    assert roots("monday", "old/monday") == [b".", b"."]


def test_stdin_gives_a_list_by_lines_or_nul(place: bytes) -> None:
    assert found(place, "-", stdin=b"a.wav\ncaf\xe9.wav\n") == [b"a.wav", b"caf\xe9.wav"]
    assert found(place, "-", stdin=b"a\nb.wav\0c.wav\0") == [b"a\nb.wav", b"c.wav"]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.jsonl", b'{"path": "a.wav"}\n{oops\n', "line 2"),
        ("x.jsonl", b'{"text": "hi"}\n', "audio_filepath"),
        ("x.jsonl", b'{"path": "\\ud800"}\n', "cannot be a file name"),
        ("x.jsonl", b'{"path": "a\\u0000"}\n', "is no path"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(
    place: bytes, name: str, data: bytes, said: str
) -> None:
    with pytest.raises(SourceError, match=said):
        find_sources([write(place, name, data)], cwd=place)


WAV = (
    b"RIFF\x24\x08\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\x08\0\0"
    b"\0\0.\0/\0..\0"
)
BINARY = {
    "a name and its parent's": b"RIFF\0..\0",
    "WAV of 16 bits": WAV,
    "samples alone": b"\0\0\x2e\0\xd1\xff\x2f\0" * 50,
    "MP4": b"\0\0\0\x1cftypM4A \0/\0",
    "MP3": b"\xff\xfb\x90\x64\0..\0",
    "MP3 with a title": b"ID3\4\0..\0",
    "Ogg": b"OggS\0/\0",
    "Matroska": b"\x1aE\xdf\xa3\n/\n",
    "random bytes without a NUL": b"\x8f\x01\xfa\n..\n\xc3\x28",
    "UTF-16": "a.wav\r\nb.wav\r\n".encode("utf-16"),
    "UTF-16 without its mark": "a.wav\nb.wav\n".encode("utf-16-le"),
    "one endless name": b"x" * 300,
}


@pytest.mark.parametrize("suffix", [".txt", ".m3u", ".M3U8", ".jsonl"])
@pytest.mark.parametrize("data", BINARY.values(), ids=BINARY.keys())
def test_binary_data_named_as_a_list_is_refused(place: bytes, data: bytes, suffix: str) -> None:
    with pytest.raises(SourceError, match=f"voice{suffix}, "):
        find_sources([write(place, "voice" + suffix, data)], cwd=place)


@pytest.mark.parametrize("data", BINARY.values(), ids=BINARY.keys())
def test_binary_data_named_as_a_table_queues_nothing(place: bytes, data: bytes) -> None:
    try:  # of a table's first row it may be taken for the names of columns
        assert found(place, write(place, "voice.csv", data)) == []
    except SourceError as error:
        assert "voice.csv, " in str(error)


@pytest.mark.parametrize("data", BINARY.values(), ids=BINARY.keys())
def test_binary_data_on_stdin_is_refused(place: bytes, data: bytes) -> None:
    with pytest.raises(SourceError, match="the list on stdin, "):
        found(place, "-", stdin=data)


def test_a_recording_named_as_a_list_is_told_to_be_one_and_what_a_list_is(place: bytes) -> None:
    with pytest.raises(SourceError, match=r"a recording.*rename it.*a path on each line"):
        find_sources([write(place, "voice.txt", WAV)], cwd=place)


@pytest.mark.parametrize("entry", ["/", ".", "..", "./", "../..", "sub/..", "//"])
def test_a_list_queues_no_folder_by_dots_and_slashes_alone(place: bytes, entry: str) -> None:
    for data in (f"a.wav\n{entry}\n", f"a.wav\0{entry}\0"):
        with pytest.raises(SourceError, match=r"entry 2 is .*on the command line"):
            find_sources([write(place, "list.txt", data.encode())], cwd=place)
    with pytest.raises(SourceError, match="entry 2"):
        found(place, "-", stdin=f"a.wav\n{entry}\n".encode())


@pytest.mark.parametrize("options", [["-type", "f"], ["-name", "*.wav"]])
def test_what_find_print0_writes_is_a_list_whatever_the_names(
    place: bytes, options: list[str]
) -> None:
    Path(os.fsdecode(place), "RIFF").write_bytes(b"")
    Path(os.fsdecode(place), "two\nlines\x1b[31m.wav").write_bytes(b"")
    for where in (b".", place):
        written = subprocess.run(
            ["find", where, *options, "-print0"], cwd=place, capture_output=True, check=True
        ).stdout
        named = sorted(
            os.path.relpath(os.path.join(place, n), place) for n in written.split(b"\0")[:-1]
        )
        assert len(named) >= 6
        assert sorted(found(place, "-", stdin=written)) == named
        assert sorted(found(place, write(place, "l.txt", written))) == named
        os.unlink(place + b"/l.txt")


def test_a_list_may_begin_with_the_name_of_a_folder_that_looks_like_a_recordings_mark(
    place: bytes,
) -> None:
    os.mkdir(place + b"/RIFF")
    Path(os.fsdecode(place), "RIFF/a.wav").write_bytes(b"")
    assert found(place, "-", stdin=b"RIFF/a.wav\n") == [b"RIFF/a.wav"]


def test_of_names_that_are_no_text_only_one_must_be_there(place: bytes) -> None:
    assert found(place, "-", stdin=b"\xe9.wav\ncaf\xe9.wav\n") == [b"\xe9.wav", b"caf\xe9.wav"]


def test_transcripts_that_a_star_brought_are_not_taken_for_lists(place: bytes) -> None:
    for name in ("a.txt", "a.srt", "a.json", "b.wav.txt"):
        write(place, name, b"Hello there.\n")
    notes: list[str] = []
    names = ["a.json", "a.srt", "a.txt", "a.wav", "b.wav", "b.wav.txt"]
    sources = find_sources(names, cwd=place, note=notes.append)
    assert [os.path.basename(source.path) for source in sources] == [b"a.wav", b"b.wav"]
    assert notes == ["left out 4 transcripts beside their recordings"]


def test_a_long_list_travels_in_several_requests_of_bounded_size() -> None:
    sources = [Source(b"/%d/" % n + b"x" * 4000, b"") for n in range(5000)]
    requests = adds(sources, JobOptions(), start=True)
    assert len(requests) > 1
    assert [source for request in requests for source in request.sources] == sources
    assert max(len(encode(request)) for request in requests) < 8 * 2**20
