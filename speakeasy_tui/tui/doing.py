"""What a person does to the queue: sent, told of, and taken back."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

from speakeasy_tui.core.job import Job
from speakeasy_tui.core.protocol import (
    AnyMessage,
    AnyRequest,
    Cancel,
    Hold,
    Move,
    Ok,
    Place,
    Refused,
    Release,
    Remove,
    ToEnd,
)
from speakeasy_tui.core.text import printable
from speakeasy_tui.tui.format import plural
from speakeasy_tui.tui.gpu_worker import Then
from speakeasy_tui.tui.rows import short_path

UNDOABLE = Hold | Release | Cancel | Remove | Move | ToEnd
"""Requests whose answer says what takes them back."""

KEPT = 50
"""Steps that can be taken back."""


def named(jobs: Sequence[Job]) -> str:
    """The one file's name, or how many they are."""
    if len(jobs) == 1:
        return printable(short_path(jobs[0]).rsplit("/", 1)[-1])
    return plural(len(jobs), "file")


@dataclass(eq=False)
class Step:
    """Something that was asked for, and can be taken back once it is answered."""

    number: int
    what: str
    """``cancelled``, ``moved``, …"""
    name: str
    """Of the file, if it is one."""
    answered: bool = False
    count: int = 0
    """How many files it was done to."""
    back: AnyRequest | None = None

    @property
    def text(self) -> str:
        """What was done, to which file or how many."""
        if self.name:
            return f"{self.name}: {self.what}"
        return f"{plural(self.count, 'file')} {self.what}"


def told(step: Step, count: int) -> str:
    """What to say when `step` was taken back for `count` files."""
    if isinstance(step.back, Place) or count >= step.count:  # a place is given to others, too
        return f"Taken back: {step.text}"
    if step.count == 1:
        return f"Not taken back, for it was running or has been changed since: {step.text}"
    why = "running then, or have been changed since"
    if not count:
        return f"Not taken back: {step.text} were {why}"
    return f"Taken back for {count:,} of {step.text}; the others were {why}"


class Doing:
    """Sends what is done to the queue, and keeps what takes it back.

    A step is kept from when it is sent, so that the last one is the last thing that a person did,
    answered or not; what takes it back goes out when its answer is there, and in order.
    """

    def __init__(
        self,
        ask: Callable[[AnyRequest, Then], None],
        say: Callable[[str], None],
        refused: Callable[[Refused], None],
    ) -> None:
        self._ask = ask
        self._say = say
        self._refused = refused
        self._number = 0
        self._steps: list[Step] = []
        self._wanted: deque[Step] = deque()
        """Those to be taken back, the first as soon as it is answered."""

    def do(
        self,
        requests: Sequence[AnyRequest],
        what: str,
        jobs: Sequence[Job],
        *,
        said: str = "",
        unless: str = "",
        then: Then | None = None,
    ) -> None:
        """Send `requests`, which do `what` to `jobs`, and tell what came of it.

        `said` is the sentence that tells it, if it is another than which files and `what`;
        `unless` that for when nothing was changed. `then` gets the answer to all.
        """
        name = named(jobs) if len(jobs) == 1 else ""
        step = None
        if any(isinstance(request, UNDOABLE) for request in requests):
            step = self._begin(what, name)
        answers: list[AnyMessage] = []

        def answered(answer: AnyMessage) -> None:
            answers.append(answer)
            if isinstance(answer, Refused):
                self._refused(answer)
            if len(answers) < len(requests):
                return
            done = [one for one in answers if isinstance(one, Ok)]
            whole = Ok(count=sum(one.count for one in done))
            whole.note = ". ".join(one.note for one in done if one.note)
            if done:
                whole.undo = done[-1].undo
                self._say(_answer(whole, what, name, said, unless))
            if step is not None:
                self._end(step, whole)
            if then is not None:
                failed = [one for one in answers if not isinstance(one, Ok)]
                then(failed[0] if failed else whole)

        for request in requests:
            self._ask(request, answered)

    def take_back(self) -> bool:
        """Undo the last step that was not; whether there is one."""
        if not self._steps:
            return False
        self._wanted.append(self._steps.pop())
        self._send_wanted()
        return True

    def forget(self) -> None:
        """There is another queue: nothing that was done can be taken back."""
        self._steps.clear()
        self._wanted.clear()

    def _begin(self, what: str, name: str) -> Step:
        self._number += 1
        step = Step(self._number, what, name)
        self._steps = [*self._steps, step][-KEPT:]
        return step

    def _end(self, step: Step, answer: Ok) -> None:
        step.answered, step.count, step.back = True, answer.count, answer.undo
        if step.back is None and step in self._steps:
            self._steps.remove(step)
        self._send_wanted()

    def _send_wanted(self) -> None:
        while self._wanted and self._wanted[0].answered:
            step = self._wanted.popleft()
            if step.back is None:
                self._say("Nothing to take back: that was not done")
            else:
                self._ask(step.back, partial(self._taken_back, step))

    def _taken_back(self, step: Step, answer: AnyMessage) -> None:
        if isinstance(answer, Ok):
            self._say(told(step, answer.count))
        elif isinstance(answer, Refused):
            self._refused(answer)
            if answer.later or not answer.seq:  # no runner's answer: none has it
                insort(self._steps, step, key=attrgetter("number"))


def _answer(answer: Ok, what: str, name: str, said: str, unless: str) -> str:
    if said:
        text = said if answer.count else unless
    elif name:
        text = f"{name}: {what}" if answer.count else f"{name}: not {what}"
    else:
        text = f"{plural(answer.count, 'file')} {what}"
    return f"{text}. {answer.note}" if answer.note else text
