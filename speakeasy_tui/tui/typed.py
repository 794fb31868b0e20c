"""What a person types: paths and values that may hold what a terminal would obey.

Such characters stand in a field as escapes (`tui.field`); here they become again what they stand
for. No screen.
"""

from __future__ import annotations

import os

from speakeasy_tui.core.text import printable


def meant(text: str) -> str:
    """The path that `text` means.

    ``~`` is the home directory. Each part is the file of that name or, when there is none, the
    one that is shown so; what is not there stays as it was typed, without blanks around it.
    """
    path = os.path.expanduser(text)
    if os.path.lexists(path):
        return path
    path = os.path.expanduser(text.strip())
    known = ""
    for number, part in enumerate(path.split("/")):
        folder = f"{known}/" if number else ""
        known = folder + _named(folder or ".", part)
    return known


def _named(folder: str, part: str) -> str:
    """The name in `folder` that is shown as `part`."""
    if "\\" not in part or os.path.lexists(os.path.join(folder, part)):
        return part
    try:
        with os.scandir(folder) as entries:
            return next((entry.name for entry in entries if printable(entry.name) == part), part)
    except OSError:
        return part


def unescaped(text: str, before: str) -> str:
    """`text`, made of what `before` looks like in a field, with the characters of `before`."""
    if text == printable(before):
        return before
    for char in set(before):
        if (shown := printable(char)) != char:
            text = text.replace(shown, char)
    return text
