"""golden/evidence/census.json: what all runs of the census, and the arithmetic of chance, add up to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from plugins import machine
from plugins.store import write_atomically
from tests.census import chance, pages
from tests.census.conditions import HOUSE, conditions

FILE = HOUSE / "golden" / "evidence" / "census.json"
DIGITS = 3


def write(path: Path, rows: Sequence[dict]) -> None:
    """Write the file from the rows of all runs so far."""
    content = {
        "schema": 1,
        "provenance": provenance(rows),
        "runs": len(rows),
        "conditions": _conditions(rows),
        "noise": _noise(rows),
        "clauses": clauses(rows),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode("utf-8"))


def clauses(rows: Sequence[dict]) -> dict[str, dict]:
    """Per clause its counts; statistical ones with their own arithmetic beside them."""
    found = {name: {**one, "kind": "deterministic"} for name, one in pages.by_clause(rows).items()}
    for name, one in chance.clauses().items():
        empty = {"runs": 0, "tests": 0, "alarms": 0, "undecided": 0, "upper_95": 1.0}
        found[name] = {**found.get(name, empty), **one, "kind": "statistical"}
    return {name: _rounded(found[name]) for name in sorted(found)}


def _rounded(one: dict) -> dict:
    return {
        key: _rounded(value)
        if isinstance(value, dict)
        else float(f"{value:.{DIGITS}g}")
        if isinstance(value, float)
        else value
        for key, value in one.items()
    }


def _conditions(rows: Sequence[dict]) -> list[dict]:
    """Each condition that was run: what it is, its runs, and the torch that computed."""
    counts = pages.by_condition(rows)
    known = {one.name: one for one in conditions()}
    return [
        {
            "name": name,
            "lane": known[name].lane,
            "torch": sorted({row["torch"] for row in rows if row["condition"] == name})[0],
            "threads": known[name].threads,
            "disturbance": known[name].disturbance,
            "runs": count,
        }
        for name, count in counts.items()
        if name in known
    ]


def _noise(rows: Sequence[dict]) -> dict[str, float]:
    """The largest of each kind over all runs."""
    found: dict = {}
    for row in rows:
        for name, value in row.get("noise", {}).items():
            found[name] = max(float(f"{value:.{DIGITS}g}"), found.get(name, 0.0))
    return dict(sorted(found.items()))


def provenance(rows: Sequence[dict]) -> dict:
    """Where the figures come from, the time that they took, and what else was running."""
    seconds = sum(row["seconds"] for row in rows)
    return {
        **machine.measured("make census"),
        "torch": sorted({row["torch"] for row in rows}),
        "minutes": round(seconds / 60),
        "load": round(max((row.get("load", 0.0) for row in rows), default=0.0)),
    }
