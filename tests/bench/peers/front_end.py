"""The engine's front end alone: from files to what the model takes, without the model.

    python -m tests.bench.peers.front_end FILE… [--turns 3]

Decoding, finding speech, mel spectrograms; ours beside faster-whisper's own functions in the
order in which it calls them. Each turn is a process of its own; × real time *per core* is
seconds of audio by seconds of CPU time. numpy calculates in one thread on either side, as it does
in the engine: with two, the second one of OpenBLAS waits busily, and ours takes 1.6 times the CPU
time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median


def ours(paths: Sequence[Path]) -> float:
    """This project's."""
    from tests.bench.peers.our_front_end import front_end

    return front_end(paths)


def whole_files(paths: Sequence[Path]) -> float:
    """faster-whisper's sequential way with its VAD: one spectrogram of all speech in a file."""
    from faster_whisper import decode_audio
    from faster_whisper.feature_extractor import FeatureExtractor
    from faster_whisper.vad import VadOptions, collect_chunks, get_speech_timestamps

    extract = FeatureExtractor()
    seconds = 0.0
    for path in paths:
        audio = decode_audio(str(path))
        found = get_speech_timestamps(audio, VadOptions())
        for speech in collect_chunks(audio, found)[0]:
            extract(speech)
        seconds += len(audio) / 16_000
    return seconds


def by_chunks(paths: Sequence[Path]) -> float:
    """faster-whisper's batched way: chunks of up to 30 s (`BatchedInferencePipeline`)."""
    from faster_whisper import decode_audio
    from faster_whisper.feature_extractor import FeatureExtractor
    from faster_whisper.vad import VadOptions, collect_chunks, get_speech_timestamps

    extract = FeatureExtractor()
    options = VadOptions(max_speech_duration_s=30, min_silence_duration_ms=160)
    seconds = 0.0
    for path in paths:
        audio = decode_audio(str(path))
        found = get_speech_timestamps(audio, options)
        for chunk in collect_chunks(audio, found, max_duration=30)[0]:
            extract(chunk)[..., :-1]
        seconds += len(audio) / 16_000
    return seconds


WAYS: dict[str, Callable[[Sequence[Path]], float]] = {
    "ours": ours,
    "faster-whisper, whole files": whole_files,
    "faster-whisper, by chunks": by_chunks,
}


def one(way: str, paths: Sequence[Path]) -> dict[str, float]:
    """Seconds of audio, of CPU and of the clock, and peak memory, in this process."""
    WAYS[way](paths[:1])  # imports, the VAD network
    begun, cpu = time.monotonic(), time.process_time()
    seconds = WAYS[way](paths)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "audio": seconds,
        "cpu": time.process_time() - cpu,
        "wall": time.monotonic() - begun,
        "peak": peak,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help="this one, here, as JSON")
    given = parser.parse_args()
    if given.way:
        print(json.dumps(one(given.way, given.files)))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    for _ in range(given.turns):
        for way in WAYS:
            command = [sys.executable, "-m", "tests.bench.peers.front_end", "--way", way]
            ran = subprocess.run(
                [*command, *map(str, given.files)],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            )
            found[way].append(json.loads(ran.stdout))
    first = median(turn["cpu"] for turn in found["ours"])
    load = os.getloadavg()[0]
    audio = found["ours"][0]["audio"]
    print(f"{audio:.0f} s of audio, median of {given.turns} turns, load average {load:.1f}\n")
    print("| | × real time per core | CPU s | wall s | peak MB | CPU ÷ ours |")
    print("|---|---|---|---|---|---|")
    for way, turns in found.items():
        cpu, wall, peak = (median(turn[key] for turn in turns) for key in ("cpu", "wall", "peak"))
        print(f"| {way} | {audio / cpu:.0f} | {cpu:.2f} | {wall:.2f} | {peak:.0f} ", end="")
        print(f"| {cpu / first:.2f} |")


if __name__ == "__main__":
    main()
