"""What can be done to jobs, the same from the table and from an opened row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual.binding import Binding
from textual.screen import Screen

from speakeasy_tui.core.job import FINAL_STATES, Job, State
from speakeasy_tui.core.protocol import AnyRequest, Cancel, Hold, Release, Rerun
from speakeasy_tui.core.text import printable
from speakeasy_tui.tui.format import plural
from speakeasy_tui.tui.rows import short_path
from speakeasy_tui.tui.screens.confirm import Confirm

if TYPE_CHECKING:
    from speakeasy_tui.tui.app import SpeakeasyApp

DEEDS = [
    Binding("r", "rerun", "Rerun", id="rerun",
            tooltip="Run again: a new series of tries, the old ones stay as history"),
    Binding("x", "cancel", "Cancel", id="cancel", tooltip="Cancel; a running file is stopped"),
    Binding("h", "hold", "Hold", id="hold", tooltip="Keep out of its turn, or release it again"),
    Binding("y", "copy", "Copy path", id="copy", tooltip="Copy the path to the clipboard"),
]  # fmt: skip


def named(jobs: Sequence[Job]) -> str:
    """The one file's name, or how many they are."""
    if len(jobs) == 1:
        return printable(short_path(jobs[0]).rsplit("/", 1)[-1])
    return plural(len(jobs), "file")


class Deeds(Screen[None]):
    """Base of the screens on which jobs are chosen."""

    @property
    def speakeasy(self) -> SpeakeasyApp:
        """The application."""
        return cast("SpeakeasyApp", self.app)

    def chosen(self) -> list[Job]:
        """The jobs an action applies to."""
        raise NotImplementedError

    def done_with_marks(self) -> None:
        """The action was sent: the marks have served."""

    def say(self, text: str) -> None:
        """Show a quiet line."""
        raise NotImplementedError

    def action_rerun(self) -> None:
        """Start a new series of tries of what is chosen."""
        jobs = [job for job in self.chosen() if job.state in FINAL_STATES]
        if not jobs:
            self.say("Nothing to rerun: only finished, failed and cancelled files run again")
            return
        ids = [job.id for job in jobs]
        request = Rerun(ids=ids)
        finished = [job for job in jobs if job.state in {State.DONE, State.SKIPPED}]
        if len(finished) > 1:
            self._ask_first(
                f"Transcribe {named(jobs)} again?",
                f"{plural(len(finished), 'of them is', 'of them are')} done; "
                "their outputs will be written anew.",
                "rerun",
                request,
                "queued again",
            )
        else:
            self._send(request, "queued again")

    def action_cancel(self) -> None:
        """Cancel what is chosen; asked first when it runs or is more than one."""
        jobs = [job for job in self.chosen() if job.state not in FINAL_STATES]
        if not jobs:
            self.say("Nothing to cancel: the file is not waiting, held or running")
            return
        request = Cancel(ids=[job.id for job in jobs])
        running = [job for job in jobs if job.state is State.RUNNING]
        if running or len(jobs) > 1:
            detail = "It can be run again later with r."
            if running:
                detail = f"{plural(len(running), 'file is', 'files are')} being transcribed. "
                detail += "What is finished of it is kept; r goes on with it later."
            self._ask_first(f"Cancel {named(jobs)}?", detail, "cancel", request, "cancelled")
        else:
            self._send(request, "cancelled")

    def action_hold(self) -> None:
        """Hold what is chosen; release it when all of it is held."""
        jobs = self.chosen()
        held = [job.id for job in jobs if job.state is State.HELD]
        other = [job.id for job in jobs if job.state in {State.QUEUED, State.RUNNING}]
        if other:
            self._send(Hold(ids=other), "held")
        elif held:
            self._send(Release(ids=held), "released")
        else:
            self.say("Nothing to hold: the file is not waiting or running")

    def action_copy(self) -> None:
        """Copy the paths of what is chosen (OSC 52; in tmux: set-clipboard on)."""
        jobs = self.chosen()
        if jobs:
            self.app.copy_to_clipboard("\n".join(job.path for job in jobs))
            self.say(f"Copied the path of {named(jobs)}")

    def _send(self, request: AnyRequest, what: str) -> None:
        self.speakeasy.ask(request, what)
        self.done_with_marks()

    def _ask_first(
        self, question: str, detail: str, yes: str, request: AnyRequest, what: str
    ) -> None:
        def answer(agreed: bool | None) -> None:
            if agreed:
                self._send(request, what)

        self.app.clear_notifications()  # they would lie on the question
        self.app.push_screen(Confirm(question, detail, yes), answer)
