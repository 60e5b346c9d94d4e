"""What the verdict hears of a run, and whether it speaks at all."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from plugins import capability, options, verdict
from plugins.clauses import LEDGER
from plugins.ledger import Entry, Ledger
from plugins.waivers import PATIENCE, WAIVERS
from tests.standins import Config

NODE = "conformance/test_a.py::test_a"
OK, RED = pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED


class Run(Config):
    """A configuration of a run whose words are given; nothing but npu is absent."""

    def __init__(self, root: Path, *args: str, **chosen):
        super().__init__(**{"collectonly": False, "xmlpath": None, **chosen})
        self.rootpath, self.args = root, list(args)
        self.invocation_params = SimpleNamespace(dir=root, args=args)
        known = {
            "present": lambda name: name != "npu",
            "why": lambda name: "",
            "modules": lambda role: {},
        }
        runtimes = {"runtime": lambda: "emulated", "training_runtime": lambda: "A100"}
        self.stash[capability.KEY] = SimpleNamespace(**known, **runtimes)
        self.stash[options.RUN_DIR] = root / "runs" / "one"
        self.stash[WAIVERS], self.stash[PATIENCE] = [], 3
        self.give("artifacts", root / "art")


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path, "conformance")


def entry(outcome: str = "passed", **fields) -> Entry:
    return Entry(**{"nodeid": NODE, "clause": "o.x", "subject": "m", "outcome": outcome, **fields})


def planned(config: Run, *entries: Entry) -> verdict.Bookkeeper:
    config.stash[LEDGER] = Ledger({one.nodeid: one for one in entries})
    return verdict.Bookkeeper(config)


def test_the_bookkeeper_is_there_and_junit_lies_with_the_run(run, tmp_path):
    known = {}
    run.pluginmanager.register = lambda plugin, name: known.update({name: plugin})
    verdict.pytest_configure(run)
    assert isinstance(known["conformance-bookkeeper"], verdict.Bookkeeper)
    assert run.option.xmlpath == str(tmp_path / "runs/one/junit.xml")


@pytest.mark.parametrize(("collectonly", "path"), [(True, None), (False, "mine.xml")])
def test_a_given_junit_stays_and_a_collection_has_none(tmp_path, collectonly, path):
    run = Run(tmp_path, collectonly=collectonly, xmlpath=path)
    run.pluginmanager.register = lambda plugin, name: None
    verdict.pytest_configure(run)
    assert run.option.xmlpath == path


def test_a_given_junit_is_where_pytest_writes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("PLACE", "there")
    run = Run(tmp_path, xmlpath="~/$PLACE/mine.xml")
    run.pluginmanager.register = lambda plugin, name: None
    verdict.pytest_configure(run)
    assert run.option.xmlpath == "/home/me/there/mine.xml"


def test_a_blocked_part_of_the_gate_is_refused_here_too(run):
    run.pluginmanager.list_name_plugin = lambda: [("plugins.clauses", None)]
    with pytest.raises(pytest.UsageError, match="is a part of the gate"):
        verdict.pytest_configure(run)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, True),
        ({"self_tests": 2}, False),
        ({"self_tests": 2, "entries": {"a": entry()}}, True),
        ({"self_tests": 2, "broken": ["a"]}, True),
    ],
)
def test_a_run_of_self_tests_alone_has_no_verdict(run, fields, says):
    run.stash[LEDGER] = Ledger(**fields)
    assert verdict.judged(run) is says
    run.option.collectonly = True
    assert verdict.judged(run) is False
    run.option.collectonly, run.workerinput = False, {}
    assert verdict.judged(run) is False


# --- what is heard ---


def report(failed=False, **fields):
    return SimpleNamespace(nodeid=NODE, failed=failed, **fields)


def test_what_a_report_says_enters_the_books(run):
    keeper = planned(run, entry("not run"))
    keeper.pytest_runtest_logreport(report(conformance={"outcome": "passed"}, duration=2.0))
    (one,) = keeper.books
    assert (one.outcome, one.seconds) == ("passed", 2.0)
    keeper.pytest_runtest_logreport(report())
    assert (one.outcome, one.seconds) == ("passed", 2.0)
    keeper.pytest_runtest_logreport(report(failed=True))
    assert (one.outcome, one.reason) == ("error", "its process died")


def test_a_failure_that_says_something_did_not_die(run):
    keeper = planned(run, entry("not run"))
    keeper.pytest_runtest_logreport(report(failed=True, conformance={"outcome": "failed"}))
    assert [one.outcome for one in keeper.books] == ["failed"]
    keeper = planned(run, entry("not run"))
    keeper.pytest_runtest_logreport(report(failed=True, conformance={}))
    assert [one.outcome for one in keeper.books] == ["not run"]


@pytest.mark.parametrize(
    ("nodeid", "failed", "broken"),
    [("conformance/a.py", True, True), ("conformance/a.py", False, False), ("tests/a.py", True, False)],
)  # fmt: skip
def test_what_could_not_be_collected_is_noted(run, nodeid, failed, broken):
    keeper = planned(run)
    keeper.pytest_collectreport(SimpleNamespace(nodeid=nodeid, failed=failed))
    assert keeper.books.broken == [nodeid] * broken


def test_a_person_s_interrupt_is_noted_and_pytest_s_own_is_not(run):
    keeper = planned(run)
    keeper.pytest_keyboard_interrupt(SimpleNamespace(value=pytest.Session.Interrupted("errors")))
    assert not keeper.books.interrupted
    keeper.pytest_keyboard_interrupt(SimpleNamespace(value=KeyboardInterrupt()))
    assert keeper.books.interrupted


def test_a_worker_sends_its_plan_and_speaks_no_verdict(run, tmp_path):
    run.workerinput, run.workeroutput = {}, {}
    keeper = planned(run, entry("not run"))
    assert list(keeper.pytest_sessionfinish(SimpleNamespace(exitstatus=OK))) == [None]
    assert keeper.verdict is None and not (tmp_path / "runs").exists()
    assert list(run.workeroutput) == ["conformance_books"]
    node = SimpleNamespace(workeroutput=run.workeroutput)
    other = planned(Run(tmp_path))
    other.pytest_testnodedown(node)
    assert [one.nodeid for one in other.books] == [NODE]
    other.pytest_testnodedown(SimpleNamespace(workeroutput={}))
    other.pytest_testnodedown(SimpleNamespace())
    assert len(list(other.books)) == 1
