"""Searching folders."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speakeasy_tui.core.protocol import Source
from speakeasy_tui.runner.queueing import Found
from speakeasy_tui.runner.scan import search


def found(folder: Path) -> dict[str, Found]:
    items = list(search(Source(os.fsencode(folder), os.fsencode(folder))))
    return {os.fsdecode(os.path.relpath(item.path, os.fsencode(folder))): item for item in items}


def test_recordings_are_found_below_a_folder_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.wav", "a.MP3", "sub/c.mkv", "notes.txt", "sub/cover.jpg", "._b.wav"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert list(found(tmp_path)) == ["a.MP3", "b.wav", "sub/c.mkv"]


def test_any_file_named_by_itself_is_taken(tmp_path: Path) -> None:
    (tmp_path / "recording").touch()
    (item,) = search(Source(os.fsencode(tmp_path / "recording")))
    assert item.error is None


def test_a_broken_link_is_one_failed_row(tmp_path: Path) -> None:
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    error = found(tmp_path)["gone.wav"].error
    assert error is not None
    assert error.kind == "input"
    assert "broken link" in error.hint


def test_a_loop_of_file_links_is_one_failed_row(tmp_path: Path) -> None:
    (tmp_path / "a.wav").symlink_to(tmp_path / "b.wav")
    (tmp_path / "b.wav").symlink_to(tmp_path / "a.wav")
    items = found(tmp_path)
    assert [item.error.message for item in items.values() if item.error] == ["a loop of links"] * 2


def test_a_link_to_a_folder_above_is_one_failed_row_and_ends(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.wav").touch()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    items = found(tmp_path)
    assert sorted(items) == ["sub/up", "sub/x.wav"]
    assert items["sub/up"].error is not None


def test_a_folder_reached_twice_is_searched_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.wav").touch()
    (tmp_path / "zlink").symlink_to(tmp_path / "real")
    assert list(found(tmp_path)) == ["real/x.wav"]


def test_a_folder_nobody_may_read_is_one_failed_row() -> None:
    # Not below pytest's own folder, which is for its owner alone: root becomes nobody here.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "closed").mkdir()
        (folder / "x.wav").touch()
        (folder / "closed").chmod(0)
        with unprivileged():
            items = found(folder)
        (folder / "closed").chmod(0o700)
    assert items["x.wav"].error is None
    assert items["closed"].error is not None
    assert "read permission" in items["closed"].error.hint


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may read everything: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (item,) = search(Source(os.fsencode(tmp_path / "pipe")))
    assert item.error is not None
    assert "not a file" in item.error.message


def test_names_of_any_bytes_are_found(tmp_path: Path) -> None:
    names = [b"caf\xe9.wav", b"new\nline.wav", b"\x1b[31mred.wav", b"[bold]x.wav"]
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).touch()
    paths = [item.path for item in search(Source(os.fsencode(tmp_path)))]
    assert sorted(os.path.basename(path) for path in paths) == sorted(names)


def test_a_deep_tree_is_searched(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=folder)
        deeper = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = deeper
    os.close(os.open("x.wav", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)
    assert len(list(search(Source(os.fsencode(tmp_path))))) == 1
