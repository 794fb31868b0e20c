"""The protocol between clients and the runner, one JSON object a line (`core.lines`).

Every message is a declared struct, told apart by its ``op``; what comes in is validated by
decoding it as one of the unions at the end of each half.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from speakeasy_tui.core.job import (
    Attempt,
    Batch,
    Job,
    Lane,
)
from speakeasy_tui.core.settings import JobOptions
from speakeasy_tui.core.transcript import Chunk

VERSION = 2
"""Of the client ↔ runner protocol; a client and a runner that differ do not talk."""

# ------------------------------------------------------------------ client → runner


class Request(Struct, tag_field="op", tag=str.lower, kw_only=True):
    """Something asked of the runner. `seq` comes back in the answer."""

    seq: int = 0


class Hello(Request):
    """First on every connection."""

    version: int
    client: str = ""


class Subscribe(Request):
    """From now on: all rows once (`Rows`, the last with `synced`), then what changes."""

    events: bool = False
    """Also push `Event`s, as ``run --json`` prints them."""
    outputs: bool = True
    """Whether the first full picture names the rows' outputs. A window asks for those of the row
    it needs: in 100,000 rows they are two thirds of what there is to send and to keep."""


class Source(Struct, frozen=True):
    """Something to queue: a file, or a folder to be searched."""

    path: bytes
    """Absolute, as the operating system knows it."""
    root: bytes = b""
    """Outputs under an output folder mirror the path below this; empty: the path's folder."""


class Add(Request):
    """Queue sources. Answered by `Added` when all folders have been searched."""

    sources: list[Source]
    options: JobOptions
    start: bool = False
    """Also start work, even when paused or stopped."""


class Rerun(Request):
    """Start a new series of tries. Nothing named and not `failed`: nothing."""

    ids: list[int] = []
    failed: bool = False
    options: JobOptions | None = None
    """New options for these jobs, else each keeps its own."""
    names: list[str] | None = None
    """Which of `options` are meant, the others stay each job's own; None: all."""


class Hold(Request):
    """Keep jobs out of the queue's turn; a running one is given back first."""

    ids: list[int]


class Release(Request):
    """Undo `Hold`."""

    ids: list[int]


class Cancel(Request):
    """Cancel jobs; a running one is stopped."""

    ids: list[int]


class Uncancel(Request):
    """Undo `Cancel`: those that are still cancelled wait again. What has run since, or is not
    there any more, is left alone."""

    ids: list[int]
    held: list[int] = []
    """Those of them that are held then."""


class Remove(Request):
    """Take final, held or queued jobs off the table. Outputs stay."""

    ids: list[int]


class Move(Request):
    """Move queued jobs by `by` places (negative: sooner)."""

    ids: list[int]
    by: int


class ToEnd(Request):
    """Make queued jobs the first or the last that run."""

    ids: list[int]
    first: bool


class Place(Request):
    """Give jobs these positions, which must be theirs or nobody's. Takes back what moved them."""

    ids: list[int]
    positions: list[int]


class Restore(Request):
    """Put back jobs that `Remove` took off the table, as they were."""

    ids: list[int]


class Start(Request):
    """Work, whatever was paused or stopped."""


class PauseQueue(Request, tag="pause"):
    """Begin no more files; those running finish."""


class Resume(Request):
    """Lift a pause."""


class Stop(Request):
    """Pause and end the engines, once the running files are done or, with `now`, at once."""

    now: bool = False


class Shutdown(Request):
    """End the runner; the queue stays, running files are given back."""

    if_free: bool = False
    """Refused where there is work, a pause to keep, or somebody else attached."""


class GetStatus(Request, tag="status"):
    """Answered by `Status`."""


class GetJobs(Request, tag="jobs"):
    """Answered by `Jobs`."""

    ids: list[int] | None = None
    states: list[str] | None = None


class GetOptions(Request, tag="options"):
    """What is asked of these jobs. Answered by `Options`."""

    ids: list[int]


class GetProfile(Request, tag="profile"):
    """Answered by `Profile`."""


class GetDetail(Request, tag="detail"):
    """Everything about one job; with `watch`, new chunks of it are pushed from now on.

    A transcript that is long comes in several answers: the next has the chunks behind `after`.
    """

    id: int
    watch: bool = False
    after: float | None = None
    """Seconds of the audio: where the last chunk of the answer before begins."""


class Unwatch(Request):
    """Stop pushing chunks."""


class CancelDownload(Request):
    """Give up the model download under way."""


Undo = Hold | Release | Uncancel | Place | Restore
"""What takes back a request."""

AnyRequest = (
    Hello
    | Subscribe
    | Add
    | Rerun
    | Hold
    | Release
    | Cancel
    | Uncancel
    | Remove
    | Move
    | ToEnd
    | Place
    | Restore
    | Start
    | PauseQueue
    | Resume
    | Stop
    | Shutdown
    | GetStatus
    | GetJobs
    | GetOptions
    | GetProfile
    | GetDetail
    | Unwatch
    | CancelDownload
)

# ------------------------------------------------------------------ runner → client


class Message(Struct, tag_field="op", tag=str.lower, kw_only=True):
    """Something the runner tells. `seq` is 0 unless it answers a request."""

    seq: int = 0


class Welcome(Message):
    """Answer to `Hello`. Job ids hold as long as `queue` is the same."""

    version: int
    program: str
    pid: int
    home: str
    queue: str = ""
    surroundings: str = ""
    """`core.surroundings` of the runner's start."""


class Ok(Message):
    """Done. `count` jobs were changed; `note` says what was not and why."""

    count: int = 0
    note: str = ""
    undo: Undo | None = None
    """Takes it back, as far as that can be done."""


class Refused(Message):
    """Not done, and why."""

    message: str
    hint: str = ""
    later: bool = False
    """It may be done when it is asked again."""


class Added(Message):
    """What became of `Add`."""

    ids: list[int]
    """Jobs that are now queued, new ones and ones started again, in order."""
    known: list[int] = []
    """Jobs that were in the queue already and not finished; left as they are."""


class Status(Message):
    """The queue as a whole and its lanes."""

    batch: Batch
    lanes: list[Lane]
    pid: int | None = None
    home: str = ""


class Jobs(Message):
    """Rows asked for."""

    jobs: list[Job]


class Options(Message):
    """The different options of the jobs asked for, each once."""

    options: list[JobOptions]


class Profile(Message):
    """What the runner and its engines have spent since the runner began."""

    pid: int
    stages: dict[str, float]
    """Seconds in each stage of the work, as in `Vitals`, summed over engines."""
    load_s: float
    """Seconds models took to load."""
    busy_s: float
    """Seconds in which an engine's model worked, summed over engines."""
    up_s: float
    """Seconds over which that was watched."""
    cpu_s: float
    """Processor seconds of the runner's process."""
    age_s: float
    """Seconds since the engine that has been quiet longest told what it spent."""


class Detail(Message):
    """One job, opened."""

    job: Job
    options: JobOptions
    attempts: list[Attempt]
    chunks: list[Chunk]
    """The transcript so far, or a part of it, in the order of the audio."""
    more: bool = False
    """There are further chunks: ask again for those `after` the last."""
    loudness: str = ""
    """As `Heard` tells it; empty when it is not known."""


class Rows(Message):
    """Rows that are new or have changed, whole; newer replaces older."""

    jobs: list[Job]
    gone: list[int] = []
    synced: bool = False
    """True on the message that completes the first full picture."""


class ToldRows(Message, tag="rows"):
    """`Rows` whose jobs are in JSON already: how the runner sends many."""

    jobs: list[msgspec.Raw]
    synced: bool = False


class Pulse(Message):
    """The batch and lanes as they now are."""

    batch: Batch
    lanes: list[Lane]


class Event(Message):
    """Something that happened, as ``run --json`` prints it."""

    event: str
    """queued|started|progress|reload|respawn|retry|done|skipped|failed|quarantined|cancelled|
    paused|resumed"""
    ts: float
    job: Job | None = None
    detail: Any = None


class Chunks(Message):
    """New parts of the transcript of a watched job; `reset`: forget the earlier ones."""

    id: int
    chunks: list[Chunk]
    reset: bool = False
    loudness: str = ""
    """How loud it is, when that has become known."""


class Goodbye(Message):
    """The runner ends now."""

    reason: str = ""


AnyMessage = (
    Welcome
    | Ok
    | Refused
    | Added
    | Status
    | Jobs
    | Options
    | Profile
    | Detail
    | Rows
    | Pulse
    | Event
    | Chunks
    | Goodbye
)

request_decoder: msgspec.json.Decoder[AnyRequest] = msgspec.json.Decoder(AnyRequest)
message_decoder: msgspec.json.Decoder[AnyMessage] = msgspec.json.Decoder(AnyMessage)
