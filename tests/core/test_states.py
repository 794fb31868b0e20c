"""The diagram of states."""

from __future__ import annotations

from speakeasy_tui.core.job import FINAL_STATES, NEXT_STATES, State
from tests.tools.draw_states import PAGE, WHY, page


def test_the_page_of_states_is_what_the_code_says() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.tools.draw_states"


def test_every_change_of_state_has_its_reason() -> None:
    assert set(WHY) == {(old, new) for old in State for new in NEXT_STATES[old]}


def test_a_final_state_is_left_only_for_the_queue() -> None:
    assert all(NEXT_STATES[state] == {State.QUEUED} for state in FINAL_STATES)
