"""The must-run list: what each lane judges on a machine with everything, and what a run lacks of it.

`python -m plugins.books` (make books) writes it from what pytest collects and shows the difference,
which belongs in a review: a test that vanished or came in unnoticed makes a run INCOMPLETE.
"""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from plugins.failure import LabError
from plugins.ledger import DEVICELESS, Entry
from plugins.store import read_toml, write_atomically

if TYPE_CHECKING:
    import pytest

FILE = Path("conformance", "must_run.toml")
CURE = "review what changed, then run: make books"
HEAD = """\
# Written by `make books`, never by hand: what must run, on a machine that has everything.
# [lane."clause"], then "subject on backend" = its cases; `figures` says that each test records some,
# `deviceless` that each is in the lane and runs on no device of it.
"""
NO_LANE, NO_CASE, FIGURES, NO_DEVICE = "cpu", "-", "figures", "deviceless"
NOTES = {FIGURES: lambda one: one.measures, NO_DEVICE: lambda one: one.runtime in DEVICELESS}
NAMES_SHOWN, WIDTH = 5, 100

Test = tuple[str, str, str, str]  # lane, clause, "subject on backend", case


def key(entry: Entry) -> Test:
    """What a test is known by in the list."""
    who = f"{entry.subject} on {entry.backend}" if entry.backend else entry.subject
    return "+".join(entry.lanes) or NO_LANE, entry.clause, who, entry.case or NO_CASE


def faults(path: Path, entries: Iterable[Entry], lane: str = "") -> list[str]:
    """How the tests of a run differ from the list; one sentence each.

    Args:
        lane: compare the tests of this lane alone; all of them when empty.
    """
    if not path.is_file():
        return [f"{FILE}: there is no must-run list; {CURE}"]
    try:
        planned, noted = _planned(path)
    except LabError as error:
        return [str(error)]
    if not planned:
        return [f"{FILE}: is empty, and nothing would have to run; {CURE}"]
    return list(_differences(planned, noted[FIGURES], list(entries), lane))


def deviceless(path: Path) -> set[tuple[str, str]]:
    """The lanes and clauses of a list that run on no device; none where it cannot be read."""
    try:
        _, noted = _planned(path)
    except LabError:
        return set()  # said by faults
    return noted[NO_DEVICE]


def _differences(
    planned: Counter[Test], measuring: set[tuple[str, str]], entries: list[Entry], lane: str
) -> Iterator[str]:
    mine = [entry for entry in entries if not lane or lane in entry.lanes]
    found = Counter(map(key, mine))
    wanted = Counter(
        {one: n for one, n in planned.items() if not lane or lane in one[0].split("+")}
    )
    vanished, added = wanted - found, found - wanted
    if vanished:
        yield f"{_some(vanished)} did not come to run, and {FILE} plans it; restore it, or {CURE}"
    if added:
        yield f"{_some(added)} ran unplanned; {CURE}"
    known = {one[:2] for one in wanted}
    silent = {key(entry)[:2] for entry in mine if not entry.measures} & measuring & known
    for _, clause in sorted(silent):
        yield f"{clause} records no figures any more, and {FILE} plans them; {CURE}"


def _some(tests: Counter[Test]) -> str:
    """How many tests, and the first few of them by name."""
    total = sum(tests.values())
    names = [f"{clause} ({who}, {case})" for _, clause, who, case in sorted(tests)]
    more = f", {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{total} test{'s' * (total > 1)} ({'; '.join(names[:NAMES_SHOWN])}{more})"


def _planned(path: Path) -> tuple[Counter[Test], dict[str, set[tuple[str, str]]]]:
    """The tests of a list with their number, and the lanes and clauses that each note is of."""
    planned: Counter[Test] = Counter()
    noted: dict[str, set[tuple[str, str]]] = {note: set() for note in NOTES}
    for lane, clauses in read_toml(path).items():
        for clause, table in clauses.items():
            for who, cases in table.items():
                if who in NOTES:
                    noted[who] |= {(lane, clause)} if cases else set()
                else:
                    planned.update((lane, clause, who, case) for case in cases)
    return planned, noted


def text(entries: Iterable[Entry]) -> str:
    """The list of some tests as TOML, sorted, so that a difference shows what changed."""
    lanes: dict[tuple[str, str], dict[str, list[str]]] = {}
    unlike = set()
    for entry in entries:
        lane, clause, who, case = key(entry)
        lanes.setdefault((lane, clause), {}).setdefault(who, []).append(case)
        unlike |= {(note, lane, clause) for note, holds in NOTES.items() if not holds(entry)}
    lines = [HEAD]
    for (lane, clause), table in sorted(lanes.items()):
        lines.append(f"[{_quoted(lane) if '+' in lane else lane}.{_quoted(clause)}]")
        lines += [f"{note} = true" for note in NOTES if (note, lane, clause) not in unlike]
        lines += [line for who in sorted(table) for line in _lines(who, sorted(table[who]))]
        lines.append("")
    return "\n".join(lines)


def _lines(who: str, cases: list[str]) -> list[str]:
    """A list of cases on one line, or one to a line where they are too many for it."""
    line = f"{_quoted(who)} = [{', '.join(map(_quoted, cases))}]"
    if len(line) <= WIDTH:
        return [line]
    return [f"{_quoted(who)} = [", *(f"    {_quoted(case)}," for case in cases), "]"]


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def pytest_collection_finish(session: pytest.Session) -> None:
    """With `-p plugins.books`: enter what was collected in the list."""
    from plugins.clauses import LEDGER  # later than conftest.py, or pytest could not rewrite it

    path = session.config.rootpath / FILE
    write_atomically(path, text(session.config.stash[LEDGER]).encode("utf-8"))


def main() -> int:
    """Write the list and show what changed: 0 if nothing did, 1 if a review has to follow."""
    if os.environ.get("CI"):
        print(f"{FILE}: is not written while CI is set; run it where a person reviews the result")
        return 2
    before = _lines_of(FILE)
    words = ["-m", "pytest", "conformance", "--collect-only", "-q", "-p", "plugins.books"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    if done.returncode:
        print(f"conformance/ cannot be collected:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return 2
    change = list(difflib.unified_diff(before, _lines_of(FILE), lineterm="", n=1))
    print(*change, f"{FILE}: {'review this and commit it' if change else 'unchanged'}", sep="\n")
    return 1 if change else 0


def _lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


if __name__ == "__main__":
    sys.exit(main())
