"""The census counts rightly: rows of clean runs, bounds of rates, and noise that is really made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.census import chance, inference, pages
from tests.census.__main__ import missing
from tests.census.conditions import ACCURACY, INFERENCE, LOADED, PAUSED, QUIET, Condition
from tests.census.noise import descendants, disturbed

VERDICT = {
    "tests": [
        {"nodeid": "a", "clause": "x.one", "outcome": "passed", "reason": "", "figures": []},
        {"nodeid": "b", "clause": "x.one", "outcome": "failed", "reason": "bad", "figures": []},
        {"nodeid": "c", "clause": "x.two", "outcome": "inconclusive", "reason": "", "figures": []},
        {"nodeid": "d", "clause": "x.six", "outcome": "skipped", "reason": "", "figures": []},
        {"nodeid": "e", "clause": "numerics.recipe", "outcome": "passed", "reason": "",
         "backend": "aie", "figures": [{"name": "matched", "measured": 95.0}]},
    ]
}  # fmt: skip


def test_a_run_is_counted_once_for_each_clause_that_it_judged():
    row = pages.row_of(VERDICT, condition="plain", number=3)
    assert row["alarms"] == [{"test": "b", "clause": "x.one", "reason": "bad"}]
    assert row["noise"] == {f"aie: {pages.UNMATCHED}": 5.0}
    counts = pages.by_clause([row, row])
    assert {k: counts["x.one"][k] for k in ("runs", "tests", "alarms")} == {
        **{"runs": 2, "tests": 4},
        "alarms": 2,
    }
    assert (counts["x.two"]["runs"], counts["x.two"]["undecided"]) == (0, 2)
    assert "x.six" not in counts


@pytest.mark.parametrize(
    ("alarms", "runs", "expected"),
    [
        (0, 212, 0.01403),
        (0, 1, 0.95),
        (1, 10, 0.39416),
        (5, 1000, 0.010487),
        (0, 0, 1.0),
        (4, 4, 1.0),
    ],
)
def test_the_bound_of_a_rate_is_clopper_and_pearsons(alarms, runs, expected):
    assert pages.bound(alarms, runs) == pytest.approx(expected, rel=1e-3)


def test_an_interrupted_census_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "rows.jsonl"
    pages.append(path, pages.row_of(VERDICT, condition="plain", number=1001))
    pages.append(path, pages.row_of(VERDICT, condition="other", number=1000))
    plain = Condition("plain", "inference", sys.executable, 1, QUIET, 3)
    assert missing(plain, 1, pages.rows(path)) == [1000, 1002]


def test_the_lane_of_accuracy_judges_the_declared_weights_and_looks_for_a_drop_now_and_then():
    numbers = range(10_000, 10_080)
    kinds = {inference.model_of(number, ACCURACY) for number in numbers}
    assert kinds == {(kind, 0) for kind in inference.GOOD}
    assert any(seed for _, seed in (inference.model_of(n, INFERENCE) for n in numbers))
    whole = [n for n in numbers if "-k" not in inference.chapters(n, ACCURACY)]
    assert whole == [10_000, 10_040]
    # What is left out otherwise is the drop, by a part of its name.
    *_, words = inference.chapters(10_001, ACCURACY)
    page = (inference.HOUSE / inference.ACCURACY_CHAPTER).read_text()
    marked = page.partition('clause("accuracy.drop")')[2].partition("(")[0]
    assert words == "not as_accurate" and "as_accurate" in marked
    assert inference.ACCURACY_CHAPTER not in inference.chapters(10_000, INFERENCE)


def test_the_counts_of_a_cured_clause_begin_anew(tmp_path):
    path = tmp_path / "rows.jsonl"
    pages.append(path, pages.row_of(VERDICT, condition="plain", number=1))
    pages.forget(path, "x.one")
    (row,) = pages.rows(path)
    assert row["alarms"] == [] and "x.one" not in row["clauses"]


@pytest.mark.parametrize(("kind", "slower"), [(PAUSED, True), (QUIET, False)])
def test_a_paused_process_loses_time(kind, slower):
    code = "import time; t = time.monotonic(); gaps = []\n"
    code += "while time.monotonic() < t + 1.5:\n a = time.monotonic(); time.sleep(0.002)\n"
    code += " gaps.append(time.monotonic() - a)\nprint(sum(g for g in gaps if g > 0.04))"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with disturbed(kind, lambda: [child.pid], seed=1):
        said = child.communicate()[0]
    if slower:  # a busy machine may pause anybody
        assert float(said) > 0.05


def test_a_loaded_core_is_really_loaded_and_free_again():
    before = set(descendants(os.getpid()))
    with disturbed(LOADED, list, seed=1):
        (spinner,) = set(descendants(os.getpid())) - before
        assert "while True" in Path(f"/proc/{spinner}/cmdline").read_text()
    assert spinner not in descendants(os.getpid())


def test_chance_alone_is_wrong_less_than_once_in_a_thousand_runs(monkeypatch):
    """By its own arithmetic, or where that is about a worse case than a clean run, when simulated."""
    monkeypatch.setitem(chance.RUNS, "throughput.compute", 200)
    monkeypatch.setitem(chance.RUNS, "training.band", 60_000)
    for clause, one in chance.clauses().items():
        simulated = one.get("simulated")
        rate = simulated["alarms"] / simulated["runs"] if simulated else one["nominal"]
        assert rate <= 1.5e-3, clause
        assert one["nominal"] <= 0.01, clause
