"""The ``speakeasy`` command: reads the line, hands over to a command, says errors in words."""

from __future__ import annotations

import errno
import os
import sys

import click

from speakeasy_tui import __version__
from speakeasy_tui.cli import config, doctor, models, queue, run, runner, status, window
from speakeasy_tui.cli.demo import demo
from speakeasy_tui.cli.grammar import Door
from speakeasy_tui.cli.say import Stop, Unprinted, print_no_more, warn
from speakeasy_tui.core.paths import Home, HomeError
from speakeasy_tui.core.values import SettingsError

EXIT_USAGE = 2
EXIT_MACHINE = 3
EXIT_INTERRUPTED = 130

_ABOUT = """Transcribe recordings with faster-whisper, in a live table.

PATHS are files, folders, globs, - for a list on stdin, and .txt, .csv, .jsonl or .m3u lists.
They join the queue and the interface opens; without PATHS it shows the queue. Closing it
does not stop the work. A path named like a command is written ./run.
"""


@click.group(
    cls=Door,
    default="open",
    default_takes_words=True,
    help=_ABOUT,
    options_metavar="[PATHS]... [OPTIONS]",
    subcommand_metavar="| COMMAND",
    context_settings={"max_content_width": 100},
)
@click.version_option(__version__, prog_name="speakeasy-tui", message="%(prog)s %(version)s")
def cli() -> None:
    """Defined by `_ABOUT`."""


cli.add_command(window.open_)
cli.add_command(run.run)
cli.add_command(queue.add)
cli.add_command(status.status)
for _command in (queue.rerun, queue.pause, queue.resume, queue.hold, queue.release):
    cli.add_command(_command)
cli.add_command(queue.cancel)
cli.add_command(queue.stop)
cli.add_command(runner.runner)
cli.add_command(models.models)
cli.add_command(config.config)
cli.add_command(doctor.doctor)
cli.add_command(demo)


def main() -> None:
    """Entry point; ends the process."""
    _open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    code = _run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _unprinted(Unprinted(error)) or code
    sys.exit(code)


def _open_standard_streams() -> None:
    """Streams that were closed for us (``>&-``) go nowhere, or sockets would get their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))


def _run(args: list[str]) -> int:
    try:
        code = cli.main(args, prog_name="speakeasy", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "speakeasy"
        path = path.removesuffix(" open")  # the interface, whose command has no name
        warn(f"speakeasy: {error.format_message()}\nSee `{path} --help`.")
        return EXIT_USAGE
    except click.ClickException as error:
        warn(f"speakeasy: {error.format_message()}")
        return error.exit_code
    except (SettingsError, HomeError) as error:
        warn(f"speakeasy: {error}")
        return EXIT_USAGE
    except Stop as stop:
        warn(f"speakeasy: {stop}")
        if stop.hint:
            warn(f"  {stop.hint}")
        return stop.code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except Unprinted as error:
        return _unprinted(error)
    except SystemExit:  # what click makes of a BrokenPipeError: the reader of a help text has left
        return _unprinted(Unprinted(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    except Exception as error:
        return _explain(error)


def _explain(error: Exception) -> int:
    """What a command's unforeseen error means to the person; programming errors go on."""
    from speakeasy_tui.client.link import LinkError, RefusedError
    from speakeasy_tui.runner.schema import DatabaseError

    match error:
        case RefusedError() | LinkError():
            warn(f"speakeasy: {error}" + (f"\n  {error.hint}" if error.hint else ""))
            wrong = isinstance(error, RefusedError) and not error.later
            return EXIT_USAGE if wrong else EXIT_MACHINE
        case DatabaseError():
            warn(f"speakeasy: {error}\n  {error.hint}")
            return 1
        case OSError():
            name = f"{error.filename}: " if error.filename else ""
            warn(f"speakeasy: {name}{error.strerror or error}")
            return 1
        case _:
            warn(f"speakeasy: this should not have happened: {type(error).__name__}: {error}")
            warn(f"  {_keep_traceback()}")
            return 1


def _keep_traceback() -> str:
    """Write the traceback under way to a log; returns where that is, or the traceback."""
    import time
    import traceback

    text = traceback.format_exc()
    try:
        log = Home.find().logs / "speakeasy.log"
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sys.argv!r}\n{text}\n")
    except (OSError, HomeError):
        return text
    return f"please report it with the end of {log}"


def _unprinted(error: Unprinted) -> int:
    """Let the flush at exit go nowhere; that a reader has left (``| head``) is no failure."""
    if not error.reader_left:
        warn(f"speakeasy: {error}")
    print_no_more()
    return 0 if error.reader_left else 1


if __name__ == "__main__":
    main()
