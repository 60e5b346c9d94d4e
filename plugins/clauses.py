"""Every test in conformance/ names the clause that it judges, and gets one outcome of the house."""

from __future__ import annotations

import functools
import math
import re
import shlex
from collections.abc import Generator
from numbers import Real
from pathlib import Path
from typing import Any

import pytest

from plugins import capability, failing, ledger, options, reproduction
from plugins.failure import CheckFailure, Inconclusive, LabError
from plugins.ledger import Entry, Ledger

LEDGER = pytest.StashKey[Ledger]()
ENTRY = pytest.StashKey[Entry]()
DESELECTION = pytest.StashKey[str]()
CLAUSE_ID = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
FORBIDDEN = ("xfail", "skip", "skipif")
ACTORS = {
    "subject": ("subject", "contract", "shapes", "shipped", "trained", "exercised"),
    "backend": ("backend", "target", "timed_run", "precision", "shared_run", "rate_trace"),
    "case": ("case", "lively_case", "nms_case", "device_nms_case", "roi_case", "bad_call"),
}
KNOWN_BETTER = ("subject", "backend", "case", "runtime")
SLOW = "slow (add --run-slow)"
ATTEMPTS = pytest.StashKey[int]()
HOUSE = ("plugins.", "fixtures.")


def pytest_configure(config: pytest.Config) -> None:
    refuse_blocked(config)
    config.stash[LEDGER] = Ledger()


def refuse_blocked(config: pytest.Config) -> None:
    """A UsageError where a plugin of ours is switched off: the gate would be one without knowing.

    The plugins that speak the verdict all ask, so that none of them can be the one that is missing.
    """
    for name, plugin in config.pluginmanager.list_name_plugin():
        if plugin is None and name.startswith(HOUSE):
            raise pytest.UsageError(f"-p no:{name}: is a part of the gate; leave that option out")


def is_conformance(config: pytest.Config, path: Path) -> bool:
    """Whether a test file lies in conformance/ and so belongs in the verdict."""
    return _lies_in(path, config.rootpath)


@functools.cache  # asked for each test, of which a file has hundreds
def _lies_in(path: Path, root: Path) -> bool:
    return root / "conformance" in path.parents


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    books = config.stash[LEDGER]
    for item in items:
        if is_conformance(config, item.path):
            item.stash[ENTRY] = _entry(item)
            books.plan(item.stash[ENTRY])
        else:
            books.self_tests += 1


def leave_out(items: list[pytest.Item], some: list[pytest.Item], why: str) -> None:
    """Deselect some of what was collected, in place; the verdict repeats why."""
    for item in some:
        item.stash[DESELECTION] = why
    if some:
        some[0].config.hook.pytest_deselected(items=some)
        items[:] = [item for item in items if item not in some]


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        why = item.stash.get(DESELECTION, "") or _selection(item.config)
        item.config.stash[LEDGER].deselect(item.nodeid, why)


def _selection(config: pytest.Config) -> str:
    """The selection that the user asked for, in his own words."""
    chosen = {"-k": config.option.keyword, "-m": config.option.markexpr}
    words = [f"{flag} {shlex.quote(text)}" for flag, text in chosen.items() if text]
    return "deselected by " + (" ".join(words) or "the command line")


def _entry(item: pytest.Item) -> Entry:
    clause = _clause(item)
    capabilities = item.config.stash[capability.KEY]
    lanes = [lane for lane in ledger.LANES if item.get_closest_marker(lane)]
    runtimes = {"npu": capabilities.runtime, "a100": capabilities.training_runtime}
    return Entry(
        nodeid=item.nodeid,
        clause=clause,
        lanes=lanes,
        requires=capability.needs(item),
        runtime=_deviceless(item) or (runtimes[lanes[0]]() if lanes else "cpu"),
        measures="figure" in getattr(item, "fixturenames", ()),
        **{"subject": clause.split(".")[0], **_actors(item)},
    )


def _deviceless(item: pytest.Item) -> str:
    """What a test ran on that needs no device; its figures must not carry the name of one."""
    mark = item.get_closest_marker("deviceless")
    if mark and mark.args not in [(one,) for one in ledger.DEVICELESS]:
        options.refuse(
            item.config, f"{item.nodeid}: deviceless is one of {', '.join(ledger.DEVICELESS)}"
        )
    return mark.args[0] if mark else ""


def _clause(item: pytest.Item) -> str:
    marks = list(item.iter_markers("clause"))
    for mark in marks:
        text = mark.args[0] if len(mark.args) == 1 and not mark.kwargs else None
        if not isinstance(text, str) or not CLAUSE_ID.fullmatch(text):
            shown = ", ".join([*map(repr, mark.args), *mark.kwargs])
            options.refuse(
                item.config,
                f"{item.nodeid}: clause({shown}) should name one clause, such as"
                ' clause("outputs.dtype")',
            )
    if len(marks) != 1:
        options.refuse(
            item.config,
            f"{item.nodeid}: has {len(marks)} clause markers, and every test in conformance/ has"
            ' exactly one; add @pytest.mark.clause("chapter.promise")',
        )
    for name in FORBIDDEN:
        if item.get_closest_marker(name):
            options.refuse(
                item.config,
                f"{item.nodeid}: carries the marker {name}; use requires(...) for what is absent"
                " and conformance/waivers.toml for what is known to fail",
            )
    return marks[0].args[0]


def _actors(item: pytest.Item) -> dict[str, str]:
    """Subject, backend and case from the parametrisation; other parameters join the case."""
    params = dict(item.callspec.params) if hasattr(item, "callspec") else {}
    actors = {}
    for actor, names in ACTORS.items():
        values = [params.pop(name) for name in names if name in params]
        if values:
            actors[actor] = _name_of(values[0])
            if hasattr(values[0], "subject"):
                actors["subject"] = _name_of(values[0].subject)
    rest = [f"{name}={_name_of(value)}" for name, value in params.items()]
    if rest:
        actors["case"] = ", ".join([*filter(None, [actors.get("case")]), *rest])
    return actors


def _name_of(value: Any) -> str:
    if isinstance(value, Path):
        return value.stem
    for attribute in ("id", "name", "__name__"):
        name = getattr(value, attribute, None)
        if isinstance(name, str):
            return name
    return str(value)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("slow") and not options.get(item.config, "run_slow"):
        raise pytest.skip.Exception(SLOW, _use_item_location=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    entry = item.stash.get(ENTRY, None)
    if entry is None:
        return report
    report.user_properties = [(name, _plain(value)) for name, value in report.user_properties]
    report.conformance = findings = _findings(call, report)
    item.stash[ATTEMPTS] = item.stash.get(ATTEMPTS, 0) + (call.when == "setup")
    findings["attempts"] = item.stash[ATTEMPTS]
    for actor in set(findings) & set(KNOWN_BETTER):
        setattr(entry, actor, findings[actor])
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, (CheckFailure, LabError)):
        first, *rest = str(error).splitlines()
        lines = [f"{entry.title()}: {first}", *rest]
        report.longrepr = failing.rendered(item, call.excinfo, lines)
    vacuous = _vacuous(entry, findings)
    if vacuous:
        findings.update(outcome=ledger.ERROR, reason=vacuous)
        report.longrepr = failing.rendered(item, None, [f"{entry.title()}: {vacuous}"])
    if isinstance(error, Inconclusive):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.reportinfo()[1] or 0, f"inconclusive: {error}")
    if findings.get("outcome") in ledger.RED:
        report.outcome = "failed"
        report.__dict__.pop("wasxfail", None)  # pytest.xfail() in a body hides nothing
        again = reproduction.command(item)
        report.sections.append(("reproduce", again))
        findings.setdefault("details", []).append(f"reproduce   {again}")
    return report


def _findings(call: pytest.CallInfo[None], report: pytest.TestReport) -> dict[str, Any]:
    """What one phase of a test adds to its entry, as plain data."""
    outcome = _outcome(call)
    findings: dict[str, Any] = {}
    if outcome:
        findings["outcome"] = outcome
    if call.excinfo:
        error = call.excinfo.value
        findings["reason"] = (str(error) or type(error).__name__).splitlines()[0]
        if isinstance(error, CheckFailure):
            findings["expected"], findings["measured"] = error.expected, error.actual
            findings["details"] = error.lines()[1:]
    findings.update(_recorded(report.user_properties))
    return findings


def _outcome(call: pytest.CallInfo[None]) -> str | None:
    if call.excinfo is None:
        return ledger.PASSED if call.when == "call" else None
    error = call.excinfo.value
    if isinstance(error, pytest.skip.Exception):
        return ledger.SKIPPED
    if isinstance(error, Inconclusive):
        return ledger.INCONCLUSIVE
    broken = isinstance(error, CheckFailure) and call.when == "call"
    return ledger.FAILED if broken else ledger.ERROR


def _recorded(properties: list[tuple[str, Any]]) -> dict[str, Any]:
    """What fixtures recorded: figures, and the actors or the runtime that they know better."""
    recorded: dict[str, Any] = {
        name: str(value) for name, value in properties if name in KNOWN_BETTER
    }
    recorded["figures"] = [value for name, value in properties if name == "figure"]
    hashes = {key: text for name, one in properties if name == "hash" for key, text in one.items()}
    return {**recorded, "hashes": hashes} if hashes else recorded


def _vacuous(entry: Entry, findings: dict[str, Any]) -> str:
    """Why a pass says nothing: its figures are missing or no numbers; else empty."""
    if findings.get("outcome") != ledger.PASSED:
        return ""
    if entry.measures and not findings["figures"]:
        return "passed without a figure, which it is there to record; call figure(name, value)"
    for one in findings["figures"]:
        value = one.get("measured")
        if value in (None, "") or (isinstance(value, float) and not math.isfinite(value)):
            return f"passed with {one.get('name')} {value!r}, which is no measurement"
    return ""


def _plain(value: Any) -> Any:
    """A value that JSON and xdist can carry; a NumPy scalar becomes a Python number."""
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return float(value) if isinstance(value, Real) else str(value)


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    outcome = getattr(report, "conformance", {}).get("outcome")
    if outcome == ledger.INCONCLUSIVE and report.skipped:
        return "inconclusive", "i", "INCONCLUSIVE"
    if outcome == ledger.ERROR:
        return "error", "E", "ERROR"
    return None
