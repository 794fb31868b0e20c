"""Whisper's text decoder in torch, with the weights of a model of CTranslate2.

The network of Radford et al. 2022 (arXiv:2212.04356, section 2.2): tokens in, logits out, one step
at a time. Whoever searches with it (`engine.search`) has for each window several rows, a text each,
which listen to the same encoder's output: that is kept once per window.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from speakeasy_tui.engine.weights import HEAD, Linear, Norm, Thought, Weights, heads, merged

_BLOCK = 64
"""Steps by which room for a text's keys and values grows."""


class Layer:
    """One layer: it attends to the text so far, then to the recording, then thinks."""

    def __init__(self, weights: Weights, name: str) -> None:
        self.before_text = Norm(weights, f"{name}/self_attention/layer_norm")
        self.of_text = Linear(weights, f"{name}/self_attention/linear_0")
        self.from_text = Linear(weights, f"{name}/self_attention/linear_1")
        self.before_sound = Norm(weights, f"{name}/attention/layer_norm")
        self.question = Linear(weights, f"{name}/attention/linear_0")
        self.of_sound = Linear(weights, f"{name}/attention/linear_1")
        self.from_sound = Linear(weights, f"{name}/attention/linear_2")
        self.think = Thought(weights, name)


@dataclass
class State:
    """What a batch of texts has been so far: keys and values of each layer."""

    sound: list[tuple[Tensor, Tensor]]
    """Of the encoder's output: windows × heads × 1500 × 64."""
    text: list[tuple[Tensor, Tensor]]
    """Of the tokens: rows × heads × room × 64."""
    length: int = 0
    """Tokens of each row."""

    def keep(self, rows: Tensor, windows: Tensor | None) -> None:
        """Go on with these rows, in this order, of these windows (None: all as they are)."""
        for layers, kept in ((self.text, rows), (self.sound, windows)):
            if kept is None:
                continue
            for number, (keys, values) in enumerate(layers):  # one after the other, for memory
                layers[number] = keys.index_select(0, kept), values.index_select(0, kept)


class TextDecoder:
    """The decoder of one model."""

    def __init__(self, weights: Weights) -> None:
        """
        Args:
            weights: of the model, on the device where to calculate.

        Raises:
            OSError: the file cannot be read.
            ValueError: it holds no Whisper that is known here.
        """
        self.device, self.dtype = weights.device, weights.dtype
        self._tokens = weights.matrix("decoder/embeddings/weight")
        self._places = weights["decoder/position_encodings/encodings"]
        self._layers = [Layer(weights, name) for name in weights.layers("decoder")]
        self._last = Norm(weights, "decoder/layer_norm")
        self._logits = Linear(weights, "decoder/projection")
        self.width = self._tokens.shape[1]
        self.vocabulary = self._tokens.shape[0]

    def begin(self, encoded: Tensor) -> State:
        """Listen to the encoder's output (windows × 1500 × width): a row for each window."""
        sound = []
        for layer in self._layers:
            keys, values = layer.of_sound(encoded).chunk(2, dim=-1)
            sound.append((heads(keys).contiguous(), heads(values).contiguous()))
        room = encoded.new_empty((len(encoded), self.width // HEAD, 0, HEAD))
        return State(sound, [(room, room) for _ in self._layers])

    def step(self, state: State, tokens: Tensor) -> Tensor:
        """Read `tokens` (rows × count), all of them new, and give states (rows × count × width).

        More than one at once only at the beginning. The rows of a window follow one another.
        """
        rows, count = tokens.shape
        begin, end = state.length, state.length + count
        x = functional.embedding(tokens, self._tokens) + self._places[begin:end]
        for number, layer in enumerate(self._layers):
            asked, keys, values = map(heads, layer.of_text(layer.before_text(x)).chunk(3, dim=-1))
            known = tuple(_room(old, end) for old in state.text[number])
            for old, new in zip(known, (keys, values), strict=True):
                old[:, :, begin:end] = new
            state.text[number] = (known[0], known[1])
            heard = functional.scaled_dot_product_attention(
                asked, known[0][:, :, :end], known[1][:, :, :end], is_causal=count > 1
            )
            x = x + layer.from_text(merged(heard))
            keys, values = state.sound[number]
            asked = layer.question(layer.before_sound(x)).reshape(len(keys), -1, self.width)
            heard = functional.scaled_dot_product_attention(heads(asked), keys, values)
            x = x + layer.from_sound(merged(heard).reshape(rows, count, self.width))
            x = layer.think(x)
        state.length = end
        return x

    def logits(self, states: Tensor) -> Tensor:
        """Of states of the last layer (… × width), in float32."""
        return self._logits(self._last(states)).float()


def _room(x: Tensor, length: int) -> Tensor:
    """`x` with room for so many tokens."""
    lacking = length - x.shape[2]
    if lacking <= 0:
        return x
    more = -(-lacking // _BLOCK) * _BLOCK
    return torch.cat([x, x.new_zeros((*x.shape[:2], more, HEAD))], dim=2)
