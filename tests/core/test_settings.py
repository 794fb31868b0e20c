"""The declared settings: values, messages, precedence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from speakeasy_tui.core.settings import (
    ALL_FIELDS,
    DEFAULTS,
    JOB_FIELDS,
    LANGUAGES,
    help_of,
    options_of,
)
from speakeasy_tui.core.values import SettingsError, choices_of, convert, load


@pytest.mark.parametrize("name", ALL_FIELDS)
def test_every_setting_explains_itself(name: str) -> None:
    assert len(help_of(name)) > 10


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("batch_size", "auto", "auto"),
        ("batch_size", " 8 ", 8),
        ("beam_size", "5", 5),
        ("vad", "off", False),
        ("overwrite", "Yes", True),
        ("format", "txt, srt,txt", ("txt", "srt")),
        ("format", "all", ("txt", "srt", "vtt", "tsv", "json")),
        ("language", "EN", "en"),
        ("device", "cuda:0,1", "cuda:0,1"),
        ("output_dir", "", None),
        ("initial_prompt", "true", "true"),
        ("model", "5", "5"),
        ("stall_s", "2.5", 2.5),
    ],
)
def test_text_is_read_as_the_declared_type(name: str, text: str, value: object) -> None:
    assert convert(name, text, "here") == value


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("device", "gpu", "auto, cpu, cuda (every GPU), cuda:N or cuda:N,M"),
        ("batch_size", "many", "auto or a whole number from 1"),
        ("batch_size", 0, "auto or a whole number from 1"),
        ("batch_size", True, "auto or a whole number from 1"),
        ("workers", "-1", "auto or a whole number from 1"),
        ("batch_size", "99999999999999999999", "auto or a whole number from 1 to 512"),
        ("cpu_threads", 1000, "auto or a whole number from 1 to 512"),
        ("workers", "65", "auto or a whole number from 1 to 64"),
        ("recycle_mb", "99999999999", "auto or a whole number from 1 to 16777216"),
        ("beam_size", "51", "a whole number from 1 to 50"),
        ("beam_size", 2.5, "a whole number from 1 to 50"),
        ("stall_s", "nan", "a number from 0.1"),
        ("linger_s", "-1", "a number from 0"),
        ("vad", "maybe", "true or false"),
        ("format", "txt,jsn", "did you mean 'json'?"),
        ("format", "", "Possible: txt, srt"),
        ("task", "transcript", "did you mean 'transcribe'?"),
        ("compute_type", "float61", "did you mean 'float16'?"),
        ("language", "english", "did you mean 'en'?"),
        ("model", "", "not empty"),
        ("output_dir", 5, "a text"),
        ("modle", "x", "did you mean 'model'?"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_what_would(
    name: str, value: object, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        convert(name, value, "--flag")
    assert str(caught.value).startswith("--flag: ")
    assert said in str(caught.value)


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('beam_size = 2\nmodel = "small"\ntask = "translate"\n')
    environment = {"SPEAKEASY_BEAM_SIZE": "3", "SPEAKEASY_MODEL": "base", "SPEAKEASY_HOME": "/x"}
    settings, origins = load(config, environment, {"beam_size": "4", "device": None})
    assert (settings.beam_size, settings.model, settings.task) == (4, "base", "translate")
    assert settings.device == DEFAULTS.device
    assert origins["beam_size"] == ("flag", "--beam-size")
    assert origins["model"] == ("environment", "SPEAKEASY_MODEL")
    assert origins["task"] == ("file", f"{config}, line 3")
    assert origins["device"].kind == "default"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("beam_size = 0\n", "line 1: beam_size is 0"),
        ("\n\nbeam_sise = 1\n", "line 3: unknown setting 'beam_sise'; did you mean 'beam_size'?"),
        ("vad = = true\n", "not valid TOML"),
        ("[model]\nname = 1\n", "line 1: model"),
        ("[keys]\nrerun = 3\n", "line 1: keys"),
    ],
)
def test_a_config_error_names_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(config, {})
    assert str(caught.value).startswith(str(config))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("SPEAKEASY_BATCHSIZE", "did you mean 'SPEAKEASY_BATCH_SIZE'?"),
        ("SPEAKEASY_KEYS", "config file only"),
        ("SPEAKEASY_TASK", "SPEAKEASY_TASK: task is 'x'"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, variable: str, said: str) -> None:
    with pytest.raises(SettingsError, match="environment") as caught:
        load(tmp_path / "none.toml", {variable: "x"})
    assert said in str(caught.value)


def test_every_variable_of_the_documentation_is_known(tmp_path: Path) -> None:
    """A shell that sets one of them for always must not end every other command."""
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
    _, _, others = page.partition("## Other variables")
    named = re.findall(r"`(SPEAKEASY_\w+)`", others)
    assert {"SPEAKEASY_WINDOWS", "SPEAKEASY_PLAIN", "SPEAKEASY_TORCH"} <= set(named)
    load(tmp_path / "none.toml", dict.fromkeys(named, "1"))


def test_variables_for_other_purposes_are_no_settings(tmp_path: Path) -> None:
    others = {"SPEAKEASY_HOME": "/x", "SPEAKEASY_FAULTS": "oom:*", "SPEAKEASY_SIM_SPEED": "9"}
    assert load(tmp_path / "none.toml", others).settings == DEFAULTS


def test_the_part_that_travels_with_a_job_has_the_job_fields_only() -> None:
    assert options_of(DEFAULTS).__struct_fields__ == JOB_FIELDS
    assert "theme" not in JOB_FIELDS


def test_words_and_languages_are_known() -> None:
    assert choices_of("task") == ("transcribe", "translate")
    assert choices_of("model") == ()
    assert {"en", "de", "yue"} <= LANGUAGES
    assert len(LANGUAGES) == 100
