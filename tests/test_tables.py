"""TOML tables read into dataclasses, strictly: each refusal with its key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

import pytest

from plugins.contracts import tables
from plugins.failure import ContractError


@dataclass(frozen=True)
class Inner:
    """A table in a table."""

    x: int


@dataclass(frozen=True)
class Outer:
    """One key of each kind."""

    share: float
    name: str
    on: bool
    inner: Inner
    rows: list[Inner]
    numbers: list[float]
    named: dict[str, Inner]
    silent: Optional[str]
    deep: Optional[Inner]
    size: int = 3
    more: dict[str, float] = field(default_factory=dict)


RIGHT = {
    "share": "0.5",
    "name": '"a"',
    "on": "true",
    "inner": "{x = 1}",
    "rows": "[{x = 1}, {x = 2}]",
    "numbers": "[1, 2.5]",
    "named": "{a = {x = 1}}",
}


@pytest.fixture
def read(tmp_path):
    """A function that reads the right table with other lines."""

    def load(**changes: str) -> Outer:
        lines = {**RIGHT, **changes}
        path = tmp_path / "a.toml"
        path.write_text("\n".join(f"{k} = {v}" for k, v in lines.items() if v), encoding="utf-8")
        return tables.read(path, Outer)

    return load


def test_what_is_right_is_read_as_it_is(read):
    found = read()
    assert found == Outer(
        0.5, "a", True, Inner(1), [Inner(1), Inner(2)], [1.0, 2.5], {"a": Inner(1)}, None, None
    )
    assert type(found.numbers[0]) is float
    assert (found.size, found.more) == (3, {})


def test_what_may_be_left_out_may_be_given(read):
    found = read(silent='"b"', deep="{x = 4}", size="0", more="{a = 1}")
    assert (found.silent, found.deep, found.size, found.more) == ("b", Inner(4), 0, {"a": 1.0})


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("share", "", "share: is missing"),
        ("share", '"a"', "share: must be float, not 'a'"),
        ("share", "true", "share: must be float, not True"),
        ("share", "inf", "share: must be finite, not inf: it would disarm the check"),
        ("share", "nan", "share: must be finite, not nan: it would disarm the check"),
        ("size", "1.0", "size: must be int, not 1.0"),
        ("size", "true", "size: must be int, not True"),
        ("name", "1", "name: must be str, not 1"),
        ("name", '" "', "name: must not be empty"),
        ("on", "1", "on: must be bool, not 1"),
        ("inner", "1", "inner: must be a table, not 1"),
        ("inner", "{}", "inner.x: is missing"),
        ("inner", "{x = 1, y = 2}", "inner.y: unknown key; known are x"),
        ("rows", "{x = 1}", "rows: must be a list, not {'x': 1}"),
        ("rows", "[{x = 1}, {x = 2.5}]", "rows[1].x: must be int, not 2.5"),
        ("rows", "[3]", "rows[0]: must be a table, not 3"),
        ("numbers", "[1, '2']", "numbers[1]: must be float, not '2'"),
        ("named", "[]", "named: must be a table, not []"),
        ("named", "{a = {x = '1'}}", "named.a.x: must be int, not '1'"),
        ("silent", "1", "silent: must be str, not 1"),
        ("deep", "{x = 0.5}", "deep.x: must be int, not 0.5"),
        ("more", "{a = nan}", "more.a: must be finite, not nan: it would disarm the check"),
        ("other", "1", "other: unknown key; known are share, name, on, inner, rows, numbers, "),
    ],
)
def test_what_is_off_is_refused_by_key_and_cause(read, tmp_path, key, value, sentence):
    with pytest.raises(ContractError) as error:
        read(**{key: value})
    assert str(error.value).startswith(f"{tmp_path / 'a.toml'}: {sentence}")


def test_a_file_that_is_missing_or_no_toml_is_said_to_be_so(tmp_path):
    with pytest.raises(ContractError, match="file: does not exist; restore it from version"):
        tables.read(tmp_path / "b.toml", Inner)
    for content in (b"x = = 1", b"\xff"):
        (tmp_path / "c.toml").write_bytes(content)
        with pytest.raises(ContractError, match="c.toml: file: is not TOML: "):
            tables.read(tmp_path / "c.toml", Inner)


def test_a_whole_file_is_a_table(tmp_path):
    with pytest.raises(ContractError, match=r"a.toml: a: must be a table, not \[\]"):
        tables._build(Inner, [], tmp_path / "a.toml", "a.")
