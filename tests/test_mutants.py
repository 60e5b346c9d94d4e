"""The tool that mutates the judge: a mutant that a test notices, one that none does, one that hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants import record
from tests.mutants.__main__ import chosen
from tests.mutants.selftests import WORDS, SelfTest
from tests.mutants.source import Source
from tests.mutants.trial import Judge, Trial

HOUSE = Path(__file__).resolve().parent.parent
MODULE = '''
"""Text that is not mutated."""
LIMIT = 3

def within(value):
    return value < LIMIT

def countdown(count):
    while count > 0:
        count = count - 1
    return count

def inside(value):
    return value + 7

def unwatched(value: int = 5) -> int:
    """Nobody calls this."""
    return value
'''
TESTS = """
import time
from pathlib import Path

import judge.plugin
from judge.sample import countdown, within

def test_two_is_within():
    assert within(2) and not within(4)

def test_it_comes_to_its_end():
    time.sleep(0.5)
    assert countdown(1) == 0

def test_that_passes_once_kills_nothing_while_its_clean_twin_runs():
    once = Path("once")
    assert within(2) and not once.exists()
    once.touch()

def test_that_fails_on_the_clean_code_kills_nothing():
    assert within(4)
"""

INNER = """
from judge.sample import inside

pytest_plugins = "pytester"

def test_a_pytest_within(pytester):
    assert pytester.runpytest_inprocess("-p", "judge.plugin", "-W", "error").ret == 5
    assert inside(1) == 8
"""
PACKAGE = """
SIDE = 5

def area():
    return SIDE * SIDE
"""
WHOLE = """
from judge import SIDE, area

def test_a_package_is_a_module_too():
    assert SIDE == 5 and area() == 25
"""
FILES = {
    "judge/__init__.py": PACKAGE,
    "tests/test_package.py": WHOLE,
    "judge/sample.py": MODULE,
    "judge/plugin.py": "",
    "tests/test_inner.py": INNER,
    "tests/test_sample.py": TESTS,
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What becomes of the mutants of a small project, a pair for each module: fates, evidence."""
    root = tmp_path_factory.mktemp("project").resolve()
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "pytest.ini").write_text(
        "[pytest]\naddopts = --import-mode=importlib\npythonpath = .\n"
    )
    paths = ["judge/sample.py", "judge/__init__.py"]
    words = ["--root", str(root), "--jobs", "2", "--evidence", *paths]
    command = [sys.executable, "-m", "tests.mutants", *words]
    environment = {**os.environ, "PYTHONPATH": str(HOUSE), "TMPDIR": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    evidence = json.loads((root / "golden/evidence/mutants.json").read_text(encoding="utf-8"))
    return {path: (told(root, path), evidence["files"][path]) for path in paths}


def told(root, path):
    """The fates of a module's mutants on record."""
    name = path.replace("/", ".")
    rows = (root / f".artifacts/mutants/{name}.jsonl").read_text().splitlines()
    table = [json.loads(row) for row in rows[1:]]
    return {tuple(row["key"].split(" | ")[2:4]): row["fate"] for row in table}


@pytest.fixture(scope="module")
def fates(measured):
    """Of the module `sample`: {(before, after): fate}, and its evidence."""
    return measured["judge/sample.py"]


def test_a_package_is_mutated_before_it_is_imported(measured):
    found = measured["judge/__init__.py"][0]
    assert {fate["how"] for fate in found.values()} == {"killed"}
    assert ("5", "6") in found


@pytest.mark.parametrize(
    ("change", "how", "by"),
    [
        (("value < LIMIT", "value >= LIMIT"), "killed", "test_two_is_within"),
        (("return value < LIMIT", "return None"), "killed", "test_two_is_within"),
        (("3", "-3"), "killed", "test_two_is_within"),  # on import, and so the slow way
        (("value < LIMIT", "value <= LIMIT"), "survived", ""),
        (("3", "4"), "survived", ""),
        (("count - 1", "count + 1"), "hung", ""),
        (("return value", "return None"), "survived", ""),
        (("5", "6"), "survived", ""),
        (("value + 7", "value - 7"), "killed", "test_a_pytest_within"),
    ],
)
def test_the_fate_of_a_mutant_is_told(fates, change, how, by):
    fate = fates[0][change]
    assert (fate["how"], fate["by"].split("::")[-1]) == (how, by)


def test_a_test_that_fails_on_the_clean_code_is_not_asked(fates):
    assert fates[0][("value < LIMIT", "value <= LIMIT")]["asked"] == 1


def test_a_clean_twin_that_did_not_run_is_no_clean_twin():
    judge = Judge(Trial(None, (SelfTest("tests/test_a.py::test_b", 0.1, {}),)))
    assert judge.answer() == "did not run all its tests"
    judge.took = {"tests/test_a.py::test_b": 0.1}
    assert judge.answer() == [[], judge.took]


def test_the_figures_add_up_and_name_every_survivor(fates):
    found = fates[1]
    ends = (found["killed"], found["hung"], found["crashed"], len(found["survived"]))
    assert sum(ends) == found["mutants"] == len(fates[0])
    named = [(row["text"], row["after"]) for row in found["survived"]]
    assert ("return value < LIMIT", "value <= LIMIT") in named


ENTRY = {
    "file": "judge.py",
    "line": "return a < b",
    "operator": "boundary",
    "reason": "never equal",
}


@pytest.fixture
def judged(tmp_path):
    """A module with one boundary mutant that survived, and one comparison that was killed."""
    path = tmp_path / "judge.py"
    path.write_text("def f(a, b):\n    return a < b\n", encoding="utf-8")
    source = Source(path)
    found = record.Record(tmp_path, tmp_path / "found", source, {"": "state"})
    for mutant in source.mutants:
        how = "survived" if mutant.operator == "boundary" else "killed"
        found.add(mutant, how, "", 1)
    return {"judge.py": source}, {"judge.py": found}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"line": "return a > b"}, "no mutant is boundary: return a > b"),
        ({"operator": "slice"}, "no mutant is slice"),
        ({"after": "a == b"}, "no mutant is boundary"),
        ({"operator": "comparison"}, "is no equivalent: it is killed"),
    ],
)
def test_an_equivalent_that_is_none_is_refused(judged, changes, words):
    known = [record.Equivalent(**{**ENTRY, **changes})]
    with pytest.raises(SystemExit, match=words):
        record.check_equivalents(known, *judged)


def test_an_equivalent_is_a_survivor_with_a_reason(judged, tmp_path):
    record.check_equivalents([record.Equivalent(**ENTRY)], *judged)
    path = tmp_path / "equivalent.toml"
    path.write_text('[[equivalent]]\nfile="a"\nline="b"\noperator="c"\nreason=""\n')
    with pytest.raises(SystemExit, match="entry 1: look at reason"):
        record.read_equivalents(path)


def test_a_fate_is_kept_until_what_decided_it_changes(judged, tmp_path):
    sources, records = judged
    again = record.Record(tmp_path, tmp_path / "found", sources["judge.py"], {"": "state"})
    assert again.fates == records["judge.py"].fates
    other = record.Record(tmp_path, tmp_path / "found", sources["judge.py"], {"": "other tests"})
    assert not other.fates
    (tmp_path / "judge.py").write_text("def f(a, b):\n    return a < b  # changed\n")
    changed = Source(tmp_path / "judge.py")
    assert not record.Record(tmp_path, tmp_path / "found", changed, {"": "state"}).fates


def test_all_that_is_to_be_mutated_is_there_and_on_record():
    paths = chosen(HOUSE, [], "")
    known = json.loads((HOUSE / "golden/evidence/mutants.json").read_text(encoding="utf-8"))
    assert len(set(paths)) == len(paths) > 50
    assert set(known["files"]) <= set(paths)
    assert chosen(HOUSE, [], "contracts/sound") == ["plugins/contracts/soundness.py"]


def test_nothing_that_is_mutated_is_imported_before_it():
    code = "import sys, tests.mutants.__main__; print(*[m for m in sys.modules if 'plugins.' in m])"
    run = subprocess.run([sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True)
    assert (run.stdout.split(), run.stderr) == ([], "")


def test_the_house_s_own_tests_can_be_asked():
    words = [sys.executable, "-m", "pytest", *WORDS, "tests/test_tables.py"]
    run = subprocess.run(words, cwd=HOUSE, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
