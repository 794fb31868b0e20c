"""Where a run's time went: ``speakeasy run --profile``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from speakeasy_tui.cli.say import clock, table, times
from speakeasy_tui.core.protocol import Profile

PATIENCE_S = 4.0
"""Seconds to wait for what the engines spent last; they tell it every two."""


class Costs:
    """What the runner and its engines spent between two moments."""

    def __init__(self) -> None:
        self._before: Profile | None = None
        self._after: Profile | None = None

    def begin(self, told: Profile) -> None:
        """The run begins, or goes on with another runner: then what was before is not known."""
        if self._before is None:
            self._before = told
        elif self._before.pid != told.pid:
            self._before = Profile(
                pid=told.pid, stages={}, load_s=0, busy_s=0, up_s=0, cpu_s=0, age_s=0
            )

    def end(self, ask: Callable[[], Profile]) -> None:
        """The run is over: `ask` until every engine has told of its end."""
        over = time.monotonic()
        self._after = ask()
        while self._after.age_s > time.monotonic() - over < PATIENCE_S:
            time.sleep(0.2)
            self._after = ask()

    def detail(self, *, audio_s: float, wall_s: float) -> dict[str, Any] | None:
        """The `detail` of the event `profile`; None when the run did not come to its end."""
        if self._before is None or self._after is None:
            return None
        before, after = self._before, self._after
        spent = {
            name: max(0.0, seconds - before.stages.get(name, 0.0))
            for name, seconds in after.stages.items()
        }
        whole = sum(spent.values())
        watched = after.up_s - before.up_s
        return {
            "stages": [
                {
                    "stage": name,
                    "seconds": round(seconds, 3),
                    "share": round(seconds / whole, 4) if whole else 0.0,
                    "speed": round(audio_s / seconds, 1) if seconds > 0 else None,
                }
                for name, seconds in spent.items()
            ],
            "audio_s": round(audio_s, 3),
            "wall_s": round(wall_s, 3),
            "load_s": round(after.load_s - before.load_s, 3),
            "busy": round((after.busy_s - before.busy_s) / watched, 4) if watched > 0 else None,
            "runner_cpu_s": round(after.cpu_s - before.cpu_s, 3),
        }


def lines(detail: dict[str, Any]) -> list[str]:
    """The same for people."""
    rows = [["STAGE", "SECONDS", "SHARE", "× REAL TIME"]]
    for stage in detail["stages"]:
        speed = times(stage["speed"]) if stage["speed"] is not None else "-"
        rows.append([stage["stage"], f"{stage['seconds']:.2f}", f"{stage['share']:.1%}", speed])
    found = table(rows, right=frozenset({1, 2, 3})) if len(rows) > 1 else []
    if found:
        found.append("Seconds are summed over the engines' threads.")
    parts = [f"wall {clock(detail['wall_s'])} ({detail['wall_s']:.2f} s)"]
    parts.append(f"model loading {detail['load_s']:.2f} s")
    if detail["busy"] is not None:
        parts.append(f"engines busy {detail['busy']:.0%}")
    parts.append(f"runner {detail['runner_cpu_s']:.2f} s of CPU")
    return [*found, ", ".join(parts)]
