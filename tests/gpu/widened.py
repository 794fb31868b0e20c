"""A small model's knowledge in a large model's shape, for speed at full size.

    python -m tests.gpu.widened MODEL FOLDER [--times 3] [--layers 32] [--decoder-layers 4]

Writes a model that is `times` as wide as MODEL (a folder in CTranslate2's format) with so many
layers in the encoder and in the decoder, and says what MODEL says: each unit is there `times` over,
every matrix sums over the copies and divides, and the layers that are added add nothing to what
passes through. So it ends its texts where the small one does, doubts what that doubts, and costs
what its shape costs, which random weights would not: tiny.en three times as wide, with 32 layers in
the encoder, is 1152 wide where large-v3-turbo (32 and 4 as well) has 1280; with 32 in the decoder,
too, it is as deep as large-v3.
"""

from __future__ import annotations

import argparse
import re
import shutil
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from speakeasy_tui.engine import modelfile

TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
"""numpy's for CTranslate2's numbers of types."""
CODES = {np.dtype(kind): number for number, kind in TYPES.items()}
Variables = dict[str, np.ndarray]
LAST = ("self_attention/linear_1/", "attention/linear_2/", "ffn/linear_1/")
"""What a layer adds to what passes through comes out of these."""


def read(path: Path) -> Variables:
    """The variables of a ``model.bin``, under each of their names."""
    data = path.read_bytes()
    return {
        name: np.frombuffer(
            data, TYPES[kind], offset=offset, count=size // TYPES[kind]().nbytes
        ).reshape(shape)
        for name, (shape, kind, offset, size) in modelfile.variables(path).items()
    }


def write(path: Path, variables: Variables) -> None:
    """Write a ``model.bin`` of a Whisper."""
    with path.open("wb") as file:
        file.write(struct.pack("<I", 6))  # the version of the format
        _text(file, "WhisperSpec")
        file.write(struct.pack("<II", 3, len(variables)))  # the specification's revision
        for name, values in variables.items():
            _text(file, name)
            file.write(struct.pack("<B", values.ndim))
            file.write(struct.pack(f"<{values.ndim}I", *values.shape))
            file.write(struct.pack("<BI", CODES[values.dtype], values.nbytes))
            file.write(np.ascontiguousarray(values).data)
        file.write(struct.pack("<I", 0))


def _text(file: BinaryIO, text: str) -> None:
    data = text.encode() + b"\0"
    file.write(struct.pack("<H", len(data)) + data)


def widened(name: str, values: np.ndarray, times: int) -> np.ndarray:
    """A variable of the wide model.

    What goes in is there `times` over, one copy behind the other, and is to come out so. The
    matrices of queries, keys and values, or of keys and values, lie above one another in one.
    """
    if name.endswith("num_heads"):
        return np.asarray(values * times, values.dtype)
    if not values.ndim or not np.issubdtype(values.dtype, np.floating):
        return values
    if name.endswith(("embeddings/weight", "encodings")):  # rows are looked up
        return np.tile(values, (1, times))
    if name == "decoder/projection/weight":  # its rows are tokens
        return _summing(values, times)
    parts = 1
    if re.search(r"self_attention/linear_0/", name):
        parts = 3
    elif re.search(r"/attention/linear_1/", name):
        parts = 2
    out = np.concatenate(
        [np.concatenate([part] * times) for part in np.split(values, parts)]  # copies of each part
    )
    if values.ndim == 1 or name == "encoder/conv1/weight":  # what goes into that is sound
        return out
    return _summing(out, times)


def _summing(weights: np.ndarray, times: int) -> np.ndarray:
    """Weights (outputs × inputs, and perhaps × time) of the same sum over `times` equal inputs."""
    copies = np.concatenate([weights] * times, axis=1).astype(np.float32) / times
    return copies.astype(weights.dtype)


def layered(variables: Variables, part: str, layers: int) -> Variables:
    """The same with so many layers in a part; those that are added pass on what they get."""
    pattern = re.compile(rf"{part}/layer_(\d+)/(.*)")
    found = [match for name in variables if (match := pattern.fullmatch(name))]
    own = 1 + max(int(match[1]) for match in found)
    more: Variables = {}
    for number in range(own, layers):
        for match in found:
            if int(match[1]) == number % own:
                values = variables[match[0]]
                more[f"{part}/layer_{number}/{match[2]}"] = (
                    np.zeros_like(values) if match[2].startswith(LAST) else values
                )
    return variables | more


def main() -> None:
    """Write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--decoder-layers", type=int, default=4)
    given = parser.parse_args()
    variables = read(given.model / "model.bin")
    wide = {name: widened(name, values, given.times) for name, values in variables.items()}
    given.folder.mkdir(parents=True, exist_ok=True)
    deep = layered(wide, "encoder", given.layers)
    write(given.folder / "model.bin", layered(deep, "decoder", given.decoder_layers))
    for path in given.model.iterdir():
        if path.name != "model.bin":
            shutil.copy(path, given.folder)


if __name__ == "__main__":
    main()
