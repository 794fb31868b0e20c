"""torch in CTranslate2's place: a `Searcher` for a model that faster-whisper has loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from speakeasy_tui.engine.rules import Tokens
from speakeasy_tui.engine.search import Searcher
from speakeasy_tui.engine.textdecoder import TextDecoder


def searcher(
    model: Path, whisper: Any, device: str, index: int, compute_type: str, threads: int = 0
) -> Searcher:
    """The decoder of a ``model.bin`` in torch, beside the encoder that `whisper` has.

    Args:
        model: the file; its folder holds the configuration, too.
        whisper: faster-whisper's model of it.
        device: ``cuda`` or ``cpu``.
        index: of the GPU.
        compute_type: CTranslate2's; torch calculates in the same floats, with weights of 8 bits
            made floats.
        threads: of each worker on a CPU; 0: torch's choice.

    Raises:
        ValueError: torch cannot use that device, or the file is no Whisper that it knows.
        OSError: the file cannot be read.
    """
    place = torch.device("cpu")
    if threads:
        torch.set_num_threads(threads)
    if device == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"torch {torch.__version__} has no CUDA that this driver can run")
        place = torch.device("cuda", index)
        # cuDNN's attention makes a plan for every shape, and here each step is another: a first
        # batch of 95 steps took 6 s (docs/throughput.md).
        torch.backends.cuda.enable_cudnn_sdp(False)
    floats = {"float16": torch.float16, "bfloat16": torch.bfloat16}
    dtype = floats.get(compute_type.removeprefix("int8_"), torch.float32)
    decoder = TextDecoder(model, place, dtype)
    names = whisper.hf_tokenizer.token_to_id
    no_timestamps = names("<|notimestamps|>")
    no_speech = names("<|nospeech|>")
    tokens = Tokens(
        end=names("<|endoftext|>"),
        no_timestamps=no_timestamps,
        no_speech=names("<|nocaptions|>") if no_speech is None else no_speech,
        begin=no_timestamps + 1,
    )
    config = json.loads((model.parent / "config.json").read_bytes())
    return Searcher(decoder, tokens, config["suppress_ids_begin"])
