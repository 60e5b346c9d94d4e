"""Writes what a run of the fault matrix found: golden/evidence/faults.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from plugins import machine
from plugins.store import write_atomically
from tests.bite.benches import Row
from tests.bite.catalogue import INEXPRESSIBLE, KINDS
from tests.bite.scoring import CAUGHT, CLEAN, Score

SCHEMA = 1


def write(
    path: Path, rows: Sequence[Row], found: Mapping[Row, dict], scores: Mapping[Row, Score]
) -> Path:
    """Write the file, sorted; without the seconds two runs of one suite give the same bytes."""
    faults = [_fault(row, found[row], scores[row]) for row in rows if not row.twin]
    twins = [_twin(row, found[row], scores[row]) for row in rows if row.twin]
    content = {
        "schema": SCHEMA,
        "provenance": machine.measured("make bite", "torch", "torchvision"),
        "counts": _counts(faults, twins),
        "catalogue": [_kind(kind, faults) for kind in KINDS],
        "inexpressible": [
            {"kind": kind, "fault": KINDS[kind], "reason": reason}
            for kind, reason in sorted(INEXPRESSIBLE.items())
        ],
        "twins": sorted(twins, key=lambda one: (one["layer"], one["name"])),
        "faults": sorted(faults, key=lambda one: one["id"]),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_atomically(path, (text + "\n").encode("utf-8"))
    return path


def _fault(row: Row, result: Mapping, score: Score) -> dict:
    fault = row.fault
    return {
        "id": row.id,
        "breaks": fault.breaks,
        "kin": sorted(fault.kin),
        "clause": fault.clause,
        "caught": score.caught,
        "by": score.by,
        "line": score.line,
        "names_cause": bool(fault.words) and score.word == CAUGHT,
        "also": list(score.also),
        "seconds": result["seconds"],
        "missed": fault.missed,
    }


def _twin(row: Row, result: Mapping, score: Score) -> dict:
    alarms = [] if score.word == CLEAN else [f"{score.by}: {score.line}"]
    return {
        "layer": row.layer,
        "name": row.fault.name,
        "is": row.fault.breaks,
        "judged": result["judged"],
        "alarms": alarms,
        "seconds": result["seconds"],
    }


def _kind(kind: str, faults: Sequence[Mapping]) -> dict:
    seeded = sorted(one["id"] for one in faults if kind in one["kin"])
    return {"kind": kind, "fault": KINDS[kind], "rows": seeded}


def _counts(faults: Sequence[Mapping], twins: Sequence[Mapping]) -> dict:
    """The figures of the whole, by layer and in all."""
    layers = sorted({one["id"].split("/")[0] for one in faults})
    groups = {
        layer: [one for one in faults if one["id"].startswith(f"{layer}/")] for layer in layers
    }
    return {
        **{name: _rate(some) for name, some in {**groups, "all": list(faults)}.items()},
        "twins": {"judged": len(twins), "alarms": sum(len(one["alarms"]) for one in twins)},
    }


def _rate(faults: Sequence[Mapping]) -> dict:
    return {
        "faults": len(faults),
        "caught": sum(one["caught"] for one in faults),
        "by_the_clause_for_it": sum(one["caught"] and one["by"] == one["clause"] for one in faults),
        "cause_named": sum(one["names_cause"] for one in faults),
        "missed": sum(not one["caught"] for one in faults),
    }
