"""How a broken clause reads, and where in the test it is said to be broken."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from plugins import failing
from plugins.failure import CheckFailure, ContractError

HEAD = ["boxes are off", "  expected  <= 1 px", "  actual    2 px"]


def failure(**more) -> CheckFailure:
    return CheckFailure("boxes are off", expected="<= 1 px", actual="2 px", **more)


def test_a_failure_without_more_is_three_lines():
    assert failure().lines() == HEAD
    assert str(failure()) == "\n".join(HEAD)
    assert failure().args == ("boxes are off",)


def test_at_most_five_of_the_worst_are_shown_and_the_rest_counted():
    shown = ["  worst     0", *(f"            {k}" for k in range(1, 5))]
    assert failure(worst="01234").lines() == [*HEAD, *shown]
    assert failure(worst="0123456").lines() == [*HEAD, *shown, "            and 2 more"]
    assert failure(worst="0").lines() == [*HEAD, "  worst     0"]


def test_what_would_have_passed_and_where_to_look_come_last():
    lines = failure(worst="0", needed="tolerance 2", see={"picture": "a.png", "data": "b"}).lines()
    assert lines[4:] == [
        "  needed    tolerance 2",
        "  see       picture: a.png",
        "  see       data: b",
    ]


def test_a_contract_error_names_file_and_key():
    assert str(ContractError("a.toml", "input.side", "is 0")) == "a.toml: input.side: is 0"


def frame(path: Path, number: int, name: str) -> SimpleNamespace:
    return SimpleNamespace(path=path, lineno=number, name=name)


def item(root: Path, *, line) -> SimpleNamespace:
    path = root / "test_a.py"
    place = (str(path), line, "test_a")
    return SimpleNamespace(
        path=path, name="test_a", config=SimpleNamespace(rootpath=root), reportinfo=lambda: place
    )


@pytest.mark.parametrize(
    ("frames", "line", "where", "source"),
    [
        ([("fixtures/f.py", 0, "made"), ("test_a.py", 1, "test_a")], 0, "test_a.py:2: in test_a", "two"),
        ([("plugins/p.py", 4, "deep"), ("fixtures/f.py", 0, "made")], 0, "fixtures/f.py:1: in made", "f"),
        ([("plugins/p.py", 4, "deep")], 2, "test_a.py:3: in test_a", "three"),
        (None, 0, "test_a.py:1: in test_a", "one"),
        (None, None, "test_a.py:1: in test_a", "one"),
        (None, 9, "test_a.py:10: in test_a", None),
    ],
)  # fmt: skip
def test_a_failure_is_placed_in_the_test_else_in_its_fixture(tmp_path, frames, line, where, source):
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "fixtures/f.py").write_text("f\n")
    (tmp_path / "test_a.py").write_text("  one\ntwo\nthree\n")
    trace = [frame(tmp_path / path, number, name) for path, number, name in frames or ()]
    excinfo = SimpleNamespace(traceback=trace) if frames else None
    found = failing.rendered(item(tmp_path, line=line), excinfo, ["broken", "  because"])
    (entry,) = found.chain[0][0].reprentries
    shown = [f"    {source}"] if source else []
    assert entry.style == found.chain[0][0].style == "short"
    assert entry.lines == [*shown, "E   broken", "E     because"]
    told = entry.reprfileloc
    assert f"{told.path}:{told.lineno}: {told.message}" == where
    crash = found.reprcrash
    path = where.partition(":")[0]
    assert (crash.path, crash.lineno) == (str(tmp_path / path), told.lineno)
    assert crash.message == "broken\n  because"
