"""faster-whisper's own ways, or only its loading, in a process of their own.

    python -m tests.gpu.theirs sequential|batched|load MODEL DEVICE COMPUTE_TYPE BATCH FILE…

Prints one JSON object: seconds that loading and a first file took, the moments (time.time) of the
work's beginning and end, texts by path.
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    """Load, warm up with the first file, transcribe all."""
    how, folder, device, compute_type, batch, *files = sys.argv[1:]
    if device.startswith("cuda"):
        from speakeasy_tui.engine import cublas

        cublas.load()
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    begun = time.time()
    name, _, index = device.partition(":")
    model = WhisperModel(
        folder, device=name, device_index=int(index or 0), compute_type=compute_type
    )
    transcribe, more = model.transcribe, {}
    if how == "batched":
        transcribe, more = BatchedInferencePipeline(model).transcribe, {"batch_size": int(batch)}

    def one(file: str) -> str:
        segments, _ = transcribe(file, beam_size=5, language="en", **more)
        return " ".join("".join(segment.text for segment in segments).split())

    loaded = time.time()
    one(files[0])
    warm = time.time()
    texts = {file: one(file) for file in files} if how != "load" else {}
    told = {"load_s": loaded - begun, "first_s": warm - loaded, "begun": warm}
    print(json.dumps({**told, "done": time.time(), "texts": texts}))


if __name__ == "__main__":
    main()
