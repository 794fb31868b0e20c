"""What can be done to jobs, the same from the table and from an opened row."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from textual.binding import Binding
from textual.screen import Screen

from speakeasy_tui.core.job import FINAL_STATES, Job, State
from speakeasy_tui.core.protocol import (
    AnyMessage,
    AnyRequest,
    Cancel,
    Detail,
    GetDetail,
    GetOptions,
    Hold,
    Options,
    Refused,
    Release,
    Remove,
    Rerun,
    Restore,
)
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.text import printable
from speakeasy_tui.core.transcript import Segment, Transcript
from speakeasy_tui.formats import render
from speakeasy_tui.tui import outside, undo
from speakeasy_tui.tui.format import plural, size
from speakeasy_tui.tui.rows import short_path
from speakeasy_tui.tui.screens.confirm import Again, Confirm, Outputs
from speakeasy_tui.tui.screens.pick import Choice, Pick

if TYPE_CHECKING:
    from speakeasy_tui.tui.app import SpeakeasyApp

DEEDS = [
    Binding("r", "rerun", "Rerun", id="rerun",
            tooltip="Run again: a new series of tries, the old ones stay as history"),
    Binding("x", "cancel", "Cancel", id="cancel", tooltip="Cancel; a running file is stopped"),
    Binding("h", "hold", "Hold", id="hold", tooltip="Keep out of its turn, or release it again"),
    Binding("delete,d", "remove", "Remove", id="remove",
            tooltip="Take off the table; transcripts stay where they are"),
    Binding("u", "undo", "Undo", id="undo",
            tooltip="Take back the last removal, move, hold or cancelling of waiting files"),
    Binding("e", "edit", "Edit", id="edit",
            tooltip="Change model, language, prompt and other options, then run again"),
    Binding("w", "outputs", "Outputs", id="outputs",
            tooltip="Open a transcript in $EDITOR or the pager"),
    Binding("l", "log", "Log", id="log", tooltip="What runner and engines logged about the file"),
    Binding("y", "copy", "Copy path", id="copy", tooltip="Copy the path to the clipboard"),
    Binding("Y", "copy_transcript", "Copy text", id="copy_text",
            tooltip="Copy the transcript's text to the clipboard"),
    Binding("s", "save", "Save text", id="save_text",
            tooltip="Save the transcript's text as a file of your choice"),
]  # fmt: skip

CLIPBOARD = 74_000
"""Bytes that are copied at most: 100 kB in base64, beyond which many terminals take nothing."""

Told = TypeVar("Told")

FINISHED = frozenset({State.DONE, State.SKIPPED})
"""States of files whose outputs are there, or were."""


def named(jobs: Sequence[Job]) -> str:
    """The one file's name, or how many they are."""
    if len(jobs) == 1:
        return printable(short_path(jobs[0]).rsplit("/", 1)[-1])
    return plural(len(jobs), "file")


def _words(transcript: Transcript) -> str:
    return plural(len(transcript.text.split()), "word")


class Deeds(Screen[None]):
    """Base of the screens on which jobs are chosen."""

    @property
    def speakeasy(self) -> SpeakeasyApp:
        """The application."""
        return cast("SpeakeasyApp", self.app)

    def chosen(self) -> list[Job]:
        """The jobs an action applies to."""
        raise NotImplementedError

    def some(self, what: str) -> list[Job]:
        """The jobs an action applies to; says so when there are none to do `what` with."""
        jobs = self.chosen()
        if not jobs:
            self.say(f"There is no file to {what}")
        return jobs

    def done_with_marks(self) -> None:
        """The action was sent: the marks have served."""

    def say(self, text: str) -> None:
        """Show a quiet line."""
        raise NotImplementedError

    def action_rerun(self) -> None:
        """Start a new series of tries of what is chosen."""
        chosen = self.some("run again")
        if not chosen:
            return
        jobs = [job for job in chosen if job.state in FINAL_STATES]
        if not jobs:
            self.say("Nothing to rerun: only finished, failed and cancelled files run again")
            return
        finished = [job for job in jobs if job.state in FINISHED]
        if not finished:
            self._send(Rerun(ids=[job.id for job in jobs]), "queued again")
            return

        def answer(outputs: Outputs | None) -> None:
            if outputs is not None:
                self._again(jobs, outputs)

        which = "It is" if len(jobs) == 1 else f"{plural(len(finished), 'is', 'are')}"
        detail = (
            f"{which} done. y transcribes anew and replaces the outputs that are there, edited "
            "or not; s leaves those alone, and a file that has all of them is skipped."
        )
        self.app.clear_notifications()
        self.app.push_screen(Again(f"Transcribe {named(jobs)} again?", detail), answer)

    def _again(self, jobs: Sequence[Job], outputs: Outputs) -> None:
        """Run finished files again with overwrite on or off, the others as they are."""
        finished = [job.id for job in jobs if job.state in FINISHED]
        others = [job.id for job in jobs if job.state not in FINISHED]
        options = JobOptions(overwrite=outputs is Outputs.REPLACE)
        requests = [Rerun(ids=finished, options=options, names=["overwrite"])]
        if others:
            requests.append(Rerun(ids=others))
        self.speakeasy.ask_all(requests, "queued again")
        self.done_with_marks()

    def action_cancel(self) -> None:
        """Cancel what is chosen; asked first when it runs or is more than one."""
        chosen = self.some("cancel")
        if not chosen:
            return
        jobs = [job for job in chosen if job.state not in FINAL_STATES]
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
            self._ask_first(
                f"Cancel {named(jobs)}?", detail, "cancel", request, "cancelled", undo.cancel(jobs)
            )
        else:
            self._send(request, "cancelled", undo.cancel(jobs))

    def action_remove(self) -> None:
        """Take what is chosen off the table; asked first when it is more than one."""
        chosen = self.some("take off the table")
        if not chosen:
            return
        jobs = [job for job in chosen if job.state is not State.RUNNING]
        if not jobs:
            self.say("Not removed: a running file is cancelled first, with x")
            return
        ids = [job.id for job in jobs]
        if len(jobs) > 1:
            self._ask_first(
                f"Take {named(jobs)} off the table?",
                "Transcripts stay where they are. u brings the rows back.",
                "take off",
                Remove(ids=ids),
                "taken off",
                Restore(ids=ids),
            )
        else:
            self._send(Remove(ids=ids), "taken off", Restore(ids=ids))

    def action_undo(self) -> None:
        """Take back the last thing that can be."""
        undone = self.speakeasy.undone
        if not undone:
            self.say("Nothing to take back: removals, moves, holds and cancellings can be")
            return
        self.speakeasy.take_back(undone.pop())

    def action_hold(self) -> None:
        """Hold what is chosen; release it when all of it is held."""
        jobs = self.some("hold")
        if not jobs:
            return
        held = [job.id for job in jobs if job.state is State.HELD]
        other = [job.id for job in jobs if job.state in {State.QUEUED, State.RUNNING}]
        if other:
            self._send(Hold(ids=other), "held", Release(ids=other))
        elif held:
            self._send(Release(ids=held), "released", Hold(ids=held))
        else:
            self.say("Nothing to hold: the file is not waiting or running")

    def action_copy(self) -> None:
        """Copy the paths of what is chosen (OSC 52; in tmux: set-clipboard on)."""
        jobs = self.some("copy the path of")
        if jobs:
            paths = "\n".join(job.path for job in jobs)
            self._copy(paths, f"the path of {named(jobs)}", "mark fewer")

    def action_copy_transcript(self) -> None:
        """Copy the transcript of the one file chosen."""

        def copy(job: Job, transcript: Transcript) -> None:
            save = f"{self.speakeasy.key_of('save_text')} saves them as a file"
            self._copy(transcript.text, f"{_words(transcript)} of {named([job])}", save)

        self._with_transcript("copy", copy)

    def _copy(self, text: str, what: str, otherwise: str) -> None:
        length = len(text.encode("utf-8", "surrogateescape"))
        if length > CLIPBOARD:
            self.say(f"Not copied: {size(length)} are more than terminals take; {otherwise}")
            return
        self.app.copy_to_clipboard(text)
        self.say(f"Copied {what}")

    def action_save(self) -> None:
        """Save the text of the one file chosen as a file of the person's choice."""
        from speakeasy_tui.tui.screens.save import SaveScreen

        def save(job: Job, transcript: Transcript) -> None:
            def saved(path: str | None) -> None:
                if path is not None:
                    folder, name = os.path.split(path)
                    self.say(f"Saved {_words(transcript)} as {name} in {folder}")

            stem = os.path.splitext(named([job]))[0]
            self.app.clear_notifications()
            self.app.push_screen(SaveScreen(f"{stem}.txt", render("txt", transcript)), saved)

        self._with_transcript("save", save)

    def _with_transcript(self, what: str, then: Callable[[Job, Transcript], None]) -> None:
        """Get the text of the one file chosen, as far as there is any, to do `what` with it."""
        job = self._only_one(f"{what} the text of")
        if job is None:
            return

        segments: list[Segment] = []

        def got(answer: Detail) -> None:
            segments.extend(part for chunk in answer.chunks for part in chunk.segments)
            if answer.more:
                self._look_up(GetDetail(id=job.id, after=answer.chunks[-1].start), Detail, got)
                return
            transcript = Transcript(segments, job.language or "", job.audio_s or 0.0)
            if transcript.text:
                then(job, transcript)
            else:
                self.say(f"Nothing to {what}: there is no text of this file yet")

        self._look_up(GetDetail(id=job.id), Detail, got)

    def action_outputs(self) -> None:
        """Open one of the outputs in the editor or pager."""
        job = self._only_one("open the outputs of")
        if job is None:
            return
        if job.outputs:
            self._open_outputs(job)
            return

        def got(answer: Detail) -> None:
            if answer.job.outputs:
                self._open_outputs(answer.job)
            else:
                self.say("No outputs yet: they are written when the file is done")

        # Of rows that were finished before the window opened they have not been told.
        self._look_up(GetDetail(id=job.id), Detail, got)

    def _open_outputs(self, job: Job) -> None:
        def picked(path: str | None) -> None:
            if path is not None:
                self.say(outside.show(self.app, path))

        if len(job.outputs) == 1:
            picked(job.outputs[0])
            return
        choices = [Choice(path, path.rsplit("/", 1)[-1]) for path in job.outputs]
        self.app.push_screen(Pick(f"Open with {outside.program()}", choices), picked)

    def action_log(self) -> None:
        """The log lines of the one file chosen."""
        from speakeasy_tui.tui.screens.log import LogScreen

        jobs = self.chosen()
        self.app.push_screen(LogScreen(self.speakeasy.home, jobs[0] if len(jobs) == 1 else None))

    def action_edit(self) -> None:
        """Change the options of what is chosen and run it again."""
        from speakeasy_tui.tui.screens.options import OptionsScreen

        chosen = self.some("run again with other options")
        if not chosen:
            return
        jobs = [job for job in chosen if job.state in FINAL_STATES]
        if not jobs:
            self.say("Options are changed to run a file again: it is not finished yet")
            return

        ids = [job.id for job in jobs]

        def changed(values: dict[str, Any] | None) -> None:
            if values is not None:
                options = JobOptions(**values)
                self._send(Rerun(ids=ids, options=options, names=list(values)), "queued again")

        def got(answer: Options) -> None:
            if answer.options:
                self.app.push_screen(OptionsScreen(named(jobs), answer.options), changed)

        self._look_up(GetOptions(ids=ids), Options, got)

    def _only_one(self, what: str) -> Job | None:
        jobs = self.some(what)
        if len(jobs) == 1:
            return jobs[0]
        if jobs:
            self.say(f"Choose one file to {what} it")
        return None

    def _look_up(self, request: AnyRequest, kind: type[Told], then: Callable[[Told], None]) -> None:
        """Ask for something, and say so when it cannot be had."""

        def got(answer: AnyMessage) -> None:
            if isinstance(answer, kind):
                then(answer)
            elif isinstance(answer, Refused):
                self.say(f"{answer.message}: {answer.hint}".rstrip(": "))

        self.speakeasy.ask(request, got)

    def _send(self, request: AnyRequest, what: str, back: AnyRequest | None = None) -> None:
        self.speakeasy.do(request, what, back)
        self.done_with_marks()

    def _ask_first(
        self,
        question: str,
        detail: str,
        yes: str,
        request: AnyRequest,
        what: str,
        back: AnyRequest | None = None,
    ) -> None:
        def answer(agreed: bool | None) -> None:
            if agreed:
                self._send(request, what, back)

        self.app.clear_notifications()  # they would lie on the question
        self.app.push_screen(Confirm(question, detail, yes), answer)
