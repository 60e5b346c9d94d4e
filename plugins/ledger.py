"""The books of one run: what had to run, and what became of each test. Knows no pytest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

LANES = ("npu", "a100")
PASSED, WAIVED, SKIPPED = "passed", "waived", "skipped"
INCONCLUSIVE, ERROR, STALE, FAILED = "inconclusive", "error", "stale", "failed"
DESELECTED, NOT_RUN = "deselected", "not run"
SEVERITY = (FAILED, STALE, ERROR, INCONCLUSIVE, NOT_RUN, DESELECTED, SKIPPED, WAIVED, PASSED)
JUDGED = (PASSED, WAIVED, FAILED, STALE)
RED = (FAILED, STALE, ERROR)  # each of them alone ends a run with exit code 1
NOT_ABOUT = "not about the given file"  # why tests are left out that --model-ts cannot concern
DEVICELESS = (
    "simulated device",
    "no device",
)  # runtimes of what is in a lane and on no device of it
PLANNED = "nodeid clause subject backend case lanes requires runtime measures".split()


@dataclass
class Entry:
    """One test of conformance/: which promise it judges, of what, and the outcome.

    `reason` says why it did not pass; `figures` are dictionaries with name, measured, unit,
    expected and runtime; `seconds` covers set-up, call and tear-down. `measures` says that the
    test has figures to record, `attempts` how often it was started, `details` what a failure said
    beyond its reason, `hashes` the sha256 of what it judged, by name.
    """

    nodeid: str
    clause: str
    subject: str
    backend: str = ""
    case: str = ""
    lanes: list[str] = field(default_factory=list)
    requires: list[str] = field(default_factory=list)
    runtime: str = "cpu"
    outcome: str = NOT_RUN
    reason: str = ""
    expected: str = ""
    measured: str = ""
    waiver: str = ""
    seconds: float = 0.0
    figures: list[dict[str, Any]] = field(default_factory=list)
    measures: bool = False
    attempts: int = 0
    details: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)

    @property
    def chapter(self) -> str:
        """The first word of the clause, e.g. "outputs"."""
        return self.clause.split(".")[0]

    def title(self) -> str:
        """`clause: subject on backend, case X`, without the parts that do not apply."""
        backend = f" on {self.backend}" if self.backend else ""
        case = f", case {self.case}" if self.case else ""
        return f"{self.clause}: {self.subject}{backend}{case}"

    @property
    def aside(self) -> bool:
        """Whether it asks nothing about the file of --model-ts, and was left out for that."""
        return self.outcome == DESELECTED and self.reason == NOT_ABOUT

    def belongs_to(self, capability: str) -> bool:
        """Whether the test is in the lane of a capability or requires it."""
        return capability in self.lanes or capability in self.requires


@dataclass
class Ledger:
    """Entries by node id, the collection errors, and how many self-tests ran beside them.

    `gaps` are what the must-run list misses; `overdue` what stayed inconclusive for too long;
    `trouble` what went wrong with the books themselves at the end of the run.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    overdue: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    self_tests: int = 0
    interrupted: bool = False
    # under xdist, outcomes come in before the plan of the worker that they come from
    early: dict[str, list[tuple[float, dict[str, Any]]]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def plan(self, entry: Entry) -> None:
        """Write down that a test must run; what was already heard of it is added."""
        self.entries[entry.nodeid] = entry
        for seconds, findings in self.early.pop(entry.nodeid, []):
            self.record(entry.nodeid, seconds, findings)

    def deselect(self, nodeid: str, why: str) -> None:
        """Write down that a planned test will not run, and why."""
        if nodeid in self.entries:
            self.entries[nodeid].outcome = DESELECTED
            self.entries[nodeid].reason = why

    def record(self, nodeid: str, seconds: float, findings: dict[str, Any]) -> None:
        """Add one phase (set-up, call, tear-down) of a test; the graver outcome stays."""
        entry = self.entries.get(nodeid)
        if entry is None:
            if findings:
                self.early.setdefault(nodeid, []).append((seconds, findings))
            return
        entry.seconds += seconds
        entry.attempts = max(entry.attempts, findings.get("attempts", 0))
        outcome = findings.get("outcome", entry.outcome)
        if SEVERITY.index(outcome) <= SEVERITY.index(entry.outcome) or entry.outcome == NOT_RUN:
            # What went wrong first is the reason; a tear-down that fails after it only follows.
            told = {"reason", "details"} if outcome == entry.outcome and entry.reason else set()
            for name in findings.keys() - {"attempts"} - told:
                setattr(entry, name, findings[name])

    def as_dict(self) -> dict[str, Any]:
        """The books as plain data, to be sent by an xdist worker to its controller."""
        return asdict(self)

    def merge(self, books: dict[str, Any]) -> None:
        """Take over the plan of an xdist worker; outcomes arrive by themselves."""
        for fields in books["entries"].values():
            if fields["nodeid"] not in self.entries:
                self.plan(_unjudged(Entry(**fields)))
        self.broken = sorted({*self.broken, *books["broken"]})
        self.self_tests = max(self.self_tests, books["self_tests"])


def _unjudged(entry: Entry) -> Entry:
    """The entry as planned, before its outcome was known."""
    if entry.outcome == DESELECTED:
        return entry
    return Entry(**{name: getattr(entry, name) for name in PLANNED})


def worst(entries: Iterable[Entry]) -> str:
    """The gravest outcome among some entries."""
    return min((entry.outcome for entry in entries), key=SEVERITY.index)
