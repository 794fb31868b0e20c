"""What stands on a terminal after it was sent some bytes: as much of one as the window uses."""

from __future__ import annotations

import codecs
import re

from rich.cells import cell_len

_SEQUENCE = re.compile(
    r"\x1b\[(?P<private>[?<>=]?)(?P<numbers>[0-9;]*)(?P<final>[@-~])"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[P_^X][^\x1b]*\x1b\\|\x1b[()][A-Z0-9]|\x1b[=>78c]"
)
_UNFINISHED = re.compile(r"\x1b(?:\[[?<>=0-9;]*|\][^\x07]*|[P_^X].*)?$", re.DOTALL)


class Emulator:
    """The text of a screen; colours are read and forgotten."""

    def __init__(self, width: int, height: int) -> None:
        self.resize(width, height)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def resize(self, width: int, height: int) -> None:
        """Another size; what stood there is gone."""
        self.width, self.height = width, height
        self._lines = [[" "] * width for _ in range(height)]
        self._x = self._y = 0

    @property
    def text(self) -> str:
        """The lines of the screen."""
        return "\n".join("".join(line) for line in self._lines)

    def feed(self, data: bytes) -> None:
        """Take what was sent."""
        text = self._rest + self._decoder.decode(data)
        self._rest = ""
        if cut := _UNFINISHED.search(text):
            self._rest, text = text[cut.start() :], text[: cut.start()]
        place = 0
        for match in _SEQUENCE.finditer(text):
            self._write(text[place : match.start()])
            place = match.end()
            self._control(match)
        self._write(text[place:])

    def _control(self, match: re.Match[str]) -> None:
        final, numbers = match["final"], (match["numbers"] or "").split(";")
        if final == "H":
            self._y = int(numbers[0] or 1) - 1
            self._x = int(numbers[1] or 1) - 1 if len(numbers) > 1 else 0
        elif final == "J" or (match["private"] == "?" and "1049" in numbers):
            self.resize(self.width, self.height)

    def _write(self, text: str) -> None:
        for char in text:
            if char == "\n":
                self._y += 1
            elif char == "\r":
                self._x = 0
            elif char >= " " and 0 <= self._y < self.height:
                wide = 1 if char < "\x7f" else cell_len(char)
                if self._x < self.width and wide:
                    self._lines[self._y][self._x] = char
                    if wide == 2 and self._x + 1 < self.width:
                        self._lines[self._y][self._x + 1] = ""
                self._x += wide
