"""Reads TOML files into validated structs; every error names the file, the key, the value and what is allowed."""

from __future__ import annotations

import difflib
import re
import tomllib
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import inspect

from bedside.errors import CellError

T = TypeVar("T")


def load_toml(path: Path, kind: type[T], described_in: str = "docs/cell.md") -> T:
    """Read ``path`` as a ``kind``, whose keys stand in ``described_in``. Raises CellError."""
    raw = read_toml(path)
    try:
        return convert(raw, kind, described_in)
    except CellError as error:
        raise CellError(f"{path}: {error}") from None


def read_toml(path: Path) -> dict[str, Any]:
    """Read ``path``, whatever it says. Raises CellError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CellError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise CellError(f"{path}: is a folder; give a file in it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CellError(f"{path}: cannot be read: {error}") from None
    except ValueError as error:  # besides its own errors, that of a number with thousands of digits
        # What tomllib cannot do or finds duplicate is always a second key or table of one name.
        twice = (
            "; a key or a table stands there twice: leave one out" if re.match("Cannot|Duplicate", str(error)) else ""
        )
        raise CellError(f"{path}: not valid TOML: {error}{twice}") from None
    except RecursionError:
        raise CellError(f"{path}: not valid TOML: nested too deeply") from None


def convert(raw: dict[str, Any], kind: type[T], described_in: str) -> T:
    """Return what a file says as a ``kind``, whose keys stand in ``described_in``. Raises CellError."""
    try:
        return msgspec.convert(raw, kind, strict=False)
    except msgspec.ValidationError as error:
        place = _Place("", raw, _flat(inspect.type_info(kind)))
        raise CellError(_explain(str(error), place, described_in)) from None


class _Place(NamedTuple):
    """A place in a file: its ``key`` as a TOML reader knows it, the ``value`` there, and what ``kinds`` may be."""

    key: str
    value: Any
    kinds: list[inspect.Type]

    def below(self, name: str) -> str:
        return f"{self.key}.{name}" if self.key else name


def _explain(message: str, place: _Place, described_in: str) -> str:
    """Turn msgspec's message on the file that begins at ``place`` into one for a person who knows TOML."""
    found = re.fullmatch(r"(.*?)(?: - at `\$((?:\.\w+|\[(?:\d+|\.\.\.)\])+)`)?", message, re.DOTALL)
    what, where = found.groups(default="") if found else (message, "")
    try:
        place = reduce(_into, re.findall(r"\w+|\.\.\.", where), place)
    except (KeyError, TypeError):
        return message  # it is no path, but part of an unknown key that looks like one
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL):
        return _unknown(place, unknown.group(1), described_in)
    if missing := re.fullmatch(r"Object missing required field `(.*)`", what):
        name = missing.group(1)
        return f"{place.below(name)} is missing: {_allowed(name, None, _inner(place, name))}"
    return f"{place.key} = {place.value!r}: {_allowed(place.key, place.value, place.kinds)}"


def _unknown(place: _Place, wrong: str, described_in: str) -> str:
    """Say that the table at ``place`` has no key ``wrong``."""
    (table,) = [kind for kind in place.kinds if isinstance(kind, inspect.StructType) and _may_be(kind, place.value)]
    keys = [field.encode_name for field in table.fields]
    is_unknown = f"unknown key '{place.below(wrong)}' = {place.value[wrong]!r}"
    if close := difflib.get_close_matches(wrong, keys, n=1):
        return f"{is_unknown}: did you mean '{close[0]}'?"
    if table.tag_field:
        those = f"its keys are {', '.join(keys)}" if keys else "it has none of its own: remove it"
        return f"{place.below(table.tag_field)} = {table.tag!r} has no key '{wrong}'; {those}"
    return f"{is_unknown}: remove it, or see {described_in} for the keys there are"


def _allowed(key: str, value: Any, kinds: list[inspect.Type]) -> str:
    """Tell a person what to write at ``key`` instead of ``value``."""
    words = [word for kind in kinds if isinstance(kind, inspect.LiteralType) for word in kind.values]
    if words:
        return f"write {_either(words)}"
    tags = [kind for kind in kinds if isinstance(kind, inspect.StructType) and kind.tag_field]
    if tags:
        return f"write a table with {tags[0].tag_field} = {_either([kind.tag for kind in tags])}"
    match kinds[0]:
        case inspect.Metadata(extra_json_schema={"description": text}):
            return f"write {text}"
        case inspect.IntType() | inspect.FloatType() as number:
            what = "a whole number" if isinstance(number, inspect.IntType) else "a number"
            return f"write {what}{_range(number)}{', without quotes' if isinstance(value, str) else ''}"
        case inspect.BoolType():
            return "write true or false"
        case inspect.StructType(fields=fields):
            return (
                f"write a table with the key{'s'[: len(fields) > 1]} {', '.join(field.encode_name for field in fields)}"
            )
        case inspect.TupleType(item_types=items):
            return f"write [{', '.join('number' for _ in items)}]"
        case inspect.ListType(item_type=inspect.StructType(), min_length=least, max_length=most):
            return f"write {f'{least} to {most} ' if least else ''}[[{key}]] tables"
        case inspect.ListType():
            return "write numbers in brackets, such as [0, 1]"
        case inspect.DictType():
            return f"write [{key}.NAME] tables"
        case inspect.StrType(pattern=str(form)):
            return f"write text in quotes, of the form {form}"
    return "write text in quotes"


def _range(number: inspect.IntType | inspect.FloatType) -> str:
    """Return which numbers are allowed."""
    words = {"from": number.ge, "above": number.gt, "to" if number.gt is None else "up to": number.le}
    return "".join(f" {word} {bound:.10g}" for word, bound in words.items() if bound is not None)


def _either(words: list[Any]) -> str:
    *others, last = (f'"{word}"' for word in words)
    return f"{', '.join(others)} or {last}" if others else last


def _into(place: _Place, step: str) -> _Place:
    """Return the place one ``step`` of msgspec's path further."""
    inner = _inner(place, step)
    if not inner:
        raise KeyError(step)
    if step == "...":  # msgspec does not name the keys of a table
        step = next((name for name, value in place.value.items() if not _fits(value, inner)), "")
    if not step.isdigit():
        return _Place(place.below(step), place.value[step], inner)
    value = place.value[int(step)]
    label = value.get("name") if isinstance(value, dict) else None
    return _Place(f"{place.key}[{label or step}]", value, inner)


def _inner(place: _Place, step: str) -> list[inspect.Type]:
    """Return what may stand one ``step`` further."""
    inner: list[inspect.Type] = []
    for kind in place.kinds:
        match kind:
            case inspect.ListType(item_type=item) | inspect.DictType(value_type=item):
                inner += _flat(item)
            case inspect.TupleType(item_types=items):
                inner += _flat(items[int(step)])
            case inspect.StructType(tag_field=field) if field == step:
                inner.append(inspect.LiteralType((kind.tag,)))
            case inspect.StructType() if _may_be(kind, place.value):
                inner += [part for field in kind.fields if field.encode_name == step for part in _flat(field.type)]
    return inner


def _flat(kind: inspect.Type) -> list[inspect.Type]:
    """Return the kinds that ``kind`` leaves the choice of, without null, which TOML has not."""
    parts = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return [part for part in parts if not isinstance(part, inspect.NoneType)]


def _may_be(kind: inspect.StructType, table: dict[str, Any]) -> bool:
    return kind.tag_field is None or table.get(kind.tag_field) == kind.tag


def _fits(value: Any, kinds: list[inspect.Type]) -> bool:
    """Whether ``value`` is a table of one of ``kinds``."""
    for kind in kinds:
        try:
            msgspec.convert(value, kind.cls if isinstance(kind, inspect.StructType) else Any, strict=False)
        except msgspec.ValidationError:
            continue
        return True
    return False
