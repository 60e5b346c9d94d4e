"""The matrix of torch versions: what counts as the same, and what its table says."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from fixtures import matrix
from fixtures.cases import CONTRACTS
from plugins.checks.detections import fp16_spacing
from plugins.checks.transfer import difference
from plugins.contracts.operators import Pair, load_environment
from plugins.failure import LabError
from tests.oracles import detections

DECLARED = load_environment().matrix
EXACT = DECLARED.tolerance["reference"]
ROWS = [(0, 0.9, 10, 10, 60, 60), (0, 0.9, 100, 30, 200, 90), (3, 0.5, 600, 30, 900, 90)]
WANTED = detections(*ROWS)
FIRST, SECOND = DECLARED.pairs[:2]


def moved(row: int, column: int, by: float):
    rows = [list(r) for r in ROWS]
    rows[row][column] += by
    return detections(*rows)


def run(found, *, pair=SECOND, runtime="cpu", why="", backend="reference"):
    cases = {"a/b": found} if found is not None else {}
    return matrix.Run(pair, backend, runtime, cases, why)


REFERENCE = run(WANTED, pair=FIRST)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_the_same_detections_in_any_order_do_not_differ(order):
    found = difference(WANTED.take(np.array(order)), WANTED, EXACT)
    assert (found.box_px, found.score, found.unmatched) == (0, 0, 0)
    assert found.allowed


@pytest.mark.parametrize("column", [1, 2, 5])
def test_one_spacing_of_fp16_is_what_a_cast_can_do_and_two_are_not(column):
    value = ROWS[2][column]
    spacing = float(fp16_spacing(np.array(value)))
    assert difference(moved(2, column, spacing), WANTED, EXACT).allowed
    assert not difference(moved(2, column, 3 * spacing), WANTED, EXACT).allowed


@pytest.mark.parametrize(
    ("found", "unmatched"),
    [
        (moved(2, 0, 1), 2),
        (detections(*ROWS[:2]), 1),
        (detections(*ROWS, (1, 0.1, 0, 0, 1, 1)), 1),
        (detections(), 3),
    ],
)
def test_another_class_and_a_detection_more_or_less_have_no_partner(found, unmatched):
    seen = difference(found, WANTED, EXACT)
    assert (seen.unmatched, seen.labels_equal, seen.allowed) == (unmatched, False, False)


def test_the_table_says_by_how_much_a_pair_differs():
    line = matrix.row(run(moved(1, 2, 5.0)), [REFERENCE], DECLARED)
    assert line[:7] == (SECOND.export, SECOND.infer, "cpu", "1", "5", "0", "equal")
    assert line[7].startswith("DIFFERS, ")
    assert matrix.row(run(WANTED), [REFERENCE], DECLARED)[7] == "same"
    assert matrix.row(run(moved(1, 0, 1)), [REFERENCE], DECLARED)[6] == "2 differ"


def test_a_pair_that_did_not_run_and_one_without_a_reference_are_not_green():
    failed = run(None, why="did not run: no memory")
    assert matrix.row(failed, [REFERENCE], DECLARED)[7] == "did not run: no memory"
    without = matrix.row(run(WANTED), [run(None, pair=FIRST, why="did not run")], DECLARED)
    assert without[7] == matrix.NO_REFERENCE
    assert not {"did not run: no memory", matrix.NO_REFERENCE} & set(matrix.GOOD)


def test_a_device_is_not_compared_with_an_emulator():
    device = run(moved(0, 0, 1), runtime="torch_aie 6.3.rc2")
    assert matrix.row(device, [REFERENCE], DECLARED)[7] == "not compared"


def test_an_environment_that_is_not_there_is_a_line_of_the_table():
    runs = matrix.attempt(Pair("1.10.1", "2.0.1"), {"2.0.1": sys.executable}, DECLARED)
    assert len(runs) == len(DECLARED.tolerance)
    assert all(one.why.startswith("did not run: no environment has torch 1.10.1") for one in runs)


def test_a_lab_that_breaks_is_a_line_of_the_table(monkeypatch):
    def broken(*arguments):
        raise LabError("the worker is gone; see its log")

    monkeypatch.setattr(matrix, "_found", broken)
    monkeypatch.setattr(matrix, "_runtime", broken)
    pythons = {version: sys.executable for version in ("1.10.1", "2.0.1")}
    whys = {one.why for one in matrix.attempt(FIRST, pythons, DECLARED)}
    assert whys == {"did not run: the worker is gone; see its log"}


def test_the_exit_code_is_red_unless_every_pair_is_the_same(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["matrix", "environment"])
    monkeypatch.setattr(matrix, "versions", lambda environments: {})
    results = {pair: WANTED for pair in map(str, DECLARED.pairs)}
    monkeypatch.setattr(matrix, "attempt", lambda pair, *rest: [run(results[str(pair)], pair=pair)])
    assert matrix.main() == 0
    results[str(SECOND)] = moved(0, 1, -0.5)
    assert matrix.main() == 1
    assert "DIFFERS" in capsys.readouterr().out


def test_the_matrix_names_cases_that_there_are_and_starts_with_the_sources_own_pair():
    known = {f"{c.id}/{case.name}" for c in CONTRACTS.values() for case in c.case}
    assert set(DECLARED.cases) <= known
    assert {case.split("/")[0] for case in DECLARED.cases} == set(CONTRACTS)
    assert (FIRST.export, FIRST.infer) == ("1.10.1", "2.0.1")
