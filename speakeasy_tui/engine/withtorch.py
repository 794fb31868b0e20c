"""torch in CTranslate2's place: parts of a model that faster-whisper has loaded."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import torch

from speakeasy_tui.engine import vram
from speakeasy_tui.engine.encoded import Encoded
from speakeasy_tui.engine.rules import Tokens
from speakeasy_tui.engine.search import Searcher
from speakeasy_tui.engine.soundencoder import SoundEncoder
from speakeasy_tui.engine.streams import Streams
from speakeasy_tui.engine.textdecoder import TextDecoder
from speakeasy_tui.engine.weights import Weights

COMPARED, FRAMES = 4, 3000
"""Windows on which the two encoders are compared on a GPU, and their frames of 10 ms."""
COMPARED_ON_CPU, FRAMES_ON_CPU = 1, 1000
"""It should not take longer to compare them than to load the model."""
AWAY = 0.2
"""Of the length of CTranslate2's output, by which torch's may lie away from it. tiny.en on a CPU,
of noise: 0.000002 where both calculate in float32, 0.05 beside CTranslate2's in int8."""
ROOM = 3
"""Times the encoder's weights that must be free for them: batches need memory, too."""


class Torch:
    """What torch needs to be parts of a model."""

    def __init__(
        self,
        model: Path,
        whisper: Any,
        device: str,
        index: int,
        compute_type: str,
        threads: int = 0,
        *,
        alone: bool = False,
    ) -> None:
        """
        Args:
            model: the ``model.bin``; its folder holds the configuration, too.
            whisper: faster-whisper's model of it.
            device: ``cuda`` or ``cpu``.
            index: of the GPU.
            compute_type: CTranslate2's; torch calculates in `floats`, with weights of 8 bits made
                floats.
            threads: of each worker on a CPU; 0: torch's choice.
            alone: it is the encoder alone that is wanted.

        Raises:
            ValueError: torch cannot use that device, or the file is no model of CTranslate2.
            OSError: the file cannot be read.
        """
        place = torch.device("cpu")
        if threads:
            torch.set_num_threads(threads)
        if device == "cuda":
            if not torch.cuda.is_available():
                raise ValueError(f"torch {torch.__version__} has no CUDA that this driver can run")
            place = torch.device("cuda", index)
            # cuDNN's attention makes a plan for every shape, and here each step is another: a
            # first batch of 95 steps took 6 s (docs/throughput.md).
            torch.backends.cuda.enable_cudnn_sdp(False)
        self._whisper = whisper
        self._weights = Weights(model, place, floats(device, index, compute_type, alone=alone))
        self._streams = Streams(place)

    def searcher(self, workers: int) -> Searcher:
        """Writes the text.

        Args:
            workers: that will do so at the same time.

        Raises:
            ValueError: the file is no Whisper that is known here, or on a GPU there is no room for
                its weights and a window of each worker.
            OSError: it cannot be read.
        """
        weights = self._weights
        layers, width = len(weights.layers("decoder")), weights.width
        window = vram.window_bytes(width, layers, weights.dtype.itemsize, by_torch=True)
        self._check_room(weights.bytes_of("decoder") + workers * window, "it takes")
        names = self._whisper.hf_tokenizer.token_to_id
        no_timestamps = names("<|notimestamps|>")
        no_speech = names("<|nospeech|>")
        tokens = Tokens(
            end=names("<|endoftext|>"),
            no_timestamps=no_timestamps,
            no_speech=names("<|nocaptions|>") if no_speech is None else no_speech,
            begin=no_timestamps + 1,
        )
        return Searcher(TextDecoder(self._weights), self._streams, tokens)

    def encoder(self) -> SoundEncoder:
        """Listens, where it hears what CTranslate2's encoder does, on a GPU in less time.

        Raises:
            ValueError: it does not, or there is no room for its weights, or as `searcher`.
            OSError: as `searcher`.
        """
        device = self._weights.device
        self._check_room(ROOM * self._weights.bytes_of("encoder"), "it should have")
        made = SoundEncoder(self._weights, self._streams)
        mels = int(self._whisper.model.n_mels)
        count, frames = COMPARED, FRAMES
        if device.type == "cpu":
            count, frames = COMPARED_ON_CPU, FRAMES_ON_CPU
        noise = np.random.default_rng(0).uniform(-0.5, 1.5, (count, mels, frames))
        features = list(noise.astype(np.float32))
        seconds: dict[str, float] = {}
        states: dict[str, torch.Tensor] = {}
        for _ in range(2):  # at the first time kernels are loaded
            for name, encoder in (("theirs", None), ("ours", made)):
                begun = time.monotonic()
                encoded = Encoded(self._whisper, features, encoder=encoder)
                seconds[name] = time.monotonic() - begun
                states[name] = encoded.tensor(range(count)).float()
        away = float((states["ours"] - states["theirs"]).norm() / states["theirs"].norm())
        if not away < AWAY:  # nor not a number
            raise ValueError(f"its output lies {away:.0%} away from CTranslate2's")
        if device.type == "cuda":
            took = f"torch {seconds['ours']:.3f} s, CTranslate2 {seconds['theirs']:.3f}"
            print(f"engine: encoder, {COMPARED} windows: {took}", file=sys.stderr, flush=True)
            worth_it(**seconds)
        return made

    def _check_room(self, needed: int, what: str) -> None:
        """Raises ValueError where so many bytes are not free on the GPU; on a CPU nothing."""
        device = self._weights.device
        free = vram.free_bytes(device.index) if device.type == "cuda" else None
        if free is not None and free < needed:
            raise ValueError(f"{free >> 20} MB are free, and {what} {needed >> 20}")


def floats(device: str, index: int, compute_type: str, *, alone: bool = False) -> torch.dtype:
    """In what torch calculates where CTranslate2 does in `compute_type`.

    That is the same, but for ``int8``, whose other numbers are of 32 bits in CTranslate2: half
    floats, where the GPU has a use for them, as with ``int8_float16``. Their 11 bits are more than
    weights of 8 bits know, and who asks for ``int8`` is short of memory: large-v3's decoder would
    take 3.9 GB.

    The encoder `alone` beside ``int8`` on a CPU calculates in bfloat16, of which the processor has
    tiles (`cpu.tiles`); its output lies nearer to that in float32 than CTranslate2 does (0.044 and
    0.054 of its length, tiny.en).
    """
    if alone and device == "cpu" and compute_type.startswith("int8"):
        return torch.bfloat16
    if (device, compute_type) == ("cuda", "int8"):
        has = ctranslate2.get_supported_compute_types(device, index)
        return torch.float16 if "float16" in has else torch.float32
    known = {"float16": torch.float16, "bfloat16": torch.bfloat16}
    return known.get(compute_type.removeprefix("int8_"), torch.float32)


def worth_it(ours: float, theirs: float) -> None:
    """Raises ValueError where torch's encoder takes longer (s) than CTranslate2's."""
    if ours > theirs:
        raise ValueError(f"it takes {ours:.3f} s where CTranslate2's takes {theirs:.3f}")
