"""How long the command takes to be of use, and what the window costs in memory.

    python -m tests.bench.startup [--runs 7]

Prints medians over the runs: `speakeasy --help`; the interface's first frame in a real pty of
80×24 after the command, with the runner there already and without; the interface's resident
memory then. The simulated engine is used: nothing here waits for a model.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
import wave
from pathlib import Path

COMMAND = [sys.executable, "-m", "speakeasy_tui"]


def recordings(folder: Path, count: int = 30) -> Path:
    """A folder of short silent wav files."""
    folder.mkdir()
    for number in range(count):
        with wave.open(str(folder / f"clip-{number}.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(b"\0\0" * 16000)
    return folder


def first_frame(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds until the table's header is drawn, and the process's memory in MB then."""
    begun = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(COMMAND[0], [*COMMAND, *arguments], environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen, took = b"", 0.0
    while b"progress" not in seen or b"clip-0" not in seen:
        if not select.select([terminal], [], [], 20)[0]:
            raise SystemExit(f"no frame: {seen!r}")
        seen += os.read(terminal, 1 << 16)
        took = time.perf_counter() - begun
    time.sleep(0.5)
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    os.kill(pid, signal.SIGHUP)
    os.waitpid(pid, 0)
    os.close(terminal)
    return took, resident / 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    helps, cold, warm, memory = [], [], [], []
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        folder = recordings(base / "recordings")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SPEAKEASY_")}
        clean |= {"TERM": "xterm-256color"}
        for number in range(runs + 1):  # the first warms the disk and is not counted
            begun = time.perf_counter()
            subprocess.run([*COMMAND, "--help"], stdout=subprocess.DEVNULL, check=True)
            helped = time.perf_counter() - begun
            home = clean | {"SPEAKEASY_HOME": str(base / f"home-{number}")}
            arguments = [str(folder), "--engine", "sim", "-o", str(base / f"out-{number}")]
            without, _ = first_frame(arguments, home)
            there, resident = first_frame(arguments, home)
            subprocess.run([*COMMAND, "runner", "stop"], env=home, capture_output=True, check=True)
            if number:
                helps.append(helped)
                cold.append(without)
                warm.append(there)
                memory.append(resident)
    print(f"speakeasy --help                       {statistics.median(helps):6.2f} s")
    print(f"first rows, runner started by it       {statistics.median(cold):6.2f} s")
    print(f"first rows, runner there already       {statistics.median(warm):6.2f} s")
    print(f"memory of the interface's process      {statistics.median(memory):6.0f} MB")


if __name__ == "__main__":
    main()
