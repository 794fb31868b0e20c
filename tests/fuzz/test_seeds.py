"""Damaged files that once passed as whole and were not, each made again from its seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.run import run

FOUND = [
    (1, 338, "m4a", "incomplete", "frames of 64 ms lost all over: each was too short to count"),
    (1, 788, "m4a", "incomplete", "the same"),
    (
        1,
        431,
        "mkv",
        "incomplete",
        "the same, and a packet whose error FFmpeg calls one of permission",
    ),
    (1, 1061, "mkv", "incomplete", "the same"),
    (
        1,
        1137,
        "ogg",
        "incomplete",
        "the last page but one lost: FFmpeg takes the one before for the end",
    ),
    (20, 40, "flac", "whole", "a wrong sample rate in the header put silence between all frames"),
    (1, 1575, "ogg", "incomplete", "the same with noise"),
]


@pytest.mark.parametrize(
    ("seed", "number", "form", "outcome"),
    [found[:4] for found in FOUND],
    ids=[f"{found[2]}-{found[0]}-{found[1]}" for found in FOUND],
)
def test_what_once_went_wrong_is_told_truly(
    tmp_path: Path, seed: int, number: int, form: str, outcome: str
) -> None:
    (one,) = run([number], seed, tmp_path)
    assert one.case.form == form
    assert one.outcome == outcome, one
