"""Downloading a model: ``python -m speakeasy_tui.engine.fetch NAME_OR_REPOSITORY``.

Prints `core.engineprotocol.AnyFetch` lines and ends with status 0 when the model is in the standard
Hugging Face cache. SIGTERM and SIGINT cancel it; files that are whole are kept for the next try,
what is left of others is removed, and it is no model until ``model.bin``, the last of them, is.
``HF_ENDPOINT``, ``HF_TOKEN``, ``HF_HUB_CACHE`` and the like are honoured, because huggingface_hub
does the work.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from msgspec import Struct

from speakeasy_tui.core import models
from speakeasy_tui.core.engineprotocol import FetchDone, FetchFailed, FetchProgress
from speakeasy_tui.core.lines import encode
from speakeasy_tui.core.text import printable
from speakeasy_tui.core.values import nearest

# faster_whisper.utils.download_model, and what an optional README is not needed for.
FILES = ("config.json", "preprocessor_config.json", "tokenizer.json", "vocabulary.*", "model.bin")
"""In the order in which they are fetched: model.bin makes it a model, so it comes last."""
REPORT_EVERY = 0.25
"""Seconds."""
ANSWER_WITHIN = 7.0
"""Seconds in which the hub has to answer the first question."""
CANCELLED = 130
_TIDIED_WITHIN = 3
"""Seconds after which a cancelled download ends without having tidied up."""
_UNTOUCHED = 60.0
"""Seconds; a file that is being downloaded grows more often. On some shared file systems (Lustre,
GPFS) everybody gets a lock, so that alone does not tell."""


class _Cancelled(BaseException):
    """SIGTERM or SIGINT came, or nobody listens any more."""


class Unavailable(Exception):
    """The model cannot be had; `offline`: because the hub cannot be reached."""

    def __init__(self, message: str, offline: bool = False) -> None:
        super().__init__(message)
        self.offline = offline


def repository_of(request: str) -> str:
    """The hub repository that `request` means.

    Raises:
        Unavailable: with the nearest known name.
    """
    if request in models.REPOSITORIES:
        return models.REPOSITORIES[request]
    if request.count("/") == 1:
        return request
    names = ", ".join(models.REPOSITORIES)
    guess = nearest(request, list(models.REPOSITORIES))
    raise Unavailable(
        f"no model is called {printable(request)!r}{guess}; known: {names}, "
        "or a repository as OWNER/NAME"
    )


def wanted(files: dict[str, int]) -> list[tuple[str, int]]:
    """Names and sizes (bytes) to fetch of all `files` of a repository, model.bin last.

    Raises:
        Unavailable: it holds no CTranslate2 model.
    """
    chosen = [
        (name, size)
        for pattern in FILES
        for name, size in sorted(files.items())
        if fnmatch.fnmatchcase(name, pattern)
    ]
    if not {"config.json", "model.bin"} <= {name for name, _ in chosen}:
        raise Unavailable(
            "the repository holds no CTranslate2 model (model.bin and config.json); look for "
            "one made for faster-whisper"
        )
    return chosen


class Meter:
    """Counts the bytes that are here and reports them from a thread."""

    def __init__(self, blobs: Path, total: int, say: Callable[[Struct], None]) -> None:
        self._blobs = blobs
        self._total = total
        self._say = say
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.finished = 0
        """Bytes of files that are whole."""

    def __enter__(self) -> Meter:
        self._report()
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        if kind is None:
            self._report()

    def _run(self) -> None:
        while not self._stop.wait(REPORT_EVERY):
            self._report()

    def _report(self) -> None:
        with self._lock:
            done = min(self._total, self.finished + self._partial())
            self._say(FetchProgress(done=done, total=self._total))

    def _partial(self) -> int:
        """Bytes of the file under way: the newest unfinished one in the cache."""
        newest, size = 0.0, 0
        for path in self._blobs.glob("*.incomplete"):
            try:
                status = path.stat()
            except OSError:  # finished and renamed just now
                continue
            if status.st_mtime >= newest:
                newest, size = status.st_mtime, status.st_size
        return size


def fetch(request: str, say: Callable[[Struct], None]) -> Path:
    """Fetch a model into the hub's cache, telling `say` how far it is; its folder.

    Raises:
        Unavailable: with the reason.
    """
    repository = repository_of(request)
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "5")
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "10")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache

    say(FetchProgress(done=0, total=0))
    alarm = threading.Timer(ANSWER_WITHIN, _no_answer, [say])
    alarm.daemon = True
    alarm.start()
    try:
        info = HfApi().model_info(repository, files_metadata=True, timeout=5)
    except Exception as error:
        raise _explain(error, repository) from error
    finally:
        alarm.cancel()
    chosen = wanted({file.rfilename: file.size or 0 for file in info.siblings or ()})
    total = sum(size for _, size in chosen)
    cache = models.hub_cache()
    folder = cache / ("models--" + repository.replace("/", "--"))
    blobs = folder / "blobs"
    here = sum(
        size
        for name, size in chosen
        if isinstance(try_to_load_from_cache(repository, name, cache, info.sha), str)
    )
    # Also those of other models: who has changed their mind never asks for the first again.
    for known in {repository, *models.REPOSITORIES.values()}:
        _remove_leftovers(cache, known)
    _check_room(cache, total - here - begun(blobs))
    place = ""
    with Meter(blobs, total, say) as meter:
        try:
            for name, size in chosen:
                place = hf_hub_download(repository, name, revision=info.sha, cache_dir=cache)
                meter.finished += size
            # Only now: "main" must never name a snapshot that is not whole.
            hf_hub_download(repository, "config.json", revision="main", cache_dir=cache)
        except Exception as error:
            raise _explain(error, repository) from error
    _remove_leftovers(cache, repository)  # of a try that was killed just before
    return Path(place).parent


def _remove_leftovers(cache: Path, repository: str) -> None:
    """Remove unfinished files of a repository that nobody will finish, GiB of them after a kill.

    The hub's client goes on with none that has a name of its own (`begun`), or is there whole.
    """
    from filelock import Timeout
    from huggingface_hub.utils import WeakFileLock

    name = "models--" + repository.replace("/", "--")
    for path in (cache / name / "blobs").glob("*.incomplete"):
        blob, _, own = path.stem.partition(".")
        with contextlib.suppress(OSError, Timeout):
            stale = own or path.with_name(blob).exists()
            if not stale or time.time() - path.stat().st_mtime < _UNTOUCHED:
                continue
            # As whoever downloads it holds.
            with WeakFileLock(cache / ".locks" / name / f"{blob}.lock", timeout=0.1):
                path.unlink()


def begun(blobs: Path) -> int:
    """Bytes of unfinished files with which the hub's client goes on.

    Later versions of it begin anew, in a file whose name has one part more: those count nothing.
    """
    return sum(path.stat().st_size for path in blobs.glob("*.incomplete") if "." not in path.stem)


def _check_room(cache: Path, needed: int) -> None:
    place = cache
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise Unavailable(
            f"the model needs {needed / models.GIB:.2f} GiB and {place} has "
            f"{free / models.GIB:.2f} GiB left; free some, or set HF_HUB_CACHE to another folder"
        )


def _explain(error: Exception, repository: str) -> Unavailable:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403, 404):
        return Unavailable(
            f"the hub has no public model {printable(repository)} "
            f"(HTTP {status}); a private one needs HF_TOKEN"
        )
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return Unavailable(printable(f"cannot store the model: {error.strerror}: {error.filename}"))
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    hub = os.environ.get("HF_ENDPOINT", "huggingface.co")
    return Unavailable(printable(f"the model hub ({hub}) cannot be reached: {first}"), offline=True)


def _no_answer(say: Callable[[Struct], None]) -> NoReturn:
    hub = os.environ.get("HF_ENDPOINT", "huggingface.co")
    text = f"the model hub ({hub}) did not answer within {ANSWER_WITHIN:.0f} s"
    say(FetchFailed(message=printable(text), offline=True))
    os._exit(1)


def main() -> NoReturn:
    """Run as a process of its own."""
    output = os.dup(1)
    os.dup2(2, 1)
    lock = threading.Lock()
    over = False

    def say(message: Struct) -> None:
        nonlocal over
        with lock:
            if over:
                return
            over = not isinstance(message, FetchProgress)
            try:
                os.write(output, encode(message))
            except OSError:  # nobody listens any more
                os.kill(os.getpid(), signal.SIGTERM)

    def cancel(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.alarm(_TIDIED_WITHIN)
        raise _Cancelled  # through the hub's client, which removes what it has begun

    status = 1
    try:
        signal.signal(signal.SIGTERM, cancel)
        signal.signal(signal.SIGINT, cancel)
        if len(sys.argv) != 2:
            raise Unavailable("name one model: python -m speakeasy_tui.engine.fetch NAME")
        say(FetchDone(path=str(fetch(sys.argv[1], say))))
        status = 0
    except _Cancelled:
        say(FetchFailed(message="cancelled"))
        status = CANCELLED
    except Unavailable as error:
        say(FetchFailed(message=str(error), offline=error.offline))
    except Exception as error:
        traceback.print_exc()
        say(FetchFailed(message=printable(f"{type(error).__name__}: {error}")))
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
