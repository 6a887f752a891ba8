"""Reads TOML files into validated structs; every error names the file, the key, the value and what is allowed."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bedside.errors import CellError

T = TypeVar("T")


def load_toml(path: Path, kind: type[T], described_in: str = "docs/cell.md") -> T:
    """Read ``path`` as a ``kind``, whose keys stand in ``described_in``. Raises CellError."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CellError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CellError(f"{path}: cannot be read: {error}") from None
    except ValueError as error:  # besides its own errors, that of a number with thousands of digits
        raise CellError(f"{path}: not valid TOML: {error}") from None
    except RecursionError:
        raise CellError(f"{path}: not valid TOML: nested too deeply") from None
    try:
        return msgspec.convert(raw, kind, strict=False)
    except msgspec.ValidationError as error:
        raise CellError(f"{path}: {_explain(str(error), raw, kind, described_in)}") from None


def _explain(message: str, raw: Any, kind: type, described_in: str) -> str:
    """Turn msgspec's message into one that shows the key as a TOML reader knows it, and the offending value."""
    what, _, where = message.partition(" - at `$")
    steps = re.findall(r"\.(\w+)|\[(\d+)\]", where)
    value = raw
    key = ""
    for name, index in steps:
        try:
            value = value[name] if name else value[int(index)]
        except (KeyError, IndexError, TypeError):
            return f"{where.strip('`.')}: {what[0].lower()}{what[1:]}"  # msgspec does not name the keys of a table
        if name:
            key += f".{name}" if key else name
        else:
            label = value.get("name") if isinstance(value, dict) else None
            key += f"[{label or index}]"
    unknown = re.search(r"unknown field `(.*)`", what, re.DOTALL)
    if unknown:
        wrong = unknown.group(1)
        key = f"{key}.{wrong}" if key else wrong
        close = difflib.get_close_matches(wrong, _all_fields(kind), n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"remove it, or see {described_in} for the keys there are"
        return f"unknown key '{key}' = {value[wrong]!r}: {hint}"
    if "missing required field" in what:
        return f"key '{key or 'top level'}': {what[0].lower()}{what[1:]}"
    if kinds := _kinds_at(msgspec.inspect.type_info(kind), [name for name, _ in steps if name]):
        return f"key '{key}' = {value!r}: expected {', '.join(kinds)}"
    return f"key '{key}' = {value!r}: {what[0].lower()}{what[1:]}"


def _kinds_at(kind: Any, names: list[str]) -> list[str]:
    """Return the kinds of table among which the key at the end of ``names`` chooses, none if it is another key."""
    if not names:
        return []
    structs = list(_alternatives(kind))
    if len(names) == 1:
        return [str(struct.tag) for struct in structs if struct.tag_field == names[0]]
    inner = [field.type for struct in structs for field in struct.fields if field.encode_name == names[0]]
    return [tag for part in inner for tag in _kinds_at(part, names[1:])]


def _all_fields(kind: type) -> list[str]:
    return [field.encode_name for struct in _structs(msgspec.inspect.type_info(kind)) for field in struct.fields]


def _structs(kind: Any) -> Iterator[msgspec.inspect.StructType]:
    """Yield every struct that may stand in a file of this ``kind``."""
    for struct in _alternatives(kind):
        yield struct
        for field in struct.fields:
            yield from _structs(field.type)


def _alternatives(kind: Any) -> Iterator[msgspec.inspect.StructType]:
    """Yield the structs that a value of this ``kind``, or each item of it, may be."""
    if isinstance(kind, msgspec.inspect.StructType):
        yield kind
        return
    for part in [*getattr(kind, "types", []), *filter(None, [getattr(kind, "item_type", None)])]:
        yield from _alternatives(part)
