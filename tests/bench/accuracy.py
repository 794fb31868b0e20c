"""Accuracy and speed of the engine beside faster-whisper's own two paths, on the same files.

    python tests/bench/accuracy.py FOLDER [--model MODEL_FOLDER] [--threads 1] [--long]

FOLDER holds ``references.tsv``: a file's name, a tab, what is said in it. The engine runs as a
process and is spoken to by its protocol; model loading is not counted for anyone. With
``--long`` the files are also joined into one recording with pauses of 0.3–4 s between them,
in four orders.

Text is lower-cased, punctuation goes, digits become words; the same for all.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jiwer
import numpy as np

from speakeasy_tui.core.engineprotocol import (
    ChunkDone,
    Failed,
    Fault,
    Finished,
    Load,
    Loaded,
    LoadFailed,
    Quit,
    Transcribe,
    report_decoder,
)
from speakeasy_tui.core.lines import encode
from speakeasy_tui.core.models import find_local
from speakeasy_tui.core.settings import JobOptions

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)
TENS = {20: "twenty", 30: "thirty", 40: "forty", 50: "fifty", 60: "sixty"}


def references(folder: Path) -> list[tuple[str, str]]:
    """Names of a folder's recordings, and what is said in each."""
    lines = (folder / "references.tsv").read_text("utf-8").splitlines()
    return [(name, text) for name, tab, text in (line.partition("\t") for line in lines) if tab]


def normal(text: str) -> str:
    """Lower case, no punctuation, small numbers as words."""
    text = re.sub(r"\bmr\.", "mister", text.lower())
    text = re.sub(r"[^\w\s]", " ", text.replace("'", ""))
    return " ".join(_word(word) for word in text.split())


def _word(word: str) -> str:
    if not word.isdigit() or int(word) >= 70:
        return word
    number = int(word)
    if number < len(ONES):
        return ONES[number]
    if number - number % 10 in TENS:
        return " ".join([TENS[number - number % 10], *([ONES[number % 10]] if number % 10 else [])])
    return word


class Ours:
    """The engine as a subprocess."""

    def __init__(self, model: Path, threads: int, batch: int | None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "speakeasy_tui.engine", "--engine", "real"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._say(
            Load(
                model=str(model),
                name=model.name,
                device="cpu",
                compute_type="int8",
                cpu_threads=threads,
                batch_size=batch,
            )
        )
        for report in self._reports():
            if isinstance(report, LoadFailed):
                raise SystemExit(report.text)
            if isinstance(report, Loaded):
                self.batch = report.batch_size
                return

    def _say(self, command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(encode(command))
        self.process.stdin.flush()

    def _reports(self) -> Iterator[Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield report_decoder.decode(line)

    def transcribe(self, paths: list[Path]) -> list[str]:
        """Texts of `paths`, all in flight at once."""
        for number, path in enumerate(paths):
            options = JobOptions(language="en")
            command = Transcribe(job=number, attempt=1, path=os.fsencode(path), options=options)
            self._say(command)
        chunks: dict[int, list[Any]] = {number: [] for number in range(len(paths))}
        left = len(paths)
        for report in self._reports():
            if isinstance(report, ChunkDone):
                chunks[report.job].append(report.chunk)
            elif isinstance(report, (Failed, Fault)):
                raise SystemExit(report.text)
            elif isinstance(report, Finished):
                left -= 1
                if not left:
                    break
        return [
            "".join(s.text for c in sorted(chunks[n], key=lambda c: c.index) for s in c.segments)
            for n in range(len(paths))
        ]

    def close(self) -> None:
        self._say(Quit())
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, default=None, help="default: the starter model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=None, help="of ours; default: its choice")
    parser.add_argument("--long", action="store_true", help="also joined into long recordings")
    arguments = parser.parse_args()
    local = find_local(str(arguments.model or "tiny.en"))
    if local is None:
        raise SystemExit("no model there; give its folder with --model")

    from faster_whisper import BatchedInferencePipeline, WhisperModel, decode_audio

    pairs = references(arguments.folder)
    paths = [arguments.folder / name for name, _ in pairs]
    said = [text for _, text in pairs]
    whisper = WhisperModel(
        str(local.path), device="cpu", compute_type="int8", cpu_threads=arguments.threads
    )
    batched = BatchedInferencePipeline(whisper)
    ours = Ours(local.path, arguments.threads, arguments.batch)

    def sequential(files: list[Path]) -> list[str]:
        found = (whisper.transcribe(str(f), beam_size=5, language="en")[0] for f in files)
        return ["".join(s.text for s in segments) for segments in found]

    def batches(files: list[Path]) -> list[str]:
        found = (batched.transcribe(str(f), beam_size=5, language="en")[0] for f in files)
        return ["".join(s.text for s in segments) for segments in found]

    paths_of = {
        f"ours, batch {ours.batch}": ours.transcribe,
        "faster-whisper sequential": sequential,
        "faster-whisper batched (8)": batches,
    }

    def compare(title: str, files: list[Path], references: list[str]) -> None:
        seconds = sum(len(decode_audio(str(f))) for f in files) / 16_000
        print(f"\n{title}: {len(files)} files, {seconds:.0f} s, {local.name} int8, beam 5")
        print(f"{'':28} {'WER %':>7} {'errors':>7} {'× real time':>12}")
        for name, run in paths_of.items():
            begun = time.monotonic()
            texts = run(files)
            took = time.monotonic() - begun
            result = jiwer.process_words(
                [normal(t) for t in references], [normal(t) for t in texts]
            )
            errors = result.substitutions + result.deletions + result.insertions
            print(f"{name:28} {100 * result.wer:7.2f} {errors:7} {seconds / took:12.1f}")

    compare("As they are", paths, said)
    if arguments.long:
        with tempfile.TemporaryDirectory() as folder:
            joined = [Path(folder) / f"{seed}.wav" for seed in range(4)]
            texts = [join(paths, said, path, seed) for seed, path in enumerate(joined)]
            compare("Joined", joined, texts)
    ours.close()


def join(paths: list[Path], said: list[str], target: Path, seed: int) -> str:
    """Write all files in a random order with quiet noise between; what is said in all."""
    from faster_whisper import decode_audio

    order = list(range(len(paths)))
    random.Random(seed).shuffle(order)
    rng = np.random.default_rng(seed)
    pieces: list[Any] = []
    for number in order:
        pieces.append(decode_audio(str(paths[number])))
        pieces.append(rng.standard_normal(int(rng.uniform(0.3, 4) * 16_000)) * 0.0006)
    samples = np.clip(np.concatenate(pieces), -1, 1) * 32767
    with wave.open(str(target), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(samples.astype(np.int16).tobytes())
    return " ".join(said[number] for number in order)


if __name__ == "__main__":
    main()
