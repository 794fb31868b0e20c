"""speakeasy config."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from speakeasy_tui.core.configfile import write_setting
from speakeasy_tui.core.values import SettingsError


def test_what_set_writes_show_shows_with_its_origin(speakeasy, tmp_path: Path) -> None:
    done = speakeasy("config", "set", "beam-size", "3")
    assert done.returncode == 0
    config = tmp_path / "home" / "config.toml"
    assert tomllib.loads(config.read_text()) == {"beam_size": 3}
    shown = speakeasy("config").stdout
    assert f"beam_size = 3\n    from {config}, line 1." in shown
    assert 'model = "auto"\n    from default.' in shown
    shown = speakeasy("config", "show", env={"SPEAKEASY_BEAM_SIZE": "7"}).stdout
    assert "beam_size = 7\n    from SPEAKEASY_BEAM_SIZE." in shown


@pytest.mark.parametrize("key", ["beam_size", "beam-size"])
def test_set_says_when_a_variable_is_stronger(speakeasy, key: str) -> None:
    done = speakeasy("config", "set", key, "4", env={"SPEAKEASY_BEAM_SIZE": "7"})
    assert done.stderr == "note: SPEAKEASY_BEAM_SIZE in the environment is stronger than the file\n"


def test_a_folder_that_was_set_is_the_same_wherever_one_is(speakeasy, tmp_path: Path) -> None:
    (tmp_path / "models" / "ct2").mkdir(parents=True)
    for key, value in (("model", "models/ct2"), ("output_dir", "out/../out")):
        assert speakeasy("config", "set", key, value).returncode == 0
    shown = speakeasy("config", "show", cwd=tmp_path.parent).stdout
    assert f'model = "{tmp_path}/models/ct2"' in shown
    assert f'output_dir = "{tmp_path}/out"' in shown
    speakeasy("config", "set", "model", "base.en")
    assert 'model = "base.en"' in speakeasy("config", "show").stdout


def test_a_number_without_an_end_is_asked_for_in_words(speakeasy) -> None:
    done = speakeasy("config", "set", "recycle_files", "-1")
    assert done.returncode == 2
    assert "a whole number from 0 on" in done.stderr


def test_a_value_that_does_not_fit_is_refused_and_nothing_written(
    speakeasy, tmp_path: Path
) -> None:
    done = speakeasy("config", "set", "batch_size", "-3")
    assert done.returncode == 2
    assert "auto or a whole number from 1" in done.stderr
    assert not (tmp_path / "home" / "config.toml").exists()


def test_set_keeps_other_keys_and_comments(speakeasy, tmp_path: Path) -> None:
    config = tmp_path / "home" / "config.toml"
    config.parent.mkdir()
    config.write_text('# mine\nmodel = "tiny.en"\n[keys]\nrerun = "ctrl+r"\n')
    speakeasy("config", "set", "vad", "no")
    speakeasy("config", "set", "keys.quit", "ctrl+x")
    assert config.read_text().startswith("# mine\n")
    assert tomllib.loads(config.read_text()) == {
        "model": "tiny.en",
        "vad": False,
        "keys": {"rerun": "ctrl+r", "quit": "ctrl+x"},
    }


def test_set_says_what_one_key_is_bound_to(speakeasy, tmp_path: Path) -> None:
    config = tmp_path / "home" / "config.toml"
    speakeasy("config", "set", "keys.rerun_failed", "ctrl+r")
    done = speakeasy("config", "set", "keys.pause", "ctrl+z")
    assert done.stdout == f'keys.pause = "ctrl+z" in {config}\n'


def test_edit_names_the_line_that_is_wrong(speakeasy, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "vad = true\\nbeam_size = 99\\n" > "$1"\n')
    editor.chmod(0o755)
    done = speakeasy("config", "edit", env={"VISUAL": str(editor)})
    assert done.returncode == 2
    assert "config.toml, line 2" in done.stderr
    assert "from 1 to 50" in done.stderr


def test_a_linked_config_file_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("vad = true\n")
    link = tmp_path / "config.toml"
    link.symlink_to(real)
    write_setting(link, "theme", "paper")
    assert link.is_symlink()
    assert tomllib.loads(real.read_text()) == {"vad": True, "theme": "paper"}


def test_an_empty_output_dir_takes_the_key_away(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    write_setting(config, "output_dir", "out")
    write_setting(config, "output_dir", "")
    assert config.read_text() == ""


def test_a_file_that_is_not_toml_is_left_alone(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("vad = = true\n")
    with pytest.raises(SettingsError, match="line 1"):
        write_setting(config, "theme", "paper")
    assert config.read_text() == "vad = = true\n"
