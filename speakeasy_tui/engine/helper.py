"""The engine's end of a process that reads recordings for it (`engine.helperprocess`)."""

from __future__ import annotations

import contextlib
import select
import signal
import subprocess
import sys
from collections.abc import Generator
from functools import partial

import msgspec
import numpy as np

from speakeasy_tui.core.job import ErrorKind
from speakeasy_tui.engine.cutting import Offer, Order, Taker
from speakeasy_tui.engine.handover import (
    LENGTH,
    LONGEST,
    Alive,
    Ask,
    Broke,
    Chunk,
    End,
    FromHelper,
    Make,
    Message,
    Read,
    framed,
    from_helper,
)
from speakeasy_tui.engine.trouble import Reported, Trouble
from speakeasy_tui.engine.wire import resident
from speakeasy_tui.engine.work import Mel

LOOK_EVERY = 0.2
"""Seconds after which to see whether the file is still wanted, where nothing comes."""
LEAVE_S = 5.0
"""Seconds that a killed helper gets to disappear: a disk may hold it."""
HEAVY = 2**30
"""Bytes of memory after which a helper makes way for a new one: it has 0.13 GB as a rule, but would
keep what a library loses or a strange file took, and the runner sees only the engine's."""
WHO = "the process that read the file"
OWN_FAULT = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT})
"""Signals that code brings upon itself: it was reading this file and would do so again."""
CONVERT = "convert it: ffmpeg -i FILE new.wav; if that fails as well, it is damaged"


class Died(Reported):
    """The process has ended, or does not answer."""


class Helper:
    """One helper, used by one thread, which must live as long as it: a helper's life hangs on the
    thread that starts it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ready(self) -> bool:
        """Start the process if there is none; False where that cannot be done."""
        if self._process is not None and self._process.poll() is not None:
            self.stop()  # whatever it was, it was over no file
        if self._process is None:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "speakeasy_tui.engine.helperprocess"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    bufsize=0,
                )
            except OSError as error:
                print(f"engine: no process to read files: {error}", file=sys.stderr, flush=True)
                return False
        return True

    def offers(self, order: Order, taker: Taker) -> Generator[Offer, None, None]:
        """The chunks of a recording, as `cutting.offers` makes them; the helper must be `ready`.

        The next spectrogram is made, and perhaps one more, while one is not taken. A file that is
        left before its end takes the process along.

        Raises:
            Reported: the file cannot be read, or the process has died over it.
        """
        last: Chunk | Broke | None = None
        try:
            message = self._begin(Read(order, _make(taker, wait=False)), taker)
            while True:
                taker.told(message.known)
                match message:
                    case Alive():
                        taker.alive(message.known.heard_s)
                    case Ask():
                        make = _make(taker, wait=True)
                        assert make is not None
                        self._send(make)
                    case Chunk(last=False):
                        yield Offer(
                            message.passage, message.speech, partial(self._mel, taker, message)
                        )
                    case End():
                        taker.loud(message.strip)
                        break
                    case _:
                        last = message
                        break
                message = self._receive(taker)
        except BaseException:  # also where no more is taken
            self.stop()
            raise
        if self._process is not None and resident(self._process.pid) > HEAVY:
            self.stop()
        if isinstance(last, Broke):
            raise Reported(last.trouble)
        if last is not None:
            yield Offer(last.passage, last.speech, partial(self._mel, taker, last))

    def stop(self) -> None:
        """End the process, whatever it does."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LEAVE_S)  # else `subprocess` does it when the next one is started
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    # ------------------------------------------------------------- the pipes

    def _begin(self, read: Read, taker: Taker) -> FromHelper:
        """Hand over the order, which is answered before the file is opened."""
        try:
            self._send(read)
            return self._receive(taker)
        except Died:
            # It was dying already, of something that is not this file.
            self.stop()
            if not self.ready():
                raise
        self._send(read)
        return self._receive(taker)

    def _send(self, message: Message) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        left = memoryview(framed(message))
        try:
            while left:
                left = left[self._process.stdin.write(left) or 0 :]
        except BrokenPipeError:
            raise self._died() from None

    def _receive(self, taker: Taker) -> FromHelper:
        length = int.from_bytes(self._bytes(LENGTH, taker), "little")
        if length > LONGEST:
            raise Reported(Trouble(f"{WHO} sent what is no message", ErrorKind.CRASH))
        body = self._bytes(length, taker)
        try:
            return from_helper.decode(body)
        except msgspec.MsgspecError as error:
            text = f"{WHO} sent what is no message: {error}"
            raise Reported(Trouble(text, ErrorKind.CRASH)) from None

    def _bytes(self, count: int, taker: Taker) -> bytearray:
        found = bytearray(count)
        self._fill(memoryview(found), taker)
        return found

    def _mel(self, taker: Taker, chunk: Chunk) -> Mel:
        maker = taker.maker(wait=True)
        assert maker is not None
        assert chunk.frames is not None, "not made, for nobody was to want it"
        mel = np.empty((maker.mels, chunk.frames), np.float32)
        if mel.size:
            self._fill(mel.data.cast("B"), taker)
        return mel

    def _fill(self, room: memoryview, taker: Taker) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        while room:
            if not poll.poll(LOOK_EVERY * 1000):
                taker.check()
                continue
            count = self._process.stdout.readinto(room)  # type: ignore[attr-defined]
            if not count:
                raise self._died()
            room = room[count:]

    def _died(self) -> Died:
        """What its end says of the file that it was reading."""
        assert self._process is not None
        try:
            status = self._process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            return Died(Trouble(f"{WHO} does not answer", ErrorKind.CRASH))
        if status >= 0:
            return Died(Trouble(f"{WHO} ended with status {status}", ErrorKind.CRASH))
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        if -status in OWN_FAULT:
            text = f"reading it ends the process that does ({name})"
            return Died(Trouble(text, ErrorKind.INPUT, CONVERT))
        return Died(Trouble(f"{WHO} was ended by {name}", ErrorKind.CRASH))


def _make(taker: Taker, wait: bool) -> Make | None:
    maker = taker.maker(wait)
    return None if maker is None else Make(maker.mels, taker.lacks_language())
