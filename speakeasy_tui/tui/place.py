"""Whose machine this is and which home: what the header says."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping

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


def mention_tmux(environ: Mapping[str, str], home: Home) -> bool:
    """Whether to say, once in a home's life, that the work needs neither tmux nor screen."""
    away = environ.get("SSH_CONNECTION") or environ.get("SSH_TTY")
    if not away or environ.get("TMUX") or environ.get("STY"):
        return False
    told = home.state / "told-of-tmux"
    try:
        told.touch(exist_ok=False)
    except OSError:  # told before, or it cannot be kept that it was
        return False
    return True
