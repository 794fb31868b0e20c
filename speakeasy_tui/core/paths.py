"""Where a home keeps its things, and how its socket is reached."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

APP = "speakeasy"


def expanded(path: str) -> Path:
    """`path` with a ``~`` or ``~name`` at its start resolved.

    Raises:
        ValueError: there is no such user.
    """
    found = os.path.expanduser(path)
    if found.startswith("~"):
        name = found.split("/", 1)[0]
        raise ValueError(f"{path}: no user is called {name[1:]}; write ./{path} if a name is meant")
    return Path(found)


class HomeError(Exception):
    """The home cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Home:
    """The folders of one queue. Two homes share nothing."""

    state: Path
    """Queue, socket, lock and logs."""
    config: Path
    """Config file and user themes."""
    cache: Path
    """What can be made again: CUDA's compiled kernels."""

    @classmethod
    def find(cls, folder: str | os.PathLike[str] | None = None) -> Home:
        """`folder`, else ``$SPEAKEASY_HOME``, else the XDG folders.

        Raises:
            HomeError: it lies in the home directory of a user that there is not.
        """
        chosen = folder or os.environ.get("SPEAKEASY_HOME")
        if chosen:
            try:
                root = expanded(os.fspath(chosen)).absolute()
            except ValueError as error:
                raise HomeError(f"{'--home' if folder else 'SPEAKEASY_HOME'}: {error}") from None
            return cls(state=root, config=root, cache=root / "cache")
        return cls(
            state=Path(platformdirs.user_state_dir(APP, appauthor=False)),
            config=Path(platformdirs.user_config_dir(APP, appauthor=False)),
            cache=Path(platformdirs.user_cache_dir(APP, appauthor=False)),
        )

    def make(self) -> None:
        """Create the folders, readable by the owner alone.

        Raises:
            HomeError: when that is not possible.
        """
        try:
            for folder in (self.state, self.config, self.logs):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HomeError(
                f"{error.filename}: {error.strerror}; choose another folder with --home DIR"
            ) from None

    @property
    def database(self) -> Path:
        """SQLite file; only the runner writes it."""
        return self.state / "queue.db"

    @property
    def socket(self) -> Path:
        """Unix socket of the runner."""
        return self.state / "runner.sock"

    @property
    def journal(self) -> Path:
        """What was ever queued, JSON lines: from it a damaged queue is made again."""
        return self.state / "added.jsonl"

    @property
    def reserve(self) -> Path:
        """Room kept back, so that a full disk does not lose the queue's state."""
        return self.state / "reserve"

    @property
    def lock(self) -> Path:
        """Held with flock by the runner; names its pid."""
        return self.state / "runner.lock"

    @property
    def logs(self) -> Path:
        """Folder of the logs."""
        return self.state / "logs"

    @property
    def runner_log(self) -> Path:
        """Log of the runner."""
        return self.logs / "runner.log"

    def engine_log(self, lane: int) -> Path:
        """Log of a lane's engine: native output ends here, never on the terminal."""
        return self.logs / f"engine-{lane}.log"

    @property
    def config_file(self) -> Path:
        """Settings, TOML."""
        return self.config / "config.toml"

    @property
    def themes(self) -> Path:
        """User themes, TOML, one a file."""
        return self.config / "themes"


def short_socket_address(socket: Path) -> tuple[str, int | None]:
    """An address for `socket` that fits the 108 bytes of ``sockaddr_un``.

    Returns the path itself, or, when that is too long, a path through a descriptor of its
    folder under ``/proc/self/fd``; then the descriptor comes second and the caller closes it
    after bind or connect.

    Raises:
        HomeError: too long, on a system without ``/proc``.
    """
    if len(os.fsencode(socket)) < 100:  # 104 bytes on BSDs and macOS, 108 on Linux
        return str(socket), None
    if not Path("/proc/self/fd").is_dir():
        raise HomeError(f"{socket}: the path is too long for a socket; use a shorter --home")
    folder = os.open(socket.parent, os.O_RDONLY | os.O_DIRECTORY)
    return f"/proc/self/fd/{folder}/{socket.name}", folder
