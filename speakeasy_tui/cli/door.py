"""What all commands share: where home is, the options of a job, values checked at the door."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from speakeasy_tui.cli.say import Stop, warn
from speakeasy_tui.core.paths import Home, expanded
from speakeasy_tui.core.settings import DEFAULTS, JOB_FIELDS, JobOptions, help_of, options_of
from speakeasy_tui.core.values import Resolved, SettingsError, choices_of, load, nearest

if TYPE_CHECKING:
    from speakeasy_tui.client.link import Link
    from speakeasy_tui.core.protocol import Source

Body = TypeVar("Body", bound=Callable[..., Any])

_SHORT = {"format": "-f", "output_dir": "-o"}
_METAVAR = {
    "model": "NAME|FOLDER",
    "device": "auto|cpu|cuda|cuda:N[,M]",
    "compute_type": "TYPE",
    "language": "CODE",
    "beam_size": "N",
    "batch_size": "N|auto",
    "format": "txt,srt,vtt,tsv,json",
    "output_dir": "DIR",
    "initial_prompt": "TEXT",
}


def with_home(body: Body) -> Body:
    """Add ``--home``; the command gets `home: Home`."""

    @functools.wraps(body)
    def command(home: str | None, **rest: Any) -> Any:
        _refuse_empty("--home", home)
        found = Home.find(home)
        try:
            str(found.state).encode()
        except UnicodeEncodeError:
            # It travels in JSON and in SQLite's addresses; recordings need not be UTF-8.
            place = "--home " if home else "SPEAKEASY_HOME="
            raise Stop(f"{place}{found.state}: the name must be valid UTF-8") from None
        return body(home=found, **rest)

    option = click.option(
        "--home",
        metavar="DIR",
        shell_complete=_complete_path,
        help="Folder of the queue, socket, logs and config (SPEAKEASY_HOME; else XDG folders).",
    )
    return option(command)  # type: ignore[return-value]


def with_paths(body: Body) -> Body:
    """Add ``PATHS…``: text as the system gave it, undecodable bytes as surrogates."""
    argument = click.argument(
        "paths", nargs=-1, type=click.UNPROCESSED, shell_complete=_complete_path
    )
    return argument(body)


def with_job_options(body: Body) -> Body:
    """Add an option for every field of `JobOptions`; the command gets `flags`.

    A value is what was typed, None when nothing was: `settings_of` checks and merges it.
    """

    @functools.wraps(body)
    def command(**rest: Any) -> Any:
        flags = {name: rest.pop(name) for name in JOB_FIELDS}
        flags["format"] = ",".join(flags["format"]) if flags["format"] else None
        _refuse_empty("--output-dir", flags["output_dir"])
        return body(flags=flags, **rest)

    wrapped: Any = command
    for name in reversed(JOB_FIELDS):
        wrapped = _option(name)(wrapped)
    return wrapped  # type: ignore[no-any-return]


def _refuse_empty(flag: str, value: str | None) -> None:
    """An empty folder stands for none elsewhere; typed, it is a variable that is not set."""
    if value == "":
        raise Stop(f"{flag} is empty (a variable that is not set?): name a folder, or leave it out")


def _option(name: str) -> Callable[[Any], Any]:
    flag = "--" + name.replace("_", "-")
    default = getattr(DEFAULTS, name)
    text = help_of(name)
    if isinstance(default, bool):
        text += f" [{'on' if default else 'off'}]"
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=text)
    choices = choices_of(name)
    if default not in (None, ""):
        text += f" [{','.join(default) if isinstance(default, tuple) else default}]"
    names = [flag, _SHORT[name]] if name in _SHORT else [flag]
    return click.option(
        *names,
        name,
        metavar=_METAVAR.get(name) or "|".join(choices) or "TEXT",
        help=text,
        multiple=name == "format",  # -f txt -f srt asks for both, not for the last
        shell_complete=_complete_path if name == "output_dir" else _completer(choices),
    )


def _completer(words: tuple[str, ...]) -> Callable[..., list[CompletionItem]]:
    def complete(_ctx: object, _param: object, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]

    return complete


def _complete_path(_ctx: object, _param: object, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]


def settings_of(home: Home, flags: dict[str, object] | None = None) -> Resolved:
    """Flag over environment over file over default, with paths made absolute.

    ``output_dir`` is relative to this process's folder, or, from the config file, to the
    person's home directory.

    Raises:
        SettingsError: a value that cannot be used.
    """
    import msgspec

    resolved = load(home.config_file, flags=flags)
    settings, origins = resolved
    if settings.output_dir is not None:
        base = Path.home() if origins["output_dir"].kind == "file" else Path.cwd()
        folder = _absolute(resolved, "output_dir", base)
        settings = msgspec.structs.replace(settings, output_dir=os.path.normpath(folder))
    if _is_path(settings.model):
        model = _absolute(resolved, "model", Path.cwd())
        settings = msgspec.structs.replace(settings, model=model)
    return Resolved(settings, origins)


def _absolute(found: Resolved, name: str, base: Path) -> str:
    """A setting's folder; one that is not absolute lies in `base`."""
    try:
        folder = str(base / expanded(getattr(found.settings, name)))
        folder.encode()
    except UnicodeEncodeError:  # it travels in JSON; recordings need not be UTF-8
        raise SettingsError(
            f"{found.named(name)}: the folder it lies in has a name that is not valid UTF-8; "
            "give the whole path of another"
        ) from None
    except ValueError as error:
        raise SettingsError(f"{found.origins[name].place or name}: {error}") from None
    return folder


def absolute_in_file(key: str, value: str) -> str:
    """A value as the config file should have it: a folder is the same one wherever it is read."""
    if value and (key == "output_dir" or (key == "model" and _is_path(value))):
        try:
            return os.path.normpath(Path.cwd() / expanded(value))
        except ValueError as error:
            raise SettingsError(f"config set: {error}") from None
    return value


def job_options(home: Home, flags: dict[str, object]) -> JobOptions:
    """The options that travel with the jobs, the model checked as far as can be done here."""
    found = settings_of(home, flags)
    check_model(found)
    return options_of(found.settings)


def check_model(found: Resolved) -> None:
    """Refuse a model that cannot be meant, before anything is queued.

    Raises:
        Stop: with the exit code of a machine that cannot run it.
    """
    from speakeasy_tui.core.models import REPOSITORIES, is_model_folder, local_models

    model = found.settings.model
    if found.settings.engine == "sim" or model == "auto":
        return
    if _is_path(model):
        if not is_model_folder(Path(model)):
            raise Stop(
                f"{found.named('model')}: no CTranslate2 model there (model.bin and config.json)",
                3,
                "give the folder that holds model.bin; a Transformers checkpoint is converted "
                "with ct2-transformers-converter",
            )
        return
    if "/" not in model and model not in REPOSITORIES:
        here = ", ".join(found.name for found in local_models()) or "none"
        raise Stop(
            f"{found.named('model')}: no model of this name{nearest(model, list(REPOSITORIES))}",
            3,
            f"on this machine: {here}; `speakeasy models` lists all",
        )


def _is_path(model: str) -> bool:
    """Whether a folder is meant; a known name wins over a folder of that name, ./base does not."""
    from speakeasy_tui.core.models import REPOSITORIES

    if model.startswith(("/", "./", "../", "~")) or model in {".", ".."}:
        return True
    return model != "auto" and model not in REPOSITORIES and Path(model).is_dir()


def sources_of(paths: tuple[str, ...], commands: Sequence[str] = ()) -> list[Source]:
    """What PATHS mean; a lone word may have been meant as one of `commands`.

    Raises:
        Stop: one of them is not there.
    """
    from speakeasy_tui.client.sources import SourceError, find_sources

    try:
        return find_sources(paths, note=lambda text: warn(f"speakeasy: {text}"))
    except SourceError as error:
        hint = ""
        if len(paths) == 1 and commands:
            guess = nearest(paths[0], commands)
            hint = f"it is not a command either{guess}" if guess else ""
        raise Stop(f"{error}; nothing was queued", hint=hint) from None


def command_for(home: Home) -> str:
    """``speakeasy``, with ``--home`` where a person must name it to reach this queue."""
    import shlex

    if home == Home.find():
        return "speakeasy"
    return f"speakeasy --home {shlex.quote(str(home.state))}"


def live_link(home: Home) -> Link | None:
    """The link to a runner that is there; None when there is none."""
    from speakeasy_tui.client.link import Link, NoRunner

    try:
        return Link.connect(home)
    except NoRunner:
        return None
