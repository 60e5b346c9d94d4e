"""What is known about the suite itself: golden/evidence/*.json, measured, and what it amounts to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path("golden") / "evidence"
NOT_MEASURED = "not measured"
KILLED = ("killed", "hung", "crashed")
COMMANDS = {
    "faults": "make bite",
    "mutants": "make mutants ARGS=--evidence",
    "census": "make census",
    "sensitivity": "python -m tests.sensitivity --whole",
}


def read(root: Path, name: str) -> dict[str, Any]:
    """A measurement of a kind of COMMANDS; empty where there is none, or nothing that can be read."""
    try:
        content = json.loads((root / FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def rates(root: Path) -> dict[str, str]:
    """Clause -> how often it was wrong about a clean product: "0 of 212, <= 1.4 %"."""
    clauses = read(root, "census").get("clauses", {})
    return {name: rate(one) for name, one in clauses.items()}


def rate(one: Mapping[str, Any]) -> str:
    """Alarms of clean runs, and the bound of their rate at 95 %; of chance, what confirms it best."""
    simulated = one.get("simulated")
    if simulated and simulated["runs"] > one["runs"]:
        counted = f"{simulated['alarms']} of {simulated['runs']} simulated"
        return f"{counted}, <= {percent(simulated['upper_95'])}"
    if not one["runs"]:
        nominal = one.get("nominal")
        return NOT_MEASURED if nominal is None else f"nominal {percent(nominal)}"
    return f"{one['alarms']} of {one['runs']}, <= {percent(one['upper_95'])}"


def percent(share: float, digits: int = 2) -> str:
    """A share in percent, so many digits, never rounded down to nothing."""
    return f"{100 * share:.{digits}g} %" if share < 0.995 else f"{100 * share:.4g} %"


def summary(root: Path) -> list[tuple[str, str, str]]:
    """What was measured, the figure, and the command that measures it again; a line for each kind."""
    texts = {"faults": _faults, "mutants": _mutants, "census": _census, "sensitivity": _sensitivity}
    found = []
    for name, text in texts.items():
        content = read(root, name)
        what, figure = text(content)
        found.append((what, figure if content else NOT_MEASURED, COMMANDS[name]))
    return found


def _faults(content: Mapping[str, Any]) -> tuple[str, str]:
    rows = content.get("faults", [])
    caught = sum(bool(row["caught"]) for row in rows)
    named = sum(bool(row["names_cause"]) for row in rows)
    figure = f"{caught} of {len(rows)} caught; the first line names the cause of {named}"
    return "seeded faults", figure


def _mutants(content: Mapping[str, Any]) -> tuple[str, str]:
    files = content.get("files", {}).values()
    alike = sum(len(one["equivalent"]) for one in files)
    able = sum(one["mutants"] for one in files) - alike
    killed = sum(one[how] for one in files for how in KILLED)
    share = percent(killed / able, 3) if able else "-"
    figure = f"{killed} of {able} killed ({share}); {alike} more that no test here can notice"
    return "mutants of the judge", figure


def _census(content: Mapping[str, Any]) -> tuple[str, str]:
    judged = [one for one in content.get("clauses", {}).values() if one["runs"]]
    alarms, runs = sum(one["alarms"] for one in judged), content.get("runs", 0)
    tests = sum(one["tests"] for one in judged)
    return "false alarms", f"{alarms} in {runs} clean runs: {len(judged)} clauses, {tests} tests"


def _sensitivity(content: Mapping[str, Any]) -> tuple[str, str]:
    tables = content.get("tolerances", {})
    count = sum(len(one["caught"]) for one in tables.values())
    return "sensitivities", f"{count} smallest deviations of {len(tables)} tables of tolerances"
