"""Making foreign text safe to show.

File names are bytes and may hold anything; transcripts and error texts come from files and
native code. Nothing of that may reach a terminal raw: an escape sequence in a name could
move the cursor, set the title or write to the clipboard.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1 controls: every escape sequence starts with one
    "\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069"  # bidirectional controls reorder the line
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff]"  # lone surrogates: undecodable bytes, which no UTF-8 stream takes
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e"}


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape of one byte
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def printable(text: str) -> str:
    """`text` on one line with every control character shown as an escape.

    The result holds no control characters and encodes to UTF-8. It is plain text: a widget
    must still be told not to read ``[markup]`` in it.
    """
    return _UNSAFE.sub(_escape, text)


def printable_lines(text: str) -> str:
    """Like `printable`, but newlines stay."""
    return "\n".join(printable(line) for line in text.split("\n"))


def show_path(raw: bytes) -> str:
    """A path as JSON and the interface carry it: undecodable bytes as ``\\xNN``.

    Other characters, newlines included, stay as they are, so that a script can open the
    path; use `printable` on top of it for a screen.
    """
    return raw.decode("utf-8", "backslashreplace")
