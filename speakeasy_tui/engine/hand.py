"""A file in the front end's hands: what is found out about it, and what is said of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from speakeasy_tui.core.engineprotocol import Opened, Progress
from speakeasy_tui.core.job import JobWarning
from speakeasy_tui.engine.cutting import Known
from speakeasy_tui.engine.melspec import LogMel
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.wire import Meter, Writer
from speakeasy_tui.engine.work import FileWork

ALIVE_EVERY = 1.0
"""Seconds between reports while a file is being decoded."""


class Hand:
    """Takes for a file what is found out about it, and stops the work on one that was dropped."""

    def __init__(
        self,
        file: FileWork,
        settled: Callable[[FileWork, bool], Model | None],
        writer: Writer,
        meter: Meter,
    ) -> None:
        """
        Args:
            file: the one in hand.
            settled: gives the model, for which it may be told to wait; then it is known as well
                whether the file's language is.
            writer: takes signs of life.
            meter: takes the seconds of each stage.
        """
        self._file = file
        self._settled = settled
        self._writer = writer
        self._meter = meter
        self._reported = time.monotonic()
        self._seconds: dict[str, float] = {}
        self._warnings = 0
        self.strip = ""
        """How loud the recording is, once it was read to its end."""
        self.check = file.check

    def alive(self, seconds: float) -> None:
        """Say every now and then that decoding goes on."""
        self._file.check()
        if time.monotonic() - self._reported >= ALIVE_EVERY:
            self.report()

    def report(self) -> None:
        """Say that decoding goes on."""
        self._reported = time.monotonic()
        file = self._file
        if file.done + file.given_up < file.todo:  # the model's progress says more
            return
        progress = round(file.progress, 4)
        self._writer.send(Progress(job=file.job, progress=progress, stage="decode"))

    def told(self, known: Known) -> None:
        """Bring the file, and the stages' seconds, up to date."""
        file = self._file
        file.audio_s, file.heard_s, file.speech_s = known.audio_s, known.heard_s, known.speech_s
        file.warnings.extend(known.warnings[self._warnings :])
        self._warnings = len(known.warnings)
        for stage, seconds in known.seconds.items():
            more = seconds - self._seconds.get(stage, 0.0)
            self._meter.add(stage, more)
            file.front_s += more
        self._seconds = dict(known.seconds)
        file.check()

    def loud(self, strip: str) -> None:
        """Keep it."""
        self.strip = strip

    def maker(self, wait: bool) -> LogMel | None:
        """That of the model."""
        model = self._settled(self._file, wait)
        return None if model is None else model.mel

    def lacks_language(self) -> bool:
        """Whether it is to be found out."""
        return self._file.language is None


def opened(file: FileWork) -> Opened:
    """The report on a file: what is known of it so far."""
    chunks, speech_s = file.chunks, file.speech_s if file.options.vad else file.heard_s
    if not file.whole:
        chunks += max(1, math.ceil((file.audio_s - file.heard_s) / 30))
    return Opened(
        job=file.job,
        audio_s=max(file.audio_s, round(file.heard_s, 3)),
        speech_s=round(speech_s, 3),
        chunks=chunks,
        language=file.language,
        language_probability=file.language_probability,
        warnings=list(file.warnings),
    )


def settle_language(file: FileWork, multilingual: bool) -> None:
    """What language a model hears the file in, if that needs no finding, and what it cannot do."""
    file.settled = True
    asked = file.options.language
    if multilingual:
        file.language = None if asked == "auto" else asked
    else:
        file.language = "en"
        if asked not in ("auto", "en"):
            text = f"the model knows only English; {asked} was asked for"
            file.warnings.append(JobWarning("language", text))
        if file.options.task == "translate":
            text = "the model knows only English and cannot translate"
            file.warnings.append(JobWarning("language", text))
    if file.language is not None and file.language_probability is None:
        file.language_probability = 1.0
