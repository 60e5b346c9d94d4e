"""The training lane bites: a faulty trainer fails in the clause that is there for its fault.

Each row of tests/faulty_training.py is judged by conformance/ itself in one child process; see
tests/training_gate.py. Without --run-slow it is a representative few, about a CPU minute.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from plugins import options
from tests.faulty_training import CAUGHT, GOOD, MISSED, PLACES, QUICK, QUICK_ROWS

HOUSE = Path(__file__).resolve().parent.parent
CLEAN = {"passed", "deselected", "skipped"}  # allocated memory needs a card


def rows(table):
    """The rows of a table; what is not quick is slow."""
    return [
        pytest.param(
            *row,
            id=f"{row[0]}-{row[1]}",
            marks=() if row[0] in QUICK_ROWS and row[1] in QUICK else pytest.mark.slow,
        )
        for row in table
    ]


@pytest.fixture(scope="module")
def verdicts(request, tmp_path_factory) -> dict:
    """verdict.json of the good twin and of each "fault in place" that the session asks for."""
    folder, slow = tmp_path_factory.mktemp("gate"), options.get(request.config, "run_slow")
    asked = [
        (item.callspec.params["name"], item.callspec.params["place"])
        for item in request.session.items
        if item.path == request.path and {"name", "place"} <= set(item.fixturenames)
        if slow or not item.get_closest_marker("slow")
    ]
    return judged(folder, list(dict.fromkeys(asked)))


def judged(folder: Path, faults: list) -> dict:
    """Verdicts of (fault, place) pairs, by "fault in place"."""
    job = {"folder": str(folder), "faults": faults, "out": str(folder / "out.json")}
    (folder / "job.json").write_text(json.dumps(job))
    run = subprocess.run(
        [sys.executable, "-m", "tests.training_gate", str(folder / "job.json")],
        cwd=HOUSE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads((folder / "out.json").read_text())


def outcomes(verdict: dict) -> dict[str, list]:
    """(clause, first line) of the tests of a verdict, by outcome."""
    found: dict = {}
    for test in verdict["tests"]:
        found.setdefault(test["outcome"], []).append((test["clause"], test["reason"]))
    return found


@pytest.mark.parametrize(("name", "place", "clause", "words"), rows(CAUGHT))
def test_a_fault_fails_the_clause_that_is_there_for_it(verdicts, name, place, clause, words):
    found = outcomes(verdicts[f"{name} in {place}"])
    assert set(found) <= {"failed", *CLEAN}
    reasons = [reason for one, reason in found.get("failed", []) if one == f"training.{clause}"]
    assert reasons, found.get("failed")
    assert words in reasons[0]


@pytest.mark.parametrize(("name", "place", "why"), rows(MISSED))
def test_what_no_clause_sees_is_known_and_said(verdicts, name, place, why):
    """It must be moved to the other table as soon as it is caught."""
    found = outcomes(verdicts[f"{name} in {place}"])
    assert set(found) <= CLEAN and "passed" in found, found


def test_the_good_twin_passes_everything(verdicts):
    found = outcomes(verdicts[GOOD])
    assert set(found) <= CLEAN, found
    passed = {clause.split(".")[1] for clause, _ in found["passed"] + found.get("skipped", [])}
    places = {key.split(" in ")[1] for key in verdicts if key != GOOD}
    assert passed >= {clause for place in places for clause in PLACES[place].clauses}


def test_each_fault_is_in_a_table():
    code = "from tests import training_gate, faulty_training as f; print(*sorted(f.names()))"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True, check=True
    )
    assert set(said.stdout.split()) == {row[0] for row in [*CAUGHT, *MISSED]}


def test_each_row_names_a_clause_of_its_place():
    for name, place, clause, _ in CAUGHT:
        assert clause in PLACES[place].clauses, name
