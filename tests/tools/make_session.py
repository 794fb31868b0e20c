"""Record a session for the README: the real program, runner, engine and starter model in a pty.

    python -m tests.tools.make_session [FOLDER]

Writes session.cast (asciinema, version 2) and session.svg, an animation in CSS alone, so that
it plays where scripts may not. FOLDER is docs/ by default; needs the [starter] extra. The keys
wait for what they answer to, so the session is the same on a slow machine; waits are shown
`QUICK` times as fast. Only the user@host in the header and the shell's prompt are made up.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from rich.cells import cell_len

from speakeasy_tui.samples import sample_folder
from tests.bench.terminal import Terminal
from tests.tui.emulator import Emulator

DOCS = Path(__file__).resolve().parents[2] / "docs"
WIDTH, HEIGHT = 108, 25
WHO = "ada@gpu-box"
LONGEST = 1.2
"""Seconds without a change that a wait may show; pauses that the script asks for stay."""
QUICK = 6.0
"""Times as fast as they were, waits are shown."""
FRAME = 0.2
"""Seconds that a picture of the animation stays at least."""
QUESTION = re.compile(rb"\x1b\[\?[0-9]+\$p")
"""What the program asks the terminal; who plays it has nobody to answer."""
REST = 3.0
"""Seconds that the last picture stays."""
PROGRAM = (
    "from speakeasy_tui.tui import place; place.identity = lambda: {who!r}; "
    "from speakeasy_tui.cli.main import main; main()"
)


# ------------------------------------------------------------------ the session


class Session:
    """A made-up shell in which real programs run; keeps what the terminal got, and when."""

    def __init__(self, folder: Path) -> None:
        self.events: list[tuple[float, bytes]] = []
        self._folder = folder
        self._now = 0.0
        self._terminal: Terminal | None = None
        self._last = 0.0
        self._seen = 0

    def tell(self, text: str, wait: float = 0.0) -> None:
        """The shell writes."""
        self.events.append((self._now, text.replace("\n", "\r\n").encode()))
        self._now += wait

    def type(self, line: str) -> None:
        """Type a line at the prompt."""
        self.tell(f"\x1b[1;32m{WHO}\x1b[0m:\x1b[1;34m~\x1b[0m$ ", 0.6)
        for letter in line:
            self.tell(letter, 0.045)
        self.tell("\n", 0.2)

    def start(self, *arguments: str) -> None:
        """Run ``speakeasy`` with these arguments."""
        command = [sys.executable, "-c", PROGRAM.format(who=WHO), *arguments]
        self._terminal = Terminal(command, WIDTH, HEIGHT, TEXTUAL_FPS="10", PWD=str(self._folder))
        self._last = self._terminal.started
        self._seen = 0

    @property
    def terminal(self) -> Terminal:
        """The program's."""
        assert self._terminal is not None
        return self._terminal

    def wait(self, shown: Callable[[str], object] | str, pause: float = 0.0) -> None:
        """Until `shown` is on the screen, or true of it; then `pause` seconds to look at it."""
        self.terminal.wait(shown, 240)
        self._take(LONGEST, QUICK)
        time.sleep(pause)
        self._take(pause)

    def press(self, *keys: str, pause: float = 0.8) -> None:
        """Press keys, each with a pause."""
        for key in keys:
            self._take(LONGEST)
            self.terminal.press(key.encode())
            time.sleep(pause)
            self._take(pause)

    def leave(self) -> None:
        """Until the program has ended."""
        self.terminal.process.wait(60)
        time.sleep(0.3)
        self._take(LONGEST)
        self.terminal.close()

    def _take(self, longest: float, times: float = 1.0) -> None:
        """Keep what came since the last time, `times` as fast, its gaps cut to `longest`."""
        terminal = self.terminal
        for when, size in list(terminal.times):
            if size > self._seen:
                self._now += min(max(0.0, when - self._last) / times, longest)
                data = bytes(terminal.output[self._seen : size])
                self.events.append((self._now, QUESTION.sub(b"", data)))
                self._seen, self._last = size, when
        now = time.monotonic()
        self._now += min((now - self._last) / times, longest)
        self._last = now


def record(folder: Path) -> list[tuple[float, bytes]]:
    """Play the session in `folder`, which is the person's home."""
    recordings = folder / "recordings"
    days = ("monday", "tuesday", "wednesday")
    whole = [path for path in sorted(sample_folder().rglob("*")) if path.suffix in SOUND]
    for day in days:
        (recordings / day).mkdir(parents=True)
        for path in whole:
            if "broken" not in path.name:
                shutil.copy(path, recordings / day)
    cut = recordings / "monday" / "river-bank.mp3"
    backup = cut.read_bytes()
    cut.write_bytes(b"\0" * 4000)
    count = sum(path.is_file() for path in recordings.rglob("*"))

    session = Session(folder)
    session.type("speakeasy ~/recordings --model tiny.en")
    session.start(str(recordings), "--model", "tiny.en")
    session.wait("● running", 2.5)
    session.press("G", "k", "k", " ", " ", pause=0.5)
    session.press("h", pause=1.5)
    session.press("g", "j", pause=0.5)
    session.press("\r", pause=1.0)
    session.wait(lambda text: "transcript" in text and "Nothing yet" not in text, 3.0)
    session.press("\x1b[27u", pause=1.0)
    session.press("/", pause=0.6)
    session.press(*"tues", pause=0.15)
    session.press("\r", pause=2.0)
    session.press("\x1b[27u", pause=0.8)
    session.press("u", pause=1.5)
    session.press("q", pause=0.2)
    session.leave()
    session.tell("", 1.5)
    session.type("speakeasy status --state failed --plain")
    session.start("status", "--state", "failed", "--plain")
    session.leave()
    session.tell("", 2.5)
    session.type("cp backup/river-bank.mp3 recordings/monday/")
    cut.write_bytes(backup)
    session.type("speakeasy")
    session.start()
    session.wait(f"of {count} ", 2.0)
    session.press("f", pause=1.2)
    session.press("\r", pause=3.0)
    session.press("\x1b[27u", pause=0.6)
    session.press("R", pause=1.2)
    session.press("f", pause=0.8)
    session.wait("the batch has ended", 4.0)
    session.press("\x1b[27u", pause=0.6)
    session.press("q", pause=0.2)
    session.leave()
    session.tell("", REST)
    return session.events


SOUND = {".mp3", ".ogg", ".flac", ".wav", ".m4a"}


# ------------------------------------------------------------------ asciinema


def cast(events: list[tuple[float, bytes]]) -> str:
    """The events as an asciinema recording."""
    head = {"version": 2, "width": WIDTH, "height": HEIGHT, "title": "speakeasy ~/recordings"}
    lines = [json.dumps(head)]
    rest = b""
    for when, data in events:
        text = (rest + data).decode("utf-8", "ignore")
        rest = (rest + data)[len(text.encode()) :]
        if text:
            lines.append(json.dumps([round(when, 3), "o", text], ensure_ascii=False))
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------ the animation


class Look(NamedTuple):
    """How a cell is drawn."""

    ink: str = ""
    paper: str = ""
    bold: bool = False
    faint: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False


INK, PAPER = "#d8d4cc", "#14151a"  # as in our default theme
_COLOURS = (
    "#2b303b", "#d06c75", "#8fbf7f", "#d9b36c", "#6f9fd8", "#b48ead", "#6fb8b8", "#d8dee9",
    "#65707f", "#e58a92", "#a9d69b", "#ebcb8b", "#8fb7e8", "#c9a8c7", "#8fd0d0", "#ffffff",
)  # fmt: skip
_FLAGS = {"1": "bold", "2": "faint", "3": "italic", "4": "underline", "7": "reverse"}
_ENDS = {"22": ("bold", "faint"), "23": ("italic",), "24": ("underline",), "27": ("reverse",)}


class Painted(Emulator):
    """The text of a screen and how each cell looks."""

    def resize(self, width: int, height: int) -> None:
        super().resize(width, height)
        self.looks = [[Look()] * width for _ in range(height)]
        self._look = Look()

    def _control(self, match: re.Match[str]) -> None:
        if match["final"] == "m" and not match["private"]:
            self._paint((match["numbers"] or "0").split(";"))
        elif match["private"] == "?" and match["numbers"] == "1049":
            self._switch(match["final"] == "h")
        elif match["final"] == "K":
            self._lines[self._y][self._x :] = " " * (self.width - self._x)
        else:
            look = self._look
            super()._control(match)
            self._look = look

    def _switch(self, alternate: bool) -> None:
        """To the other screen; what stood on the shell's comes back."""
        if alternate:
            self._kept = self._lines, self.looks, self._x, self._y
        self.resize(self.width, self.height)
        if not alternate:
            self._lines, self.looks, self._x, self._y = self._kept

    def _paint(self, numbers: list[str]) -> None:
        rest = iter(numbers)
        for number in rest:
            value = int(number or 0)
            if value == 0:
                self._look = Look()
            elif number in _FLAGS:
                self._look = self._look._replace(**{_FLAGS[number]: True})
            elif number in _ENDS:
                self._look = self._look._replace(**dict.fromkeys(_ENDS[number], False))
            elif value == 38:
                self._look = self._look._replace(ink=_colour(rest))
            elif value == 48:
                paper = _colour(rest)
                self._look = self._look._replace(paper="" if paper == PAPER else paper)
            elif value in {39, 49}:
                self._look = self._look._replace(**{"ink" if value == 39 else "paper": ""})
            elif 30 <= value <= 37 or 90 <= value <= 97:
                self._look = self._look._replace(ink=_COLOURS[value % 10 + 8 * (value >= 90)])
            elif 40 <= value <= 47 or 100 <= value <= 107:
                self._look = self._look._replace(paper=_COLOURS[value % 10 + 8 * (value >= 100)])

    def _write(self, text: str) -> None:
        for char in text:
            if char >= " " and self._x >= self.width:
                self._x = 0
                self._next_line()
            x, y = self._x, self._y
            if char == "\n":
                self._next_line()
                continue
            super()._write(char)
            if char >= " " and y < self.height:
                for place in range(x, min(self._x, self.width)):
                    self.looks[y][place] = self._look

    def _next_line(self) -> None:
        self._y += 1
        if self._y == self.height:
            self._y -= 1
            self._lines = [*self._lines[1:], [" "] * self.width]
            self.looks = [*self.looks[1:], [Look()] * self.width]

    def line(self, y: int) -> tuple[tuple[int, str, Look], ...]:
        """Runs of cells that look alike: column, text, look. Blank ones are left out."""
        runs: list[tuple[int, str, Look]] = []
        x = 0
        while x < self.width:
            look, begin, text = self.looks[y][x], x, ""
            while x < self.width and self.looks[y][x] == look:
                text += self._lines[y][x]
                x += 1
            if text.strip() or look.paper or look.reverse or look.underline:
                runs.append((begin, text, look))
        return tuple(runs)


def _colour(rest: Iterator[str]) -> str:
    if next(rest) == "2":
        return "#{:02x}{:02x}{:02x}".format(*(int(next(rest)) for _ in range(3)))
    number = int(next(rest))
    if number < 16:
        return _COLOURS[number]
    if number >= 232:
        return "#{0:02x}{0:02x}{0:02x}".format(8 + 10 * (number - 232))
    parts = (number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6
    return "#{:02x}{:02x}{:02x}".format(*(0 if part == 0 else 55 + 40 * part for part in parts))


Frame = tuple[tuple[tuple[int, str, Look], ...], ...]


def frames(events: list[tuple[float, bytes]]) -> list[tuple[float, Frame]]:
    """What stands on the screen from when on; what stays too short to be seen is left out."""
    screen = Painted(WIDTH, HEIGHT)
    found: list[tuple[float, Frame]] = []
    for number, (when, data) in enumerate(events):
        screen.feed(data)
        later = events[number + 1][0] if number + 1 < len(events) else when + 1
        if later - when < 0.02 or (found and later - found[-1][0] < FRAME):
            continue  # more of the same comes at once
        frame = tuple(screen.line(y) for y in range(HEIGHT))
        if not found or frame != found[-1][1]:
            found.append((when, frame))
    return found


CELL, LINE, SIZE, MARGIN = 8.4, 19, 14, 14


class Film:
    """The frames side by side behind a window that moves along; each different line once."""

    def __init__(self) -> None:
        self._looks: dict[str, str] = {}
        self._lines: dict[tuple[tuple[int, str, Look], ...], str] = {}

    def svg(self, pictures: list[tuple[float, Frame]], end: float, still: int) -> str:
        """The animation; `still` is the picture for those who want no motion."""
        width, height = WIDTH * CELL + 2 * MARGIN, HEIGHT * LINE + 2 * MARGIN
        shown = []
        steps = []
        for number, (when, frame) in enumerate(pictures):
            uses = "".join(
                f'<use href="#{self._line(line)}" y="{y * LINE}"/>'
                for y, line in enumerate(frame)
                if line
            )
            shown.append(f'<g transform="translate({number * width:g})">{uses}</g>')
            at = 100 * when / end if number else 0
            steps.append(f"{at:.3g}%{{transform:translateX({-number * width:g}px)}}")
        css = [
            f"text{{font:{SIZE}px 'DejaVu Sans Mono',Menlo,'Liberation Mono',Consolas,monospace;"
            f"white-space:pre;fill:{INK}}}",
            f"#film{{animation:film {end:.1f}s steps(1,end) infinite}}",
            f"@keyframes film{{{''.join(steps)}}}",
            "@media (prefers-reduced-motion:reduce){#film{animation:none;"
            f"transform:translateX({-still * width:g}px)}}}}",
            *(f".{name}{{{rule}}}" for rule, name in self._looks.items()),
        ]
        lines = "".join(self._drawn(line, name) for line, name in self._lines.items())
        style = "\n".join(css)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" role="img" aria-label="A recorded session">'
            f"<style>{style}</style><defs>{lines}</defs>"
            f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>'
            f'<svg x="{MARGIN}" y="{MARGIN}" width="{WIDTH * CELL:g}" height="{HEIGHT * LINE}">'
            f'<g id="film">{"".join(shown)}</g></svg></svg>\n'
        )

    def _line(self, line: tuple[tuple[int, str, Look], ...]) -> str:
        if line not in self._lines:
            self._lines[line] = f"l{len(self._lines):x}"
            for _, _, look in line:
                self._class(look)
        return self._lines[line]

    def _class(self, look: Look) -> str:
        ink = (look.paper or PAPER) if look.reverse else look.ink
        rule = f"fill:{ink};" if ink else ""
        rule += "font-weight:bold;" if look.bold else ""
        rule += "opacity:.6;" if look.faint else ""
        rule += "font-style:italic;" if look.italic else ""
        rule += "text-decoration:underline;" if look.underline else ""
        return self._looks.setdefault(rule, f"s{len(self._looks):x}") if rule else ""

    def _drawn(self, line: tuple[tuple[int, str, Look], ...], name: str) -> str:
        boxes, words = "", ""
        for x, text, look in line:
            paper = (look.ink or INK) if look.reverse else look.paper
            if paper:
                boxes += (
                    f'<rect x="{x * CELL:g}" width="{cell_len(text) * CELL:g}" height="{LINE}" '
                    f'fill="{paper}"/>'
                )
            word = text.strip()
            if not word:
                continue
            begin = x + len(text) - len(text.lstrip())
            kind = self._class(look)
            marks = f' class="{kind}"' if kind else ""
            if len(word) > 2:
                marks += f' textLength="{cell_len(word) * CELL:g}"'
            words += f'<text x="{begin * CELL:g}" y="{SIZE}"{marks}>{escape(word)}</text>'
        return f'<g id="{name}">{boxes}{words}</g>'


def film(events: list[tuple[float, bytes]]) -> str:
    """The animation of `events`."""
    pictures = frames(events)
    end = events[-1][0] + REST
    still = max(range(len(pictures)), key=lambda n: sum(map(len, pictures[n][1])))
    return Film().svg(pictures, end, still)


# ------------------------------------------------------------------ all of it


def main(target: Path) -> None:
    """Record, and write both files."""
    folder = Path(tempfile.gettempdir()) / "ada"  # the session shows this path
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in list(os.environ):
        if name.startswith(("SPEAKEASY_", "XDG_", "SSH_", "TMUX")):
            del os.environ[name]
    os.environ |= {"HOME": str(folder), "USER": "ada", "LOGNAME": "ada"}
    os.environ["SPEAKEASY_FAULTS"] = "cuda:radio-repair.mp3"
    before = Path.cwd()
    os.chdir(folder)
    os.environ["PYTHONPATH"] = str(before)
    try:
        events = record(folder)
    finally:
        subprocess.run([sys.executable, "-m", "speakeasy_tui", "runner", "stop"], check=False)
        os.chdir(before)
        time.sleep(0.5)
        shutil.rmtree(folder, ignore_errors=True)
    (target / "session.cast").write_text(cast(events), "utf-8")
    (target / "session.svg").write_text(film(events), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else DOCS)
