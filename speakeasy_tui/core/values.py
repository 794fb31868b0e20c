"""Values of settings: read from texts, the config file, the environment and flags.

`core.settings` declares what each may be; errors name where a value stands and what would do.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from speakeasy_tui.core.settings import ALL_FIELDS, DEFAULTS, FORMAT_NAMES, LANGUAGES, Settings

ENV_PREFIX = "SPEAKEASY_"

# Variables with our prefix that are not settings.
RESERVED_ENV = frozenset(
    {
        "HOME",
        "FAULTS",
        "FAULTS_SEED",
        "SIM_SPEED",
        "TORCH",
        "WINDOWS",
        "CHAOS_COMMIT",
        "COMPLETE",
        "PLAIN",
    }
)

_COUNT_OR_AUTO = {"batch_size": 512, "workers": 64, "cpu_threads": 512, "recycle_mb": 2**24}
"""What may be auto or a number, and the largest: beyond it lies a slip, not a machine."""


class SettingsError(ValueError):
    """A setting that cannot be used; the message names where it stands and what would do."""

    variable = ""
    """The environment's, where it stands there."""


class Origin(NamedTuple):
    """Where a value comes from: `default`, `file`, `environment` or `flag`, and its place."""

    kind: str
    place: str


class Resolved(NamedTuple):
    """Settings with the origin of each value."""

    settings: Settings
    origins: dict[str, Origin]

    def named(self, name: str) -> str:
        """A setting with its value, as it stands where the person wrote it."""
        kind, place = self.origins[name]
        value = getattr(self.settings, name)
        match kind:
            case "flag":
                return f"{place} {value}"
            case "environment":
                return f"{place}={value}"
            case "file":
                return f"{place}: {name} {value}"
            case _:
                return f"{name} {value}"


def nearest(word: str, known: Sequence[str]) -> str:
    """`"; did you mean X?"` or the empty string."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


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
    beyond = isinstance(value, int) and not 1 <= value <= _COUNT_OR_AUTO.get(name, value)
    if (name in _COUNT_OR_AUTO and beyond) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
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
            most = _COUNT_OR_AUTO.get(name)
            return f"auto or a whole number from 1 to {most}" if most else "a text"
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.IntType():
            return f"a whole number from {kind.ge} " + (f"to {kind.le}" if kind.le else "on")
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
        rest = variable.removeprefix(ENV_PREFIX)
        if rest == variable or rest in RESERVED_ENV or rest.startswith("_"):
            continue
        key = rest.lower()
        try:
            values[key] = _from_variable(variable, key, text)
        except SettingsError as error:
            error.variable = variable
            raise
        origins[key] = Origin("environment", variable)
    return values, origins


def _from_variable(variable: str, key: str, text: str) -> object:
    if key not in ALL_FIELDS:
        guess = nearest(key.upper(), [name.upper() for name in ALL_FIELDS])
        guess = guess.replace("'", f"'{ENV_PREFIX}", 1) if guess else ""
        raise SettingsError(f"environment: unknown variable {variable}{guess}")
    if key == "keys":
        raise SettingsError(f"environment: {variable}: keys are set in the config file only")
    return convert(key, text, f"environment, {variable}")


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
