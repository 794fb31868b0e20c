from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .engine import Engine


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Starts engines that end with the test."""
    engines: list[Engine] = []

    def begin(kind: str, **environment: str) -> Engine:
        if kind == "sim":
            environment.setdefault("SPEAKEASY_SIM_SPEED", "2000")
        engines.append(Engine(kind, tmp_path / "engine.log", **environment))
        return engines[-1]

    yield begin
    for engine in engines:
        engine.close()


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A real engine with the starter model, shared by all tests that leave it as it was."""
    engine = Engine("real", tmp_path_factory.mktemp("real") / "engine.log")
    engine.load()
    yield engine
    engine.close()
