"""Seed every fault for real and see who catches it: `make bite`, `make bite ARGS="-k nms"`.

    python -m tests.bite [-k EXPRESSION] [--fresh] [--jobs 2] [--out FILE]

What was found out before is not asked again while the suite is the same; Ctrl-C loses nothing. A run
over everything writes golden/evidence/faults.json. The exit code is 0 if each fault was caught by the
clause that is there for it, or is declared as missed, and if no clean twin raised an alarm.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from _pytest.mark.expression import Expression, ParseError

from tests.bite import benches, catalogue, children, evidence, scoring, tables
from tests.bite.benches import Row
from tests.bite.fault import Alarm
from tests.bite.memory import HOUSE, Memory

ARTIFACTS, EVIDENCE = HOUSE / ".artifacts" / "bite", HOUSE / "golden" / "evidence" / "faults.json"
INTERRUPTED = 130
Judged = dict  # Row -> its result


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if all is as declared, 1 if not, 2 if a bench broke, 130 after Ctrl-C, 4 for wrong usage."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # CI cancels a job with it
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # which a job in the background ignores
    everything = [row for place in benches.PLACES for row in benches.rows(place)]
    try:
        chosen = select(everything, given.k)
    except ParseError as error:
        print(f"-k: {error}; write words with and, or, not")
        return 4
    if not chosen:
        print(f"-k: nothing is called {given.k!r}; names are 'layer/name'")
        return 4
    memory = Memory(given.artifacts / "rows.jsonl")
    known = {} if given.fresh else {row: memory.get(row) for row in chosen if memory.get(row)}
    try:
        found = judge(chosen, known, memory, given.artifacts / "work", given.jobs)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here")
        return INTERRUPTED
    return conclude(chosen, found, given.out, whole=len(chosen) == len(everything))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bite", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="as pytest's, on layer/name")
    parser.add_argument(
        "--fresh", action="store_true", help="judge again what is known from before"
    )
    parser.add_argument("--jobs", type=int, default=2, help="benches side by side (default: 2)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the evidence of a part too")
    parser.add_argument("--artifacts", type=Path, default=ARTIFACTS, help=argparse.SUPPRESS)
    return parser


def select(rows: Sequence[Row], expression: str) -> list[Row]:
    """The rows that an expression fits, with the clean twin of each bench that has one of them."""
    if not expression:
        return list(rows)
    fits = Expression.compile(expression).evaluate
    chosen = [row for row in rows if fits(lambda word, row=row: word.lower() in row.id.lower())]
    places = {row.place for row in chosen}
    twins = [row for row in rows if row.fault == benches.CLEAN and row.place in places]
    return [row for row in rows if row in twins or row in chosen]


def judge(rows: Sequence[Row], known: Judged, memory: Memory, folder: Path, jobs: int) -> Judged:
    """The result of each row, known or by its bench; prints each as it comes, and remembers it."""
    if known:
        print(f"{len(known)} of {len(rows)} rows are known from before", flush=True)
    clock = tables.Progress(rows, known, memory.pace(), jobs)
    by_place = [[row for row in rows if row.place == place] for place in benches.PLACES]
    work = [_owed(some, known) for some in by_place]
    for row, result in children.results([some for some in work if some], folder, jobs):
        known[row] = result
        memory.add(row, result)
        print(clock.line(row, result), flush=True)
    return {row: known[row] for row in rows}


def _owed(rows: list[Row], known: Judged) -> list[Row]:
    """What a bench has still to judge; its clean twin always comes along, for the others need it."""
    left = [row for row in rows if row not in known]
    twin = [row for row in rows if row.fault == benches.CLEAN and row not in left]
    return twin + left if left else []


def conclude(rows: Sequence[Row], found: Judged, out: Path | None, *, whole: bool) -> int:
    """Print the table, write the evidence of a whole run, and say how it ended."""
    scores = {row: scored(row, found[row]) for row in rows if "broken" not in found[row]}
    for line in tables.summary(rows, found, scores):
        print(line)
    broken = [row.id for row in rows if row not in scores]
    gaps = catalogue.faults(rows) if whole else []
    for line in (*(f"the bench broke: {name}" for name in broken), *gaps):
        print(line)
    if (whole or out) and not broken:
        path = evidence.write(out or EVIDENCE, rows, found, scores)
        print(f"written: {path}")
    bad = gaps or not all(score.good for score in scores.values())
    return 2 if broken else 1 if bad else 0


def scored(row: Row, result: dict) -> scoring.Score:
    """The score of a result."""
    return scoring.score(row, [Alarm(*one) for one in result["alarms"]])


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = spent.ru_utime + spent.ru_stime
    print(f"{time.monotonic() - began:.0f} s, {cpu:.0f} CPU seconds")
    sys.exit(code)
