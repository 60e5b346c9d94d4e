"""What is changed in a line of code to make a mutant of it, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.source import Source
from tests.test_mutants import MODULE


def mutated(text: str, folder: Path) -> list:
    path = folder / "module.py"
    path.write_text(text, encoding="utf-8")
    return Source(path).mutants


def of(mutants: list) -> set[tuple[str, str]]:
    return {(mutant.before, mutant.after) for mutant in mutants}


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("a <= b", "a <= b", "a < b"),
        ("a <= b", "a <= b", "a > b"),
        ("a == b", "a == b", "a != b"),
        ("a and b", "a and b", "a or b"),
        ("not a", "not a", "a"),
        ("-a", "-a", "a"),
        ("a * b", "a * b", "a / b"),
        ("a[b:]", "b:", "b + 1:"),
        ("a[2:]", "2", "3"),
        ("a[2:]", "2", "1"),
        ("f(7)", "7", "8"),
        ("f(7)", "7", "-7"),
        ("f(-1)", "-1", "0"),
        ("f(-1)", "-1", "1"),
        ("f(True)", "True", "False"),
        ("f('key')", "'key'", "''"),
        ("max(a)", "max(a)", "min(a)"),
        ("a.any()", "a.any()", "a.all()"),
        ("abs(a)", "abs(a)", "a"),
        ("b if a else c", "b if a else c", "b if True else c"),
        ("[b for b in c if a]", "a", "True"),
    ],
)
def test_an_expression_is_changed(code, before, after, tmp_path):
    assert (before, after) in of(mutated(f"x = {code}\n", tmp_path))


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("if a:\n  f()", "if a: f()", "if False: f()"),
        ("while a:\n  f()", "while a: f()", "while False: f()"),
        ("raise E", "raise E", "pass"),
        ("f(x)", "f(x)", "pass"),
        ("x += 1", "x += 1", "pass"),
        ("x[0] = 1", "x[0] = 1", "pass"),
        ("def f(x):\n  x = g(x)", "x = g(x)", "pass"),
        ("def f(x):\n  return x", "return x", "return None"),
    ],
)
def test_a_statement_is_changed(code, before, after, tmp_path):
    assert (before, after) in of(mutated(code, tmp_path))


@pytest.mark.parametrize(
    "code",
    [
        '"""A docstring."""',
        "def f(x: 'Row', y: int) -> 'Row': ...",
        "import a\nfrom b import c",
        "raise E('text', actual=f'{a + 1}')",
        "class A:\n  def __str__(self):\n    return 'a'",
        "x = f'{a + 1}'",
        "x = 'some words of text'",
        "@cache(size=3)\ndef f(): ...",
    ],
)
def test_what_decides_nothing_is_left_alone(code, tmp_path):
    found = mutated(code, tmp_path)
    assert {mutant.operator for mutant in found} <= {"statement dropped"}


def test_every_mutant_compiles_and_leaves_the_module_as_it_was(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(MODULE, encoding="utf-8")
    source = Source(path)
    clean = source.code()
    assert all(source.code(mutant) != clean for mutant in source.mutants)
    assert source.code() == clean
    assert len({mutant.key for mutant in source.mutants}) == len(source.mutants)
