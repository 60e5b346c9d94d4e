"""The rows of the census, one clean run each, and what they add up to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from plugins.store import write_atomically

JUDGED, ALARMS = ("passed", "failed", "stale", "error"), ("failed", "stale", "error")
UNMATCHED = "detections that rounding decided otherwise, %"
NOISE = {"matched": UNMATCHED, "share of tolerance used": "share of tolerance used"}
NOISY = ("numerics.recipe", "training.band", "training.closeness")  # they say how near an alarm was
CONFIDENCE = 0.95


def append(path: Path, row: dict) -> None:
    """Add a run; an interrupted census goes on where it stopped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def rows(path: Path) -> list[dict]:
    """All runs so far."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def forget(path: Path, clause: str) -> None:
    """Take what was found about one clause out of all rows: it was changed since."""
    kept = rows(path)
    for row in kept:
        row["clauses"].pop(clause, None)
        row["alarms"] = [one for one in row["alarms"] if one["clause"] != clause]
    text = "".join(json.dumps(row) + "\n" for row in kept)
    write_atomically(path, text.encode("utf-8"))


def row_of(verdict: dict, **about: object) -> dict:
    """A run as a row: per clause its tests by outcome, and what the alarms said."""
    clauses: dict = {}
    for test in verdict["tests"]:
        if test["outcome"] not in ("deselected", "skipped"):
            counts = clauses.setdefault(test["clause"], {})
            counts[test["outcome"]] = counts.get(test["outcome"], 0) + 1
    said = [
        {"test": test["nodeid"], "clause": test["clause"], "reason": test["reason"]}
        for test in alarming(verdict)
    ]
    return {**about, "clauses": clauses, "alarms": said, "noise": _noise(verdict)}


def _noise(verdict: dict) -> dict[str, float]:
    """The largest share of each tolerance that rounding or chance used, and detections unmatched."""
    found: dict = {}
    for test in verdict["tests"]:
        for figure in test["figures"] if test["clause"] in NOISY else ():
            if figure["name"] in NOISE:
                about = f"{test['clause']} {test['backend']}".replace(
                    "numerics.recipe ", ""
                ).strip()
                value, key = figure["measured"], f"{about}: {NOISE[figure['name']]}"
                value = 100 - value if figure["name"] == "matched" else value
                found[key] = max(value, found.get(key, 0.0))
    return found


def alarming(verdict: dict) -> list[dict]:
    """The tests of a verdict that failed, are stale or ended in error."""
    return [test for test in verdict["tests"] if test["outcome"] in ALARMS]


def bound(alarms: int, runs: int, confidence: float = CONFIDENCE) -> float:
    """Clopper and Pearson's upper bound of a rate: the largest that so few alarms do not refute."""
    if not runs or alarms >= runs:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(alarms, runs, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(alarms: int, runs: int, rate: float) -> float:
    """The probability of at most so many alarms."""
    term = total = (1 - rate) ** runs
    for k in range(alarms):
        term *= (runs - k) / (k + 1) * rate / (1 - rate) if rate < 1 else 0.0
        total += term
    return total


def by_clause(found: Iterable[dict]) -> dict[str, dict]:
    """Per clause: runs that judged it, tests in them, runs with an alarm, and the bound of the rate."""
    counts: dict = {}
    for row in found:
        for clause, outcomes in row["clauses"].items():
            judged = sum(outcomes.get(one, 0) for one in JUDGED)
            mine = counts.setdefault(clause, {"runs": 0, "tests": 0, "alarms": 0, "undecided": 0})
            mine["runs"] += judged > 0
            mine["tests"] += judged
            mine["alarms"] += any(outcomes.get(one) for one in ALARMS)
            mine["undecided"] += bool(outcomes.get("inconclusive"))
    for mine in counts.values():
        mine["upper_95"] = bound(mine["alarms"], mine["runs"])
    return counts


def by_condition(found: Iterable[dict]) -> dict[str, int]:
    """Runs of each condition."""
    counts: dict = {}
    for row in found:
        counts[row["condition"]] = counts.get(row["condition"], 0) + 1
    return counts
