"""Writes docs/states.md from the code: ``python -m tests.tools.draw_states``."""

from __future__ import annotations

from pathlib import Path

from speakeasy_tui.core.job import FINAL_STATES, NEXT_STATES, State

PAGE = Path(__file__).parents[2] / "docs" / "states.md"

MEANING = {
    State.QUEUED: "waits for its turn",
    State.HELD: "waits until a person releases it",
    State.RUNNING: "an engine works on it, or its outputs are being committed",
    State.DONE: "its outputs are in place",
    State.SKIPPED: "its outputs were there already, of the same content, model and options",
    State.FAILED: "cannot be done; the row says why and what to do",
    State.QUARANTINED: "took two engines down while alone in them",
    State.CANCELLED: "a person did not want it",
}

WHY = {
    (State.QUEUED, State.HELD): "hold",
    (State.QUEUED, State.RUNNING): "a lane begins a try",
    (State.QUEUED, State.SKIPPED): "outputs are there",
    (State.QUEUED, State.FAILED): "outputs or model impossible",
    (State.QUEUED, State.CANCELLED): "cancel",
    (State.HELD, State.QUEUED): "release",
    (State.HELD, State.CANCELLED): "cancel",
    (State.RUNNING, State.QUEUED): "given back, or a try failed",
    (State.RUNNING, State.HELD): "hold",
    (State.RUNNING, State.DONE): "committed",
    (State.RUNNING, State.FAILED): "no tries left, or bad input",
    (State.RUNNING, State.QUARANTINED): "second engine lost",
    (State.RUNNING, State.CANCELLED): "cancel",
    (State.DONE, State.QUEUED): "rerun",
    (State.SKIPPED, State.QUEUED): "rerun",
    (State.FAILED, State.QUEUED): "rerun",
    (State.QUARANTINED, State.QUEUED): "rerun",
    (State.CANCELLED, State.QUEUED): "rerun",
}


def page() -> str:
    """The page as the code has it now."""
    edges = [(old, new) for old in State for new in State if new in NEXT_STATES[old]]
    diagram = [f"    [*] --> {State.QUEUED}: added"]
    diagram += [f"    {old} --> {new}: {WHY[old, new]}" for old, new in edges]
    rows = [
        f"| `{state}` | {MEANING[state]} | {'yes' if state in FINAL_STATES else ''} | "
        + ", ".join(f"`{new}`" for old, new in edges if old is state)
        + " |"
        for state in State
    ]
    return "\n".join(
        [
            "# The states of a job",
            "",
            "Drawn from `NEXT_STATES` in `speakeasy_tui/core/job.py` by "
            "`python -m tests.tools.draw_states`;",
            "a test fails when this page is out of date. The store refuses every other change.",
            "",
            "```mermaid",
            "stateDiagram-v2",
            *diagram,
            "```",
            "",
            "| state | the file | final | next |",
            "|---|---|---|---|",
            *rows,
            "",
            "A final state is left only when a person reruns the file or queues it again, which",
            "starts a new series of tries; the old ones stay in its history. What is stored is not",
            "transcribed again, but for a file that was done, with `overwrite`. A runner that was",
            "killed leaves rows in `running`: the next one completes those whose commit had begun",
            "(`done`) and gives the others back (`queued`), not charged. `remove` takes a row off",
            "the table from any state but `running`.",
            "",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(page())
