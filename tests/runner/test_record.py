"""What tells one transcript from another."""

from __future__ import annotations

from typing import Any

import pytest

from speakeasy_tui.core.settings import JOB_FIELDS, JobOptions
from speakeasy_tui.runner.record import job_identity, made_of

SHAPING: dict[str, Any] = {
    "engine": "sim",
    "language": "de",
    "task": "translate",
    "beam_size": 1,
    "word_timestamps": True,
    "vad": False,
    "initial_prompt": "Names: Aino.",
    "sequential": True,
    "fallback": False,
}
"""Options that make another text, and another value of each."""
NOT_SHAPING = {"device", "compute_type", "batch_size", "pack", "overwrite", "format", "output_dir"}


def test_every_option_is_known_to_shape_a_transcript_or_not_to() -> None:
    assert {*SHAPING, *NOT_SHAPING, "model"} == set(JOB_FIELDS)


@pytest.mark.parametrize("option", SHAPING)
def test_what_shapes_a_transcript_makes_another_job_and_another_transcript(option: str) -> None:
    usual, other = JobOptions(), JobOptions(**{option: SHAPING[option]})
    assert made_of("c", "m", usual) != made_of("c", "m", other)
    assert job_identity(b"/a", usual) != job_identity(b"/a", other)
    assert made_of("c", "m", usual) != made_of("c", "n", usual)


def test_machine_matters_make_the_same_transcript() -> None:
    usual = JobOptions()
    other = JobOptions(device="cpu", compute_type="int8", batch_size=1, pack=False, overwrite=True)
    assert made_of("c", "m", usual) == made_of("c", "m", other)
    assert job_identity(b"/a", usual) == job_identity(b"/a", other)
