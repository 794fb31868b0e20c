"""Killing a runner again and again until its queue is through all the same."""

from __future__ import annotations

import contextlib
import os
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from speakeasy_tui.client.launch import attach
from speakeasy_tui.client.link import Link, LinkError, RefusedError
from speakeasy_tui.core import protocol as say
from speakeasy_tui.core.job import RunnerState
from speakeasy_tui.core.paths import Home
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.runner.chaos import POINTS

from . import processes

COMMIT_SHARE = 0.6
"""Of the runner's deaths, how many come inside a commit."""
OLD_AGE = "old age"
ORPHAN_S = 2.0
"""Seconds after its runner's death by which an engine must be gone."""


@dataclass
class Damage:
    """What a storm did."""

    kills: Counter[str] = field(default_factory=Counter)
    """Of the runner, by how: a commit's point, ``outside``, ``reboot``."""
    engine_kills: int = 0
    unexpected: int = 0
    """Deaths of the runner that nobody meant."""
    late_engines: int = 0
    """Engines that outlived their runner."""
    resumes: int = 0
    """Times that a person's resume was needed, every device being gone."""
    seconds: float = 0.0

    @property
    def in_commit(self) -> int:
        """Runner kills inside the commit window."""
        return sum(self.kills[point] for point in POINTS)

    @property
    def runner_kills(self) -> int:
        """All of them."""
        return self.kills.total()


@dataclass
class Death:
    """How the present life of the runner is to end."""

    how: str
    commits: int = 0
    """For a commit's point: how many times it is passed."""
    finished: int = 0
    """Otherwise: after so many more files are through, …"""
    seconds: float = 0.0
    """… and so many seconds."""


class Storm:
    """One queue, `kills` deaths of its runner."""

    def __init__(
        self,
        home: Home,
        folder: Path,
        options: JobOptions,
        *,
        files: int,
        kills: int,
        rng: random.Random,
        limit_s: float,
        engine_kills: float = 0.01,
    ) -> None:
        self.home = home
        self.damage = Damage()
        self._source = say.Source(os.fsencode(folder), os.fsencode(folder))
        self._options = options
        self._files = files
        self._kills = kills
        self._rng = rng
        self._limit = limit_s
        self._engine_kills = engine_kills
        self._final = 0
        self._added = False

    def rage(self) -> None:
        """Until every file is through or the time is up."""
        begun = time.monotonic()
        while time.monotonic() - begun < self._limit:
            death = self._fate()
            os.environ.pop("SPEAKEASY_CHAOS_COMMIT", None)
            if death.how in POINTS:
                os.environ["SPEAKEASY_CHAOS_COMMIT"] = f"{death.how}:{death.commits}"
            if self._live(death, begun + self._limit):
                break
        self.damage.seconds = time.monotonic() - begun

    def end(self) -> None:
        """Shut the runner down in good order."""
        os.environ.pop("SPEAKEASY_CHAOS_COMMIT", None)
        link = attach(self.home)
        pid = link.welcome.pid
        with contextlib.suppress(LinkError):
            link.request(say.Shutdown(), 10)
        link.close()
        processes.wait_gone(pid, 15)

    # ------------------------------------------------------------------ a life

    def _fate(self) -> Death:
        rng = self._rng
        left = self._kills - self.damage.runner_kills
        if left <= 0:
            return Death(OLD_AGE)
        # Faster than even, so that the last kill comes before the last file, also where
        # the two run on a busy machine.
        share = max(1.0, 0.45 * (self._files - self._final) / left)
        if self.damage.in_commit < COMMIT_SHARE * (self.damage.runner_kills + 1):
            point = rng.choice(POINTS)
            # With several formats a commit passes these once for each output or each but one.
            return Death(point, commits=max(1, round(rng.uniform(0.2, 1.8) * share)))
        how = "reboot" if rng.random() < 0.3 else "outside"
        if rng.random() < 0.3:  # young: while it recovers, or soon after
            return Death(how, seconds=rng.uniform(0, 0.3))
        return Death(
            how, finished=round(rng.uniform(0.2, 1.8) * share), seconds=rng.uniform(0, 0.2)
        )

    def _live(self, death: Death, deadline: float) -> bool:
        """One life of the runner. True when everything is through."""
        try:
            link = attach(self.home)
        except LinkError:
            self._buried(0)
            return False
        pid = link.welcome.pid
        try:
            return self._steer(link, pid, death, deadline)
        except LinkError:
            self._buried(pid)
            return False
        finally:
            link.close()

    def _steer(self, link: Link, pid: int, death: Death, deadline: float) -> bool:
        if not self._added:
            # Its answer is the promise that all is queued; the same again changes nothing.
            link.request(say.Add(sources=[self._source], options=self._options), 60)
            self._added = True
        link.request(say.Start())
        begun, start = time.monotonic(), self._final
        while time.monotonic() < deadline:
            status = link.request(say.GetStatus())
            assert isinstance(status, say.Status)
            counts = status.batch.counts
            left = counts["queued"] + counts["held"] + counts["running"]
            self._final = sum(counts.values()) - left
            if not left and self._final >= self._files:
                return True
            why = status.batch.why
            if status.batch.state is RunnerState.PAUSED and why and why.kind == "device":
                self.damage.resumes += 1
                with contextlib.suppress(RefusedError):
                    link.request(say.Resume())
            old = time.monotonic() - begun >= death.seconds
            if death.how in {"outside", "reboot"} and old and self._final - start >= death.finished:
                self._kill(pid, death.how)
                return False
            # In its old age it is left alone: what hangs must be found without help.
            if death.how != OLD_AGE and self._rng.random() < self._engine_kills:
                self._kill_engine(link, status)
            time.sleep(self._rng.uniform(0.005, 0.04))
        return False

    def _kill_engine(self, link: Link, status: say.Status) -> None:
        # Only where files are at work and all on their first try: one that has had its fault
        # and then loses an engine alone would rightly be quarantined.
        answer = link.request(say.GetJobs(states=["running"]))
        assert isinstance(answer, say.Jobs)
        busy = {job.lane for job in answer.jobs}
        scarred = {job.lane for job in answer.jobs if job.attempts > 1}
        pids = [lane.pid for lane in status.lanes if lane.pid and lane.number in busy - scarred]
        if pids:
            processes.kill([self._rng.choice(pids)])
            self.damage.engine_kills += 1

    # ------------------------------------------------------------------ a death

    def _kill(self, pid: int, how: str) -> None:
        victims = [pid]
        if how == "reboot":
            victims += processes.engines(self.home.state)
            self._rng.shuffle(victims)
        processes.kill(victims)
        processes.wait_gone(pid, 10)
        if how == "reboot":
            self.home.socket.unlink(missing_ok=True)
            self.home.lock.unlink(missing_ok=True)
        self.damage.kills[how] += 1
        self._look_for_orphans()

    def _buried(self, pid: int) -> None:
        """The runner is dead and we did not do it: it did it itself, or it crashed."""
        if pid:
            processes.wait_gone(pid, 10)
        points = re.findall(r"chaos: killing this runner at '(\w+)'", self._log())
        if len(points) > self.damage.in_commit:
            self.damage.kills[points[-1]] += 1
        else:
            self.damage.unexpected += 1
        self._look_for_orphans()

    def _log(self) -> str:
        older = self.home.runner_log.with_suffix(".log.1")
        texts = [p.read_text(errors="replace") for p in (older, self.home.runner_log) if p.exists()]
        return "".join(texts)

    def _look_for_orphans(self) -> None:
        deadline = time.monotonic() + ORPHAN_S
        while left := processes.engines(self.home.state):
            if time.monotonic() > deadline:
                self.damage.late_engines += len(left)
                processes.kill(left)
                return
            time.sleep(0.01)
