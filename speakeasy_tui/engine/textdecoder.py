"""Whisper's text decoder in torch, with the weights of a model of CTranslate2.

The network of Radford et al. 2022 (arXiv:2212.04356, section 2.2): tokens in, logits out, one step
at a time. Whoever searches with it (`engine.search`) has for each window several texts, a row each,
which listen to the same encoder's output: that is kept once per window. All that a batch needs lies
in a `Room`, at the same place for every step, so that a GPU can play steps again (`engine.steps`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from speakeasy_tui.engine.weights import HEAD, Linear, Norm, Thought, Weights, heads, merged

Memory = tuple[Tensor, Tensor]
"""Keys and values."""
LINED_UP = 256
"""Columns of logits are a multiple of it. The 51,866 of large-v3 take a GPU nearly four times as
long as some more that lie as it likes them (195 and 54 µs for 80 rows; docs/throughput.md)."""


class Layer:
    """One layer: it attends to the text so far, then to the recording, then thinks."""

    def __init__(self, weights: Weights, name: str) -> None:
        self._before_text = Norm(weights, f"{name}/self_attention/layer_norm")
        self._of_text = Linear(weights, f"{name}/self_attention/linear_0")
        self._from_text = Linear(weights, f"{name}/self_attention/linear_1")
        self._before_sound = Norm(weights, f"{name}/attention/layer_norm")
        self._question = Linear(weights, f"{name}/attention/linear_0")
        self._of_sound = Linear(weights, f"{name}/attention/linear_1")
        self._from_sound = Linear(weights, f"{name}/attention/linear_2")
        self._think = Thought(weights, name)

    def listen(self, encoded: Tensor) -> Memory:
        """Keys and values of the encoder's output (windows × frames × width)."""
        return apart(self._of_sound(encoded))

    def ask(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries of states, and keys and values of each, one behind the other."""
        width = x.shape[-1]
        asked, known = self._of_text(self._before_text(x)).split((width, 2 * width), dim=-1)
        return heads(asked), known

    def go_on(self, x: Tensor, text: Tensor, sound: Memory) -> Tensor:
        """With what was found in the text, and what the recording has to say."""
        x = x + self._from_text(merged(text))
        keys, values = sound
        asked = heads(self._question(self._before_sound(x)))
        heard = functional.scaled_dot_product_attention(asked, keys, values)
        return self._think(x + self._from_sound(merged(heard)))


class Space:
    """Memory for what the texts of a batch have been, of one batch at a time, whatever its shape:
    many short windows take as much as a few long ones."""

    def __init__(self, decoder: TextDecoder, states: int, tokens: int) -> None:
        """
        Args:
            decoder: whose texts they are.
            states: of the encoder's output, of all windows of a batch.
            tokens: of all texts of a batch, their prompts' among them.
        """
        self.states, self.tokens = states, tokens

        def empty(count: int) -> Tensor:
            # Zeros, for what is not attended to counts 0 times, and nothing times NaN is NaN.
            return torch.zeros(count, dtype=decoder.dtype, device=decoder.device)

        sound, text = states * decoder.width, tokens * 2 * decoder.width
        self.sound = [(empty(sound), empty(sound)) for _ in range(decoder.layers)]
        self.text = [empty(text) for _ in range(decoder.layers)]

    def holds(self, shape: Shape) -> bool:
        """Whether there is enough for a batch of that shape."""
        return shape.states <= self.states and shape.tokens <= self.tokens


class Shape(NamedTuple):
    """How much a batch is at most."""

    windows: int
    frames: int
    """Of the encoder's output of a window: 1500, or fewer."""
    width: int
    """Texts of a window."""
    longest: int
    """Tokens of a text, its prompt's among them."""

    @property
    def states(self) -> int:
        """Of the encoder's output, of all windows."""
        return self.windows * self.frames

    @property
    def tokens(self) -> int:
        """Of all texts."""
        return self.windows * self.width * self.longest

    def holds(self, other: Shape) -> bool:
        """Whether a batch of another shape fits, with windows as long and texts as many."""
        same = (self.frames, self.width) == (other.frames, other.width)
        return same and self.windows >= other.windows and self.longest >= other.longest


class Room:
    """What texts of a batch have been so far: keys and values of each layer."""

    def __init__(self, decoder: TextDecoder, space: Space, shape: Shape) -> None:
        """
        Args:
            decoder: whose texts they are.
            space: where they are kept.
            shape: of the batches.
        """
        self.shape = shape
        windows, frames, width, longest = shape
        self.rows = windows * width
        device = decoder.device
        heard = (windows, decoder.width // HEAD, frames, HEAD)
        self.sound = [(_as(keys, heard), _as(values, heard)) for keys, values in space.sound]
        """Of the encoder's output: windows × heads × frames × 64."""
        written = (windows, longest, width, 2 * decoder.width)
        self.text = [_as(text, written) for text in space.text]
        """Of the tokens, windows × places × texts: keys, then values. What was once written stays
        where it is, whichever texts go on with it: all texts of a window attend to all that was
        written for it, and each is told what of that is its own."""
        self.own = torch.zeros((self.rows, longest), dtype=torch.int64, device=device)
        """Which of the window's texts wrote each token of each row; -1 where there is none."""
        self.numbers = torch.arange(width, device=device).repeat(windows)
        """Of each row in its window."""

    def move(self, which: Tensor, length: int) -> None:
        """Have these windows (numbers), with texts of so many tokens, lie first."""
        count = len(which)
        for memory in self.sound:
            for one in memory:
                one[:count] = one.index_select(0, which)
        for text in self.text:
            text[:count, :length] = text[:, :length].index_select(0, which)


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
        tokens = weights.matrix("decoder/embeddings/weight")
        # What fills the logits up comes where something was not a number: to look it up must not
        # end the process.
        self._tokens = functional.pad(tokens, (0, 0, 0, -len(tokens) % LINED_UP))
        self._places = weights["decoder/position_encodings/encodings"]
        self._layers = [Layer(weights, name) for name in weights.layers("decoder")]
        self._last = Norm(weights, "decoder/layer_norm")
        known = weights.matrix("decoder/projection/weight")
        self._projection = functional.pad(known, (0, 0, 0, -len(known) % LINED_UP))
        self._filled = torch.zeros(len(self._projection), dtype=self.dtype, device=self.device)
        self._filled[len(known) :] = float("-inf")
        self._nothing, self._never = torch.tensor(
            [0.0, float("-inf")], dtype=self.dtype, device=self.device
        )
        self.frames = len(weights["encoder/position_encodings/encodings"])
        """Of the encoder's output of a full window: 1500."""
        self.layers = len(self._layers)
        self.width = self._tokens.shape[1]

    @property
    def columns(self) -> int:
        """Of logits: the vocabulary, and some behind it that never come."""
        return len(self._filled)

    def begin(self, room: Room, encoded: Tensor, prompts: Tensor) -> Tensor:
        """Listen to windows (windows × frames × width) and read their prompts (windows × count).

        Gives states (windows × count × width). In `room` all rows of a window have its prompt.
        """
        windows, count = prompts.shape
        x = functional.embedding(prompts, self._tokens) + self._places[:count]
        room.own.fill_(-1)
        room.own[: windows * room.shape.width, :count] = 0
        for layer, sound, text in zip(self._layers, room.sound, room.text, strict=True):
            for kept, new in zip(sound, layer.listen(encoded), strict=True):
                kept[:windows] = new
            asked, known = layer.ask(x)
            text[:windows, :count, 0] = known
            keys, values = apart(known)
            found = functional.scaled_dot_product_attention(asked, keys, values, is_causal=True)
            x = layer.go_on(x, found, (sound[0][:windows], sound[1][:windows]))
        return x

    def step(self, room: Room, length: int, tokens: Tensor, parents: Tensor, at: Tensor) -> Tensor:
        """Read a token of each row of the first windows, and give states (rows × width).

        Args:
            room: of the batch.
            length: how many tokens of the texts are looked at; those behind `at` count nothing.
            tokens: a number for each row.
            parents: the row whose text each row goes on with.
            at: the tokens' place in their texts, one number.
        """
        rows, texts = len(tokens), room.shape.width
        windows = rows // texts
        x = functional.embedding(tokens.view(windows, texts), self._tokens)
        x = x + self._places.index_select(0, at)
        own = room.own[:, :length].index_select(0, parents)
        own.index_copy_(1, at, room.numbers[:rows, None])
        room.own[:rows, :length] = own
        is_own = own.view(windows, texts, length, 1) == room.numbers[:texts]
        reach = torch.where(is_own, self._nothing, self._never).view(windows, 1, texts, -1)
        for layer, sound, text in zip(self._layers, room.sound, room.text, strict=True):
            asked, new = layer.ask(x)
            text[:windows].index_copy_(1, at, new[:, None])
            keys, values = apart(text[:windows, :length].flatten(1, 2))
            found = functional.scaled_dot_product_attention(asked, keys, values, attn_mask=reach)
            x = layer.go_on(x, found, (sound[0][:windows], sound[1][:windows]))
        return x.flatten(0, 1)

    def logits(self, states: Tensor, and_that: Tensor | None = None) -> Tensor:
        """Of states of the last layer (… × width): … × `columns`.

        Args:
            states: as `begin` and `step` give them.
            and_that: to be added to each row's.
        """
        added = self._filled if and_that is None else self._filled + and_that
        return functional.linear(self._last(states), self._projection, added)


def _as(memory: Tensor, shape: Sequence[int]) -> Tensor:
    """The beginning of it, in that shape."""
    return memory[: math.prod(shape)].view(*shape)


def apart(known: Tensor) -> Memory:
    """Keys and values (rows × heads × count × 64) that lie one behind the other."""
    keys, values = known.chunk(2, dim=-1)
    return heads(keys), heads(values)
