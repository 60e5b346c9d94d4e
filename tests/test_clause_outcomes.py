"""What becomes of each phase of a test: its outcome, what it says, and what a pass has to say."""

from __future__ import annotations

import fractions
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from plugins import clauses, ledger, reproduction
from plugins.clauses import ATTEMPTS, ENTRY
from plugins.failure import CheckFailure, Inconclusive, LabError
from plugins.ledger import Entry
from tests.standins import NODE, Item

MARK = pytest.mark
RANGE = MARK.clause("outputs.range")
PYTEST = f"{sys.executable} -m pytest"
AGAIN = f"{PYTEST} {NODE}"
BROKEN = CheckFailure("swapped", expected="(100, 4)", actual="(4, 100)", worst=["row 0"])


def called(error=None, when="call"):
    excinfo = SimpleNamespace(value=error, traceback=()) if error else None
    return SimpleNamespace(when=when, excinfo=excinfo)


def report_of(item, call, properties=(), **fields):
    """The report after the hook."""
    right = {"outcome": "passed", "longrepr": None, "sections": []}
    report = SimpleNamespace(**{**right, "user_properties": list(properties), **fields})
    steps = clauses.pytest_runtest_makereport(item, call)
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(report)
    assert end.value.value is report
    return report


@pytest.fixture
def item():
    made = Item(RANGE)
    made.stash[ENTRY] = clauses._entry(made)
    return made


@pytest.mark.parametrize(
    ("error", "when", "outcome"),
    [
        (None, "call", "passed"), (None, "setup", None), (None, "teardown", None),
        (BROKEN, "call", "failed"), (BROKEN, "setup", "error"), (BROKEN, "teardown", "error"),
        (LabError("gone"), "call", "error"), (ValueError("v"), "call", "error"),
        (pytest.skip.Exception("needs npu"), "setup", "skipped"),
        (pytest.skip.Exception("needs npu"), "call", "skipped"),
        (Inconclusive("few"), "call", "inconclusive"), (Inconclusive("few"), "setup", "inconclusive"),
    ],
)  # fmt: skip
def test_each_end_of_a_phase_has_its_outcome(error, when, outcome):
    assert clauses._outcome(called(error, when)) == outcome


def test_a_failure_says_what_was_expected_and_found(item):
    report = report_of(item, called(BROKEN))
    said = report.conformance
    assert (said["outcome"], said["reason"]) == ("failed", "swapped")
    assert (said["expected"], said["measured"]) == ("(100, 4)", "(4, 100)")
    assert said["details"] == [*BROKEN.lines()[1:], f"reproduce   {AGAIN}"]
    assert report.outcome == "failed"
    assert report.sections == [("reproduce", AGAIN)]
    assert "E   outputs.range: outputs: swapped\nE     expected  (100, 4)" in str(report.longrepr)


def test_a_broken_lab_says_so_and_another_error_is_left_as_it_is(item):
    report = report_of(item, called(LabError("the worker is gone")))
    assert report.conformance["outcome"] == "error"
    assert "E   outputs.range: outputs: the worker is gone" in str(report.longrepr)
    report = report_of(item, called(ValueError("one\ntwo")), longrepr="theirs")
    assert (report.conformance["reason"], report.longrepr) == ("one", "theirs")
    assert report.outcome == "failed"
    assert report.conformance["details"] == [f"reproduce   {AGAIN}"]
    assert report_of(item, called(ValueError())).conformance["reason"] == "ValueError"


def test_an_inconclusive_test_is_skipped_and_says_where(item):
    report = report_of(item, called(Inconclusive("too few")), outcome="failed")
    assert report.conformance["outcome"] == "inconclusive"
    assert report.outcome == "skipped" and report.sections == []
    assert report.longrepr == (str(item.path), 6, "inconclusive: too few")
    item.line = None
    assert report_of(item, called(Inconclusive("few"))).longrepr[1] == 0


def test_a_skip_is_left_as_it_is(item):
    report = report_of(item, called(pytest.skip.Exception("needs npu")), outcome="skipped")
    assert (report.outcome, report.longrepr, report.sections) == ("skipped", None, [])
    assert "details" not in report.conformance


def test_each_set_up_is_an_attempt(item):
    attempts = [report_of(item, called(when=when)).conformance["attempts"]
                for when in ("setup", "call", "teardown", "setup", "call")]  # fmt: skip
    assert attempts == [1, 1, 1, 2, 2]
    assert item.stash[ATTEMPTS] == 2


def test_of_a_self_test_nothing_is_noted():
    report = report_of(Item(path="tests/a.py"), called(BROKEN))
    assert not hasattr(report, "conformance") and report.outcome == "passed"


def test_fixtures_know_actors_and_runtime_better(item):
    known = [("subject", "given.ts"), ("backend", "b"), ("case", "c"), ("runtime", "cpu, 2 threads"),
             ("outcome", "passed"), ("clause", "a.b")]  # fmt: skip
    report = report_of(item, called(BROKEN), known)
    entry = item.stash[ENTRY]
    assert (entry.subject, entry.backend, entry.case) == ("given.ts", "b", "c")
    assert (entry.runtime, entry.clause) == ("cpu, 2 threads", "outputs.range")
    assert "outputs.range: given.ts on b, case c: swapped" in str(report.longrepr)
    assert report.conformance["outcome"] == "failed" and "clause" not in report.conformance


def test_figures_and_hashes_are_noted_as_plain_data(item):
    figure = {"name": "AP", "measured": np.float32(0.5)}
    known = [("figure", figure), ("hash", {"a": "1"}), ("hash", {"b": "2"}), ("other", 3)]
    said = report_of(item, called(), known).conformance
    assert said["figures"] == [{"name": "AP", "measured": 0.5}]
    assert type(said["figures"][0]["measured"]) is float
    assert said["hashes"] == {"a": "1", "b": "2"}
    assert "hashes" not in report_of(item, called()).conformance


@pytest.mark.parametrize(
    ("value", "plain"),
    [(1, 1), (True, True), (None, None), ("a", "a"), (0.5, 0.5), (np.int64(3), 3.0),
     (fractions.Fraction(1, 2), 0.5), ({1: np.float64(2)}, {"1": 2.0}), (Path("a"), "a"),
     ([1], "[1]")],
)  # fmt: skip
def test_a_value_becomes_what_json_can_carry(value, plain):
    found = clauses._plain(value)
    assert found == plain and type(found) is type(plain)


@pytest.mark.parametrize(
    ("measures", "figures", "reason"),
    [
        (False, [], ""),
        (True, [{"name": "AP", "measured": 0.0}], ""),
        (True, [{"name": "AP", "measured": "far"}], ""),
        (True, [], "passed without a figure, which it is there to record; call figure(name, value)"),
        *((False, [{"name": "AP", "measured": v}], f"passed with AP {v!r}, which is no measurement")
          for v in (None, "", float("nan"), float("inf"), -float("inf"))),
        (True, [{"measured": 1.0}, {}], "passed with None None, which is no measurement"),
    ],
)  # fmt: skip
def test_a_pass_that_says_nothing_is_an_error(item, measures, figures, reason):
    item.stash[ENTRY].measures = measures
    report = report_of(item, called(), [("figure", one) for one in figures])
    assert report.conformance["outcome"] == ("error" if reason else "passed")
    assert report.conformance.get("reason", "") == reason
    assert report.outcome == ("failed" if reason else "passed")
    assert (f"outputs.range: outputs: {reason}" in str(report.longrepr)) is bool(reason)


def test_only_a_pass_can_be_empty(item):
    item.stash[ENTRY].measures = True
    assert report_of(item, called(BROKEN)).conformance["outcome"] == "failed"
    assert "outcome" not in report_of(item, called(when="setup")).conformance


def test_a_failure_is_reproduced_by_the_same_words(item):
    assert reproduction.command(item) == AGAIN
    item.config.give("model_ts", "a model.ts")
    slow = Item(RANGE, MARK.slow, config=item.config, nodeid="a[b c]")
    words = "'--model-ts=a model.ts' --run-slow"
    assert reproduction.command(slow) == f"{PYTEST} 'a[b c]' {words}"
    item.config.give("run_slow", True)
    assert reproduction.command(slow) == f"{PYTEST} 'a[b c]' {words}"
    assert reproduction.command(item) == f"{PYTEST} {NODE} {words}"


def test_an_ini_setting_that_was_overridden_is_repeated(item):
    item.config.option.override_ini = ["interpreter_infer=a b/python", "all_images=true"]
    words = "-o 'interpreter_infer=a b/python' -o all_images=true"
    assert reproduction.command(item) == f"{AGAIN} {words}"


def test_an_interpreter_of_the_house_is_named_from_there(item, monkeypatch):
    monkeypatch.setattr(reproduction.sys, "executable", "/house/.venv/bin/python")
    assert reproduction.command(item) == f".venv/bin/python -m pytest {NODE}"


def test_what_hides_a_failure_from_pytest_is_taken_away(item):
    hidden = called(pytest.xfail.Exception("later"))
    report = report_of(item, hidden, outcome="skipped", wasxfail="reason: later")
    assert (report.outcome, hasattr(report, "wasxfail")) == ("failed", False)


@pytest.mark.parametrize(
    ("outcome", "skipped", "status"),
    [
        ("inconclusive", True, ("inconclusive", "i", "INCONCLUSIVE")), ("inconclusive", False, None),
        ("error", False, ("error", "E", "ERROR")), ("failed", False, None), ("passed", False, None),
        ("skipped", True, None),
    ],
)  # fmt: skip
def test_an_outcome_has_its_letter(outcome, skipped, status):
    report = SimpleNamespace(conformance={"outcome": outcome}, skipped=skipped)
    assert clauses.pytest_report_teststatus(report) == status
    assert clauses.pytest_report_teststatus(SimpleNamespace(skipped=skipped)) is None


def test_outcomes_are_those_of_the_books():
    assert {ledger.FAILED, ledger.ERROR} == {"failed", "error"}
    assert Entry("a", "b.c", "m").outcome == ledger.NOT_RUN
