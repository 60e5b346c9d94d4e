"""--update-golden REASON: the only way in to golden/; such a run fails, so a review follows."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

from plugins import failing, ledger, options
from plugins.clauses import ENTRY, LEDGER
from plugins.provenance import suite_version
from plugins.store import Store

KEY = pytest.StashKey[Store]()
BEFORE = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    reason = _reason(config)
    config.stash[KEY] = Store(config.rootpath / "golden", reason=reason, commit=_commit(config))


def _reason(config: pytest.Config) -> Any:
    reason = options.get(config, "update_golden")
    if reason is None:
        return None
    if not reason.strip():
        raise pytest.UsageError("--update-golden: give a reason, e.g. --update-golden 'CANN 7.0.0'")
    if os.environ.get("CI"):
        raise pytest.UsageError(
            "--update-golden: refused, because CI is set; run it where a person reviews the result"
        )
    if getattr(config.option, "numprocesses", None) or not options.is_controller(config):
        raise pytest.UsageError(
            "--update-golden: refused under xdist; run it in one process (-n 0)"
        )
    return reason.strip()


def pytest_report_header(config: pytest.Config) -> list[str]:
    store = config.stash[KEY]
    return [f"golden: will be rewritten ({store.reason}); this run fails"] if store.updating else []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[BEFORE] = len(item.config.stash[KEY].rewritten)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    mine = item.config.stash[KEY].rewritten[item.stash.get(BEFORE, 0) :]
    if call.when == "call" and mine:
        store = item.config.stash[KEY]
        moved = [f"{name}: {store.drift(name)}" for name in mine if store.drift(name)]
        sentence = f"golden rewritten: {', '.join(mine)} ({'; '.join([store.reason, *moved])})"
        if ENTRY in item.stash:
            _judged_nothing(item, report, sentence)
        else:
            report.outcome = "failed"
            report.longrepr = failing.rendered(item, call.excinfo, [sentence])
    return report


def _judged_nothing(item: pytest.Item, report: pytest.TestReport, sentence: str) -> None:
    """Inconclusive in the books and in JUnit; what broke a clause all the same stays broken."""
    if report.conformance.get("outcome") not in ledger.RED:
        report.conformance.update(outcome=ledger.INCONCLUSIVE, reason=sentence)
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.reportinfo()[1] or 0, f"inconclusive: {sentence}")
        report.__dict__.pop("wasxfail", None)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    store = session.config.stash[KEY]
    if not store.updating:
        return
    done = ", ".join(store.rewritten) or "nothing, because nothing differed"
    session.config.stash[LEDGER].remarks.append(
        f"golden rewritten: {done}; review it and run again"
    )
    if session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _commit(config: pytest.Config) -> str:
    return suite_version(config.rootpath) if options.get(config, "update_golden") else "unknown"
