"""A GPU's memory: what is free of it, and what the windows of a model need."""

from __future__ import annotations

from pathlib import Path

from speakeasy_tui.core import gpus
from speakeasy_tui.engine import modelfile

VOCABULARY = 52_000
"""Tokens of Whisper's models, about."""
TOKENS = 256
"""Tokens of a text, its prompt's among them, for which torch keeps room, in blocks of 64."""
TOKENS_SHORT = 384
"""The same, where there may be short windows in place of each: they end in blocks of their own.
The most that those of `engine.shortwindow.few` need."""


def free_bytes(index: int) -> int | None:
    """Bytes free on a GPU; None when neither torch nor the driver can tell."""
    try:
        import torch

        return int(torch.cuda.mem_get_info(index)[0])
    except Exception:  # a torch without CUDA, or none at all: no reason not to work
        return gpus.free_memory(index)


def window_bytes(width: int, layers: int, size: int, *, by_torch: bool, parts: int = 1) -> int:
    """Bytes that one window takes on a GPU at most, with a beam of 5 or sampled five times.

    Args:
        width: of the model's states: 384 (tiny) to 1280 (large).
        layers: of its decoder: 4 (tiny, large-v3-turbo) to 32 (large).
        size: bytes of a number in the activations: 2 or 4.
        by_torch: the text is torch's (`engine.search`), not CTranslate2's.
        parts: short windows that there may be in its place.

    Keys and values of the encoder's output and of the text so far in each layer of the decoder,
    and the attention of one layer of the encoder (Radford et al. 2022, table 1). Where several
    texts are sampled, CTranslate2 (GreedySearch) keeps the encoder's keys and values for each;
    then the encoder is done. torch keeps them once, between batches too
    (`engine.textdecoder.Space`), and so is memory for the chances of each token, six times in 32
    bits, in recordings of its steps and beside them. A long prompt takes more.
    """
    heads = width // 64
    listened = 2 * 1500 * width * layers
    attention = 2 * heads * 1500 * 1500
    if by_torch:
        written = 5 * 2 * (TOKENS if parts == 1 else TOKENS_SHORT) * width * layers
        step = parts * 5 * VOCABULARY * 6 * 4 // size
        return size * (written + listened + attention + 2 * step)
    written = 5 * 2 * 224 * width * layers
    return size * (written + max(listened + attention, 5 * listened))


def most_windows(width: int) -> int:
    """What fits into 32 bits, in which CUDA's softmax in CTranslate2 counts the encoder's
    attention: beyond that the text is silently wrong."""
    return int(2**32 // (width // 64 * 1500 * 1500))


def decoder_layers(model: Path, width: int) -> int:
    """How many layers the decoder of a ``model.bin`` has.

    CTranslate2 does not tell. Where the file is of another format, as many as Whisper's models of
    that `width` have at most.
    """
    try:
        found = modelfile.layers(modelfile.variables(model), "decoder")
    except (OSError, ValueError):
        found = 0
    return found or next(
        (n for w, n in ((384, 4), (512, 6), (768, 12), (1024, 24)) if width <= w), 32
    )
