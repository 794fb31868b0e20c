"""Writes docs/keys.md from the bindings: ``python -m tests.tui.keys_guide``."""

from __future__ import annotations

from pathlib import Path

from textual.binding import Binding

from speakeasy_tui.tui.keyed_app import KeyedApp, bindings_of, screens, topics_of
from speakeasy_tui.tui.screens.help import FILTER_HELP

PAGE = Path(__file__).parents[2] / "docs" / "keys.md"

INTRODUCTION = """\
# Keys

Actions apply to the marked rows if there are any, else to the row under the cursor (all files
of a folder when the cursor is on a folder's line). Marks stay with their files through sorting
and filtering. To run again, cancel or take off several files is asked first; so is to stop one
that runs, and whatever is done to marked rows that the filter hides. The answer is `y`, not
Enter. A key that can do nothing says why. Of files that are done `r` asks whether to replace their
outputs (`overwrite`) or to leave alone what is there. `?` shows this list as it is bound now, the
keys of the screen in front first; `ctrl+p` searches what can be done there. The last line
of the table names those that are wanted at that moment.

`q` leaves and the work goes on; `speakeasy` opens the window again.

## Other keys

Every action has a name, and each can be bound otherwise in `config.toml`:

```toml
[keys]
rerun_failed = "ctrl+r"
down = "down,ctrl+n"
```

A name that does not exist, or a key that belongs to another action of the same screen, is said
when the window opens; the rest is bound. esc goes back whatever else does: in a field other keys
are letters. Terminals send the same for `ctrl+i` and tab, `ctrl+m`
and Enter, `ctrl+h` and backspace; inside tmux, Home and End may not arrive (`g` and `G` do).

Copying uses the terminal's clipboard (OSC 52), over SSH too; in tmux it needs
`set -g set-clipboard on`. Without a clipboard `s` saves the text as a file, and `w` opens the
outputs themselves.

In a path that is typed, characters that a terminal would obey are written as they are shown: `\\n`,
`\\e`, `\\xfe`. Tab completes them so.

## The filter

| typed | shows |
|---|---|
"""

_NAMES = {
    "question_mark": "?", "slash": "/", "exclamation_mark": "!", "less_than_sign": "<",
    "greater_than_sign": ">", "left_square_bracket": "[", "right_square_bracket": "]",
    "comma": ",", "escape": "esc", "enter": "⏎",
    "pagedown": "PgDn", "pageup": "PgUp", "up": "↑", "down": "↓",
    "shift+up": "shift+↑", "shift+down": "shift+↓", "alt+up": "alt+↑", "alt+down": "alt+↓",
}  # fmt: skip


def _rows(bindings: list[Binding]) -> str:
    lines = ["| key | action | name |", "|---|---|---|"]
    for binding in bindings:
        if binding.id:
            keys = " ".join(f"`{_NAMES.get(key, key)}`" for key in binding.key.split(","))
            lines.append(f"| {keys} | {binding.tooltip} | `{binding.id}` |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The page."""
    text = INTRODUCTION
    for typed, shows in FILTER_HELP:
        text += f"| `{typed}` | {shows} |\n"
    for title, bindings in topics_of():
        text += f"\n## {title.capitalize()}\n\n{_rows(bindings)}"
    seen = {binding.id for _, bindings in topics_of() for binding in bindings}
    for title, owners in screens()[1:]:
        own = bindings_of(owners[0])
        more = [one for one in own if one.id not in seen or one.id == "back"]
        text += f"\n## On {title}\n\n{_rows(more)}"
    return text


def main() -> None:
    """Write it."""
    assert bindings_of(KeyedApp)
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
