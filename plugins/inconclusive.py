"""An inconclusive outcome ages: a small record of since when each test has been without an answer.

The record lies with the artifacts of the machine, because only it knows its own runs. A gate needs no
record: under --require an inconclusive test is a hole at once.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from plugins import ledger
from plugins.ledger import Entry
from plugins.store import write_atomically

NAME = "inconclusive.json"
MIDNIGHT = datetime.timedelta(days=1)  # which may pass while a run waits for another's turn


def overdue(
    path: Path, entries: Iterable[Entry], *, days: int, today: datetime.date, of: str = ""
) -> list[str]:
    """Bring the record up to date; say which tests have been inconclusive for more than `days`.

    Args:
        path: the record, a JSON object: test -> the day on which it was first inconclusive.
        of: what was judged, if not the suite's own models; each has an age of its own.
    """
    with _alone(path):
        return _brought_up(path, entries, days, today, of)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One run after another: each reads the record, changes it and writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f".{path.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _brought_up(
    path: Path, entries: Iterable[Entry], days: int, today: datetime.date, of: str
) -> list[str]:
    try:
        since = _read(path)
    except ValueError:
        return [f"{path}: is no record of days; delete it"]
    if any(day > today + MIDNIGHT for day in since.values()):
        return [f"{path}: a day of it lies in the future, so the clock was wrong; delete it"]
    before, late = dict(since), []
    for entry in entries:
        name = f"{entry.nodeid} {of}".strip()
        if entry.outcome in ledger.JUDGED:
            since.pop(name, None)
        elif entry.outcome == ledger.INCONCLUSIVE:
            age = (today - since.setdefault(name, today)).days
            late += [_sentence(entry, age, days)] if age > days else []
    if since != before:
        days_as_text = {name: day.isoformat() for name, day in sorted(since.items())}
        write_atomically(path, json.dumps(days_as_text, indent=1).encode("utf-8"))
    return late


def _read(path: Path) -> dict[str, datetime.date]:
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(path)
    return {name: datetime.date.fromisoformat(str(day)) for name, day in content.items()}


def _sentence(entry: Entry, age: int, days: int) -> str:
    return (
        f"{entry.title()}: inconclusive for {age} days, and {days} are allowed"
        f" (inconclusive_days in waivers.toml): {entry.reason}"
    )
