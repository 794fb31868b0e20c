"""What the screens share on which something is done to jobs: asking first, and sending."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from speakeasy_tui.core.job import Job
from speakeasy_tui.core.protocol import AnyMessage, AnyRequest, Ok, Refused
from speakeasy_tui.tui.gpu_worker import Then
from speakeasy_tui.tui.screens.confirm import Confirm
from speakeasy_tui.tui.screens.screen import SpeakeasyScreen

Told = TypeVar("Told")


class Ask(NamedTuple):
    """A question before something is done."""

    question: str
    detail: str
    yes: str
    needed: bool
    """Whether it is asked in any case, or only where jobs are concerned that nobody sees."""


class Asking(SpeakeasyScreen[None]):
    """Base of the screens on which jobs are chosen."""

    def chosen(self) -> list[Job]:
        """The jobs an action applies to."""
        raise NotImplementedError

    def some(self, what: str) -> list[Job]:
        """The jobs an action applies to; says so when there are none to do `what` with."""
        jobs = self.chosen()
        if not jobs:
            self.say(f"There is no file to {what}")
        return jobs

    def hidden(self, jobs: Sequence[Job]) -> int:
        """How many of `jobs` are not shown: they were marked before the filter."""
        return 0

    def unmark(self, ids: Sequence[int]) -> None:
        """What was asked for is done: the marks have served."""

    def say(self, text: str) -> None:
        """Show a quiet line."""
        raise NotImplementedError

    def look_up(self, request: AnyRequest, kind: type[Told], then: Callable[[Told], None]) -> None:
        """Ask for something, and say so when it cannot be had."""

        def got(answer: AnyMessage) -> None:
            if isinstance(answer, kind):
                then(answer)
            elif isinstance(answer, Refused):
                self.say(f"{answer.message}: {answer.hint}".rstrip(": "))

        self.speakeasy.ask(request, got)

    def send(
        self,
        requests: Sequence[AnyRequest],
        what: str,
        jobs: Sequence[Job],
        *,
        keep_marks: bool = False,
        then: Then | None = None,
        **said: Any,
    ) -> None:
        """Do `what` to `jobs`, as `Doing.do` does; the marks stay until it is done."""
        marked = [] if keep_marks else [job.id for job in self.chosen()]

        def answered(answer: AnyMessage) -> None:
            if isinstance(answer, Ok):
                self.unmark(marked)
            if then is not None:
                then(answer)

        self.speakeasy.doing.do(requests, what, jobs, then=answered, **said)

    def ask_first(self, ask: Ask, jobs: Sequence[Job], go: Callable[[], None]) -> None:
        """`go` at once, or when the person says yes."""
        unseen = self.unseen(jobs)
        if not (ask.needed or unseen):
            go()
            return

        def answer(agreed: bool | None) -> None:
            if agreed:
                go()

        self.app.clear_notifications()  # they would lie on the question
        detail = f"{unseen} {ask.detail}".strip()
        self.app.push_screen(Confirm(ask.question, detail, ask.yes), answer)

    def unseen(self, jobs: Sequence[Job]) -> str:
        """A sentence that says how many of `jobs` the filter hides, or nothing."""
        count = self.hidden(jobs)
        if not count:
            return ""
        if count == len(jobs):
            return f"The filter hides {'it' if count == 1 else 'all of them'}."
        return f"The filter hides {count:,} of them."
