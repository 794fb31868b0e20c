"""``speakeasy doctor``: what works here, and what to do about what does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from speakeasy_tui.cli.door import settings_of, with_home
from speakeasy_tui.cli.say import say, say_json, stdout
from speakeasy_tui.core.paths import Home

if TYPE_CHECKING:
    from speakeasy_tui.cli.checks import Check


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A list of {check, level, message, hint}.")
@click.option("--smoke/--no-smoke", default=True, help="Transcribe a short recording. [on]")
@with_home
def doctor(as_json: bool, smoke: bool, home: Home) -> int:
    """Check this machine, and say what to do about what does not work.

    Exit code: 1 when something does not work, else 0.
    """
    found: list[Check] = []
    for check in examine(home, smoke=smoke):
        found.append(check)
        if not as_json:
            say(f"{check.level:<8} {check.check}: {check.message}")
            if check.hint:
                say(f"{'':<8} -> {check.hint}")
            with stdout() as out:
                out.flush()
    if as_json:
        say_json(found)
    bad = sum(check.level == "error" for check in found)
    if not as_json:
        odd = sum(check.level == "warning" for check in found)
        say(f"{bad} errors, {odd} warnings" if bad or odd else "all is well")
    return 1 if bad else 0


def examine(home: Home, *, smoke: bool = True) -> Iterator[Check]:
    """All checks, cheap ones first."""
    from speakeasy_tui.cli.checks import asked, error, gpu, machine, queue
    from speakeasy_tui.cli.checks.smoke import smoke as run_sample
    from speakeasy_tui.core.models import find_local, local_models
    from speakeasy_tui.core.settings import DEFAULTS
    from speakeasy_tui.core.values import SettingsError

    yield from machine.python_and_platform()
    yield from machine.terminal()
    found, settings = None, DEFAULTS
    try:
        found = settings_of(home)
        settings = found.settings
    except SettingsError as problem:
        variable = problem.variable
        hint = f"correct {variable}, or unset it" if variable else "speakeasy config edit"
        yield error("config", str(problem), hint)
    yield from machine.disks(home, settings.output_dir)
    drivers = list(gpu.driver())
    yield from drivers
    facts = gpu.engine_facts()
    yield from gpu.engine(facts, any(check.check == "gpu" for check in drivers))
    yield from queue.models()
    lacks: list[Check] = []
    if found is not None:
        lacks += asked.model(found)
        lacks += asked.device(found, facts) if not isinstance(facts, str) else []
    yield from lacks
    yield from queue.runner(home)
    if not smoke or isinstance(facts, str) or not facts.ctranslate2 or lacks:
        return
    here = local_models()
    wanted = find_local(settings.model) if settings.model != "auto" else None
    device = settings.device.split(",")[0]
    if device == "auto":
        device = "cuda:0" if facts.cuda_devices else "cpu"
    elif device == "cuda":
        device = "cuda:0"
    yield from run_sample(device, settings.compute_type, wanted or (here[0] if here else None))
