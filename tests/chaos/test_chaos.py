"""A short storm. The long one is ``python -m tests.chaos``; docs/faults.md has its count."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from .field import WEIGHTS, deal, rules, sow, spread


@pytest.mark.timeout(240)
def test_nothing_is_lost_in_a_storm_of_faults_and_runner_kills(tmp_path: Path) -> None:
    arguments = ["--files=220", "--kills=15", "--faults=0.25", "--seed=7", "--limit=200"]
    storm = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *arguments, "--work", os.fspath(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert storm.returncode == 0, storm.stdout + storm.stderr
    assert "| **done** | 220 |" in storm.stdout


def test_every_kind_of_fault_is_dealt_at_least_twice() -> None:
    faults = deal(60, 0.4, random.Random(1))
    kinds = [fault.partition("-")[0] for fault in faults if fault]
    assert len(faults) == 60
    assert all(kinds.count(kind) >= 2 for kind in WEIGHTS)


@pytest.mark.parametrize(("count", "share"), [(84, 0.3), (60, 0.5), (60, 1.0), (1, 1.0), (0, 0.5)])
def test_faults_are_dealt_far_apart_and_nothing_else_changes(count: int, share: float) -> None:
    dealt = deal(count, share, random.Random(2))
    faults = spread(dealt)
    assert sorted(faults) == sorted(dealt)
    places = [place for place, fault in enumerate(faults) if fault]
    assert all(after - before >= int(1 / share) for before, after in pairwise(places))


def test_output_that_is_another_files_is_wrong(tmp_path: Path) -> None:
    one, two = sow(tmp_path / "in", tmp_path / "out", 2, 0.0, random.Random(1))
    assert one.wrong()
    for recording, said in ((one, one.said()), (two, one.said())):
        txt, json = recording.outputs()
        txt.parent.mkdir(parents=True, exist_ok=True)
        txt.write_text("".join(f"{line}\n" for line in said))
        segments = [{"text": line} for line in said]
        json.write_bytes(msgspec.json.encode({"segments": segments}))
    assert one.wrong() == ""
    assert "not this file's text" in two.wrong()


def test_the_rules_name_every_fault() -> None:
    assert {rule.partition(":")[0] for rule in rules().split(";")} == set(WEIGHTS)
