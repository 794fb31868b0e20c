"""The protocol between the runner and its engines, one JSON object a line (`core.lines`).

Every message is a declared struct, told apart by its ``op``; what comes in is validated by
decoding it as one of the unions at the end of each half. Below them is what the engine's smaller
processes print: the model fetcher, the one that inspects this machine, the one that reads lengths.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from speakeasy_tui.core.job import ErrorKind, JobWarning
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.transcript import Chunk

# ------------------------------------------------------------------ runner → engine


class Command(Struct, tag_field="op", tag=str.lower, kw_only=True):
    """Something the engine is told to do."""


class Load(Command):
    """Load a model (in place of any other); answered by `Loaded` or `LoadFailed`."""

    model: str
    """Folder with a CTranslate2 model, or anything when simulated."""
    name: str
    """What the model is called, for the transcript."""
    device: str
    compute_type: str
    """`auto` or a CTranslate2 compute type."""
    quantize: bool = False
    """With `auto`: weights of 8 bits where the device has them, for memory is short."""
    cpu_threads: int = 0
    """Of each worker; 0: CTranslate2's choice."""
    workers: int = 1
    """Batches that may go through the model at the same time."""
    engines: int = 1
    """That share this machine's cores, this one included."""
    batch_size: int | None = None
    """None: the engine picks."""


class Reload(Command):
    """Forget every file, unload, clear caches, load again, probe."""

    batch_size: int | None = None


class Transcribe(Command):
    """Work on a file. Several may be in flight; each ends in `Finished` or `Failed`."""

    job: int
    attempt: int
    """Number of this try in the series, from 1; fault injection counts by it."""
    path: bytes
    options: JobOptions
    have: list[float] = []
    """Starts (s) of chunks that are stored already and are not decoded again."""
    since: float = 0.0
    """Chunks that start before (s) are another engine's: they are cut, for the cuts depend on all
    that is before them, but not decoded. The language must be known then."""
    until: float | None = None
    """Chunks that start here (s) or later are another engine's; None: it goes to the end."""
    ticket: int = 0
    """Comes back in `Finished`, which may be on its way while the file is given anew."""


class Shorten(Command):
    """Chunks of a file that start at `until` (s) or later are another engine's from now on.

    Those in the model are still told, those that wait are not decoded."""

    job: int
    until: float


class Abandon(Command):
    """Stop work on a file; nothing more is said of it."""

    job: int


class SetBatch(Command):
    """Use this batch size from now on."""

    batch_size: int
    go_on: bool = False
    """The answer to a fault: there is nothing more to wait for."""


class Quit(Command):
    """End once nothing is in flight."""


AnyCommand = Load | Reload | Transcribe | Shorten | Abandon | SetBatch | Quit

# ------------------------------------------------------------------ engine → runner


class Report(Struct, tag_field="op", tag=str.lower, kw_only=True):
    """Something the engine tells."""


class Ready(Report):
    """The process is up; no model yet."""

    pid: int
    engine: str
    """`real` or `sim`."""


class Loaded(Report):
    """The model is in memory and a probe went through it."""

    device: str
    compute_type: str
    batch_size: int
    seconds: float
    multilingual: bool = True
    most: int = 0
    """Windows of a batch that memory allows; 0: no more than `batch_size`."""


class LoadFailed(Report):
    """No model: `text` is the raw error, `kind` what the engine knows of its class."""

    text: str
    kind: ErrorKind | None = None
    hint: str = ""


class Opened(Report):
    """A file has been decoded and cut: its lengths are known."""

    job: int
    audio_s: float
    """Decoded length, seconds."""
    speech_s: float
    """Of that, speech."""
    chunks: int
    """How many there are in all, the stored ones included."""
    language: str | None = None
    language_probability: float | None = None
    warnings: list[JobWarning] = []


class Heard(Report):
    """How loud a file is, as far as it has been decoded; a later report replaces it."""

    job: int
    strip: str
    """A hexadecimal digit for each of up to 160 equal parts: its level, 0–7, and 8 more where
    somebody speaks."""


class ChunkDone(Report):
    """A chunk is decoded."""

    job: int
    chunk: Chunk


class Progress(Report):
    """Where a file stands: share of its audio finished, 0–1, and in which stage."""

    job: int
    progress: float
    stage: str = ""
    """`decode`, `transcribe`, …"""
    work_s: float = 0.0
    """Seconds of the engine's time on it so far; a shared batch counts by its chunks."""


class Finished(Report):
    """A file's last chunk is done, or the last of the part that was asked for."""

    job: int
    language: str
    language_probability: float | None = None
    warnings: list[JobWarning] = []
    work_s: float = 0.0
    """As in `Progress`."""
    ticket: int = 0
    """That of `Transcribe`."""


class Failed(Report):
    """A file cannot be done, or an error names it.

    When `kind` is None the runner classifies `text`; then the fault is the engine's and
    the engine has dropped this file and gone on with the others.
    """

    job: int
    text: str
    """Message for the person (input kinds) or the raw error text."""
    kind: ErrorKind | None = None
    hint: str = ""
    detail: str = ""
    """Traceback, for the log and the attempt."""


class Fault(Report):
    """An error of the device in a batch. The engine has dropped `jobs` and waits."""

    text: str
    jobs: list[int]
    """Files that had chunks in the failed batch."""
    batch_size: int
    """Of that batch, had it been full; it may have been changed since."""
    detail: str = ""


class FullBatch(Report):
    """A full batch went through the model, not to be sampled; what became of it follows."""

    windows: int
    """Or as many seconds of shorter ones."""
    seconds: float
    """It was in the model, beside the batches of other workers."""


class Vitals(Report):
    """Every few seconds, from a thread that does not feed the model."""

    rss: int
    """Resident memory, bytes."""
    busy: float
    """Share of the last interval in which the model worked, 0–1."""
    stages: dict[str, float] = {}
    """Seconds spent in each stage of the work since the process began, summed over threads."""


AnyReport = (
    Ready
    | Loaded
    | LoadFailed
    | Opened
    | Heard
    | ChunkDone
    | Progress
    | Finished
    | Failed
    | Fault
    | FullBatch
    | Vitals
)

# ------------------------------------------------------------------ model fetcher → runner, cli


class FetchProgress(Struct, tag_field="op", tag="progress"):
    """Bytes of a model's files here, and in all (0: not known yet)."""

    done: int
    total: int


class FetchDone(Struct, tag_field="op", tag="done"):
    """The model is here."""

    path: str


class FetchFailed(Struct, tag_field="op", tag="failed"):
    """It could not be had."""

    message: str
    offline: bool = False
    """The hub could not be reached (as against: no such model)."""


AnyFetch = FetchProgress | FetchDone | FetchFailed


# ------------------------------------------------------------------ engine.inspect → doctor


class GpuFacts(Struct):
    """A GPU as torch sees it from inside an engine process."""

    device: str
    name: str
    capability: str
    total: int
    """Bytes."""
    free: int
    compute_types: list[str] = []


class EngineFacts(Struct):
    """What an engine process finds on this machine (``python -m speakeasy_tui.engine.inspect``).

    A version is empty when the library cannot be imported; why stands in `problems`.
    """

    torch: str = ""
    ctranslate2: str = ""
    faster_whisper: str = ""
    av: str = ""
    cuda_devices: int = 0
    """As CTranslate2 counts them."""
    cublas: str = ""
    """Path of libcublas.so.12; empty when it was not found."""
    cpu_compute_types: list[str] = []
    gpus: list[GpuFacts] = []
    problems: list[str] = []
    refused: list[str] = []
    """Of variables with which an engine will not work: which, and why."""


# ------------------------------------------------------------------ engine.probe → interface


class Length(Struct):
    """How long a file is, as its header says."""

    number: int
    """Its place among the files asked about, from 0."""
    seconds: float | None
    """0: there is no audio to be read. None: the header does not say."""


command_decoder: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)
report_decoder: msgspec.json.Decoder[AnyReport] = msgspec.json.Decoder(AnyReport)
fetch_decoder: msgspec.json.Decoder[AnyFetch] = msgspec.json.Decoder(AnyFetch)
