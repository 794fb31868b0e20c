"""What ``speakeasy doctor`` looks at; each check says what to do about what it finds."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Level(StrEnum):
    """How good or bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Check(Struct, frozen=True):
    """One finding."""

    check: str
    """What was looked at: `python`, `terminal`, `disk`, …"""
    level: Level
    message: str
    hint: str = ""
    """What to do; empty when there is nothing to do."""


def ok(check: str, message: str, hint: str = "") -> Check:
    """All is well."""
    return Check(check, Level.OK, message, hint)


def warning(check: str, message: str, hint: str) -> Check:
    """It works, but not as well as it could."""
    return Check(check, Level.WARNING, message, hint)


def error(check: str, message: str, hint: str) -> Check:
    """It does not work."""
    return Check(check, Level.ERROR, message, hint)
