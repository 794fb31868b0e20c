"""``speakeasy config``: where the settings are, what they are, and changing them."""

from __future__ import annotations

import os

import click
from click.shell_completion import CompletionItem

from speakeasy_tui.cli.door import absolute_in_file, settings_of, with_home
from speakeasy_tui.cli.grammar import Door
from speakeasy_tui.cli.say import Stop, say, stdout, warn
from speakeasy_tui.core.configfile import write_setting
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import ALL_FIELDS, help_of
from speakeasy_tui.core.values import from_file


@click.group(cls=Door, default="show")
def config() -> None:
    """Settings: path, show, edit, set KEY VALUE."""


@config.command()
@with_home
def path(home: Home) -> int:
    """Print where the config file is."""
    with stdout() as out:
        out.buffer.write(os.fsencode(home.config_file) + b"\n")
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
    key = key.replace("-", "_")
    written = write_setting(file, key, absolute_in_file(key, value))
    action = key.partition(".")[2]
    if action and isinstance(written, dict):
        written = written[action]
    say(f"{key} = {_toml_value(written)} in {file}")
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
