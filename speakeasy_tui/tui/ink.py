"""Drawing lines of spans: the inks, and two widgets that send only what changed.

A span's text is drawn as it is, never read as markup; whoever makes it from foreign text
puts it through `core.text.printable` first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from speakeasy_tui.tui.rows import Line, Span, width_of

INKS = (
    "quiet",
    "faint",
    "running",
    "done",
    "failed",
    "held",
    "warning",
    "accent",
    "title",
    "key",
    "unsure",
    "match",
)
"""The names a span's ink may have; `INK_CSS` gives each its look from the theme."""

COMPONENTS = {f"ink--{name}" for name in (*INKS, "cursor")}

INK_CSS = """
.ink--quiet { color: $quiet; text-style: $quiet-style; }
.ink--faint { color: $faint; text-style: $quiet-style; }
.ink--running { color: $state-running; }
.ink--done { color: $state-done; }
.ink--failed { color: $state-failed; text-style: bold; }
.ink--held { color: $state-held; }
.ink--warning { color: $warning; }
.ink--accent { color: $accent; }
.ink--title { text-style: bold; }
.ink--key { color: $accent; text-style: bold; }
.ink--unsure { color: $warning; text-style: underline; }
.ink--match { text-style: reverse; }
.ink--cursor { background: $row-cursor; text-style: $row-cursor-style; }
"""


class Inked(Widget):
    """A widget that draws spans; it looks each ink up once, until the theme changes."""

    COMPONENT_CLASSES = COMPONENTS
    _inks: dict[str, Style] | None = None

    def style_of(self, ink: str) -> Style:
        """The look of `ink`, background not included."""
        if self._inks is None:
            self._inks = {"": Style.null()}
        style = self._inks.get(ink)
        if style is None:
            style = self._inks[ink] = self.get_component_rich_style(f"ink--{ink}", partial=True)
        return style

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._inks = None


def strip_of(widget: Inked, line: Iterable[Span], width: int, base: Style) -> Strip:
    """`line` drawn on `base`, exactly `width` cells wide."""
    segments = [Segment(text, base + widget.style_of(ink)) for text, ink in line if text]
    return Strip(segments).adjust_cell_length(width, base).simplify()


def changed(old: Sequence[Span], new: Sequence[Span]) -> tuple[int, int] | None:
    """First cell and number of cells in which two lines differ; None when they do not."""
    if old == new:
        return None
    start = 0
    for before, after in zip(old, new, strict=False):
        if before != after:
            break
        start += 1
    end = 0
    for before, after in zip(reversed(old[start:]), reversed(new[start:]), strict=False):
        if before != after:
            break
        end += 1
    first = width_of(new[:start])
    middle_old = width_of(old[start : len(old) - end])
    middle_new = width_of(new[start : len(new) - end])
    if middle_old == middle_new:
        return first, middle_new
    return first, max(width_of(old), width_of(new)) - first


class Lines(Inked):
    """A few lines that change in place; only the cells that changed go to the terminal."""

    DEFAULT_CSS = "Lines { height: auto; width: 1fr; }"

    def __init__(self, make: Callable[[int], list[Line]], *, id: str | None = None) -> None:
        """`make` gives the lines for a width in cells; it is called on `show` and resize."""
        super().__init__(id=id)
        self._make = make
        self._lines: list[Line] = []

    def show(self) -> None:
        """Make the lines anew and draw what differs."""
        width = self.size.width
        if not width:
            return
        lines = self._make(width)
        old, self._lines = self._lines, lines
        if len(old) != len(lines):
            self.refresh(layout=True)
            return
        for y, (before, after) in enumerate(zip(old, lines, strict=True)):
            if difference := changed(before, after):
                self.refresh(Region(difference[0], y, difference[1], 1))

    def on_resize(self, event: events.Resize) -> None:
        self.show()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        self._lines = self._make(width)
        return len(self._lines)

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        if y >= len(self._lines):
            return Strip.blank(self.size.width, base)
        return strip_of(self, self._lines[y], self.size.width, base)


class LineView(Inked, ScrollView, can_focus=True, inherit_bindings=False):
    """Lines to be scrolled through; may follow the end while it is in sight."""

    DEFAULT_CSS = """
    LineView { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1;
               scrollbar-gutter: stable; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_down", "Down", id="down", show=False, tooltip="A line down"),
        Binding("up,k", "scroll_up", "Up", id="up", show=False, tooltip="A line up"),
        Binding("pagedown,ctrl+f", "page_down", "Page down", id="page_down", show=False,
                tooltip="A screenful down"),
        Binding("pageup,ctrl+b", "page_up", "Page up", id="page_up", show=False,
                tooltip="A screenful up"),
        Binding("g,home", "scroll_home", "First", id="first", show=False, tooltip="The first line"),
        Binding("G,end", "scroll_end", "Last", id="last", show=False, tooltip="The last line"),
    ]  # fmt: skip

    def __init__(
        self, make: Callable[[int], list[Line]], *, follow: bool = False, id: str | None = None
    ) -> None:
        """`make` gives the lines for a width; with `follow` the end stays in sight."""
        super().__init__(id=id)
        self._make = make
        self._follow = follow
        self._lines: list[Line] = []

    @property
    def width(self) -> int:
        """Cells for text: a column is left to the scroll bar, there or not."""
        return self.size.width - 1

    def show(self, *, follow: bool = False) -> None:
        """Make the lines anew; with `follow`, stay at the end if the end is in sight."""
        width = self.width
        if width < 1:
            return
        at_end = self.is_vertical_scroll_end
        self._put(self._make(width), follow and at_end)

    def extend(self, lines: list[Line], *, follow: bool, dropped: int = 0) -> None:
        """Add lines at the end; draws only them.

        `dropped` are gone from the beginning: what is in sight stays where it is.
        """
        at_end = self.is_vertical_scroll_end
        top = self.scroll_offset.y
        self._put(self._lines[dropped:] + lines, follow and at_end)
        if dropped and not (follow and at_end):
            self.scroll_to(y=max(0, top - dropped), animate=False, immediate=True, force=True)

    def _put(self, lines: list[Line], to_end: bool) -> None:
        old, self._lines = self._lines, lines
        top = self.scroll_offset.y
        if len(lines) != len(old):
            self.virtual_size = Size(self.size.width, len(lines))
        for y in range(self.size.height):
            row = top + y
            before = old[row] if row < len(old) else ()
            after = lines[row] if row < len(lines) else ()
            if difference := changed(before, after):
                self.refresh(Region(difference[0], y, difference[1], 1))
        if to_end:
            self.action_scroll_end()

    @property
    def lines(self) -> list[Line]:
        """The lines as they are shown."""
        return self._lines

    @property
    def texts(self) -> list[str]:
        """The lines as plain text."""
        return ["".join(span.text for span in line) for line in self._lines]

    def on_resize(self, event: events.Resize) -> None:
        self.show(follow=self._follow and bool(self._lines))

    def action_scroll_down(self) -> None:
        self.scroll_relative(y=1, animate=False)

    def action_scroll_up(self) -> None:
        self.scroll_relative(y=-1, animate=False)

    def action_page_down(self) -> None:
        self.scroll_relative(y=max(1, self.size.height - 1), animate=False)

    def action_page_up(self) -> None:
        self.scroll_relative(y=-max(1, self.size.height - 1), animate=False)

    def action_scroll_home(self) -> None:
        self.scroll_home(animate=False)

    def action_scroll_end(self) -> None:
        # Forced: until the next layout there may be no scroll bar, without which it stays put.
        self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True, force=True)

    def render_line(self, y: int) -> Strip:
        row = self.scroll_offset.y + y
        base = self.rich_style
        if row >= len(self._lines):
            return Strip.blank(self.size.width, base)
        return strip_of(self, self._lines[row], self.size.width, base)
