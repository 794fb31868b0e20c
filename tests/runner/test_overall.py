"""What is made of the lengths that are known."""

from __future__ import annotations

import pytest

from speakeasy_tui.core.job import State
from speakeasy_tui.runner.overall import expected_s
from speakeasy_tui.runner.rows import Tally


def tallies(**known: Tally) -> dict[str, Tally]:
    return {state.value: known.get(state.value, Tally(0, 0.0, 0)) for state in State}


def test_what_waits_is_taken_to_be_as_long_as_what_is_known() -> None:
    told = tallies(
        done=Tally(2, 200.0, 2), queued=Tally(5, 60.0, 1), held=Tally(2, 0.0, 0),
        running=Tally(1, 100.0, 1),
    )  # fmt: skip
    assert expected_s(told) == pytest.approx(360.0 + 6 * 90.0)


def test_what_is_over_or_cancelled_is_as_long_as_it_is_known_to_be() -> None:
    told = tallies(
        done=Tally(1, 50.0, 1), failed=Tally(9, 0.0, 0), skipped=Tally(9, 0.0, 0),
        cancelled=Tally(9, 900.0, 9),
    )  # fmt: skip
    assert expected_s(told) == 50.0


def test_where_no_length_is_known_there_is_nothing_to_go_by() -> None:
    assert expected_s(tallies(queued=Tally(5, 0.0, 0))) == 0.0
