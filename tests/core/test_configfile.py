"""One setting is written; what the person wrote around it stays."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from speakeasy_tui.core.configfile import write_setting
from speakeasy_tui.core.values import SettingsError

TEXT = """\
# My box
beam_size = 1  # faster
format = ["txt",
  "srt"]

# bound as I like it
[keys]
rerun = "ctrl+r"  # not r
"""


@pytest.mark.parametrize(
    ("key", "value"),
    [("beam_size", 3), ("theme", "tape"), ("keys.undo", "z"), ("keys.rerun", "ctrl+e")],
)
def test_comments_and_other_lines_stay(tmp_path: Path, key: str, value: object) -> None:
    file = tmp_path / "config.toml"
    file.write_text(TEXT)
    write_setting(file, key, value)
    text = file.read_text()
    for kept in ("# My box", "# faster", "# bound as I like it", "# not r", '  "srt"]'):
        assert kept in text
    name, _, action = key.partition(".")
    table = tomllib.loads(text)
    assert (table[name][action] if action else table[name]) == value
    assert len(tomllib.loads(text)) == len(tomllib.loads(TEXT)) + (key == "theme")


def test_what_cannot_be_changed_in_its_place_is_written_anew(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(TEXT)
    write_setting(file, "format", "vtt")
    assert tomllib.loads(file.read_text()) == {
        "beam_size": 1, "format": ["vtt"], "keys": {"rerun": "ctrl+r"},
    }  # fmt: skip


def test_a_value_is_taken_out_again(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    write_setting(file, "output_dir", "/out")
    write_setting(file, "output_dir", "")
    assert tomllib.loads(file.read_text()) == {}


def test_a_wrong_value_leaves_the_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(TEXT)
    with pytest.raises(SettingsError):
        write_setting(file, "beam_size", "many")
    assert file.read_text() == TEXT
