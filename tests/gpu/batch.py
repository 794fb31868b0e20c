"""Where a batch's time goes: encoder and search, CTranslate2's and torch's, by themselves.

    python -m tests.gpu.batch MODEL FOLDER [--batches 16,32] [--kernels]

Windows of 30 s out of FOLDER's recordings of a minute and more. Printed for each size of batch, in
milliseconds, the median of five: the encoder by CTranslate2 and by torch, the search by torch, each
step recorded and played (`engine.steps`) and asked for one by one, and by CTranslate2 as
faster-whisper's batched way has it, without timestamps. ``--kernels`` adds torch's profile of a
batch. ``--device cpu`` tries it without a GPU.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from faster_whisper import decode_audio
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from speakeasy_tui.core.engineprotocol import Load
from speakeasy_tui.engine.audio import RATE
from speakeasy_tui.engine.inject import Injector
from speakeasy_tui.engine.model import Model
from speakeasy_tui.engine.steps import Steps
from tests.bench.cores import kinds
from tests.gpu.sweep import options

WINDOW_S = 30
TURNS = 5


def ms(what: Callable[[], Any], turns: int = TURNS) -> str:
    """The first time it takes, and the median of the following ones."""
    took = []
    for _ in range(turns + 1):
        begun = time.monotonic()
        what()
        took.append(1000 * (time.monotonic() - begun))
    return f"{statistics.median(took[1:]):.1f} (first {took[0]:.0f})"


def windows_of(model: Model, folder: Path, count: int) -> list[np.ndarray]:
    """Spectrograms, mels × 3000."""
    found: list[np.ndarray] = []
    for files in kinds([folder]).values():
        for path, seconds in files.items():
            if seconds < 2 * WINDOW_S:
                continue
            samples = np.asarray(decode_audio(str(path)))
            for begin in range(0, len(samples) - WINDOW_S * RATE, WINDOW_S * RATE):
                part = samples[begin : begin + WINDOW_S * RATE]
                features = model.whisper.feature_extractor(part)[:, :3000]
                found.append(np.ascontiguousarray(features, np.float32))
                if len(found) == count:
                    return found
    raise SystemExit(f"{len(found)} windows in {folder}, {count} wanted")


def main() -> None:
    """Measure and print."""
    parser = options(__doc__, batches="16,32")
    parser.add_argument("--kernels", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("SPEAKEASY_TORCH", "all")
    load = Load(
        model=str(given.model), name="", device=given.device, compute_type=given.compute_type
    )
    model = Model(load, Injector())
    assert model.searcher is not None
    tokenizer = Tokenizer(model.whisper.hf_tokenizer, model.multilingual, "transcribe", "en")
    unspoken = get_suppressed_tokens(tokenizer, [-1])
    every = windows_of(model, given.folder, max(map(int, given.batches.split(","))))
    for count in map(int, given.batches.split(",")):
        features = every[:count]
        prompts = [model.whisper.get_prompt(tokenizer, [])] * count
        plain = [model.whisper.get_prompt(tokenizer, [], without_timestamps=True)] * count
        encoded = model.encode(features)
        tensor = encoded.tensor(range(count))
        steps = [0]

        def search(
            tensor: torch.Tensor = tensor, prompts: Any = prompts, steps: list[int] = steps
        ) -> None:
            assert model.searcher is not None
            found = model.searcher.generate(
                tensor,
                prompts,
                start=tokenizer.sot,
                beam_size=5,
                patience=2.0,
                num_hypotheses=10,
                suppress_tokens=unspoken,
            )
            steps[0] = max(len(tokens) for one in found for tokens in one.sequences_ids)

        print(f"\n{count} windows", flush=True)
        if model.encoder is not None:
            encoder = model.encoder
            print("encoder, torch:", ms(lambda f=features, e=encoder: e(f)), flush=True)
        stacked = np.stack(features)
        print("encoder, CTranslate2:", ms(lambda s=stacked: model.whisper.encode(s)), flush=True)
        print("search, torch, recorded:", ms(search), f"for {steps[0]} steps", flush=True)
        played = Steps._play
        Steps._play = Steps._step  # type: ignore[method-assign]
        print("search, torch, one by one:", ms(search), flush=True)
        Steps._play = played  # type: ignore[method-assign]
        rows = encoded.rows(range(count))

        def theirs(rows: Any = rows, plain: Any = plain) -> None:
            model.whisper.model.generate(rows, plain, beam_size=5, suppress_tokens=unspoken)

        print("search, CTranslate2, no timestamps:", ms(theirs), flush=True)
        if given.kernels:
            _profile(search)


def _profile(search: Callable[[], None]) -> None:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        search()
    key = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    print(seen.key_averages().table(sort_by=key, row_limit=16, max_name_column_width=60))


if __name__ == "__main__":
    main()
