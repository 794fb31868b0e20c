"""The job and what is told about it: states, errors, warnings, attempts, lanes.

A job is one file and what was asked of it. The structs here cross processes, so they are
declared, validated on the way in (msgspec) and carry no behaviour beyond what can be derived.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class State(StrEnum):
    """Where a job stands. The diagram is in `NEXT_STATES`."""

    QUEUED = "queued"
    HELD = "held"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"


FINAL_STATES = frozenset(
    {State.DONE, State.SKIPPED, State.FAILED, State.QUARANTINED, State.CANCELLED}
)
"""States that only a person's rerun leaves."""

NEXT_STATES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset(
        {State.HELD, State.RUNNING, State.SKIPPED, State.FAILED, State.CANCELLED}
    ),
    State.HELD: frozenset({State.QUEUED, State.CANCELLED}),
    State.RUNNING: frozenset(
        {
            State.QUEUED,
            State.HELD,
            State.DONE,
            State.FAILED,
            State.QUARANTINED,
            State.CANCELLED,
        }
    ),
    State.DONE: frozenset({State.QUEUED}),
    State.SKIPPED: frozenset({State.QUEUED}),
    State.FAILED: frozenset({State.QUEUED}),
    State.QUARANTINED: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}
"""Which state may follow which."""


class ErrorKind(StrEnum):
    """Fault classes (see `core.faults`), which are also the error kinds shown on a row."""

    INPUT = "input"
    NO_AUDIO = "no_audio"
    OOM = "oom"
    CUDA = "cuda"
    STICKY = "sticky"
    CRASH = "crash"
    HANG = "hang"
    DEVICE = "device"
    DISK = "disk"
    OUTPUT = "output"
    MODEL = "model"


class JobError(Struct, frozen=True):
    """Why a job failed: what happened, and what the person can do about it."""

    kind: ErrorKind
    message: str
    hint: str = ""


class JobWarning(Struct, frozen=True, omit_defaults=True):
    """Something true about a finished job that the person should know."""

    kind: str
    """`no_speech`, `incomplete_audio`, `language`, `unverified_output`, …"""
    message: str
    seconds: float | None = None
    """Of `incomplete_audio`: how much is missing, where that is known."""


class Job(Struct, omit_defaults=True):
    """One row of the table, as the runner tells it.

    On the wire default values are left out; `public` gives the promised full object.
    """

    id: int
    path: str
    """The source's path; bytes that are not UTF-8 stand as ``\\xNN``."""
    state: State = State.QUEUED
    progress: float = 0.0
    """Share of the audio finished, 0–1."""
    position: int = 0
    """Order in the queue; lower runs sooner."""
    attempts: int = 0
    """Tries in the present series (a rerun starts a new series)."""
    error: JobError | None = None
    outputs: tuple[str, ...] = ()
    audio_s: float | None = None
    elapsed_s: float | None = None
    speed: float | None = None
    """× real time: audio seconds per second of the engine's work on it (a batch that it shares
    with other files counts by its chunks), where that is not known per second elapsed."""
    eta_s: float | None = None
    model: str | None = None
    device: str | None = None
    language: str | None = None
    warnings: tuple[JobWarning, ...] = ()
    message: str = ""
    """One line for the row: what is going on or what happened."""
    lane: int | None = None
    """Number of the lane that works or worked on it."""
    root: str = ""
    """The folder that was queued and under which `path` was found; empty for a single file."""


def public(job: Job) -> dict[str, object]:
    """The `job` object of ``status --json`` and of every event: all fields, defaults too."""
    return {name: getattr(job, name) for name in job.__struct_fields__}


class Attempt(Struct):
    """One try at a job, kept for good: the person can open it."""

    number: int
    series: int
    started: float
    """Unix time, seconds."""
    ended: float | None = None
    device: str | None = None
    model: str | None = None
    outcome: str = "running"
    """`running`, `done`, `given back`, `cancelled`, or an `ErrorKind`."""
    message: str = ""
    detail: str = ""
    """Full error text and, after a death, exit signal and the engine's last stderr lines."""
    charged: bool = False
    """Whether this try counts towards `max_attempts`."""


class LaneState(StrEnum):
    """What a lane is doing."""

    STARTING = "starting"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    READY = "ready"
    RUNNING = "running"
    RELOADING = "reloading"
    RESPAWNING = "respawning"
    RETIRED = "retired"
    STOPPED = "stopped"


class Lane(Struct, omit_defaults=True):
    """One device and the engine process on it, as shown in the lanes strip."""

    number: int
    device: str
    """`cpu` or `cuda:N`."""
    state: LaneState = LaneState.STOPPED
    model: str | None = None
    compute_type: str | None = None
    pid: int | None = None
    batch_size: int | None = None
    reloads: int = 0
    respawns: int = 0
    last_fault: str | None = None
    name: str | None = None
    """What the hardware calls itself, e.g. `NVIDIA H200`."""
    engine: str = "real"
    """`real` or `sim`."""
    why: str = ""
    """Why this model and compute type were taken, or what is being waited for."""
    warning: str = ""
    progress: float | None = None
    """0–1 while downloading."""
    use: float | None = None
    """Share of the device in use, 0–1."""
    memory_used: int | None = None
    """Bytes: of the GPU, or resident of the engine on a CPU lane."""
    memory_total: int | None = None
    temperature: int | None = None
    """Degrees Celsius."""
    speed: float | None = None
    """× real time, over the last half minute."""


class RunnerState(StrEnum):
    """What the queue as a whole is doing."""

    RUNNING = "running"
    PAUSED = "paused"
    IDLE = "idle"
    STOPPED = "stopped"


class Pause(Struct, frozen=True):
    """Why a batch is paused."""

    kind: str
    """`person`, `disk`, `device` or `model`."""
    message: str
    hint: str = ""


class Batch(Struct, omit_defaults=True):
    """The queue as a whole, as last told."""

    state: RunnerState = RunnerState.STOPPED
    why: Pause | None = None
    counts: dict[str, int] = {}
    audio_s: float = 0.0
    """Seconds of audio of all rows whose length is known."""
    whole_s: float = 0.0
    """Seconds that all rows come to: what waits and whose length nobody knows is taken to be as
    long as the others are on average."""
    done_s: float = 0.0
    """Seconds of audio finished, the running rows' share included."""
    speed: float | None = None
    """× real time of the whole batch, over the last minute."""
    eta_s: float | None = None
    disk_free: int | None = None
    """Bytes left where outputs go."""
    scanning: int = 0
    """Folders being searched now."""
    notice: str = ""
    """What the runner wants known, e.g. that it resumed after a crash."""
