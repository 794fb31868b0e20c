"""The one declared structure of everything that can be set.

`JobOptions` is what is asked of each file and travels with the job; `Settings` adds what
concerns the machine, the queue and the interface. Each field's `Meta` carries its help and
limits; flags, environment variables, the config file's keys, `speakeasy config` and the docs
are all made from it. Precedence: flag over environment over file over default.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

FORMAT_NAMES = ("txt", "srt", "vtt", "tsv", "json")
Format = Literal["txt", "srt", "vtt", "tsv", "json"]
ENV_PREFIX = "SPEAKEASY_"

# Variables with our prefix that are not settings.
RESERVED_ENV = frozenset(
    {"HOME", "FAULTS", "FAULTS_SEED", "SIM_SPEED", "TORCH", "CHAOS_COMMIT", "COMPLETE"}
)

# Languages of the multilingual Whisper models (openai/whisper, tokenizer.py).
_CODES = """
af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw
he hi hr ht hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt
my ne nl nn no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl
tr tt uk ur uz vi yi yo yue zh
"""
LANGUAGES = frozenset(_CODES.split())


_COUNT_OR_AUTO = frozenset({"batch_size", "workers", "cpu_threads", "recycle_mb"})


class SettingsError(ValueError):
    """A setting that cannot be used; the message names where it stands and what would do."""


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
        _doc("Let several short recordings share a window of 30 s: they go through much faster."),
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
            "Batches at the same time, per engine; auto: 2 on a GPU, on a CPU one for each core, "
            "at most 4."
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
        _doc("Seconds an idle runner with nobody attached stays before it ends.", ge=0),
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


class Origin(NamedTuple):
    """Where a value comes from: `default`, `file`, `environment` or `flag`, and its place."""

    kind: str
    place: str


class Resolved(NamedTuple):
    """Settings with the origin of each value."""

    settings: Settings
    origins: dict[str, Origin]


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


def nearest(word: str, known: Sequence[str]) -> str:
    """`"; did you mean X?"` or the empty string."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def options_of(settings: JobOptions) -> JobOptions:
    """The part of `settings` that travels with a job."""
    return JobOptions(**{name: getattr(settings, name) for name in JOB_FIELDS})


def convert(name: str, value: object, place: str) -> object:
    """One setting's value in its declared type.

    Strings are read as the environment and the command line give them: ``true``, ``5``,
    ``txt,srt``.

    Raises:
        SettingsError: naming `place`, the key and what would do.
    """
    if name not in ALL_FIELDS:
        raise SettingsError(f"{place}: unknown setting {name!r}{nearest(name, list(ALL_FIELDS))}")
    given = value
    if isinstance(value, str):
        if not value.isascii() and value.encode("utf-8", "replace").decode() != value:
            raise SettingsError(f"{place}: {name} is {given!r}; it must be valid UTF-8")
        value = _from_text(name, value)
    try:
        one = msgspec.convert({name: value}, Settings, strict=not isinstance(given, str))
    except msgspec.ValidationError as error:
        raise SettingsError(_explain(name, given, str(error), place)) from None
    converted: object = getattr(one, name)
    _check(name, converted, given, place)
    return converted


def _from_text(name: str, text: str) -> object:
    if name == "format":
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return list(FORMAT_NAMES) if parts == ["all"] else list(dict.fromkeys(parts))
    if name == "output_dir" and text == "":
        return None
    lowered = text.strip().lower()
    if name == "language":
        return lowered
    if isinstance(getattr(DEFAULTS, name), bool):
        if lowered in {"1", "true", "yes", "on"}:
            return True
        if lowered in {"0", "false", "no", "off"}:
            return False
    if name in _COUNT_OR_AUTO and re.fullmatch(r"-?\d+", lowered):
        return int(lowered)
    return text


def _check(name: str, value: object, given: object, place: str) -> None:
    if name == "language" and value != "auto" and value not in LANGUAGES:
        code = str(value)[:2]  # english, eng, en-GB
        guess = f"; did you mean {code!r}?" if code in LANGUAGES else "."
        raise SettingsError(
            f"{place}: language {given!r} is not one Whisper knows{guess}"
            " It takes codes such as en or de, or auto"
        )
    small = name in _COUNT_OR_AUTO and isinstance(value, int) and value < 1
    if small or (isinstance(value, float) and not math.isfinite(value)):
        raise SettingsError(_explain(name, given, "", place))


def _explain(name: str, given: object, reason: str, place: str) -> str:
    message = f"{place}: {name} is {given!r}"
    choices = choices_of(name)
    if choices:
        parts = given.split(",") if isinstance(given, str) else [str(given)]
        wrong = next((part.strip() for part in parts if part.strip() not in choices), "")
        guess = nearest(wrong, list(choices)) or "."
        return f"{message}{guess} Possible: {', '.join(choices)}"
    wanted = _wanted(name)
    if wanted:
        return f"{message}; it must be {wanted}"
    reason = reason.split(" - at `", maxsplit=1)[0]
    return f"{message}: {reason[:1].lower()}{reason[1:]}"


def _declared(name: str) -> Any:
    info = msgspec.inspect.type_info(Settings)
    assert isinstance(info, msgspec.inspect.StructType)
    kind: Any = next(field.type for field in info.fields if field.name == name)
    return kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind


def choices_of(name: str) -> tuple[str, ...]:
    """The words a setting can be, when its declaration lists them all; else nothing."""
    if name == "format":
        return FORMAT_NAMES
    kind = _declared(name)
    if isinstance(kind, msgspec.inspect.LiteralType):
        return tuple(str(value) for value in kind.values)
    return ()


def _wanted(name: str) -> str:
    """What a setting can be, in words, from its declaration."""
    if name == "device":
        return "auto, cpu, cuda (every GPU), cuda:N or cuda:N,M"
    kind = _declared(name)
    match kind:
        case msgspec.inspect.UnionType():
            return "auto or a whole number from 1"
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.IntType():
            return f"a whole number from {kind.ge} to {kind.le}"
        case msgspec.inspect.FloatType():
            return f"a number from {kind.ge:g} (seconds)"
        case msgspec.inspect.StrType():
            return "a text that is not empty" if kind.min_length else "a text"
        case msgspec.inspect.DictType():
            return "a table of texts"
        case _:
            return ""


def from_file(path: Path) -> tuple[dict[str, object], dict[str, Origin]]:
    """The settings a config file holds.

    Raises:
        SettingsError: naming the file, the line where it can be told, and the nearest name.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}, {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    values: dict[str, object] = {}
    origins: dict[str, Origin] = {}
    for key, value in table.items():
        place = f"{path}{_line_of(text, key)}"
        values[key] = convert(key, value, place)
        origins[key] = Origin("file", place)
    return values, origins


def _line_of(text: str, key: str) -> str:
    pattern = re.compile(rf"^\s*(\[\s*)?[\"']?{re.escape(key)}[\"']?\s*(\]|=|\.)")
    for number, line in enumerate(text.splitlines(), 1):
        if pattern.match(line):
            return f", line {number}"
    return ""


def from_environment(
    environ: Mapping[str, str],
) -> tuple[dict[str, object], dict[str, Origin]]:
    """The settings the environment holds as ``SPEAKEASY_<NAME>``.

    Raises:
        SettingsError: naming the variable and the nearest valid one.
    """
    values: dict[str, object] = {}
    origins: dict[str, Origin] = {}
    for variable, text in environ.items():
        if not variable.startswith(ENV_PREFIX):
            continue
        rest = variable.removeprefix(ENV_PREFIX)
        if rest in RESERVED_ENV or rest.startswith("_"):
            continue
        key = rest.lower()
        if key not in ALL_FIELDS:
            guess = nearest(rest, [name.upper() for name in ALL_FIELDS])
            guess = guess.replace("'", f"'{ENV_PREFIX}", 1) if guess else ""
            raise SettingsError(f"environment: unknown variable {variable}{guess}")
        if key == "keys":
            raise SettingsError(f"environment: {variable}: keys are set in the config file only")
        values[key] = convert(key, text, f"environment, {variable}")
        origins[key] = Origin("environment", variable)
    return values, origins


def load(
    config: Path,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Resolved:
    """Settings from default, `config`, `environ` (default: the process's) and `flags`.

    `flags` maps setting names to values; None means not given.

    Raises:
        SettingsError: at the first value that cannot be used.
    """
    origins = {name: Origin("default", "") for name in ALL_FIELDS}
    values, found = from_file(config)
    origins.update(found)
    more, found = from_environment(os.environ if environ is None else environ)
    values.update(more)
    origins.update(found)
    for name, value in (flags or {}).items():
        if value is None:
            continue
        flag = "--" + name.replace("_", "-")
        values[name] = convert(name, value, flag)
        origins[name] = Origin("flag", flag)
    return Resolved(msgspec.convert(values, Settings), origins)


_FIELD_HELP = _field_help()
