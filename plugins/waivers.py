"""Known deviations: executed, forgiven by name and for a time, reported once not needed."""

from __future__ import annotations

import datetime
import re
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest

from plugins import failing, ledger, machine, options
from plugins.clauses import ENTRY, is_conformance, refuse_blocked
from plugins.failure import LabError
from plugins.ledger import Entry
from plugins.store import read_toml


@dataclass
class Waiver:
    """One entry of waivers.toml; `matched` are the node ids that it forgives in this run."""

    id: str
    test: str
    clause: str
    reason: str
    owner: str
    issue: str
    expires: datetime.date
    subject: str = "*"
    backend: str = "*"
    matched: list[str] = field(default_factory=list)

    def covers(self, entry: Entry) -> bool:
        """Whether a test is in the scope of this waiver."""
        names = (entry.nodeid, entry.nodeid.split("/")[-1], entry.nodeid.partition("::")[2])
        return (
            entry.clause == self.clause
            and _matches(self.subject, entry.subject)
            and _matches(self.backend, entry.backend)
            and any(_matches(self.test, name) for name in names)
        )

    def as_dict(self) -> dict[str, Any]:
        """The waiver as verdict.json shows it."""
        said = {key: value for key, value in asdict(self).items() if key != "matched"}
        return {**said, "expires": self.expires.isoformat()}


WAIVERS = pytest.StashKey[list[Waiver]]()
MINE = pytest.StashKey[Waiver]()
PATIENCE = pytest.StashKey[int]()
DEFAULT_FILE = Path("conformance", "waivers.toml")
NUMBERS = {
    "max": "give the greatest number of waivers, e.g. max = 5",
    "inconclusive_days": "say for how many days a test may stay inconclusive, e.g. 14",
}
FIELDS = {one.name: one for one in fields(Waiver) if one.name != "matched"}
OPTIONAL = ("subject", "backend")


def _matches(pattern: str, text: str) -> bool:
    """Like a shell pattern of * and ? alone: the brackets of a test id mean themselves."""
    regex = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(regex, text, re.DOTALL) is not None


def load(path: Path, today: datetime.date) -> list[Waiver]:
    """Read a waivers file; a LabError names the file, the entry and what is wrong with it."""
    document = read_toml(path)
    unknown = sorted(set(document) - {*NUMBERS, "waiver"})
    if unknown:
        raise LabError(
            f"{path}: unknown key {unknown[0]!r}; it holds {', '.join(NUMBERS)} and [[waiver]] entries"
        )
    entries = document.get("waiver", [])
    cap = _number(path, document, "max")
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise LabError(f"{path}: waiver: write each one as a [[waiver]] table")
    if len(entries) > cap:
        raise LabError(f"{path}: {len(entries)} waivers, and max is {cap}; remove one first")
    waivers = [_waiver(path, number, entry, today) for number, entry in enumerate(entries, 1)]
    ids = [waiver.id for waiver in waivers]
    for name in ids:
        if ids.count(name) > 1:
            raise LabError(f"{path}: {name}: two waivers have this id; rename one")
    return waivers


def patience(path: Path) -> int:
    """For how many days a test may stay inconclusive."""
    return _number(path, read_toml(path), "inconclusive_days")


def _number(path: Path, document: Mapping[str, Any], key: str) -> int:
    value = document.get(key)
    if type(value) is not int or value < 0:
        raise LabError(f"{path}: {key}: {NUMBERS[key]}")
    return value


def _waiver(path: Path, number: int, entry: Mapping[str, Any], today: datetime.date) -> Waiver:
    name = entry.get("id", f"waiver {number}")
    for key in entry:
        if key not in FIELDS:
            raise LabError(f"{path}: {name}: unknown key {key!r}; the keys are {', '.join(FIELDS)}")
    for key in FIELDS:
        _check_field(f"{path}: {name}", key, entry.get(key))
    waiver = Waiver(**entry)
    if waiver.expires < today:
        raise LabError(
            f"{path}: {name}: expired on {waiver.expires}; fix what it forgives, or renew it with"
            f" {waiver.owner}"
        )
    return waiver


def _check_field(where: str, key: str, value: Any) -> None:
    if value is None and key in OPTIONAL:
        return
    if value is None:
        raise LabError(f"{where}: has no {key}; every waiver says it")
    if key == "expires":
        if type(value) is not datetime.date:
            raise LabError(f"{where}: expires: write a date, e.g. 2026-12-31")
    elif not isinstance(value, str) or not value.strip():
        raise LabError(f"{where}: {key}: write a text that is not empty")


def pytest_configure(config: pytest.Config) -> None:
    refuse_blocked(config)
    path = file(config)
    try:
        config.stash[WAIVERS] = load(path, machine.today()) if path else []
        # without the file nothing is forgiven, and no patience is had
        config.stash[PATIENCE] = patience(path) if path else 0
    except LabError as error:
        raise pytest.UsageError(str(error)) from None


def file(config: pytest.Config) -> Path | None:
    """The waivers file of a run, if it has one."""
    if options.get(config, "no_waivers"):
        return None
    default = config.rootpath / DEFAULT_FILE
    return options.get(config, "waivers") or (default if default.is_file() else None)


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [
        f"waived: {one.id} {one.clause} of {one.subject} on {one.backend}, until {one.expires}"
        f" ({one.owner}: {one.reason})"
        for one in config.stash[WAIVERS]
    ]


@pytest.hookimpl(tryfirst=True, wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    everything = list(items)
    # after the clause plugin wrote the entries and others deselected: match what was collected
    yield
    for item in everything:
        entry = item.stash.get(ENTRY, None)
        mine = [one for one in config.stash[WAIVERS] if entry and one.covers(entry)]
        if len(mine) > 1:
            names = " and ".join(one.id for one in mine)
            options.refuse(config, f"{file(config)}: {names} match {item.nodeid}; narrow one")
        for waiver in mine:
            waiver.matched.append(item.nodeid)
            item.stash[MINE] = waiver
    if _is_full(config, everything):
        _refuse_unmatched(config)


def _is_full(config: pytest.Config, items: list[pytest.Item]) -> bool:
    """Whether every test file of conformance/ contributed, none of them by node id."""
    home = config.rootpath / "conformance"
    seen = {item.path for item in items if is_conformance(config, item.path)}
    by_id = any("::" in argument for argument in config.args)
    return bool(seen) and not by_id and seen == set(home.rglob("test_*.py"))


def _refuse_unmatched(config: pytest.Config) -> None:
    for waiver in config.stash[WAIVERS]:
        if not waiver.matched:
            options.refuse(
                config,
                f"{file(config)}: {waiver.id}: matches no test; correct its scope or remove it",
            )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    waiver = item.stash.get(MINE, None)
    if waiver is None or call.when != "call":
        return report
    if report.conformance["outcome"] == ledger.FAILED:
        report.conformance.update(outcome=ledger.WAIVED, waiver=waiver.id)
        report.outcome, report.wasxfail = "skipped", f"{waiver.id}: {waiver.reason}"
    elif report.conformance["outcome"] == ledger.PASSED:
        sentence = f"waiver {waiver.id} is stale: the test passes; remove the waiver"
        report.conformance.update(outcome=ledger.STALE, waiver=waiver.id, reason=sentence)
        lines = [f"{item.stash[ENTRY].title()}: {sentence}"]
        report.outcome, report.longrepr = "failed", failing.rendered(item, None, lines)
    return report
