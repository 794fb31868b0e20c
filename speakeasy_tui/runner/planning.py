"""What a lane needs to know of claimed files before their engine gets them: what they hold, where
their outputs go, and whether those are there.

Several files are looked at together, for each turn of a thread takes as long as a look at one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from msgspec import Struct

from speakeasy_tui.core.job import ErrorKind, JobError
from speakeasy_tui.runner import outputs
from speakeasy_tui.runner.modelfinder import Found
from speakeasy_tui.runner.record import Claim, Content, content_of, made_of
from speakeasy_tui.runner.siblings import Siblings

log = logging.getLogger(__name__)


class Look(Struct):
    """A claimed file, and what was found out about it."""

    claim: Claim
    content: Content
    made_of: str
    names: outputs.Names
    plan: outputs.Plan | outputs.OutputError | None = None
    """Or why it cannot have outputs."""


def contents(claims: Sequence[Claim]) -> list[Content]:
    """What files hold. Blocks."""
    return [_content(claim) for claim in claims]


def _content(claim: Claim) -> Content:
    try:
        return content_of(claim.path)
    except OSError as error:
        log.info("job %d: %s", claim.id, error)  # the engine says what is wrong with it
        return Content()


def look(claim: Claim, content: Content, found: Found, owner: outputs.Owner) -> Look:
    """Begin with one: what the store knows. Does not touch the disk."""
    identity = made_of(content.digest, found.name, claim.options)
    names = outputs.names(claim.path, claim.root, claim.options, owner)
    return Look(claim, content, identity, names)


def apart(looks: Sequence[Look]) -> tuple[list[Look], list[Look]]:
    """Those that may choose their names together, for no two can want the same; and the others."""
    wanted: set[bytes] = set()
    together: list[Look] = []
    others: list[Look] = []
    for one in looks:
        if wanted.isdisjoint(one.names.owners):
            wanted.update(one.names.owners)
            together.append(one)
        else:
            others.append(one)
    return together, others


def choose(looks: Sequence[Look], siblings: Siblings) -> None:
    """Choose the outputs of each. Blocks."""
    for one in looks:
        claim = one.claim
        try:
            one.plan = outputs.plan(
                claim.path, claim.root, claim.options, one.made_of, one.names, siblings
            )
            if one.content.digest and not one.plan.present:
                outputs.check_folder(one.plan)
        except outputs.OutputError as error:
            one.plan = error
        except Exception as trouble:  # a mistake of the program's, and of this file's alone
            log.exception("job %d: its outputs were not looked for", claim.id)
            text = f"internal error while its outputs were looked for: {trouble}"
            hint = "runner.log says more; another --output-dir may help"
            one.plan = outputs.OutputError(JobError(ErrorKind.OUTPUT, text, hint))
