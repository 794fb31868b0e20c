"""A short run of the fuzzer, and that it sees what it is there to see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speakeasy_tui.engine.timeline import RATE
from tests.fuzz.child import Answer, Task
from tests.fuzz.corpus import speech
from tests.fuzz.judge import judge, silence
from tests.fuzz.mutate import Case, Damage, case
from tests.fuzz.run import BAD, Child, Whole, prepare, run, verdict

SEED = 20


def test_120_damaged_files_are_whole_incomplete_or_failed_clearly(tmp_path: Path) -> None:
    verdicts = list(run(range(120), SEED, tmp_path))
    assert [one for one in verdicts if one.outcome in BAD] == []
    assert len({(one.case.form, one.case.mutation) for one in verdicts}) == 30
    assert {one.outcome for one in verdicts} == {"whole", "incomplete", "failed"}


def test_a_case_is_the_same_every_time() -> None:
    files = {"a": bytes(range(256)) * 50, "b": b"other" * 3000}
    again = [[case(5, number, files) for number in range(20)] for _ in range(2)]
    assert again[0] == again[1]
    assert case(6, 3, files).damage != case(5, 3, files).damage


def test_the_judge_tells_lost_from_late_from_noise() -> None:
    original = speech(20.0)
    assert judge(original, original).found_s == 20.0
    noise = np.random.default_rng(1).integers(-3000, 3000, 20 * RATE).astype(np.int16)
    assert judge(noise, original).found_s == 0.0
    late = judge(np.concatenate([np.zeros(5 * RATE, np.int16), original]), original)
    assert (late.found_s, late.late_s, round(late.real_s)) == (20.0, 20.0, 20)
    half = original.copy()
    half[10 * RATE :] = 0
    assert judge(half, original).found_s == 10.0
    assert silence(half) == pytest.approx(10.0, abs=0.01)


def test_a_recording_that_passes_as_whole_and_is_not_is_wrong() -> None:
    whole = Whole(Path(), {"mp3": bytes(1000)}, {"mp3": 20.0})
    one = Case(0, "mp3", "truncated", Damage(bytes(500), 500))
    half = judge(speech(20.0)[: 10 * RATE], speech(20.0))
    assert verdict(one, Answer("decoded", heard=half), whole).outcome == "wrong"
    assert verdict(one, Answer("decoded", warned=True, heard=half), whole).outcome == "incomplete"
    assert verdict(one, Answer("error", "Traceback"), whole).outcome == "error"
    assert verdict(one, "signal 11", whole).outcome == "signal"


def test_a_lost_child_is_told_and_another_one_goes_on(tmp_path: Path) -> None:
    whole = prepare(tmp_path)
    child = Child()
    task = Task(str(tmp_path / "whole.mp3"), whole.original("mp3"))
    try:
        assert isinstance(child.ask(task), Answer)
        assert child.process is not None
        child.process.kill()
        child.process.wait()
        assert child.ask(task) == "signal 9"
        assert isinstance(child.ask(task), Answer)
    finally:
        child.close()
