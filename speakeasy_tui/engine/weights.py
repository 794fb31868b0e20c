"""What torch makes of a model of CTranslate2: its weights, and the parts that hold them."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from speakeasy_tui.engine import modelfile

_KINDS = {
    0: torch.float32,
    1: torch.int8,
    2: torch.int16,
    3: torch.int32,
    4: torch.float16,
    5: torch.bfloat16,
}


HEAD = 64
"""Width of an attention head, in every model of Whisper."""


class Linear:
    """A matrix with, perhaps, a bias."""

    def __init__(self, weights: Weights, name: str) -> None:
        self._weight = weights.matrix(f"{name}/weight")
        self._bias = weights.get(f"{name}/bias")

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self._weight, self._bias)


class Norm:
    """Layer normalisation."""

    def __init__(self, weights: Weights, name: str) -> None:
        self._gamma = weights[f"{name}/gamma"]
        self._beta = weights[f"{name}/beta"]

    def __call__(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, self._gamma.shape, self._gamma, self._beta)


class Thought:
    """The end of a layer, encoder's or decoder's: each state by itself, widened and narrowed."""

    def __init__(self, weights: Weights, layer: str) -> None:
        self._before = Norm(weights, f"{layer}/ffn/layer_norm")
        self._wide = Linear(weights, f"{layer}/ffn/linear_0")
        self._narrow = Linear(weights, f"{layer}/ffn/linear_1")

    def __call__(self, x: Tensor) -> Tensor:
        return x + self._narrow(functional.gelu(self._wide(self._before(x))))


class Weights:
    """The variables of a ``model.bin`` on a device."""

    def __init__(self, path: Path, device: torch.device, dtype: torch.dtype) -> None:
        """
        Raises:
            OSError: the file cannot be read.
            ValueError: it is of another format.
        """
        self._path = path
        self._found = modelfile.variables(path)
        self.device = device
        self.dtype = dtype

    def __getitem__(self, name: str) -> Tensor:
        return self._load(name).to(self.device, self.dtype)

    def get(self, name: str) -> Tensor | None:
        """A variable that need not be there."""
        return None if name not in self._found else self[name]

    def bytes_of(self, part: str) -> int:
        """What the weights of ``encoder`` or ``decoder`` take on the device."""
        found = (one for name, one in self._found.items() if name.startswith(f"{part}/"))
        return sum(math.prod(one.shape) for one in found) * int(self.dtype.itemsize)

    @property
    def width(self) -> int:
        """Of the decoder's states.

        Raises:
            ValueError: there is no decoder.
        """
        name = "decoder/embeddings/weight"
        if name not in self._found:
            raise ValueError(f"{self._path} has no {name}")
        return self._found[name].shape[-1]

    def layers(self, part: str) -> list[str]:
        """Names of the layers of ``encoder`` or ``decoder``, in their order.

        Raises:
            ValueError: there are none.
        """
        count = modelfile.layers(self._found, part)
        if not count:
            raise ValueError(f"{self._path} is no Whisper: its {part} has no layers")
        return [f"{part}/layer_{number}" for number in range(count)]

    def matrix(self, name: str) -> Tensor:
        """One whose rows may be quantised (int8 or int16, a scale per row or for all)."""
        values = self._load(name)
        if not values.is_floating_point():
            scale = self._load(f"{name}_scale").float()
            values = values.float() / scale.reshape(-1, *[1] * (values.ndim - 1))
        return values.to(self.device, self.dtype)

    def _load(self, name: str) -> Tensor:
        if name not in self._found:
            raise ValueError(f"{self._path} has no {name}")
        shape, kind, offset, size = self._found[name]
        with self._path.open("rb") as file:
            file.seek(offset)
            data = bytearray(file.read(size))
        return torch.frombuffer(data, dtype=_KINDS[kind]).reshape(shape)


def heads(x: Tensor) -> Tensor:
    """Rows × count × width to rows × heads × count × 64."""
    return x.unflatten(-1, (-1, HEAD)).transpose(1, 2)


def merged(x: Tensor) -> Tensor:
    """The other way."""
    return x.transpose(1, 2).flatten(2)
