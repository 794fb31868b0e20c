"""How the command line is read, and what is refused before anything is queued."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from speakeasy_tui.cli.main import cli
from speakeasy_tui.core.settings import JOB_FIELDS

HEAVY = ("textual", "rich", "torch", "av", "ctranslate2", "faster_whisper", "numpy", "asyncio")


@pytest.mark.parametrize("line", ["--help", "run --help", "--version", "config path"])
def test_the_way_to_a_help_text_imports_nothing_heavy(line: str) -> None:
    code = f"""
import sys
sys.argv = ["speakeasy", *{line.split()!r}]
from speakeasy_tui.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_ctrl_c_while_the_program_is_being_imported_ends_it_in_silence() -> None:
    code = """
import os, signal, sys
class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "speakeasy_tui.cli.door":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
from speakeasy_tui.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"speakeasy": "speakeasy_tui.__main__:main"}


@pytest.mark.parametrize("command", ["run", "add", ""])
def test_every_job_option_is_a_flag_of_every_command_that_queues(command: str) -> None:
    shown = CliRunner().invoke(cli, [*command.split(), "--help"]).output
    for name in JOB_FIELDS:
        assert "--" + name.replace("_", "-") in shown


def test_help_lists_every_promised_command() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).output
    names = "run add status rerun pause resume hold release cancel stop runner doctor models demo"
    for name in [*names.split(), "config"]:
        assert f"\n  {name} " in shown


def test_options_may_stand_before_the_command(speakeasy, tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    done = speakeasy("--home", str(home), "config", "path")
    assert done.stdout.strip() == str(home / "config.toml")
    assert speakeasy("config", f"--home={home}", "path").stdout == done.stdout


@pytest.mark.parametrize(
    "command", ["models", "models list", "models get nosuch", "config path", "runner", "status"]
)
def test_every_command_takes_a_home_before_and_behind_it(
    speakeasy, tmp_path: Path, command: str
) -> None:
    home = ("--home", str(tmp_path / "elsewhere"))
    before, behind = speakeasy(*home, *command.split()), speakeasy(*command.split(), *home)
    assert "no command" not in before.stderr + behind.stderr
    assert "No such option" not in before.stderr + behind.stderr
    assert before.stdout == behind.stdout
    assert before.returncode == behind.returncode


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run", "x", "--batch-size", "some"], "--batch-size"),
        (["run", "x", "--device", "gpu"], "cuda:N"),
        (["run", "x", "--format", "txt,str"], "'srt'"),
        (["run", "x", "--task", "translat"], "'translate'"),
        (["run", "x", "--language", "enn"], "'en'"),
        (["run", "x", "--beam-size", "0"], "from 1 to 50"),
        (["run", "x", "--fromat", "txt"], "--format"),
        (["add", "--compute-type", "fp16"], "PATHS"),
        (["statsu"], "'status'"),
        (["runner", "strat"], "'start'"),
        (["status", "--state", "faild"], "'failed'"),
        (["rerun"], "--failed"),
        (["hold", "seven"], "seven"),
    ],
)
def test_wrong_usage_names_what_is_wrong_and_what_would_do(speakeasy, args, said) -> None:
    done = speakeasy(*args)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_flag_beats_environment_beats_file_beats_default(speakeasy, recordings: Path) -> None:
    def format_of(*args: str, env: dict[str, str] | None = None) -> set[str]:
        args = ("--foreground", "--engine", "sim", "--output-dir", "out", "--overwrite", *args)
        assert speakeasy("run", str(recordings / "a.wav"), *args, env=env).returncode == 0
        written = {path.suffix for path in (recordings.parent / "out").iterdir()}
        for path in (recordings.parent / "out").iterdir():
            path.unlink()
        return written

    assert format_of() == {".txt", ".srt", ".vtt", ".tsv", ".json"}
    speakeasy("config", "set", "format", "txt")
    assert format_of() == {".txt"}
    assert format_of(env={"SPEAKEASY_FORMAT": "srt"}) == {".srt"}
    assert format_of("-f", "vtt", "-f", "tsv", env={"SPEAKEASY_FORMAT": "srt"}) == {".vtt", ".tsv"}


def test_a_bad_config_file_is_one_line_that_names_file_and_line(speakeasy, tmp_path: Path) -> None:
    config = tmp_path / "home" / "config.toml"
    config.parent.mkdir()
    config.write_text('model = "tiny.en"\nbeam_sise = 5\n')
    done = speakeasy("run", "x")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{config}, line 2" in done.stderr
    assert "'beam_size'" in done.stderr


def test_a_misspelt_variable_is_named_with_the_nearest(speakeasy) -> None:
    done = speakeasy("config", "show", env={"SPEAKEASY_MODLE": "tiny"})
    assert done.returncode == 2
    assert "'SPEAKEASY_MODEL'" in done.stderr


def test_a_path_that_is_not_there_is_refused_and_nothing_queued(
    speakeasy, recordings: Path, tmp_path: Path
) -> None:
    done = speakeasy("run", str(recordings), "nowhere.wav", "--engine", "sim")
    assert done.returncode == 2
    assert "nowhere.wav" in done.stderr
    assert not (tmp_path / "home" / "queue.db").exists()


def test_a_name_that_is_not_utf8_is_refused_readably(speakeasy) -> None:
    done = speakeasy("run", b"caf\xe9.wav")
    assert done.returncode == 2
    assert "caf\\xe9.wav" in done.stderr


@pytest.mark.parametrize(("model", "said"), [("larg-v3", "'large-v3'"), ("./empty", "model.bin")])
def test_a_model_nobody_has_is_refused_as_the_machines_lack(
    speakeasy, recordings: Path, model: str, said: str
) -> None:
    done = speakeasy("run", str(recordings), "--model", model)
    assert done.returncode == 3
    assert said in done.stderr


def test_a_model_nobody_has_is_named_where_it_was_set(
    speakeasy, recordings: Path, tmp_path: Path
) -> None:
    done = speakeasy("run", "recordings", env={"SPEAKEASY_MODEL": "nosuch"})
    assert done.stderr.startswith("speakeasy: SPEAKEASY_MODEL=nosuch: no model")
    done = speakeasy("add", "recordings", "--model", "nosuch", env={"SPEAKEASY_MODEL": "tiny"})
    assert done.stderr.startswith("speakeasy: --model nosuch: no model")
    speakeasy("config", "set", "model", "nosuch")
    done = speakeasy("add", "recordings")
    config = tmp_path / "home" / "config.toml"
    assert done.stderr.startswith(f"speakeasy: {config}, line 1: model nosuch: no model")


def test_a_bad_home_is_named_where_it_was_set(speakeasy) -> None:
    assert (
        "SPEAKEASY_HOME=/f\\xe9: the"
        in speakeasy("status", env={"SPEAKEASY_HOME": "/f\udce9"}).stderr
    )
    assert "--home /f\\xe9: the" in speakeasy("status", "--home", b"/f\xe9").stderr


@pytest.mark.parametrize("flag", ["--home", "--output-dir", "--model"])
def test_the_home_of_nobody_is_refused_in_words(speakeasy, recordings: Path, flag: str) -> None:
    done = speakeasy("add", "recordings", flag, "~nosuch/x")
    assert done.returncode == 2
    assert "no user is called nosuch" in done.stderr
    assert flag.removeprefix("--").replace("-", "_") in done.stderr.replace("-", "_")


def test_where_the_home_is_nobodys_every_command_says_so(speakeasy) -> None:
    done = speakeasy("status", env={"SPEAKEASY_HOME": "~nosuch"})
    assert done.returncode == 2
    assert done.stderr.startswith("speakeasy: SPEAKEASY_HOME: ~nosuch: no user is called nosuch")


@pytest.mark.parametrize("flag", ["--output-dir", "--model"])
def test_a_relative_folder_in_one_that_is_not_utf8_is_refused_in_words(
    speakeasy, recordings: Path, tmp_path: Path, flag: str
) -> None:
    here = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
    os.makedirs(os.path.join(here, b"ct2"))
    done = speakeasy("add", str(recordings), flag, "./ct2", cwd=here)
    assert done.returncode == 2
    assert "not valid UTF-8" in done.stderr
    assert speakeasy("add", str(recordings), "-o", str(tmp_path / "out"), cwd=here).returncode == 0


def test_without_a_terminal_the_interface_points_to_run(speakeasy) -> None:
    done = speakeasy()
    assert done.returncode == 2
    assert "speakeasy run" in done.stderr


def test_bash_completes_commands_and_choices(speakeasy) -> None:
    def complete(words: str, index: int) -> str:
        env = {"_SPEAKEASY_COMPLETE": "bash_complete", "COMP_WORDS": words}
        return speakeasy(env=env | {"COMP_CWORD": str(index)}).stdout

    assert "plain,status" in complete("speakeasy sta", 1)
    assert "plain,translate" in complete("speakeasy run --task tra", 3)
    assert "file," in complete("speakeasy ", 1)


@pytest.mark.parametrize("flag", [b"--home", b"--output-dir"])
def test_a_home_or_output_folder_that_is_not_utf8_is_refused(
    speakeasy, recordings: Path, flag: bytes
) -> None:
    done = speakeasy("run", "recordings", flag, b"f\xe9")
    assert done.returncode == 2
    assert "valid UTF-8" in done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["run", ""],
        ["add", ""],
        ["add", "recordings", ""],
        ["add", "recordings", "--output-dir", ""],
        ["add", "recordings", "-f", ""],
        ["add", "recordings", "--home="],
        [""],
    ],
)
def test_an_empty_argument_is_a_mistake_and_queues_nothing(
    speakeasy, recordings: Path, tmp_path: Path, args: list[str]
) -> None:
    done = speakeasy(*args, *(["--engine", "sim"] if args != [""] else []))
    assert done.returncode == 2
    assert "empty" in done.stderr or "format is ''" in done.stderr
    assert not (tmp_path / "home" / "queue.db").exists()


def test_a_queue_that_cannot_be_read_is_told_in_words(speakeasy, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    queue = tmp_path / "home" / "queue.db"
    queue.write_text("not a database")
    queue.chmod(0o600)
    done = speakeasy("status")
    assert done.returncode == 1
    assert "queue.db cannot be read" in done.stderr
