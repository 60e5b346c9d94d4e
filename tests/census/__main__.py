"""python -m tests.census: judge clean products again and again, and count the alarms; all are false.

It goes on where it stopped: rows of earlier runs stay in .artifacts/census/rows.jsonl until --afresh.
At the end golden/evidence/census.json is written from all rows, with the statistical clauses beside
them (tests/census/chance.py). An alarm ends with exit code 1: it is a defect, of the suite or found by it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.census import pages, record
from tests.census.conditions import HOUSE, TRAINING, Condition, conditions

FOLDER = HOUSE / ".artifacts" / "census"
APART = 1000  # numbers of one condition: a multiple of every cycle in a run's number


def missing(condition: Condition, place: int, done: Sequence[dict]) -> list[int]:
    """The numbers of a condition's runs that are not in the rows yet."""
    there = {row["number"] for row in done if row["condition"] == condition.name}
    wanted = range(APART * place, APART * place + condition.runs)
    return [number for number in wanted if number not in there]


def start(
    condition: Condition, numbers: list[int], minutes: float, folder: Path, job: int
) -> subprocess.Popen:
    """A process of a condition's interpreter that judges some of its runs, one after another."""
    work = folder / f"{condition.name}-{job}"
    work.mkdir(parents=True, exist_ok=True)
    places = [str(HOUSE / "tests"), str(HOUSE / "tests" / "census")]
    task = {
        "folder": str(work),
        "rows": str(folder / "rows.jsonl"),
        "numbers": numbers,
        "minutes": minutes,
        "env": {"PYTHONPATH": os.pathsep.join(places)},
        "disturbance": condition.disturbance,
        "condition": condition.name,
        "lane": condition.lane,
    }
    (work / "job.json").write_text(json.dumps(task), encoding="utf-8")
    module = "training" if condition.lane == TRAINING else "inference"
    command = [condition.python, "-m", f"tests.census.{module}", str(work / "job.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": str(condition.threads)}
    return subprocess.Popen(command, cwd=HOUSE, env=environment)


def main(words: Sequence[str]) -> int:
    """Judge, count, and write what was counted."""
    asked = _arguments(words)
    rows, limit = asked.folder / "rows.jsonl", time.monotonic() + 60 * asked.minutes
    if asked.afresh:
        rows.unlink(missing_ok=True)
    if asked.forget:
        pages.forget(rows, asked.forget)
    for place, condition in enumerate(conditions()):
        numbers = missing(condition, place, pages.rows(rows))
        left = (limit - time.monotonic()) / 60
        if numbers and left > 0 and asked.only in condition.name:
            print(f"{condition.name}: {len(numbers)} runs", flush=True)
            ends = [len(numbers) * job // asked.jobs for job in range(asked.jobs + 1)]
            shares = [numbers[first:last] for first, last in zip(ends, ends[1:])]
            jobs = [
                start(condition, share, left, asked.folder, job) for job, share in enumerate(shares)
            ]
            for code in filter(None, [job.wait() for job in jobs]):
                print(f"{condition.name}: ended with exit code {code}", flush=True)
    found = pages.rows(rows)
    record.write(record.FILE, found)
    return _tell(found)


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.census", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="start no run after so many")
    parser.add_argument("--only", default="", help="a part of the names of conditions")
    parser.add_argument("--jobs", type=int, default=1, help="so many runs at the same time")
    parser.add_argument("--afresh", action="store_true", help="forget the runs of before")
    parser.add_argument(
        "--forget", default="", help="a clause whose counts begin anew: it was cured"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the rows are kept")
    return parser.parse_args(words)


def _tell(rows: list[dict]) -> int:
    alarms = [(row, alarm) for row in rows for alarm in row["alarms"]]
    for row, alarm in alarms:
        print(f"ALARM in {row['condition']} {row['number']}: {alarm['test']}: {alarm['reason']}")
    print(
        f"{len(rows)} clean runs, {len({row['number'] for row, _ in alarms})} of them with alarms"
    )
    return int(bool(alarms))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
