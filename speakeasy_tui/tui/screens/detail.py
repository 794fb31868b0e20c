"""One job, opened: its transcript as it arrives, its attempts, errors, outputs and options."""

from __future__ import annotations

from bisect import insort
from itertools import chain
from operator import attrgetter
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from speakeasy_tui.client.board import Changes
from speakeasy_tui.core import protocol
from speakeasy_tui.core.job import FINAL_STATES, Attempt, Job, State
from speakeasy_tui.core.protocol import AnyMessage, GetDetail, Unwatch
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.text import printable
from speakeasy_tui.core.transcript import Chunk
from speakeasy_tui.tui import format as shown
from speakeasy_tui.tui import overview
from speakeasy_tui.tui.facts import facts_lines
from speakeasy_tui.tui.field import FieldBar
from speakeasy_tui.tui.hints import deeds
from speakeasy_tui.tui.ink import Lines, LineView
from speakeasy_tui.tui.loudness import loudness_lines
from speakeasy_tui.tui.rows import STATE_LOOK, Line, Span
from speakeasy_tui.tui.screens.deeds import DEEDS, Deeds
from speakeasy_tui.tui.screens.searching import SEARCH, Searching
from speakeasy_tui.tui.transcript import segment_lines

WITH_TEXT = [("search", "search"), ("save_text", "save text"), ("copy_text", "copy text")]
"""Keys that are of use where there is a text."""

FURTHER = [
    ("other_pane", "other pane"), ("log", "log"), ("next_file", "next file"),
    ("copy", "copy path"), ("help", "help"),
]  # fmt: skip


class Detail(Searching, Deeds):
    """Everything about one job."""

    SEARCHED = "transcript"

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (116, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "back", "Back", id="back", tooltip="Back to the table"),
        Binding("tab", "app.focus_next", "Other pane", id="other_pane",
                tooltip="Between facts and transcript"),
        *SEARCH,
        Binding("left_square_bracket", "other(-1)", "Previous file", id="previous_file",
                tooltip="Open the row above instead"),
        Binding("right_square_bracket", "other(1)", "Next file", id="next_file",
                tooltip="Open the row below instead"),
        *DEEDS,
    ]  # fmt: skip

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job
        self._options: JobOptions | None = None
        self._attempts: list[Attempt] = []
        self._strip = ""
        """How loud the recording is, as `core.engineprotocol.Heard` tells it."""
        self._chunks: dict[int, Chunk] = {}
        self._ordered: list[Chunk] = []
        self._wrapped: dict[int, tuple[Chunk, list[Line]]] = {}
        """The lines of each chunk, as `_wrapped_for` them."""
        self._wrapped_for = (0, "")
        self._asked: tuple[int, State] | None = None
        self._said = ""
        self._led = False
        """Whether keys go to the facts because there was no transcript."""

    def compose(self) -> ComposeResult:
        yield Lines(self._title, id="head")
        yield Lines(self._loudness, id="loudness")
        with Container(id="panes"):
            facts = LineView(self._facts, id="facts")
            facts.border_title = "about"
            yield facts
            transcript = LineView(self._transcript, follow=True, id="transcript")
            transcript.border_title = "transcript"
            yield transcript
        yield FieldBar("/", "words in the transcript")
        yield Lines(self._status, id="status")
        yield Lines(self._footer, id="footer")

    def on_mount(self) -> None:
        self.query_one("#transcript").focus()
        self.ask()

    def on_unmount(self) -> None:
        self.speakeasy.ask(Unwatch(), None)

    def ask(self) -> None:
        """Ask for everything, and to be told of new parts of the transcript."""
        self._asked = (self.job.attempts, self.job.state)
        self.speakeasy.ask(GetDetail(id=self.job.id, watch=True), self._got)

    def _got(self, answer: AnyMessage) -> None:
        match answer:
            case protocol.Detail() if answer.job.id == self.job.id:
                self.job = answer.job
                opened = self._options is None
                self._options = answer.options
                self._attempts = answer.attempts
                self._strip = answer.loudness
                self._take({chunk.index: chunk for chunk in answer.chunks})
                self._go_on(answer)
                self._show()
                if opened:
                    self._lead()
                view = self.query_one("#transcript", LineView)
                view.show()
                if self.job.state is State.RUNNING:
                    view.action_scroll_end()
            case protocol.Refused():
                self.say(f"{answer.message} {answer.hint}")
            case _:
                pass

    def _go_on(self, answer: protocol.Detail) -> None:
        """Ask for the next part of a transcript that is too long for one answer."""
        if answer.more and self.is_attached:
            after = answer.chunks[-1].start
            self.speakeasy.ask(GetDetail(id=self.job.id, watch=False, after=after), self._got_more)

    def _got_more(self, answer: AnyMessage) -> None:
        if isinstance(answer, protocol.Detail) and answer.job.id == self.job.id:
            # What was told meanwhile is newer than what was stored when this was asked.
            self._take({chunk.index: chunk for chunk in answer.chunks} | self._chunks)
            self.query_one("#transcript", LineView).show(follow=True)
            self._go_on(answer)

    def _take(self, chunks: dict[int, Chunk]) -> None:
        self._chunks = chunks
        self._ordered = sorted(chunks.values(), key=_start)

    # ------------------------------------------------------------------ what is told

    def apply(self, changes: Changes) -> None:
        """Draw what changed about this job."""
        job = changes.jobs.get(self.job.id)
        if job is not None:
            self.job = job
            self._show()
            if (job.attempts, job.state) != self._asked:
                self.ask()
        elif self.job.id in changes.gone:
            self.say("The row was taken off the table")
        if self.job.id in changes.reset_chunks:
            self._chunks.clear()
            self._ordered.clear()
            self.query_one("#transcript", LineView).show()
        if self.job.id in changes.loudness:
            self._strip = changes.loudness[self.job.id]
            self.query_one("#loudness", Lines).show()
        if new := changes.chunks.get(self.job.id):
            self._add([chunk for chunk in new if self._chunks.get(chunk.index) != chunk])

    def _add(self, new: list[Chunk]) -> None:
        view = self.query_one("#transcript", LineView)
        last = self._ordered[-1].start if self._ordered else -1.0
        in_order = all(chunk.start >= last and chunk.index not in self._chunks for chunk in new)
        new.sort(key=_start)
        for chunk in new:
            old = self._chunks.get(chunk.index)
            if old is not None:
                self._ordered.remove(old)
            self._chunks[chunk.index] = chunk
            insort(self._ordered, chunk, key=_start)
        if in_order and len(self._ordered) > len(new):
            view.extend(self._lines_of(new, view.width), follow=True)
        else:
            view.show(follow=True)

    def _lead(self) -> None:
        """Keys go to where something is to be read, unless the person has gone elsewhere."""
        facts, transcript = self.query_one("#facts"), self.query_one("#transcript")
        if self._textless and self.focused is transcript:
            self.set_focus(facts)
            self._led = True
        elif self._led and not self._textless and self.focused is facts:
            self.set_focus(transcript)
            self._led = False

    @property
    def _textless(self) -> bool:
        """Whether there is no text of it and none will come."""
        known = self._options is not None
        return known and not self._ordered and self.job.state in FINAL_STATES

    def _show(self) -> None:
        self.set_class(self._textless, "-textless")
        self.query_one("#footer", Lines).show()
        self.query_one("#head", Lines).show()
        self.query_one("#loudness", Lines).show()
        self.query_one("#facts", LineView).show()

    def say(self, text: str) -> None:
        self._said = printable(text)
        self.query_one("#status", Lines).show()

    def chosen(self) -> list[Job]:
        return [self.job]

    @property
    def searched(self) -> LineView:
        return self.query_one("#transcript", LineView)

    def action_other(self, by: int) -> None:
        """Open the row above or below instead; the cursor goes along."""
        table = self.speakeasy.board.table
        job = table.beside(table.jobs.get(self.job.id, self.job), by)
        if job is None:
            self.say("There is no row below" if by > 0 else "There is no row above")
            return
        if not table.ranging:
            table.go_to(job.id)
        self.job = job
        self._options, self._attempts, self._strip, self.found = None, [], "", None
        self._chunks, self._ordered, self._wrapped = {}, [], {}
        self.say("")
        self._show()
        self.query_one("#transcript", LineView).show()
        self.query_one("#transcript", LineView).action_scroll_home()
        self.ask()

    # ------------------------------------------------------------------ lines

    def _title(self, width: int) -> list[Line]:
        job = self.job
        glyph, ink = STATE_LOOK[job.state]
        right = [Span(f"{glyph} {job.state.value} ", ink)]
        path = printable(job.path)
        slash = path.rfind("/") + 1
        room = width - len(job.state.value) - 6
        folder = shown.cut_middle(path[:slash], max(1, room - len(path[slash:])))
        name = shown.cut_middle(path[slash:], room - len(folder))
        left = [Span(f" {folder}", "quiet"), Span(name, "title")]
        return [overview.justified(left, right, width)]

    def _loudness(self, width: int) -> list[Line]:
        job, options = self.job, self._options
        place = job.progress if job.state is State.RUNNING else None
        made_up = options is not None and options.engine == "sim"
        legend = "simulated" if made_up else "━ speech"
        return loudness_lines(self._strip, width, place, (shown.clock(job.audio_s), legend))

    def _facts(self, width: int) -> list[Line]:
        return facts_lines(self.job, self._options, self._attempts, width)

    def _transcript(self, width: int) -> list[Line]:
        if self._ordered:
            return self._lines_of(self._ordered, width)
        if self.job.state in FINAL_STATES:
            text = "No transcript is kept of this file."
        elif self.job.state is State.RUNNING:
            text = "Nothing yet; a part appears as soon as it is finished."
        else:
            text = "Nothing yet."
        return [(Span(text, "quiet"),)] if self._options is not None else []

    def _lines_of(self, chunks: list[Chunk], width: int) -> list[Line]:
        """Several lanes may work on a long file, and what comes is seldom the last of it: the
        chunks before and behind are not broken into lines again.
        """
        if (width, self.find) != self._wrapped_for:
            self._wrapped, self._wrapped_for = {}, (width, self.find)
        lines: list[Line] = []
        for chunk in chunks:
            known = self._wrapped.get(chunk.index)
            if known is None or known[0] is not chunk:
                parts = (segment_lines(part, width, self.find) for part in chunk.segments)
                known = self._wrapped[chunk.index] = chunk, list(chain.from_iterable(parts))
            lines += known[1]
        return lines

    def _status(self, width: int) -> list[Line]:
        return [overview.justified([Span(f" {self._said}")], [], width)]

    def _footer(self, width: int) -> list[Line]:
        text = WITH_TEXT if self._ordered else []
        entries = dict([("back", "back"), *deeds(self.job), *text, *FURTHER])
        named = ((self.speakeasy.key_of(name), what) for name, what in entries.items())
        return [overview.keys_line(named, width)]


_start = attrgetter("start")
