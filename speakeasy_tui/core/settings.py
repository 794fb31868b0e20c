"""The one declared structure of everything that can be set.

`JobOptions` is what is asked of each file and travels with the job; `Settings` adds what
concerns the machine, the queue and the interface. Each field's `Meta` carries its help and
limits; flags, environment variables, the config file's keys, `speakeasy config` and the docs
are all made from it. Precedence: flag over environment over file over default.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

FORMAT_NAMES = ("txt", "srt", "vtt", "tsv", "json")
Format = Literal["txt", "srt", "vtt", "tsv", "json"]
# Languages of the multilingual Whisper models (openai/whisper, tokenizer.py).
_CODES = """
af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw
he hi hr ht hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt
my ne nl nn no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl
tr tt uk ur uz vi yi yo yue zh
"""
LANGUAGES = frozenset(_CODES.split())


def _doc(text: str, **limits: Any) -> Meta:
    return Meta(description=text, **limits)


class JobOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is asked of a file."""

    model: Annotated[
        str, _doc("Model: a name (tiny.en … large-v3-turbo), a folder, or auto.", min_length=1)
    ] = "auto"
    device: Annotated[
        str,
        _doc(
            "auto, cpu, cuda (every GPU) or cuda:N[,M].",
            pattern=r"^(auto|cpu|cuda(:\d+(,\d+)*)?)$",
        ),
    ] = "auto"
    compute_type: Annotated[
        Literal[
            "auto",
            "int8",
            "int8_float32",
            "int8_float16",
            "int8_bfloat16",
            "int16",
            "float16",
            "bfloat16",
            "float32",
        ],
        _doc("Arithmetic of the model: auto takes float16 on a GPU, int8 on a CPU."),
    ] = "auto"
    language: Annotated[
        str, _doc("Language code such as en or de; auto detects it for each file.")
    ] = "auto"
    task: Annotated[
        Literal["transcribe", "translate"],
        _doc("transcribe, or translate into English."),
    ] = "transcribe"
    beam_size: Annotated[int, _doc("Beams of the search; 1 is greedy.", ge=1, le=50)] = 5
    batch_size: Annotated[
        int | Literal["auto"],
        _doc("Chunks decoded together; auto finds what fits and pays."),
    ] = "auto"
    format: Annotated[
        tuple[Format, ...],
        _doc("Output formats, separated by commas: txt, srt, vtt, tsv, json.", min_length=1),
    ] = ("txt", "srt", "vtt", "tsv", "json")
    output_dir: Annotated[
        str | None,
        _doc("Write outputs here, the source tree mirrored; without it next to the source."),
    ] = None
    overwrite: Annotated[
        bool, _doc("Transcribe again and replace outputs that are there already.")
    ] = False
    word_timestamps: Annotated[bool, _doc("Find the time of every word.")] = False
    vad: Annotated[bool, _doc("Leave out stretches without speech (Silero VAD).")] = True
    pack: Annotated[
        bool,
        _doc(
            "Short recordings go through much faster: on a CPU each gets a window of its own "
            "length, on a GPU several share one of 30 s."
        ),
    ] = True
    fallback: Annotated[
        bool,
        _doc(
            "Temperature fallback: sample again what loops or is unlikely. Faster without, as in "
            "faster-whisper's batched pipeline, and wrong where a text loops."
        ),
    ] = True
    sequential: Annotated[
        bool,
        _doc(
            "Hear a recording window after window, each knowing the text before it: what "
            "faster-whisper's own transcribe makes of it, with vad as set here. Slower, for "
            "single files that matter; a file that is interrupted begins again."
        ),
    ] = False
    initial_prompt: Annotated[str, _doc("Text that goes before: names, spelling, style.")] = ""
    engine: Annotated[
        Literal["real", "sim"],
        _doc("real, or sim: a simulated engine for load tests; its transcripts say so."),
    ] = "real"


class Settings(JobOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can be set."""

    max_attempts: Annotated[int, _doc("Charged tries before a file fails.", ge=1, le=100)] = 3
    workers: Annotated[
        int | Literal["auto"],
        _doc(
            "Batches at the same time, per engine; auto: 2 on a GPU, 3 on one of 48 GB and more, "
            "on a CPU one for each core, at most 4."
        ),
    ] = "auto"
    cpu_threads: Annotated[
        int | Literal["auto"],
        _doc("CPU threads of each worker; auto: the cores shared out among them."),
    ] = "auto"
    order: Annotated[
        Literal["auto", "queued", "longest"],
        _doc(
            "Which waiting file is begun next: queued, as the table has them; longest, where "
            "lengths are known; auto: as queued, but with several lanes a file that would outlast "
            "the others goes first. What a person has moved keeps its place."
        ),
    ] = "auto"
    stall_s: Annotated[
        float,
        _doc(
            "Seconds a batch may take without progress before the engine counts as hung; what "
            "batches took so far is added.",
            ge=0.1,
        ),
    ] = 300.0
    load_limit_s: Annotated[
        float, _doc("Seconds a model may take to load, kernels to compile included.", ge=0.1)
    ] = 900.0
    decode_limit_s: Annotated[
        float, _doc("Seconds a file may take to decode; a second per MB is added.", ge=0.1)
    ] = 300.0
    recycle_files: Annotated[
        int, _doc("Replace an engine after this many files; 0: never.", ge=0)
    ] = 5000
    recycle_mb: Annotated[
        int | Literal["auto"],
        _doc("Replace an engine that has grown beyond this many MB; auto: its share of memory."),
    ] = "auto"
    linger_s: Annotated[
        float,
        _doc(
            "Seconds a runner with nothing to do and nobody attached stays before it ends; what "
            "waits for room or for a device keeps it.",
            ge=0,
        ),
    ] = 300.0
    theme: Annotated[str, _doc("Name of the colour theme.")] = "speakeasy-dark"
    mouse: Annotated[bool, _doc("Let the interface use the mouse.")] = True
    summary_at_end: Annotated[
        bool, _doc("Open the summary when a batch ends that the interface has watched.")
    ] = True
    foreground: Annotated[
        bool,
        _doc("Run the queue inside this process: it ends with the window."),
    ] = False
    keys: Annotated[
        dict[str, str],
        _doc('Rebound keys: action id = key, e.g. rerun = "ctrl+r" in a [keys] table.'),
    ] = {}


JOB_FIELDS: tuple[str, ...] = JobOptions.__struct_fields__
ALL_FIELDS: tuple[str, ...] = Settings.__struct_fields__
DEFAULTS = Settings()


def help_of(name: str) -> str:
    """The help text of a setting, from its declaration."""
    return str(_FIELD_HELP[name])


def _field_help() -> dict[str, str]:
    hints = msgspec.inspect.type_info(Settings)
    assert isinstance(hints, msgspec.inspect.StructType)
    found: dict[str, str] = {}
    for field in hints.fields:
        kind = field.type
        schema = getattr(kind, "extra_json_schema", None) or {}
        found[field.name] = str(schema.get("description", ""))
    return found


def options_of(settings: JobOptions) -> JobOptions:
    """The part of `settings` that travels with a job."""
    return JobOptions(**{name: getattr(settings, name) for name in JOB_FIELDS})


_FIELD_HELP = _field_help()
