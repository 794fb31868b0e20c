"""Writing one setting into the config file: the other lines stay as the person wrote them."""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from speakeasy_tui.core.values import SettingsError, convert


def write_setting(file: Path, key: str, value: object) -> object:
    """Set `key` (or ``keys.ACTION``) in a config file; returns the value as written.

    Comments and order are kept; only where the line cannot be found or the result would not
    read as meant is the file written anew without comments. A value of None removes the key.

    Raises:
        SettingsError: the value does not fit, or the file is not TOML.
        OSError: it cannot be written.
    """
    name, _, action = key.partition(".")
    if action and name == "keys":
        converted: Any = convert("keys", {action: value}, "config set")
    else:
        converted = convert(key, value, "config set")
    try:
        text = file.read_text("utf-8") if file.exists() else ""
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not valid TOML: {error}") from None
    if name == "keys" and isinstance(table.get("keys"), dict):
        converted = {**table["keys"], **converted}
    plain = list(converted) if isinstance(converted, tuple) else converted
    if converted is None:
        table.pop(key, None)
    else:
        table[name] = plain
    changed = _in_place(text, name, plain)
    _replace(Path(os.path.realpath(file)), changed if _reads(changed, table) else _anew(table))
    return converted


def _anew(table: dict[str, Any]) -> str:
    return tomli_w.dumps(table)


def _reads(text: str | None, table: dict[str, Any]) -> bool:
    try:
        return text is not None and tomllib.loads(text) == table
    except tomllib.TOMLDecodeError:
        return False


def _in_place(text: str, name: str, value: Any) -> str | None:
    """`text` with the line of `name` changed, added or removed; None when that is not tried."""
    if isinstance(value, dict):
        return _table_in_place(text, name, value)
    lines = text.splitlines(keepends=True)
    head = next((n for n, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
    pattern = re.compile(rf"""^\s*["']?{re.escape(name)}["']?\s*=""")
    found = next((n for n in range(head) if pattern.match(lines[n])), None)
    if value is None:
        if found is not None:
            del lines[found]
        return "".join(lines)
    line = _anew({name: value}).replace("\n    ", " ").replace(",\n]", "]")
    if found is not None:
        comment = re.search(r"\s+#[^\"'\]]*$", lines[found].rstrip("\n"))
        lines[found] = line.rstrip("\n") + (comment.group() if comment else "") + "\n"
    else:
        while head and not lines[head - 1].strip():
            head -= 1
        if head and not lines[head - 1].endswith("\n"):
            lines[head - 1] += "\n"
        lines.insert(head, line)
    return "".join(lines)


def _table_in_place(text: str, name: str, value: dict[str, Any]) -> str | None:
    """The same for a table of which one entry is new or changed."""
    lines = text.splitlines(keepends=True)
    title = f"[{name}]"
    if not any(line.strip() == title for line in lines):
        before = text if not text or text.endswith("\n") else text + "\n"
        return f"{before}\n{_anew({name: value})}"
    begin = next(n for n, line in enumerate(lines) if line.strip() == title) + 1
    end = next((n for n in range(begin, len(lines)) if lines[n].startswith("[")), len(lines))
    inside = "".join(lines[begin:end])
    for key, bound in value.items():
        changed = _in_place(inside, key, bound)
        if changed is None:
            return None
        if tomllib.loads(inside).get(key) != bound:
            inside = changed
    return "".join(lines[:begin]) + inside + "".join(lines[end:])


def _replace(file: Path, text: str | None) -> None:
    """Write the whole file or nothing; a link's target is written, not the link."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".config-", suffix=".toml")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text or "")
            out.flush()
            os.fsync(out.fileno())
        part.chmod(mode)
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
