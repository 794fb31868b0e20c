"""Keys and commands: what is bound to what, the help that says so, and the palette."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandInput, CommandList, CommandPalette
from textual.screen import ModalScreen, Screen
from textual.theme import ThemeProvider

from speakeasy_tui.core.text import printable_lines
from speakeasy_tui.tui import keymap
from speakeasy_tui.tui.batch_table import BatchTable
from speakeasy_tui.tui.diff import SparingApp
from speakeasy_tui.tui.ink import LineView
from speakeasy_tui.tui.screens.arrange import ARRANGE
from speakeasy_tui.tui.screens.board import Board
from speakeasy_tui.tui.screens.deeds import DEEDS
from speakeasy_tui.tui.screens.detail import Detail
from speakeasy_tui.tui.screens.help import Help, Topic

ANYWHERE = frozenset(
    {"pause", "rerun_failed", "add", "models", "settings", "logs", "summary", "leave", "stop"}
)
"""What the table does without a row: the palette offers it on other screens, too."""

NOT_OFFERED = frozenset({"palette", "clear", "filter", "search", "back", "complete", "other_pane"})
"""What the palette leaves to its keys."""


class QuietPalette(CommandPalette):
    """The command palette with a cursor that does not blink over the line."""

    def on_mount(self) -> None:
        """Blinking is 2.3 kB a second."""
        self.query_one(CommandInput).cursor_blink = False

    def _action_command_list(self, action: str) -> None:
        """Move in the list, unless none of it is laid out: Textual then looks for its lines."""
        if self.query_one(CommandList).scrollable_content_region:
            super()._action_command_list(action)


class KeyedApp(SparingApp[str]):
    """An application whose actions can be rebound, listed and searched."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", id="help", tooltip="All keys"),
        Binding("ctrl+p", "command_palette", "Commands", id="palette",
                tooltip="Search all commands; choose a theme"),
        Binding("ctrl+l", "redraw", "Redraw", id="redraw", show=False, priority=True,
                tooltip="Draw the screen anew, after something else wrote on it"),
        Binding("ctrl+z", "suspend", "Suspend", id="suspend", show=False,
                tooltip="Back to the shell; the work goes on, and fg shows the window again"),
        Binding("ctrl+q", "leave", "Leave", show=False, tooltip="Leave; the work goes on"),
    ]  # fmt: skip
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        self.board = Board()
        self._shown_keys: dict[str, str] = {}

    def rebind(self, wanted: Mapping[str, str]) -> list[str]:
        """Bind actions to other keys; returns a line for each that cannot be."""
        if not wanted:
            return []
        usable, problems = keymap.check(wanted, self.binding_groups())
        self.set_keymap(usable)
        self._shown_keys.clear()
        return problems

    def binding_groups(self) -> list[list[Binding]]:
        """The bindings that are active together, a group for each screen."""
        ours = bindings_of(KeyedApp)
        return [
            ours + [binding for owner in owners for binding in bindings_of(owner)]
            for _, owners in screens()
        ]

    def key_of(self, name: str) -> str:
        """The keys of an action as they are shown; the first of them."""
        if name not in self._shown_keys:
            for binding in _every_binding():
                if binding.id == name:
                    keys = self._keymap.get(name) or binding.key
                    shown = self.get_key_display(binding.with_key(keys.split(",")[0]))
                    self._shown_keys[name] = shown
                    break
        return self._shown_keys.get(name, "")

    def say(self, text: str) -> None:
        """A quiet line on the screen that is open."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, Board | Detail):
                screen.say(text)
                return

    def warn(self, title: str, text: str) -> None:
        """A toast about what is not as it was wanted."""
        text = printable_lines(text)
        self.notify(text, title=title, severity="warning", markup=False, timeout=8)

    def action_help(self) -> None:
        """Show all keys, those of the screen in front before the table's."""
        stack = reversed(self.screen_stack)  # from the palette, which may be on its way out
        front = next(one for one in stack if not isinstance(one, CommandPalette))
        topics: list[Topic] = []
        for title, listed in [*own_topic(front), *topics_of()]:
            entries = []
            for binding in listed:
                keys = (self._keymap.get(binding.id or "") or binding.key).split(",")
                text = "  ".join(self.get_key_display(binding.with_key(key)) for key in keys)
                entries.append((text, binding.tooltip))
            topics.append((title, entries))
        self.push_screen(Help(topics))

    def action_command_palette(self) -> None:
        """Open the palette."""
        # Without an id: the palette that was just closed may still be on its way out.
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(QuietPalette())

    def search_themes(self) -> None:
        """Choose a theme, in the same kind of palette."""
        self.push_screen(QuietPalette([ThemeProvider], placeholder="Search for themes…"))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers: the theme, what `screen` does, and what is done anywhere."""
        yield SystemCommand("Theme", "Choose the colours", self.action_change_theme)
        offered: list[tuple[KeyedApp | Screen[Any], Binding]] = []
        if not isinstance(screen, ModalScreen):
            own = {binding.id: binding for binding in bindings_on(screen)}
            offered += [(screen, binding) for binding in own.values()]
            anywhere = (
                one for one in bindings_of(Board) if one.id in ANYWHERE and one.id not in own
            )
            offered += [(self.board, binding) for binding in anywhere]
        offered += [(self, binding) for binding in bindings_of(KeyedApp)]
        for target, binding in offered:
            if binding.id and binding.id not in NOT_OFFERED:
                here = target is screen or target is self  # else its key does something else
                key = f"{self.key_of(binding.id)}   " if here else ""
                yield SystemCommand(
                    binding.description,
                    f"{key}{binding.tooltip}",
                    lambda where=target, action=binding.action: self._act(where, action),
                )

    def _act(self, where: KeyedApp | Screen[Any], action: str) -> None:
        if where is self or where in self.screen_stack:
            self.run_worker(where.run_action(action), exclusive=False)


def bindings_of(owner: type) -> list[Binding]:
    """The bindings that a class itself declares."""
    listed = owner.__dict__.get("BINDINGS", ())
    return [binding for binding in listed if isinstance(binding, Binding)]


def _every_binding() -> Iterator[Binding]:
    """The bindings of the window; those of screens that open later, and are imported then, last."""
    group: tuple[type, ...] = (KeyedApp, Board, BatchTable, Detail)
    yield from itertools.chain.from_iterable(map(bindings_of, group))
    for _, group in screens():
        yield from itertools.chain.from_iterable(map(bindings_of, group))


def bindings_on(screen: Screen[Any]) -> list[Binding]:
    """The bindings of a screen's class and of those of its bases that are ours."""
    return [binding for owner in type(screen).__mro__ for binding in bindings_of(owner)]


def screens() -> list[tuple[str, tuple[type, ...]]]:
    """Each screen's name, and the classes whose bindings are active on it."""
    from speakeasy_tui.tui.listing import Listing
    from speakeasy_tui.tui.screens.add import AddScreen
    from speakeasy_tui.tui.screens.form import Form
    from speakeasy_tui.tui.screens.log import LogScreen
    from speakeasy_tui.tui.screens.models import ModelsScreen
    from speakeasy_tui.tui.screens.options import OptionsScreen
    from speakeasy_tui.tui.screens.save import SaveScreen
    from speakeasy_tui.tui.screens.summary import SummaryScreen

    return [
        ("the table", (Board, BatchTable)),
        ("an opened row", (Detail, LineView)),
        ("logs", (LogScreen, LineView)),
        ("models", (ModelsScreen, Listing)),
        ("settings", (Form, Listing)),
        ("options before a rerun", (OptionsScreen, Form, Listing)),
        ("adding files", (AddScreen,)),
        ("saving a text", (SaveScreen,)),
        ("the summary", (SummaryScreen, Listing)),
    ]


def own_topic(screen: Screen[Any]) -> list[tuple[str, list[Binding]]]:
    """The keys of a screen other than the table, as a topic of the help."""
    for title, owners in screens():
        if owners[0] is type(screen) and not isinstance(screen, Board):
            own: dict[str | None, Binding] = {}
            for binding in itertools.chain.from_iterable(map(bindings_of, owners)):
                own.setdefault(binding.id, binding)
            return [(title, list(own.values()))]
    return []


def topics_of() -> list[tuple[str, list[Binding]]]:
    """The keys of the table as the help lists them: a heading and its bindings."""
    arranging = {binding.id for binding in ARRANGE}
    deeds = {binding.id for binding in DEEDS}
    named = [binding for binding in bindings_of(Board) if binding.id]
    return [
        ("files", [binding for binding in named if binding.id in deeds]),
        ("the table", [binding for binding in named if binding.id in arranging]),
        ("moving", [binding for binding in bindings_of(BatchTable) if binding.id]),
        (
            "queue and screens",
            [binding for binding in named if binding.id not in deeds | arranging],
        ),
        ("everywhere", [binding for binding in bindings_of(KeyedApp) if binding.id]),
    ]
