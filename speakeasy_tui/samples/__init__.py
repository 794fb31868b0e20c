"""A small folder of recordings that ships with the program, and what is said in them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def sample_folder() -> Path:
    """The folder of the sample recordings, as installed.

    Raises FileNotFoundError when the package is not laid out as files (in a zip archive),
    where no decoder could open the recordings.
    """
    folder = resources.files(__name__)
    if not isinstance(folder, Path):
        raise FileNotFoundError(f"the sample recordings are not files here: {folder}")
    return folder


def reference_texts() -> dict[str, str]:
    """What is said in each recording, by its name relative to `sample_folder`.

    The deliberately broken recording, in which nothing is said, is not among them.
    """
    lines = (sample_folder() / "texts.tsv").read_text("utf-8").splitlines()
    return dict(_row(line) for line in lines)


def _row(line: str) -> tuple[str, str]:
    name, _, text = line.partition("\t")
    return name, text
