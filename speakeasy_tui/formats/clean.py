"""What every format needs: text no reader chokes on, and times as whole milliseconds."""

from __future__ import annotations

import math
import re

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0 (newlines and ESC with it), DEL, C1
    "\u2028\u2029"  # line ends to many readers, Python's splitlines among them
    "\ud800-\udfff]"  # lone surrogates: no UTF-8 takes them
)
_ARROW = re.compile("-{2,}>")


def clean(text: str) -> str:
    """`text` on one line that encodes to UTF-8: each control character is now a space."""
    return _UNSAFE.sub(" ", text)


def line(text: str) -> str:
    """A segment's text as a line of its own: `clean`, without the space around it."""
    return clean(text).strip()


def cue(text: str) -> str:
    """A segment's text as a subtitle: a `line` with no ``-->``, which would start a cue.

    Whisper replaces ``-->`` by ``->`` once, which leaves an arrow of ``--->``; here any run
    of dashes goes.
    """
    return _ARROW.sub("->", line(text))


def milliseconds(seconds: float) -> int:
    """`seconds` rounded to whole milliseconds; a negative or non-finite time is 0."""
    return round(seconds * 1000.0) if math.isfinite(seconds) and seconds > 0 else 0


def timestamp(seconds: float, *, mark: str, hours: bool) -> str:
    """``HH:MM:SS`` and milliseconds after `mark`; the hours only if `hours` or not zero.

    As `format_timestamp` in Whisper's utils.py: rounded first and split afterwards, so
    59.9995 is a minute and never 60 seconds.
    """
    whole_minutes, ms = divmod(milliseconds(seconds), 60_000)
    h, m = divmod(whole_minutes, 60)
    start = f"{h:02d}:" if hours or h else ""
    return f"{start}{m:02d}:{ms // 1000:02d}{mark}{ms % 1000:03d}"
