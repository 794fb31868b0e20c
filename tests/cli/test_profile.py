"""speakeasy run --profile: where the time went."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speakeasy_tui.cli.profile import Costs, lines
from speakeasy_tui.core.engineprotocol import Vitals
from speakeasy_tui.core.protocol import Profile
from speakeasy_tui.runner.ledger import Ledger

SIM = ("--engine", "sim", "--output-dir", "out", "-f", "txt")


def vitals(busy: float, **stages: float) -> Vitals:
    return Vitals(rss=1, busy=busy, stages=stages)


def test_stages_are_summed_over_lanes_and_over_engines_that_are_gone() -> None:
    now = 100.0
    ledger = Ledger(lambda: now)
    ledger.loaded(1.5)
    ledger.vitals(0, vitals(0.5, encode=1.0, wait=1.0))
    now = 102.0
    ledger.vitals(0, vitals(1.0, encode=2.5, wait=1.2))
    ledger.vitals(1, vitals(0.0, encode=0.5))
    ledger.ended(0)
    now = 103.0
    ledger.vitals(0, vitals(1.0, encode=0.25))  # a new process counts from nothing
    told = ledger.profile([0, 1])
    assert told.stages == {"encode": 3.25, "wait": 1.2}
    assert told.load_s == 1.5
    assert told.busy_s == 0.5 * 2 + 1.0 * 2 + 1.0 * 2
    assert told.age_s == 1.0
    assert ledger.profile([]).age_s == 0.0


def spent(pid: int, stages: dict[str, float], *, busy_s: float, up_s: float) -> Profile:
    return Profile(pid=pid, stages=stages, load_s=1, busy_s=busy_s, up_s=up_s, cpu_s=2, age_s=0)


def test_a_run_counts_what_was_spent_while_it_lasted() -> None:
    costs = Costs()
    assert costs.detail(audio_s=1, wall_s=1) is None
    costs.begin(spent(1, {"encode": 10.0}, busy_s=10, up_s=20))
    costs.end(lambda: spent(1, {"encode": 13.0, "generate": 9.0}, busy_s=16, up_s=28))
    detail = costs.detail(audio_s=120, wall_s=8)
    assert detail is not None
    assert detail["stages"] == [
        {"stage": "encode", "seconds": 3.0, "share": 0.25, "speed": 40.0},
        {"stage": "generate", "seconds": 9.0, "share": 0.75, "speed": 13.3},
    ]
    assert detail["busy"] == 0.75
    text = "\n".join(lines(detail))
    assert "generate     9.00  75.0%" in text
    assert "engines busy 75%" in text


def test_a_new_runner_counts_from_its_own_beginning() -> None:
    costs = Costs()
    costs.begin(spent(1, {"encode": 10.0}, busy_s=10, up_s=20))
    costs.begin(spent(2, {"encode": 1.0}, busy_s=1, up_s=1))
    costs.end(lambda: spent(2, {"encode": 4.0}, busy_s=3, up_s=4))
    detail = costs.detail(audio_s=40, wall_s=8)
    assert detail is not None
    assert detail["stages"][0]["seconds"] == 4.0


@pytest.mark.parametrize("where", ["--foreground", "--background"])
def test_run_prints_it_for_people_and_as_one_event(speakeasy, recordings: Path, where: str) -> None:
    done = speakeasy("run", "recordings", *SIM, "--profile", where)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    for part in ("wall ", "model loading ", "engines busy ", "of CPU"):
        assert part in last
    again = ("--language", "de", "--overwrite")  # else its chunks are there already
    done = speakeasy("run", "recordings", *SIM, *again, "--profile", "--json", where)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events[-2:]] == ["profile", "summary"]
    detail = events[-2]["detail"]
    assert detail["audio_s"] == pytest.approx(12.0)
    assert {stage["stage"] for stage in detail["stages"]} == {"decode", "generate"}
    assert detail["wall_s"] > 0
    assert detail["runner_cpu_s"] > 0
    assert 0 <= detail["busy"] <= 1
