"""The program as a person runs it, in a home of its own, and what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHOSEN = ("SPEAKEASY_TORCH", "SPEAKEASY_WINDOWS")
"""Variables that choose how an engine works: measurements keep what they are given."""


@dataclass(frozen=True)
class Said:
    """All events of a ``run --json``."""

    events: list[dict[str, Any]]
    status: dict[str, Any]
    """Of the runner, afterwards."""
    exit_code: int
    errors: str
    wall_s: float

    def of(self, name: str) -> list[dict[str, Any]]:
        """Events of that name."""
        return [event for event in self.events if event["event"] == name]

    @property
    def left_out(self) -> list[str]:
        """Paths of files that are no recordings; no engine can help that."""
        failed = [event["job"] for event in self.of("failed")]
        kinds = ("input", "no_audio")
        return [job["path"] for job in failed if job["error"]["kind"] in kinds]

    def right(self, files: Sequence[Path]) -> bool:
        """Whether every recording among `files` is done."""
        return len(self.texts) + len(self.left_out) == len(files)

    @property
    def texts(self) -> dict[str, str]:
        """By path, of the files that are done."""
        jobs = [event["job"] for event in self.of("done")]
        return {
            job["path"]: " ".join(Path(job["outputs"][0]).read_text("utf-8").split())
            for job in jobs
        }

    @property
    def work(self) -> tuple[float, float]:
        """Moments (time.time) of the first file's start and the last one's end."""
        begun = min(event["ts"] for event in self.of("started"))
        return begun, max(event["ts"] for event in self.of("done"))

    def tell(self) -> None:
        """Print what happened, but for progress."""
        for event in self.events:
            if event["event"] in ("progress", "queued", "profile", "summary"):
                continue
            job, detail = event.get("job") or {}, event.get("detail")
            name = Path(job.get("path") or "").name
            words = [event["event"], name, job.get("message") or "", json.dumps(detail or {})]
            print("   ", "  ".join(word for word in words if word and word != "{}"))
        lanes = self.status.get("lanes") or [{}]
        kept = ("device", "batch_size", "reloads", "respawns", "last_fault")
        print("    lane:", json.dumps({key: lanes[0].get(key) for key in kept}))


class Program:
    """The program with a home in a folder; its runner stays until `stop`."""

    def __init__(self, folder: Path, more: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        every = os.environ.items()
        kept = {k: v for k, v in every if not k.startswith("SPEAKEASY_") or k in CHOSEN}
        self._environment = kept | {"SPEAKEASY_HOME": str(folder / "home")} | dict(more or {})
        self._command = [sys.executable, "-m", "speakeasy_tui"]

    def run(self, files: Sequence[Path], *options: str, output: str = "out") -> Said:
        """Transcribe `files` as txt."""
        self.folder.mkdir(parents=True, exist_ok=True)
        listed = self.folder / "list.txt"
        listed.write_text("".join(f"{file.resolve()}\n" for file in files), "utf-8")
        begun = time.monotonic()
        ran = self._call(
            *("run", str(listed), "--json", "--profile", "-f", "txt"),
            *("-o", str(self.folder / output), *options),
        )
        wall = time.monotonic() - begun
        told = self._call("runner", "status", "--json").stdout
        return Said(
            [json.loads(line) for line in ran.stdout.splitlines()],
            json.loads(told) if told else {},
            ran.returncode,
            ran.stderr,
            wall,
        )

    def log(self) -> str:
        """What the first engine wrote to its log."""
        found = sorted((self.folder / "home" / "logs").glob("engine-*.log"))
        return found[0].read_text("utf-8", "replace") if found else ""

    def stop(self) -> None:
        """End the runner."""
        self._call("runner", "stop")

    def _call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *words],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
