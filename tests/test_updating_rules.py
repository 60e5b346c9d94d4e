"""Each rule of --update-golden by itself: who may, and what becomes of a run that does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from plugins import options, updating
from plugins.clauses import ENTRY, LEDGER
from plugins.store import Store
from tests.standins import Config, Item

OK = pytest.ExitCode.OK


def asked(reason=None, **chosen) -> Config:
    """A run that was asked to update, or was not."""
    config = Config(**chosen)
    if reason is not None:
        config.give("update_golden", reason)
    return config


def configured(config: Config) -> Store:
    updating.pytest_configure(config)
    return config.stash[updating.KEY]


def refusal(config: Config) -> str:
    with pytest.raises(pytest.UsageError) as error:
        configured(config)
    return str(error.value)


@pytest.fixture(autouse=True)
def outside(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(updating, "suite_version", lambda root: f"suite of {root}")


def test_a_run_that_was_not_asked_reads_alone(monkeypatch):
    monkeypatch.setenv("CI", "true")
    store = configured(asked())
    assert (store.reason, store.commit, store.updating) == (None, "unknown", False)
    assert store.root == Path("/house/golden")
    assert updating.pytest_report_header(SimpleNamespace(stash={updating.KEY: store})) == []


def test_a_reason_opens_the_folder_and_is_said():
    config = asked("  newer driver ", numprocesses=0)
    store = configured(config)
    assert (store.reason, store.commit) == ("newer driver", "suite of /house")
    assert updating.pytest_report_header(config) == [
        "golden: will be rewritten (newer driver); this run fails"
    ]


@pytest.mark.parametrize("reason", ["", "  "])
def test_it_needs_a_reason(reason):
    assert refusal(asked(reason)).startswith("--update-golden: give a reason, e.g. ")


def test_where_nobody_reviews_it_is_refused(monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert refusal(asked("r")).startswith("--update-golden: refused, because CI is set; run it")


def test_in_several_processes_it_is_refused():
    sentence = "--update-golden: refused under xdist; run it in one process (-n 0)"
    assert refusal(asked("r", numprocesses=2)) == sentence
    worker = asked("r")
    worker.workerinput = {}
    assert refusal(worker) == sentence


def reported(
    config: Config, *rewritten: str, when="call", before=(), entry=True, drift="", said=None
):
    """The report of a test during which these names were rewritten."""
    store = config.stash[updating.KEY]
    store.rewritten[:], store.drift = before, lambda name: drift
    item = Item(config=config)
    if entry:
        item.stash[ENTRY] = "an entry"
    updating.pytest_runtest_setup(item)
    store.rewritten += rewritten
    findings = said or {}
    report = SimpleNamespace(outcome="passed", longrepr=None, wasxfail="W-1", conformance=findings)
    steps = updating.pytest_runtest_makereport(item, SimpleNamespace(when=when, excinfo=None))
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(report)
    assert end.value.value is report
    return report


@pytest.fixture
def config():
    made = asked("newer driver")
    configured(made)
    return made


def test_a_test_that_rewrote_something_judged_nothing(config, monkeypatch):
    report = reported(config, "a", "b", before=["c"])
    sentence = "golden rewritten: a, b (newer driver)"
    assert report.conformance == {"outcome": "inconclusive", "reason": sentence}
    assert report.outcome == "skipped" and not hasattr(report, "wasxfail")
    place = Item(config=config)
    assert report.longrepr == (str(place.path), place.reportinfo()[1], f"inconclusive: {sentence}")
    monkeypatch.setattr(Item, "reportinfo", lambda self: ("", None, ""))
    assert reported(config, "a").longrepr[1] == 0


@pytest.mark.parametrize("outcome", ["failed", "stale", "error"])
def test_what_is_red_stays_red_when_it_is_rewritten(config, outcome):
    report = reported(config, "a", said={"outcome": outcome})
    assert report.conformance == {"outcome": outcome}
    assert report.longrepr is None


def test_how_far_a_baseline_moved_is_said(config):
    report = reported(config, "a", "b", drift="rate +1 %")
    sentence = "golden rewritten: a, b (newer driver; a: rate +1 %; b: rate +1 %)"
    assert report.conformance["reason"] == sentence


def test_a_self_test_that_rewrote_something_fails_too(config):
    report = reported(config, "a", entry=False)
    assert (report.outcome, report.conformance) == ("failed", {})
    assert "golden rewritten: a (newer driver)" in str(report.longrepr)


@pytest.mark.parametrize("names", [{"before": ["c"]}, {"when": "setup"}, {"when": "teardown"}])
def test_another_test_is_left_as_it_is(config, names):
    rewritten = ["a"] if "when" in names else []
    report = reported(config, *rewritten, **names)
    assert vars(report) == {
        "outcome": "passed", "longrepr": None, "wasxfail": "W-1", "conformance": {},
    }  # fmt: skip


def test_a_test_without_a_set_up_of_its_own_rewrote_all_that_was(config):
    config.stash[updating.KEY].rewritten += ["a"]
    config.stash[updating.KEY].drift = lambda name: ""
    report = SimpleNamespace(outcome="passed", longrepr=None)
    call = SimpleNamespace(when="call", excinfo=None)
    steps = updating.pytest_runtest_makereport(Item(config=config), call)
    next(steps)
    with pytest.raises(StopIteration):
        steps.send(report)
    assert report.outcome == "failed"


def ended(config: Config, code=OK) -> tuple[list[str], int]:
    session = SimpleNamespace(config=config, exitstatus=code)
    updating.pytest_sessionfinish(session)
    return config.stash[LEDGER].remarks, session.exitstatus


def test_a_run_that_updates_fails_and_is_reviewed(config):
    config.stash[updating.KEY].rewritten += ["a", "b"]
    said = ["golden rewritten: a, b; review it and run again"]
    assert ended(config) == (said, pytest.ExitCode.TESTS_FAILED)


def test_it_fails_even_if_nothing_differed_and_leaves_a_bad_end(config):
    said = ["golden rewritten: nothing, because nothing differed; review it and run again"]
    assert ended(config, pytest.ExitCode.INTERRUPTED) == (said, pytest.ExitCode.INTERRUPTED)


def test_a_run_that_was_not_asked_ends_as_it_does():
    config = asked()
    configured(config)
    assert ended(config) == ([], OK)


def test_the_default_is_not_to_ask():
    assert Config().stash[options.KEY]["update_golden"].source == options.DEFAULT
