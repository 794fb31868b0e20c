"""A terminal that measures: what a program in it sends, when, and what it costs."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.tui.emulator import Emulator

TICKS = os.sysconf("SC_CLK_TCK")


class Terminal:
    """A pty with a program in it; a thread reads all the time, unless it is `frozen`."""

    def __init__(
        self, command: Sequence[str], width: int = 140, height: int = 45, **environment: str
    ) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        usual = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, **usual, **environment},
        )
        os.close(slave)
        self.screen = Emulator(width, height)
        self.output = bytearray()
        self.times: list[tuple[float, int]] = []
        """When how many bytes had come in all."""
        self.frozen = threading.Event()
        self._closed = threading.Event()
        self._grown = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while not self._closed.is_set():
            if self.frozen.is_set():
                time.sleep(0.01)
                continue
            try:
                if not select.select([self.master], [], [], 0.05)[0]:
                    continue
                data = os.read(self.master, 1 << 16)
            except (OSError, ValueError):  # EIO: the program has ended
                return
            with self._grown:
                self.output += data
                self.screen.feed(data)
                self.times.append((time.monotonic(), len(self.output)))
                self._grown.notify_all()

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self.master, keys)

    def wait(self, shown: Callable[[str], object] | str, seconds: float = 60.0) -> float:
        """When `shown` was on the screen, or true of it, on the monotonic clock."""
        holds = (lambda text: shown in text) if isinstance(shown, str) else shown
        deadline = time.monotonic() + seconds
        with self._grown:
            while not holds(self.screen.text):
                left = deadline - time.monotonic()
                if left <= 0 or (not self._grown.wait(min(left, 0.5)) and self.ended):
                    raise TimeoutError(f"{shown!r} did not come:\n{self.screen.text}")
            return self.times[-1][0] if self.times else self.started

    @property
    def ended(self) -> bool:
        """Whether the program is gone."""
        return self.process.poll() is not None

    def cpu(self) -> float:
        """Seconds of processor time so far, all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> float:
        """Resident, MB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    def measure(self, seconds: float) -> tuple[float, float]:
        """Bytes a second and share of a core over the next `seconds`."""
        count, spent, began = len(self.output), self.cpu(), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        return (len(self.output) - count) / took, (self.cpu() - spent) / took

    def close(self) -> None:
        """End the program."""
        if not self.ended:
            self.process.kill()
        self.process.wait()
        self._closed.set()
        os.close(self.master)
