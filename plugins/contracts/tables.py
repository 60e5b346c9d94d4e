"""TOML tables read into dataclasses, strictly: whatever is off is refused by file and key."""

from __future__ import annotations

import dataclasses
import math
import typing
from pathlib import Path
from typing import Any

from plugins.failure import ContractError

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.9 and 3.10
    import tomli as tomllib


def read(path: Path, kind: type) -> Any:
    """A TOML file as a dataclass of `kind`, strictly: no unknown, missing or mistyped key."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ContractError(
            path, "file", "does not exist; restore it from version control"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ContractError(path, "file", f"is not TOML: {error}") from None
    return _build(kind, table, path, "")


def _build(kind: type, table: Any, path: Path, key: str) -> Any:
    _require(isinstance(table, dict), path, key.rstrip("."), "a table", table)
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in table:
        if name not in fields:
            raise ContractError(path, f"{key}{name}", f"unknown key; known are {', '.join(fields)}")
    values = {}
    for name, spec in fields.items():
        if name in table:
            values[name] = _value(hints[name], table[name], path, f"{key}{name}")
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            if type(None) not in typing.get_args(hints[name]):
                raise ContractError(path, f"{key}{name}", "is missing")
            values[name] = None
    return kind(**values)


def _value(hint: Any, value: Any, path: Path, key: str) -> Any:
    if typing.get_origin(hint) is typing.Union:  # Optional[...]
        hint = typing.get_args(hint)[0]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, path, f"{key}.")
    if origin is list:
        _require(isinstance(value, list), path, key, "a list", value)
        return [_value(arguments[0], v, path, f"{key}[{i}]") for i, v in enumerate(value)]
    if origin is dict:
        _require(isinstance(value, dict), path, key, "a table", value)
        return {k: _value(arguments[1], v, path, f"{key}.{k}") for k, v in value.items()}
    return _scalar(hint, value, path, key)


def _require(holds: bool, path: Path, key: str, kind: str, value: Any) -> None:
    if not holds:
        raise ContractError(path, key, f"must be {kind}, not {value!r}")


def _scalar(hint: type, value: Any, path: Path, key: str) -> Any:
    if hint is float and type(value) is int:
        value = float(value)
    _require(type(value) is hint, path, key, hint.__name__, value)
    if hint is float and not math.isfinite(value):
        raise ContractError(path, key, f"must be finite, not {value!r}: it would disarm the check")
    if hint is str and not value.strip():
        raise ContractError(path, key, "must not be empty")
    return value
