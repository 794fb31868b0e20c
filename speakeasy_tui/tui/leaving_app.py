"""How the window ends, and what it leaves behind: it is closed, stopped, suspended, or fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from speakeasy_tui.core.job import Batch, State
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.protocol import AnyMessage, Refused, Stop
from speakeasy_tui.core.settings import Settings
from speakeasy_tui.tui import hangup
from speakeasy_tui.tui.gpu_worker import GpuWorker, LinkNews
from speakeasy_tui.tui.overview import End, farewell
from speakeasy_tui.tui.screens.confirm import Confirm
from speakeasy_tui.tui.themed_app import ThemedApp

if TYPE_CHECKING:
    from speakeasy_tui.tui.screens.models import Download

LEAVE_WAIT = 1.0
"""Seconds given to the worker thread, and to the answer to a last request."""


class LeavingApp(ThemedApp):
    """An application whose result is the line to print on the terminal."""

    worker: GpuWorker

    def __init__(
        self, home: Home, settings: Settings, save_theme: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(home, settings, save_theme)
        self.home = home
        self.settings = settings
        self.batch: Batch | None = None
        """As it was told last."""
        self.link = LinkNews(False)
        self.ever_up = False
        """Whether there was a link to a runner."""
        self.downloads: dict[str, Download] = {}
        """Models that are being got, by name: they end with the window."""
        self.end_watch: Callable[[], None] = lambda: None
        """Ends the watch for the terminal's end."""
        self._end = End.GOES_ON

    def on_mount(self) -> None:
        """Watch for the terminal's end."""
        self.end_watch = hangup.watch(self.end_now, self.end_now)

    def on_unmount(self) -> None:
        """The worker has nobody to tell any more."""
        self.worker.abandon()
        if self.is_headless:
            self.end_watch()

    async def action_leave(self) -> None:
        """Leave; asked first when the work would end with the window."""
        running = self.batch.counts.get(State.RUNNING, 0) if self.batch is not None else 0
        if not (self.settings.foreground and running):
            await self._leave()
            return

        def answer(agreed: bool | None) -> None:
            if agreed:
                self.run_worker(self._leave())

        text = "It runs inside this window (--foreground). What is finished is kept."
        self.clear_notifications()
        self.push_screen(Confirm("End the work and leave?", text, "end it"), answer)

    async def _leave(self) -> None:
        """Hang up while the loop turns (the worker may be waiting for it), then end."""
        await asyncio.to_thread(self.worker.stop, LEAVE_WAIT)
        self.end_now()

    async def action_quit(self) -> None:
        """Textual's own name for it."""
        await self.action_leave()

    def action_suspend(self) -> None:
        """Ctrl+Z: the shell again."""
        if self.settings.foreground:
            self.say("Not with --foreground: the work would stand still with the window")
        elif os.getpgrp() == os.getsid(0):  # a shell gives each of its jobs a group of its own
            self.say("There is no shell to go back to")
        else:
            self.action_suspend_process()

    def action_help_quit(self) -> None:
        """Ctrl+C: people expect it to end something."""
        self.say(f"{self.key_of('leave')} leaves and the work goes on")

    def end_now(self) -> None:
        """End the window; the runner is not touched."""
        end = End.STOPPED if self.settings.foreground else self._end
        if not self.ever_up and not self.link.why:
            end = End.SOON
        text = farewell(self.batch, self.link.up, end)
        if self.downloads:
            names = ", ".join(self.downloads)
            text += f" The download of {names} has ended with the window; whole files are kept."
        self.exit(text)

    def _handle_exception(self, error: Exception) -> None:
        """The whole traceback into the log, a sentence on the terminal."""
        if self.is_headless:  # a test wants to see it
            super()._handle_exception(error)
            return
        log = self.home.logs / "interface.log"
        with contextlib.suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
                traceback.print_exception(error, file=file)
        self._return_code = 1
        kind = type(error).__name__
        self.exit(f"The window failed ({kind}); the work goes on. The whole error: {log}")

    def stop_and_leave(self) -> None:
        """Stop the engines and leave when that is answered, or soon if it is not."""

        def leave() -> None:
            self.run_worker(self._leave(), exclusive=True)

        def answered(answer: AnyMessage) -> None:
            if isinstance(answer, Refused):
                patience.stop()
                self._end = End.GOES_ON
                self.warn("Not stopped", f"{answer.message}\n{answer.hint}")
            else:
                self._end = End.STOPPED
                leave()

        self._end = End.ASKED
        patience = self.set_timer(LEAVE_WAIT, leave)
        self.worker.ask(Stop(now=True), answered)
