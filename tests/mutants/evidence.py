"""The figures: per module the mutants, what became of them, and every survivor by name."""

from __future__ import annotations

import json
from pathlib import Path

from tests.mutants.record import Equivalent, Record
from tests.mutants.source import Mutant, Source

KILLED = ("killed", "hung", "crashed")


def report(sources: dict[str, Source], records: dict[str, Record], known: list[Equivalent]) -> dict:
    """Per file, and in all: counts, equivalents with their reason, survivors."""
    found = {path: source for path, source in sources.items() if source.mutants}
    files = {path: _file(path, found[path], records[path], known) for path in found}
    groups = {"plugins/checks": [], "the gate": []}
    for path, one in files.items():
        groups["plugins/checks" if path.startswith("plugins/checks/") else "the gate"].append(one)
    return {"all": {name: _sum(found) for name, found in groups.items() if found}, "files": files}


def _file(path: str, source: Source, record: Record, known: list[Equivalent]) -> dict:
    fates = [(mutant, record.fates[mutant.key]) for mutant in source.mutants]
    survived, equivalent = [], []
    for mutant, fate in fates:
        if fate.how == "survived":
            reason = next((one.reason for one in known if one.fits(path, mutant)), "")
            row = {**_row(mutant), "tests": fate.asked}
            (equivalent if reason else survived).append(
                {**row, **({"reason": reason} if reason else {})}
            )
    return {
        "mutants": len(fates),
        **{how: sum(fate.how == how for _, fate in fates) for how in KILLED},
        "equivalent": equivalent,
        "survived": survived,
    }


def _row(mutant: Mutant) -> dict:
    return {
        "line": mutant.line,
        "text": mutant.text,
        "operator": mutant.operator,
        "before": mutant.before,
        "after": mutant.after,
    }


def _sum(files: list[dict]) -> dict:
    total = {name: sum(one[name] for one in files) for name in ("mutants", *KILLED)}
    total["equivalent"] = sum(len(one["equivalent"]) for one in files)
    total["survived"] = sum(len(one["survived"]) for one in files)
    killed, mutants = sum(total[how] for how in KILLED), max(total["mutants"], 1)
    total["killed_percent"] = round(100 * killed / mutants, 2)
    able = max(mutants - total["equivalent"], 1)
    total["killed_percent_without_equivalents"] = round(100 * killed / able, 2)
    return total


def text(found: dict) -> str:
    """For a terminal: the survivors, then a line per file, then the sums."""
    rows = []
    for path, one in found["files"].items():
        for row in one["survived"]:
            change = f"{row['before']}  ->  {row['after']}"
            rows.append(
                f"{path}:{row['line']}: {row['operator']}: {change}  [{row['tests']} tests]"
            )
    for path, one in found["files"].items():
        rows.append(f"{path}: {_line(_sum([one]))}")
    rows += [f"{name}: {_line(total)}" for name, total in found["all"].items()]
    return "\n".join(rows)


def _line(total: dict) -> str:
    hung = f" ({total['hung']} hung, {total['crashed']} crashed)"
    killed = sum(total[how] for how in KILLED)
    return (
        f"{total['mutants']} mutants, {killed} killed{hung}, {total['equivalent']} equivalent, "
        f"{total['survived']} survived: {total['killed_percent']} %, "
        f"{total['killed_percent_without_equivalents']} % without the equivalents"
    )


def write(path: Path, found: dict, words: list[str]) -> None:
    # Late: what is imported before the forks is mutated in none of them.
    from plugins import machine

    command = " ".join(["python -m tests.mutants", *words])
    provenance = machine.measured(command, "pytest", "numpy", "hypothesis")
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"provenance": provenance, **found}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
