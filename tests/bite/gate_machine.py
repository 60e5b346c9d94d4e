"""Faults of the machine that a gate runs on: no room, no permission, a killed run, two runs at once."""

from __future__ import annotations

import resource
import signal
import time
from pathlib import Path

from tests.bite.gate_books import GATE, closed
from tests.bite.gate_rules import Seeds, alarms
from tests.bite.project import Project, Running, run
from tests.test_closed_books import CPU, DEVICE

SEEDS = Seeds()
ROOM = 6144  # bytes that a file may have on the disk that is nearly full
WAIT_S = 30.0
BEGIN = 'open("begun", "w").close(); import time'
BAD = """
@pytest.mark.clause("outputs.layout")
def test_layout(): raise CheckFailure("swapped", expected="(100, 4)", actual="(4, 100)")
"""


def small_disk() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))


@SEEDS.fault(
    "full_disk",
    "the disk is full when the verdict is written",
    "gate.exit",
    "File too large",
    "CI7",
)
def full_disk(project):
    return alarms(run(closed(project), *GATE, prepare=small_disk))


@SEEDS.fault(
    "read_only_artifacts",
    "nothing can be written where runs leave things",
    "gate.exit",
    "/sys/none",
    "CI7",
)
def read_only_artifacts(project):
    return alarms(run(closed(project), *GATE, "--artifacts=/sys/none"))


@SEEDS.fault(
    "artifacts_are_a_file", "a file lies where runs leave things", "gate.exit", "artifacts", "CI7"
)
def artifacts_are_a_file(project):
    project.write("artifacts", "")
    return alarms(run(closed(project), *GATE, "--artifacts=artifacts"))


def waiting(project: Project, *words: object, **how: object) -> Running:
    """A run whose test has begun: it leaves the file `begun`."""
    running, limit = Running(project, *words, **how), time.monotonic() + WAIT_S
    while not Path(project.root, "begun").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    return running


def begun(project: Project) -> Running:
    """A run in the middle of a test; an earlier one was green."""
    closed(project)
    assert run(project, *GATE).code == 0
    project.chapter(CPU + DEVICE.replace("pass", f"{BEGIN}; time.sleep(60)"))
    return waiting(project, *GATE)


@SEEDS.fault(
    "killed",
    "a run is killed, and the verdict of the last one is still there",
    "gate.killed",
    "ended by signal 9",
    "ST1",
    quick=True,
)
def killed(project):
    return alarms(begun(project).end(signal.SIGKILL))


@SEEDS.fault(
    "interrupted", "a run is interrupted in its middle", "gate.verdict", "interrupted", "CI2"
)
def interrupted(project):
    return alarms(begun(project).end(signal.SIGINT))


@SEEDS.fault(
    "terminated", "a job is cancelled by SIGTERM", "gate.killed", "ended by signal 15", "ST1"
)
def terminated(project):
    return alarms(begun(project).end(signal.SIGTERM))


def at_once(project: Project, body: str):
    """Two runs of one house: the second is green, and ends while the first, on `body`, goes on."""
    project.chapter(body)
    first = waiting(project, closed=False)
    project.chapter(CPU)
    second = run(project, closed=False)
    return [*alarms(first.end()), *alarms(second)]


@SEEDS.twin("two_runs", "two runs at once")
def two_runs(project):
    return at_once(project, CPU.replace("pass", f"{BEGIN}; time.sleep(2)"))


@SEEDS.fault(
    "two_at_once",
    "a green run ends while a red one goes on",
    "outputs.layout",
    "swapped",
    "RT8",
    "ST4",
)
def two_at_once(project):
    return at_once(project, CPU + BAD.replace("raise", f"\n    {BEGIN}; time.sleep(2)\n    raise"))


@SEEDS.fault(
    "other_locale",
    "a failure under another language and encoding",
    "outputs.layout",
    "swapped",
    "CI13",
)
def other_locale(project):
    env = {"LC_ALL": "C", "LANG": "tr_TR", "PYTHONUTF8": "0", "TZ": "Pacific/Kiritimati"}
    project.chapter(CPU + BAD.replace("swapped", "swapped \\u2014 \\u00e9"))
    return alarms(run(project, closed=False, env=env))


@SEEDS.twin("locale", "a run under another language and encoding")
def locale(project):
    env = {"LC_ALL": "C", "LANG": "tr_TR", "PYTHONUTF8": "0", "TZ": "Pacific/Kiritimati"}
    return alarms(run(closed(project), *GATE, env=env))
