"""Whisper's encoder in torch, with the weights of a model of CTranslate2.

The network of Radford et al. 2022 (arXiv:2212.04356, section 2.2): a spectrogram in, states
of 20 ms each out. Attention is torch's (`scaled_dot_product_attention`), which on a GPU never
writes down what 1500 states have to do with each other (Dao et al. 2022, arXiv:2205.14135);
CTranslate2's does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from speakeasy_tui.engine.streams import Streams
from speakeasy_tui.engine.weights import Linear, Norm, Thought, Weights, heads, merged
from speakeasy_tui.engine.work import Mel


class Layer:
    """One layer: it attends to all of the window, then thinks."""

    def __init__(self, weights: Weights, name: str) -> None:
        self.before_sound = Norm(weights, f"{name}/self_attention/layer_norm")
        self.of_sound = Linear(weights, f"{name}/self_attention/linear_0")
        self.from_sound = Linear(weights, f"{name}/self_attention/linear_1")
        self.think = Thought(weights, name)

    def __call__(self, x: Tensor) -> Tensor:
        """States, windows × frames × width."""
        asked, keys, values = map(heads, self.of_sound(self.before_sound(x)).chunk(3, dim=-1))
        heard = functional.scaled_dot_product_attention(asked, keys, values)
        return self.think(x + self.from_sound(merged(heard)))


class Convolution:
    """Three states into one, as a product of matrices: torch's own would need cuDNN on a GPU."""

    def __init__(self, weights: Weights, name: str, stride: int) -> None:
        kernels = weights.matrix(f"{name}/weight")  # out × in × 3
        self._size = kernels.shape[-1]
        self._weight = kernels.flatten(1)
        self._bias = weights[f"{name}/bias"]
        self._stride = stride

    def __call__(self, x: Tensor) -> Tensor:
        """Windows × time × in to windows × time ÷ stride × out."""
        padded = functional.pad(x, (0, 0, 1, 1))
        beside = padded.unfold(1, self._size, self._stride)  # … × in × 3
        return functional.linear(beside.flatten(2), self._weight, self._bias)


class SoundEncoder:
    """The encoder of one model; several threads may use it at the same time."""

    def __init__(self, weights: Weights, streams: Streams) -> None:
        """
        Args:
            weights: of the model, on the device where to calculate.
            streams: of that device.

        Raises:
            OSError: the file cannot be read.
            ValueError: it holds no Whisper that is known here.
        """
        self._device, self._dtype = weights.device, weights.dtype
        self._streams = streams
        self._convolutions = [
            Convolution(weights, f"encoder/{name}", stride)
            for name, stride in (("conv1", 1), ("conv2", 2))
        ]
        self._places = weights["encoder/position_encodings/encodings"]
        self._layers = [Layer(weights, name) for name in weights.layers("encoder")]
        self._last = Norm(weights, "encoder/layer_norm")

    def __call__(self, features: Sequence[Mel]) -> Tensor:
        """States of windows (windows × 1500 × width, or fewer), all there on return.

        Args:
            features: a spectrogram for each, mels × 3000, or all shorter by as much.
        """
        with torch.inference_mode(), self._streams.own():
            x = torch.from_numpy(np.stack(features)).to(self._device, self._dtype)
            x = x.transpose(1, 2)
            for convolution in self._convolutions:
                x = functional.gelu(convolution(x))
            x = x + self._places[: x.shape[1]]
            for layer in self._layers:
                x = layer(x)
            x = self._last(x)
            self._streams.wait()
            return x
