"""How a command line is read: ``speakeasy [PATHS…] [options]`` beside named commands."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from speakeasy_tui.core.values import nearest


def _options(command: click.Command) -> list[click.Parameter]:
    return [param for param in command.params if isinstance(param, click.Option)]


class Door(click.Group):
    """A group whose options may stand before the command, and that has a default command.

    When the first word is not a command, the default command gets the whole line. With
    `default_takes_words` off, only a line without any word goes there.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        default: str | None = None,
        default_takes_words: bool = False,
        **rest: Any,
    ) -> None:
        super().__init__(name, **rest)
        self.no_args_is_help = default is None
        self.default = default
        self.default_takes_words = default_takes_words

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command first, then let click read on."""
        where = self._first_word(args)
        own = [arg for arg in args[:where] if arg in {"--help", "--version"}]
        if own and self.default_takes_words:
            return super().parse_args(ctx, own[:1])
        if where is not None and args[where] in self.commands:
            args = [args[where], *args[:where], *args[where + 1 :]]
        elif "--help" in args and (where is None or self.default_takes_words):
            return super().parse_args(ctx, ["--help"])
        elif self.default and (where is None or self.default_takes_words):
            if not ctx.resilient_parsing or args:
                args = [self.default, *args]
        elif where is not None and not ctx.resilient_parsing:
            word = args[where]
            known = [name for name, found in self.commands.items() if not found.hidden]
            ctx.fail(
                f"no command {word!r}{nearest(word, known) or '; there is ' + ', '.join(known)}"
            )
        return super().parse_args(ctx, args)

    def _first_word(self, args: list[str]) -> int | None:
        """Index of the first argument that is neither an option nor an option's value."""
        with_value = {
            name
            for command in self.commands.values()
            for param in _options(command)
            if not getattr(param, "is_flag", False)
            for name in param.opts
        }
        skip = False
        for index, arg in enumerate(args):
            if skip:
                skip = False
            elif arg == "--":
                return None if self.default_takes_words else index
            elif arg.startswith("-") and arg != "-":
                skip = arg in with_value
            else:
                return index
        return None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order in which a person meets them."""
        return list(self.commands)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands, and where paths go, files."""
        found = super().shell_complete(ctx, incomplete)
        if self.default_takes_words and not incomplete.startswith("-"):
            found.append(CompletionItem(incomplete, type="file"))
        return found

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The default command's options are this one's."""
        command = self.commands.get(self.default or "")
        if command is not None and self.default_takes_words:
            with formatter.section("Options"):
                records = [param.get_help_record(ctx) for param in _options(command)]
                version = [param.get_help_record(ctx) for param in self.get_params(ctx)]
                formatter.write_dl([record for record in records + version if record])
        else:
            click.Command.format_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)
