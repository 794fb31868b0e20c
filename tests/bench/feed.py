"""Plays the runner for a window: any number of rows, some of them running, over a socket.

    python -m tests.bench.feed SOCKET --rows 100000 --running 8

It speaks the real protocol. Running rows are told ten times a second, the batch and lanes
twice, as the runner does at most. A recording of 30 minutes takes 30 seconds.
"""

from __future__ import annotations

import argparse
import random
import socket
import threading
import time
from pathlib import Path

from speakeasy_tui.core import protocol as p
from speakeasy_tui.core.job import Batch, Job, Lane, LaneState, RunnerState, State
from speakeasy_tui.core.lines import encode

TICK = 0.1
PAGE = 2000
GB = 2**30
LENGTH = 1800.0


def row(number: int) -> Job:
    """A row that waits, as long as such rows are."""
    root = "/data/recordings"
    path = f"{root}/tape-{number // 100:04d}/interview-{number % 100:02d}-side-{number % 2}.flac"
    return Job(id=number, position=number, path=path, root=root, audio_s=LENGTH)


class Feed:
    """The rows and how they go on."""

    def __init__(self, rows: int, running: int) -> None:
        self.chance = random.Random(4)
        self.jobs = {number: row(number) for number in range(1, rows + 1)}
        self.running = list(range(1, running + 1))
        self.next = running + 1
        self.done = 0
        for number in self.running:
            self._begin(number)

    def _begin(self, number: int) -> None:
        job = self.jobs[number]
        job.state, job.attempts, job.language = State.RUNNING, 1, "en"
        job.progress = self.chance.random() * 0.5

    def step(self) -> p.Rows:
        """A tenth of a second later."""
        told = []
        for place, number in enumerate(self.running):
            job = self.jobs[number]
            job.speed = 60.0 + self.chance.uniform(-1.5, 1.5)
            job.progress += job.speed * TICK / LENGTH
            job.eta_s = (1 - job.progress) * LENGTH / job.speed
            if job.progress >= 1:
                job.state, job.progress, job.message = State.DONE, 1.0, "5 outputs"
                self.done += 1
                self.running[place] = self.next
                self._begin(self.next)
                told.append(self.jobs[self.next])
                self.next += 1
            told.append(job)
        return p.Rows(jobs=told)

    def pulse(self) -> p.Pulse:
        """The batch and its lanes now."""
        count = len(self.running)
        waiting = len(self.jobs) - count - self.done
        counts = {"running": count, "queued": waiting, "done": self.done}
        batch = Batch(counts=counts, audio_s=len(self.jobs) * LENGTH, disk_free=800 * GB)
        batch.done_s = self.done * LENGTH + sum(
            self.jobs[number].progress * LENGTH for number in self.running
        )
        batch.state = RunnerState.RUNNING if count else RunnerState.PAUSED
        if count:
            batch.speed = 60.0 * count + self.chance.uniform(-3, 3)
            batch.eta_s = (batch.audio_s - batch.done_s) / batch.speed
        return p.Pulse(batch=batch, lanes=[self._lane(number) for number in range(count)])

    def _lane(self, number: int) -> Lane:
        return Lane(
            number=number,
            device=f"cuda:{number}",
            state=LaneState.RUNNING,
            model="large-v3",
            compute_type="float16",
            batch_size=24,
            name="NVIDIA H200",
            memory_total=140 * GB,
            memory_used=14 * GB + self.chance.randrange(GB // 4),
            use=0.95 + self.chance.uniform(-0.04, 0.04),
            temperature=60 + self.chance.randrange(3),
            speed=60.0 + self.chance.uniform(-1.5, 1.5),
        )


def serve(connection: socket.socket, feed: Feed) -> None:
    """One window, until it hangs up."""
    writing = threading.Lock()

    def send(*messages: p.Message) -> None:
        with writing:
            connection.sendall(b"".join(encode(message) for message in messages))

    def tell() -> None:
        rows = list(feed.jobs.values())
        send(feed.pulse())
        for first in range(0, len(rows), PAGE):
            send(p.Rows(jobs=rows[first : first + PAGE]))
        send(p.Rows(jobs=[], synced=True))
        due = time.monotonic()
        number = 0
        while feed.running:
            number += 1
            send(feed.step())
            if number % 5 == 0:
                send(feed.pulse())
            due += TICK
            time.sleep(max(0.0, due - time.monotonic()))

    with connection, connection.makefile("rb") as lines:
        for line in lines:
            request = p.request_decoder.decode(line)
            if isinstance(request, p.Hello):
                send(p.Welcome(seq=request.seq, version=p.VERSION, program="0", pid=1, home="/"))
            else:
                send(p.Ok(seq=request.seq))
            if isinstance(request, p.Subscribe):
                threading.Thread(target=tell, daemon=True).start()


def main() -> None:
    """Listen at SOCKET for one window."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("socket", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--running", type=int, default=8)
    given = parser.parse_args()
    feed = Feed(given.rows, given.running)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(given.socket))
        given.socket.chmod(0o600)
        listening.listen()
        connection, _ = listening.accept()
        serve(connection, feed)


if __name__ == "__main__":
    main()
