"""Whose machine this is and which home: what the header says."""

from __future__ import annotations

import getpass
import os

import platformdirs

from speakeasy_tui.core.paths import APP, Home


def identity() -> str:
    """user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such uid: containers
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"


def home_name(home: Home) -> str:
    """The home as the header names it: empty for the default one."""
    if str(home.state) == platformdirs.user_state_dir(APP, appauthor=False):
        return ""
    text = str(home.state)
    own = os.path.expanduser("~")
    return "~" + text[len(own) :] if text.startswith(own + "/") else text
