"""Damage of the kinds that disks, networks and recorders do, made again from its seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np


class Damage(NamedTuple):
    """A damaged file."""

    data: bytes
    lost: int
    """Bytes of the original that are overwritten or gone."""


Rng = np.random.Generator


def truncated(data: bytes, rng: Rng, _: bytes) -> Damage:
    """The end is missing."""
    keep = int(rng.integers(1, len(data)))
    return Damage(data[:keep], len(data) - keep)


def flipped(data: bytes, rng: Rng, _: bytes) -> Damage:
    """1 to 300 single bits are wrong; a third of the time only among the first 4 KiB."""
    count = int(np.exp(rng.uniform(0, np.log(300))))
    reach = min(4096, len(data)) if rng.random() < 1 / 3 else len(data)
    broken = np.frombuffer(data, np.uint8).copy()
    for at in rng.integers(0, reach, count):
        broken[at] ^= 1 << int(rng.integers(0, 8))
    return Damage(broken.tobytes(), count)


def _stretch(data: bytes, rng: Rng) -> tuple[int, int]:
    size = int(np.exp(rng.uniform(np.log(16), np.log(len(data) * 0.6))))
    start = int(rng.integers(0, max(1, len(data) - size)))
    return start, min(size, len(data) - start)


def overwritten(data: bytes, rng: Rng, _: bytes) -> Damage:
    """A stretch is noise."""
    start, size = _stretch(data, rng)
    return Damage(data[:start] + rng.bytes(size) + data[start + size :], size)


def zeroed(data: bytes, rng: Rng, _: bytes) -> Damage:
    """A stretch is zeros, as after a lost block of a disk."""
    start, size = _stretch(data, rng)
    return Damage(data[:start] + bytes(size) + data[start + size :], size)


def spliced(data: bytes, rng: Rng, other: bytes) -> Damage:
    """A stretch is cut out, doubled, moved, or replaced by part of another file."""
    start, size = _stretch(data, rng)
    part = data[start : start + size]
    rest = data[:start] + data[start + size :]
    match int(rng.integers(0, 4)):
        case 0:
            return Damage(rest, size)
        case 1:
            return Damage(data[: start + size] + data[start:], 0)
        case 2:
            to = int(rng.integers(0, len(rest) + 1))
            return Damage(rest[:to] + part + rest[to:], size)
        case _:
            begin = int(rng.integers(0, len(other)))
            return Damage(data[:start] + other[begin : begin + size] + data[start + size :], size)


MUTATIONS: Mapping[str, Callable[[bytes, Rng, bytes], Damage]] = {
    "truncated": truncated,
    "bits flipped": flipped,
    "overwritten": overwritten,
    "zero-filled": zeroed,
    "spliced": spliced,
}


class Case(NamedTuple):
    """One damaged file of a run, the same for the same seed and number."""

    number: int
    form: str
    mutation: str
    damage: Damage


def case(seed: int, number: int, files: Mapping[str, bytes]) -> Case:
    """Case `number` of a run over whole `files` by their format."""
    forms, kinds = list(files), list(MUTATIONS)
    form = forms[number % len(forms)]
    mutation = kinds[number // len(forms) % len(kinds)]
    rng = np.random.default_rng([seed, number])
    other = files[forms[int(rng.integers(0, len(forms)))]]
    return Case(number, form, mutation, MUTATIONS[mutation](files[form], rng, other))
