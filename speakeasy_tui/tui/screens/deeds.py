"""What can be done to jobs, the same from the table and from an opened row."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from textual.binding import Binding

from speakeasy_tui.core.job import FINAL_STATES, Job, State
from speakeasy_tui.core.protocol import (
    Cancel,
    Detail,
    GetDetail,
    GetOptions,
    Hold,
    Options,
    Release,
    Remove,
    Rerun,
)
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.transcript import Segment, Transcript
from speakeasy_tui.formats import render
from speakeasy_tui.tui import outside
from speakeasy_tui.tui.doing import named
from speakeasy_tui.tui.format import plural, size
from speakeasy_tui.tui.gpu_worker import Then
from speakeasy_tui.tui.screens.asking import Ask, Asking
from speakeasy_tui.tui.screens.confirm import Again, Outputs
from speakeasy_tui.tui.screens.pick import Choice, Pick

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

FINISHED = frozenset({State.DONE, State.SKIPPED})
"""States of files whose outputs are there, or were."""


def _words(transcript: Transcript) -> str:
    return plural(len(transcript.text.split()), "word")


def rerun_question(jobs: Sequence[Job]) -> Ask:
    """Asked before several files, none of them done, run again."""
    detail = "Each begins a new series of tries, and its error goes from the table."
    return Ask(f"Run {named(jobs)} again?", detail, "run again", len(jobs) > 1)


class Deeds(Asking):
    """Base of the screens on which jobs are chosen."""

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
            request = Rerun(ids=[job.id for job in jobs])
            self.ask_first(
                rerun_question(jobs), jobs, lambda: self.send([request], "queued again", jobs)
            )
            return

        def answer(outputs: Outputs | None) -> None:
            if outputs is not None:
                self._again(jobs, outputs)

        which = "It is" if len(jobs) == 1 else f"{plural(len(finished), 'is', 'are')}"
        detail = (
            f"{which} done. y transcribes anew and replaces the outputs that are there, edited "
            "or not; s leaves those alone, and a file that has all of them is skipped."
        )
        detail = f"{self.unseen(jobs)} {detail}".strip()
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
        self.send(requests, "queued again", jobs)

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
        again = self.speakeasy.key_of("rerun")
        detail = f"It can be run again later with {again}."
        if running:
            detail = f"{plural(len(running), 'file is', 'files are')} being transcribed. "
            detail += f"What is finished of it is kept; {again} goes on with it later."
        needed = bool(running) or len(jobs) > 1
        ask = Ask(f"Cancel {named(jobs)}?", detail, "cancel", needed)
        self.ask_first(ask, jobs, lambda: self.send([request], "cancelled", jobs))

    def action_remove(self) -> None:
        """Take what is chosen off the table; asked first when it is more than one."""
        chosen = self.some("take off the table")
        if not chosen:
            return
        jobs = [job for job in chosen if job.state is not State.RUNNING]
        if not jobs:
            first = self.speakeasy.key_of("cancel")
            self.say(f"Not removed: a running file is cancelled first, with {first}")
            return
        request = Remove(ids=[job.id for job in jobs])
        question = f"Take {named(jobs)} off the table?"
        undo = self.speakeasy.key_of("undo")
        detail = f"Transcripts stay where they are. {undo} brings the rows back."
        ask = Ask(question, detail, "take off", len(jobs) > 1)
        self.ask_first(ask, jobs, lambda: self.send([request], "taken off", jobs))

    def action_undo(self) -> None:
        """Take back the last thing that can be."""
        if not self.speakeasy.doing.take_back():
            self.say("Nothing to take back: removals, moves, holds and cancellings can be")

    def action_hold(self) -> None:
        """Hold what is chosen; release it when all of it is held."""
        chosen = self.some("hold")
        if not chosen:
            return
        held = [job for job in chosen if job.state is State.HELD]
        other = [job for job in chosen if job.state in {State.QUEUED, State.RUNNING}]
        jobs = other or held
        if not jobs:
            self.say("Nothing to hold: the file is not waiting or running")
            return
        ids = [job.id for job in jobs]
        request = Hold(ids=ids) if other else Release(ids=ids)
        verb, what = ("hold", "held") if other else ("release", "released")
        ask = Ask(f"{verb.capitalize()} {named(jobs)}?", "", verb, needed=False)
        self.ask_first(ask, jobs, lambda: self.send([request], what, jobs))

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
                self.look_up(GetDetail(id=job.id, after=answer.chunks[-1].start), Detail, got)
                return
            transcript = Transcript(segments, job.language or "", job.audio_s or 0.0)
            if transcript.text:
                then(job, transcript)
            else:
                self.say(f"Nothing to {what}: there is no text of this file yet")

        self.look_up(GetDetail(id=job.id), Detail, got)

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
        self.look_up(GetDetail(id=job.id), Detail, got)

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

        def run(values: dict[str, Any], then: Then) -> None:
            request = Rerun(ids=ids, options=JobOptions(**values), names=list(values))
            self.send([request], "queued again", jobs, then=then)

        def got(answer: Options) -> None:
            if answer.options:
                files = f"{named(jobs)}. {self.unseen(jobs)}".removesuffix(". ")
                self.app.push_screen(OptionsScreen(files, answer.options, run))

        self.look_up(GetOptions(ids=ids), Options, got)

    def _only_one(self, what: str) -> Job | None:
        jobs = self.some(what)
        if len(jobs) == 1:
            return jobs[0]
        if jobs:
            self.say(f"Choose one file to {what} it")
        return None
