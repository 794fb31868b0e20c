"""What tells one transcript from another."""

from __future__ import annotations

from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.runner.record import job_identity, made_of


def test_a_file_heard_window_after_window_is_another_job_with_another_transcript() -> None:
    batched, sequential = JobOptions(), JobOptions(sequential=True)
    assert made_of("c", "m", batched) != made_of("c", "m", sequential)
    assert job_identity(b"/a", batched) != job_identity(b"/a", sequential)
