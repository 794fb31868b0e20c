"""Damaged files that once passed as whole and were not, each made again from its seed."""

from __future__ import annotations

import pytest

from tests.fuzz.run import Verdict, run

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


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], Verdict]:
    """Of all of them, by seed and number."""
    folder = tmp_path_factory.mktemp("seeds")
    numbers: dict[int, list[int]] = {}
    for seed, number, *_ in FOUND:
        numbers.setdefault(seed, []).append(number)
    return {
        (seed, one.case.number): one
        for seed, several in numbers.items()
        for one in run(several, seed, folder)
    }


@pytest.mark.parametrize(
    ("seed", "number", "form", "outcome"),
    [found[:4] for found in FOUND],
    ids=[f"{found[2]}-{found[0]}-{found[1]}" for found in FOUND],
)
def test_what_once_went_wrong_is_told_truly(
    verdicts: dict[tuple[int, int], Verdict], seed: int, number: int, form: str, outcome: str
) -> None:
    one = verdicts[seed, number]
    assert one.case.form == form
    assert one.outcome == outcome, one
