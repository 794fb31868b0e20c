"""Rebound keys: what of ``[keys]`` in the config can be used, and what is wrong with the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual.binding import Binding
from textual.keys import _character_to_key

from speakeasy_tui.core.values import nearest

WAYS_OUT = frozenset({"back", "clear"})
"""Actions that esc keeps doing whatever else does: in a field other keys are letters."""


def check(
    wanted: Mapping[str, str], bindings: Iterable[Iterable[Binding]]
) -> tuple[dict[str, str], list[str]]:
    """The part of `wanted` (action id = keys) that works, and a line for each that does not.

    `bindings` holds the bindings that are active together, a group for each screen.
    """
    groups = [list(group) for group in bindings]
    known = sorted({binding.id for group in groups for binding in group if binding.id})
    usable: dict[str, str] = {}
    problems: list[str] = []
    for name, text in wanted.items():
        keys = [_long(key) for key in text.split(",") if key.strip()]
        if name not in known:
            problems.append(f"{name}: no such action{nearest(name, known)}")
        elif not keys:
            problems.append(f"{name}: no key is given")
        else:
            if name in WAYS_OUT and "escape" not in keys:
                keys.append("escape")
            usable[name] = ",".join(keys)
    for name in list(usable):
        if other := _clash(name, usable, groups):
            problems.append(f"{name}: {usable[name]} belongs to {other} already")
            del usable[name]
    return usable, problems


def _clash(name: str, usable: Mapping[str, str], groups: list[list[Binding]]) -> str | None:
    mine = set(usable[name].split(","))
    for group in groups:
        if not any(binding.id == name for binding in group):
            continue
        for binding in group:
            if binding.id is None or binding.id == name:
                continue
            theirs = usable.get(binding.id) or binding.key
            if mine & {_long(key) for key in theirs.split(",")}:
                return binding.id
    return None


def _long(key: str) -> str:
    """The name Textual has for a key: ``?`` is ``question_mark``."""
    key = key.strip()
    return _character_to_key(key) if len(key) == 1 else key
