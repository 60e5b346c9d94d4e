"""Sessions of the suite as forks of a process that has imported and started what takes long."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.bite.fault import Alarm
from tests.gate import SPARED

REFUSAL = "ERROR: "
FINE = ("passed", "skipped", "deselected", "waived")


class NoVerdict(RuntimeError):
    """A session ended before it could judge; `sentence` is what it refused to go on with, if it did."""

    def __init__(self, log: Path) -> None:
        said = log.read_text(encoding="utf-8", errors="replace").strip()
        super().__init__(f"{log}: the session left no verdict: {said[-500:]}")
        refusals = [line for line in said.splitlines() if line.startswith(REFUSAL)]
        self.sentence = refusals[-1][len(REFUSAL) :] if refusals else ""


def verdict(
    words: Sequence[str], artifacts: Path, log: Path, plugins: Sequence = (), prepare=lambda: None
) -> dict:
    """The verdict.json of one session in a fork.

    Args:
        words: pytest's arguments.
        artifacts: as of --artifacts.
        log: what the session prints.
        plugins: given to pytest.main.
        prepare: called in the fork before the session begins.

    Raises:
        NoVerdict: it left none.
    """
    runs = artifacts / "runs"
    spared = [word for one in SPARED for word in ("-p", f"no:{one}")]
    given = ["-q", f"--artifacts={artifacts}", *spared, *words]

    def session() -> int:
        prepare()
        return pytest.main(given, plugins=list(plugins))

    earlier = set(runs.glob("*/verdict.json"))
    os.waitpid(forked(session, log), 0)
    written = {path.resolve() for path in set(runs.glob("*/verdict.json")) - earlier}
    if not written:
        raise NoVerdict(log)
    return json.loads(min(written).read_text(encoding="utf-8"))


def forked(action: Callable[[], int], log: Path | None = None) -> int:
    """Do something in a fork that ends with what it returns, and prints to a log if there is one.

    The process id of the fork is returned.
    """
    process = os.fork()
    if process:
        return process
    code = 1  # whatever happens, this process must not go on as the one that it was forked from
    try:
        if log:
            write_to(log)
        code = int(action())
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        finally:
            os._exit(code)


def alarms(verdict: dict) -> list[Alarm]:
    """The tests of a verdict that are not green, in the order in which they ran."""
    return [
        Alarm(test["clause"], test["outcome"], test["reason"])
        for test in verdict["tests"]
        if test["outcome"] not in FINE
    ]


def decided(verdict: dict) -> int:
    """How many tests of a verdict were judged."""
    return sum(test["outcome"] not in ("skipped", "deselected") for test in verdict["tests"])


def write_to(log: Path) -> None:
    """Standard output and error of this process go to a file from now on.

    Python's two streams are made anew: those of a process under pytest are files of its capture.
    """
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = open(1, "w", 1, closefd=False), open(2, "w", 1, closefd=False)
