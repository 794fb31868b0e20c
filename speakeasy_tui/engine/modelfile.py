"""What lies in a ``model.bin``, CTranslate2's format of a model (its specs/model_spec.py)."""

from __future__ import annotations

import os
import struct
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO, NamedTuple

_OLDEST = 4
"""Version of the format that first is as read here."""
_MOST = 100_000
"""Variables; large-v3 has 1,400."""


class Variable(NamedTuple):
    """Where a variable lies."""

    shape: tuple[int, ...]
    kind: int
    """CTranslate2's number of its type: 0 float32, 1 int8, 2 int16, 3 int32, 4 float16, 5
    bfloat16."""
    offset: int
    """In the file, bytes."""
    size: int
    """Bytes."""


def variables(path: Path) -> dict[str, Variable]:
    """The variables by name, those that are the same under another name included.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is of another format, or damaged.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except (struct.error, UnicodeDecodeError, KeyError) as error:
        raise ValueError(f"{path} is no model of CTranslate2: {error}") from None


def layers(names: Collection[str], part: str) -> int:
    """How many layers ``encoder`` or ``decoder`` has in a model with variables of these names."""
    count = 0
    while f"{part}/layer_{count}/self_attention/linear_0/weight" in names:
        count += 1
    return count


def _read(file: BinaryIO) -> dict[str, Variable]:
    def number(kind: str) -> int:
        return int(struct.unpack(f"<{kind}", file.read(struct.calcsize(kind)))[0])

    def text() -> str:
        return file.read(number("H")).rstrip(b"\0").decode()

    if not _OLDEST <= number("I") < 100:
        raise ValueError("an unknown version of CTranslate2's format")
    text()
    number("I")
    found: dict[str, Variable] = {}
    for _ in range(_bounded(number("I"))):
        name = text()
        shape = tuple(number("I") for _ in range(number("B")))
        kind, size = number("B"), number("I")
        found[name] = Variable(shape, kind, file.tell(), size)
        file.seek(size, os.SEEK_CUR)
    for _ in range(_bounded(number("I"))):
        name, target = text(), text()
        found[name] = found[target]
        # CTranslate2 gives it that name, too, when it loads a model (src/models/model.cc).
        if (scale := found.get(f"{target}_scale")) is not None:
            found[f"{name}_scale"] = scale
    return found


def _bounded(count: int) -> int:
    if count > _MOST:
        raise ValueError(f"{count} variables in a model")
    return count
