"""Transcribes files with one of the peers that are libraries, as a person's script would.

Run by the peer's own Python, so nothing of this project is imported. Prints one JSON object:
texts by path, and the moments (time.time) when the model was loaded and when all was done.

    python drive.py sequential|workers|batched|s2t|s2t-vad|whisperx MODEL THREADS BATCH FILE…
"""

import json
import sys
import time

BEAM = 5


def faster_whisper(how, folder, threads, batch, files):
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    workers = threads if how == "workers" else 1
    model = WhisperModel(
        folder,
        device="cpu",
        compute_type="int8",
        cpu_threads=threads // workers,
        num_workers=workers,
    )
    loaded = time.time()
    more = {}
    transcribe = model.transcribe
    if how == "batched":
        transcribe = BatchedInferencePipeline(model).transcribe
        more = {"batch_size": batch}

    def one(file):
        segments, _ = transcribe(file, beam_size=BEAM, language="en", **more)
        return "".join(segment.text for segment in segments)

    if workers > 1:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(workers) as pool:
            return loaded, list(pool.map(one, files))
    return loaded, [one(file) for file in files]


def s2t(how, folder, threads, batch, files):
    import torch
    import whisper_s2t

    torch.set_num_threads(threads)
    model = whisper_s2t.load_model(
        folder,
        device="cpu",
        compute_type="int8",
        cpu_threads=threads,
        asr_options={"beam_size": BEAM},
    )
    loaded = time.time()
    transcribe = model.transcribe_with_vad if how == "s2t-vad" else model.transcribe
    found = transcribe(files, lang_codes=["en"], tasks=["transcribe"], batch_size=batch)
    return loaded, [" ".join(part["text"] for part in parts) for parts in found]


def whisperx(how, folder, threads, batch, files):
    import torch
    import whisperx

    torch.set_num_threads(threads)
    model = whisperx.load_model(
        folder,
        "cpu",
        compute_type="int8",
        language="en",
        threads=threads,
        asr_options={"beam_size": BEAM},
    )
    loaded = time.time()
    texts = []
    for file in files:
        found = model.transcribe(whisperx.load_audio(file), batch_size=batch, language="en")
        texts.append(" ".join(part["text"] for part in found["segments"]))
    return loaded, texts


def main():
    how, folder, threads, batch, *files = sys.argv[1:]
    others = {"s2t": s2t, "s2t-vad": s2t, "whisperx": whisperx}
    transcribe = others.get(how, faster_whisper)
    loaded, texts = transcribe(how, folder, int(threads), int(batch), files)
    done = time.time()
    print(
        json.dumps({"loaded": loaded, "done": done, "texts": dict(zip(files, texts, strict=True))})
    )


if __name__ == "__main__":
    main()
