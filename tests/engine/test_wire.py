"""What an engine says, and in how many pieces."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from speakeasy_tui.core.engineprotocol import Heard, Progress, Report, report_decoder
from speakeasy_tui.engine.wire import Writer


class Pipe:
    """The runner's end."""

    def __init__(self) -> None:
        self._end, there = os.pipe()
        os.set_blocking(self._end, False)
        self.writer = Writer(there)
        self._there = there

    def read(self) -> list[Report]:
        """What has come by now."""
        try:
            lines = os.read(self._end, 1 << 16)
        except BlockingIOError:
            return []
        return [report_decoder.decode(line) for line in lines.splitlines()]

    def close(self) -> None:
        os.close(self._end)
        os.close(self._there)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


FIRST, SECOND, THIRD = (Progress(job=number, progress=0.5) for number in range(3))


def test_a_report_goes_out_at_once(pipe: Pipe) -> None:
    pipe.writer.send(FIRST)
    assert pipe.read() == [FIRST]


def test_what_need_not_be_known_soon_goes_out_with_the_next_one_and_before_it(pipe: Pipe) -> None:
    strip = Heard(job=1, strip="0" * 80)
    pipe.writer.send(strip, soon=False)
    assert pipe.read() == []
    pipe.writer.send(FIRST)
    assert pipe.read() == [strip, FIRST]


def test_what_is_said_together_is_one_piece_in_its_order(pipe: Pipe) -> None:
    with pipe.writer.together():
        pipe.writer.send(FIRST)
        with pipe.writer.together():  # by another thread
            pipe.writer.send(SECOND)
        assert pipe.read() == []
        pipe.writer.send(THIRD, soon=False)
    assert pipe.read() == [FIRST, SECOND, THIRD]


def test_what_was_said_goes_out_whatever_follows(pipe: Pipe) -> None:
    with pytest.raises(KeyError), pipe.writer.together():
        pipe.writer.send(FIRST)
        raise KeyError
    assert pipe.read() == [FIRST]
    pipe.writer.send(SECOND)
    assert pipe.read() == [SECOND]
