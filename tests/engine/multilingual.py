"""A multilingual Whisper with random weights: this machine has no real one.

The tokens, the sizes of vocabulary and window, and the file formats are the real ones; what it
writes is nonsense. Made with ctranslate2's own specification of the model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import WhisperSpec
from faster_whisper.tokenizer import _LANGUAGE_CODES

from speakeasy_tui.core.models import starter

DEPTH = 64
FIRST_LANGUAGE = 50259


def specials() -> list[str]:
    """Tokens 50257 … 50364 as in large-v3 (openai/whisper, tokenizer.py)."""
    known = [
        "en", "zh", "de", "es", "ru", "ko", "fr", "ja", "pt", "tr", "pl", "ca", "nl", "ar", "sv",
    ]  # fmt: skip
    languages = [*known, *(code for code in _LANGUAGE_CODES if code not in (*known, "yue")), "yue"]
    assert len(languages) == 100
    after = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    names = ["endoftext", "startoftranscript", *languages, *after]
    return [f"<|{name}|>" for name in names]


def write(folder: Path) -> None:
    """Put a model folder at `folder`."""
    bundled = starter()
    assert bundled is not None
    folder.mkdir()
    tokenizer = json.loads((bundled.path / "tokenizer.json").read_text("utf-8"))
    # CTranslate2 (src/models/whisper.cc) tells a multilingual vocabulary by this empty token.
    tokenizer["model"]["vocab"][""] = 50256
    template = tokenizer["added_tokens"][0]
    tokenizer["added_tokens"] = [
        template | {"id": number, "content": token}
        for number, token in enumerate(specials(), 50257)
    ]
    tokenizer["model"]["vocab"].pop("<|endoftext|>", None)
    tokenizer["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")

    rng = np.random.default_rng(3)
    spec = WhisperSpec(2, 2, 2, 2)

    def matrix(*shape: int) -> Any:
        return (rng.standard_normal(shape) * 0.3).astype(np.float32)

    def linear(layer: Any, rows: int, columns: int) -> None:
        layer.weight, layer.bias = matrix(rows, columns), matrix(rows)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(DEPTH, np.float32), matrix(DEPTH)

    def attention(layer: Any, inside: bool) -> None:
        norm(layer.layer_norm)
        sizes = [3 * DEPTH] if inside else [DEPTH, 2 * DEPTH]
        for one, size in zip(layer.linear, [*sizes, DEPTH], strict=True):
            linear(one, size, DEPTH)

    def feed_forward(layer: Any) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, 4 * DEPTH, DEPTH)
        linear(layer.linear_1, DEPTH, 4 * DEPTH)

    spec.encoder.conv1.weight, spec.encoder.conv1.bias = matrix(DEPTH, 80, 3), matrix(DEPTH)
    spec.encoder.conv2.weight, spec.encoder.conv2.bias = matrix(DEPTH, DEPTH, 3), matrix(DEPTH)
    spec.encoder.position_encodings.encodings = matrix(1500, DEPTH)
    norm(spec.encoder.layer_norm)
    for layer in spec.encoder.layer:
        attention(layer.self_attention, inside=True)
        feed_forward(layer.ffn)
    spec.decoder.embeddings.weight = matrix(51866, DEPTH)
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    spec.decoder.position_encodings.encodings = matrix(448, DEPTH)
    norm(spec.decoder.layer_norm)
    # Leaning towards the end of text keeps it from rambling on, which takes its time.
    spec.decoder.layer_norm.beta = 3 * spec.decoder.embeddings.weight[50257]
    for layer in spec.decoder.layer:
        attention(layer.self_attention, inside=True)
        attention(layer.attention, inside=False)
        feed_forward(layer.ffn)

    texts = {number: text for text, number in tokenizer["model"]["vocab"].items()}
    tokens = [texts[number] for number in range(50257)] + specials()
    tokens += [f"<|{step * 0.02:.2f}|>" for step in range(1501)]
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids = [1, 2, 7]
    spec.config.suppress_ids_begin = [220, 50257]
    spec.config.lang_ids = list(range(FIRST_LANGUAGE, FIRST_LANGUAGE + 100))
    spec.config.alignment_heads = [(1, 0)]
    spec.validate()
    spec.optimize(quantization="float32")
    spec.save(str(folder))
