"""The suite bites: a representative few of all faults, seeded for real; `make bite` seeds them all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bite import benches, children, sessions
from tests.bite.__main__ import scored
from tests.bite.benches import CLEAN
from tests.bite.trainer_rows import CAUGHT, MISSED
from tests.faulty_training import PLACES

HOUSE = Path(__file__).resolve().parent.parent
ROWS = [
    row
    for place in benches.PLACES
    for row in benches.rows(place)
    if row.fault.quick or row.fault == CLEAN
]


@pytest.fixture(scope="module")
def found(request, tmp_path_factory) -> dict:
    """The results of the rows that the session asks for; a bench with one of them brings its twin."""
    asked = {
        item.callspec.params["row"]
        for item in request.session.items
        if item.path == request.path and "row" in item.fixturenames
    }
    places = {row.place for row in asked}
    chosen = [row for row in ROWS if row in asked or (row.fault == CLEAN and row.place in places)]
    work = [[row for row in chosen if row.place == place] for place in benches.PLACES]
    return dict(
        children.results([some for some in work if some], tmp_path_factory.mktemp("bite"), 2)
    )


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_a_fault_is_caught_by_the_clause_for_it_and_a_clean_twin_is_not(found, row):
    assert "broken" not in found[row], found[row]
    score = scored(row, found[row])
    assert score.good, f"{row.fault.breaks}: {score.word}: {score.by}: {score.line}"


def test_weights_that_nobody_declared_are_inconclusive(found):
    (row,) = (row for row in ROWS if row.fault.name == "fine_tuned")
    alarms = found[row]["alarms"] if row in found else [["export.weights", "inconclusive", ""]]
    assert [one[:2] for one in alarms] == [["export.weights", "inconclusive"]]


def test_each_fault_of_the_trainer_is_in_a_table():
    code = "from tests import training_gate, faulty_training as f; print(*sorted(f.names()))"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True, check=True
    )
    assert set(said.stdout.split()) == {row[0] for row in [*CAUGHT, *MISSED]}


def test_each_row_of_the_trainer_names_a_clause_of_its_place():
    for name, place, clause, _ in CAUGHT:
        assert clause in PLACES[place].clauses, name


def test_a_fork_says_what_went_wrong_and_never_goes_on_as_what_it_was_forked_from(tmp_path):
    log = tmp_path / "log"

    def action() -> int:
        os.closerange(3, 1024)  # the files of pytest's capture are among them
        print("said")
        raise ValueError("why")

    _, status = os.waitpid(sessions.forked(action, log), 0)
    assert os.WEXITSTATUS(status) == 1
    assert log.read_text(encoding="utf-8").startswith("said\nTraceback")
    assert "ValueError: why" in log.read_text(encoding="utf-8")
