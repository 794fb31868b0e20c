"""``speakeasy config``: where the settings are, what they are, and changing them."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from speakeasy_tui.cli.door import settings_of, with_home
from speakeasy_tui.cli.grammar import Door
from speakeasy_tui.cli.say import Stop, say, warn
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import (
    ALL_FIELDS,
    SettingsError,
    convert,
    from_file,
    help_of,
)


@click.group(cls=Door, default="show")
def config() -> None:
    """Settings: path, show, edit, set KEY VALUE."""


@config.command()
@with_home
def path(home: Home) -> int:
    """Print where the config file is."""
    sys.stdout.buffer.write(os.fsencode(home.config_file) + b"\n")
    return 0


@config.command()
@with_home
def show(home: Home) -> int:
    """Print every setting, where its value comes from, and what it does."""
    settings, origins = settings_of(home)
    for name in ALL_FIELDS:
        origin = origins[name]
        place = origin.place or origin.kind
        say(f"{name} = {_toml_value(getattr(settings, name))}")
        say(f"    from {place}. {help_of(name)}")
    return 0


def _complete_key(_ctx: object, _param: object, incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(name, help=help_of(name))
        for name in ALL_FIELDS
        if name.startswith(incomplete)
    ]


@config.command("set", context_settings={"ignore_unknown_options": True})
@click.argument("key", shell_complete=_complete_key)
@click.argument("value")
@with_home
def set_(key: str, value: str, home: Home) -> int:
    """Write one setting into the config file; an empty VALUE for output_dir removes it.

    A key is bound as keys.ACTION, e.g. keys.rerun ctrl+r.
    """
    file = home.config_file
    had_comments = file.exists() and re.search(rb"(?m)^\s*#|\s#\s", file.read_bytes())
    written = write_setting(file, key.replace("-", "_"), value)
    say(f"{key} = {_toml_value(written)} in {file}")
    if had_comments:
        warn(f"note: comments in {file} were not kept; `speakeasy config edit` keeps them")
    variable = f"SPEAKEASY_{key.upper()}"
    if variable in os.environ:
        warn(f"note: {variable} in the environment is stronger than the file")
    return 0


@config.command()
@with_home
def edit(home: Home) -> int:
    """Open the config file in $VISUAL or $EDITOR, then check it."""
    import shlex
    import subprocess

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    home.make()
    home.config_file.touch()
    try:
        done = subprocess.run([*shlex.split(editor), str(home.config_file)], check=False)
    except (OSError, ValueError) as error:
        raise Stop(f"{editor}: {error}", 1, "name your editor in $EDITOR") from None
    if done.returncode:
        raise Stop(f"{editor} ended with status {done.returncode}", 1)
    from_file(home.config_file)
    say(f"{home.config_file} is good")
    return 0


def write_setting(file: Path, key: str, value: object) -> object:
    """Set `key` in a config file, keeping its other keys; returns the value as written.

    Raises:
        SettingsError: the value does not fit, or the file is not TOML.
        OSError: it cannot be written.
    """
    import tomli_w

    place = "config set"
    name, _, action = key.partition(".")
    if action and name == "keys":
        converted: Any = convert("keys", {action: value}, place)
    else:
        converted = convert(key, value, place)
    try:
        table = tomllib.loads(file.read_text("utf-8")) if file.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not valid TOML: {error}") from None
    if name == "keys" and isinstance(table.get("keys"), dict):
        converted = {**table["keys"], **converted}
    if converted is None:
        table.pop(key, None)
    else:
        table[name] = list(converted) if isinstance(converted, tuple) else converted
    _replace(Path(os.path.realpath(file)), tomli_w.dumps(table))
    return converted


def _replace(file: Path, text: str) -> None:
    """Write the whole file or nothing; a link's target is written, not the link."""
    import tempfile

    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".config-", suffix=".toml")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        part.chmod(mode)
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _toml_value(value: object) -> str:
    """A value as the config file has it."""
    match value:
        case None:
            return '""'
        case bool():
            return str(value).lower()
        case tuple():
            return "[" + ", ".join(f'"{part}"' for part in value) + "]"
        case dict():
            return "{" + ", ".join(f'{key} = "{bound}"' for key, bound in value.items()) + "}"
        case int() | float():
            return str(value)
        case _:
            import json

            return json.dumps(value, ensure_ascii=False)
