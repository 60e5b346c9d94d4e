"""The process of one bench: `python -m tests.bite.host`; rows come on stdin, results go to stdout.

What the bench and all that it starts print goes to a log in the bench's folder.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path

from tests.bite.benches import CLEAN
from tests.bite.fault import Fault

HOUSE = Path(__file__).resolve().parents[2]
LOG = "bench.log"


def main(job: dict) -> None:
    """Judge the rows of a job: `module`, `folder`, and `rows`, each [id, fields of its Fault]."""
    folder = Path(job["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    rows = [(name, Fault(**{**one, "kin": tuple(one["kin"])})) for name, one in job["rows"]]
    with importlib.import_module(job["module"]).Bench(folder) as bench:
        if hasattr(bench, "prepare"):
            bench.prepare([fault for _, fault in rows if fault != CLEAN])
        for name, fault in rows:
            text = json.dumps({"id": name, **judged(bench, fault)})
            print(without(text, folder, HOUSE), file=out, flush=True)


def judged(bench, fault: Fault) -> dict:
    """What a bench says of one fault: alarms, tests judged, seconds; or how the bench itself broke."""
    began = time.monotonic()
    try:
        alarms = bench.judge(None if fault == CLEAN else fault)
    except Exception:
        traceback.print_exc()
        return {"broken": traceback.format_exc().strip().splitlines()[-1]}
    return {
        "alarms": [[one.clause, one.outcome, one.line] for one in alarms],
        "judged": getattr(bench, "judged", 0),
        "seconds": round(time.monotonic() - began, 1),
    }


def without(text: str, *folders: Path) -> str:
    """A text whose paths begin in the bench's folder or in the house, wherever those are."""
    for folder in folders:
        text = text.replace(f"{folder}/", "")
    return text


if __name__ == "__main__":
    main(json.load(sys.stdin))
