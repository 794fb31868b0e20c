"""Keys and commands: what is bound to what, the help that says so, and the palette."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandInput, CommandPalette
from textual.screen import Screen

from speakeasy_tui.tui import keymap
from speakeasy_tui.tui.batch_table import BatchTable
from speakeasy_tui.tui.diff import SparingApp
from speakeasy_tui.tui.ink import LineView
from speakeasy_tui.tui.screens.board import Board
from speakeasy_tui.tui.screens.detail import Detail
from speakeasy_tui.tui.screens.help import Help, Topic


class QuietPalette(CommandPalette):
    """The command palette with a cursor that does not blink over the line."""

    def on_mount(self) -> None:
        """Blinking is 2.3 kB a second."""
        self.query_one(CommandInput).cursor_blink = False


class KeyedApp(SparingApp[str]):
    """An application whose actions can be rebound, listed and searched."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", id="help", tooltip="All keys"),
        Binding("ctrl+p", "command_palette", "Commands", id="palette",
                tooltip="Search all commands; choose a theme"),
        Binding("ctrl+l", "redraw", "Redraw", id="redraw", show=False,
                tooltip="Draw the screen anew, after something else wrote on it"),
        Binding("ctrl+q", "leave", "Leave", show=False, tooltip="Leave; the work goes on"),
    ]  # fmt: skip
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        self.board = Board()

    def rebind(self, wanted: Mapping[str, str]) -> list[str]:
        """Bind actions to other keys; returns a line for each that cannot be."""
        usable, problems = keymap.check(wanted, self.binding_groups())
        self.set_keymap(usable)
        return problems

    def binding_groups(self) -> list[list[Binding]]:
        """The bindings that are active together, a group for each screen."""
        ours = _bindings(KeyedApp)
        table, view = _bindings(BatchTable), _bindings(LineView)
        return [ours + _bindings(Board) + table, ours + _bindings(Detail) + view]

    def key_of(self, name: str) -> str:
        """The keys of an action as they are shown; the first of them."""
        for group in self.binding_groups():
            for binding in group:
                if binding.id == name:
                    keys = self._keymap.get(name) or binding.key
                    return self.get_key_display(binding.with_key(keys.split(",")[0]))
        return ""

    def action_help(self) -> None:
        """Show all keys."""
        topics: list[Topic] = []
        titles = (("everywhere", KeyedApp), ("table", BatchTable), ("files and queue", Board))
        for title, owner in titles:
            entries = []
            for binding in _bindings(owner):
                if not binding.id:
                    continue
                keys = (self._keymap.get(binding.id) or binding.key).split(",")
                text = "  ".join(self.get_key_display(binding.with_key(key)) for key in keys)
                entries.append((text, binding.tooltip))
            topics.append((title, entries))
        self.push_screen(Help(topics[1:] + topics[:1]))

    def action_command_palette(self) -> None:
        """Open the palette."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(QuietPalette(id="--command-palette"))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers: the theme, and every action of the board."""
        yield SystemCommand("Theme", "Choose the colours", self.action_change_theme)
        for binding in (*_bindings(Board), *_bindings(KeyedApp)):
            if binding.id and binding.id not in {"palette", "clear", "filter"}:
                action = binding.action
                yield SystemCommand(
                    binding.description, binding.tooltip, lambda a=action: self._act(a)
                )

    def _act(self, action: str) -> None:
        self.run_worker(self.board.run_action(action), exclusive=False)


def _bindings(owner: type) -> list[Binding]:
    listed = owner.__dict__.get("BINDINGS", ())
    return [binding for binding in listed if isinstance(binding, Binding)]
