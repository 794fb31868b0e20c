"""Recordings of one stem in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from speakeasy_tui.runner import siblings
from speakeasy_tui.runner.siblings import FOLDERS, Siblings


def before(here: Siblings, path: Path) -> bool:
    return here.one_is_before(os.fsencode(path))


def test_the_first_by_name_has_none_before_it_and_the_others_do(tmp_path: Path) -> None:
    for name in ("talk.wav", "talk.mp3", "talk.ogg", "other.wav", "talk.txt"):
        (tmp_path / name).touch()
    here = Siblings()
    found = {name: before(here, tmp_path / name) for name in os.listdir(tmp_path)}
    assert found.pop("talk.txt"), "a recording by its content alone has others before it, too"
    assert found == {"talk.mp3": False, "talk.ogg": True, "talk.wav": True, "other.wav": False}


def test_a_name_without_an_ending_is_its_own_stem(tmp_path: Path) -> None:
    for name in ("talk", "talk.wav", ".wav"):
        (tmp_path / name).touch()
    assert not any(before(Siblings(), tmp_path / name) for name in ("talk", "talk.wav", ".wav"))


def test_a_folder_nobody_can_list_has_none(tmp_path: Path) -> None:
    assert not before(Siblings(), tmp_path / "gone" / "talk.wav")


def test_what_comes_later_is_seen_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talk.wav").touch()
    lasting = Siblings()
    assert not before(lasting, tmp_path / "talk.wav")
    monkeypatch.setattr(siblings, "FRESH_S", -1.0)
    monkeypatch.setattr(siblings, "SHARE", 0)
    passing = Siblings()
    assert not before(passing, tmp_path / "talk.wav")
    (tmp_path / "talk.mp3").touch()
    assert before(passing, tmp_path / "talk.wav")
    assert not before(lasting, tmp_path / "talk.wav"), "as the folder was just now"


def test_only_some_folders_are_remembered(tmp_path: Path) -> None:
    here = Siblings()
    for number in range(FOLDERS + 10):
        before(here, tmp_path / str(number) / "talk.wav")
    assert len(here._listings) == FOLDERS
