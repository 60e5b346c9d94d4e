"""The bench of the trainer: each rank is a faulty trainer, and the training lane judges the runs.

torch is imported once; each session of the suite is a fork, and so is each rank. Runs that a fault
cannot touch are the clean twin's: see tests/training_gate.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from tests.bite import sessions
from tests.bite.fault import Alarm, Fault
from tests.bite.trainer_rows import CAUGHT, MISSED, QUICK, QUICK_ROWS
from tests.bite.trainer_words import BREAKS
from tests.faulty_training import GOOD, PLACES


def _fault(name: str, place: str, clause: str, words: str, missed: str = "") -> Fault:
    breaks, *kin = BREAKS[name]
    quick = name in QUICK_ROWS and place in QUICK
    clause = f"training.{clause}" if clause else ""
    return Fault(f"{name}.{place}", breaks, clause, words, tuple(kin), missed, quick)


def _rows() -> list[Fault]:
    """One for each fault in a place; where two clauses must fail, the second has its name added."""
    faults: dict[str, Fault] = {}
    for name, place, clause, words in CAUGHT:
        one = _fault(name, place, clause, words)
        if one.name in faults:
            one = _fault(name, f"{place}.{clause}", clause, words)
        faults[one.name] = one
    for name, place, why in MISSED:
        one = _fault(name, place, "", "", why)
        faults[one.name] = one
    return list(faults.values())


FAULTS = _rows()


class Bench:
    """Trains with a fault seeded and judges what the runs left, all clauses of its place."""

    judged = 0

    def __init__(self, folder: Path) -> None:
        self.folder, self.places = folder, list(PLACES)
        self.verdicts: dict[tuple[str, str], list[Alarm]] = {}
        self.clauses: set[str] = set()
        (folder / "twin").mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Bench:
        self.gate = importlib.import_module("tests.training_gate")  # and with it torch
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def prepare(self, faults: list[Fault]) -> None:
        """The clean twin is judged in the places where something will be looked for."""
        self.places = list(dict.fromkeys(fault.name.split(".")[1] for fault in faults))

    def judge(self, fault: Fault | None) -> list[Alarm]:
        """The alarms of one fault in its place; the clean twin's of all places, and it comes first."""
        if fault is None:
            return [*self._session(GOOD, self.places), *self._silent()]
        name, place, *_ = fault.name.split(".")
        if (name, place) not in self.verdicts:
            self.verdicts[name, place] = self._session(name, [place])
        return self.verdicts[name, place]

    def _session(self, name: str, places: list[str]) -> list[Alarm]:
        gate = self.gate
        session = gate.Session(name, [PLACES[place] for place in places], self.folder / "twin")

        def prepare() -> None:
            gate.agents.start, gate.lane.launch = gate.Agent, session.launch

        words = [*gate.CHAPTERS, "--benchmark"]
        words += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # we hold the lane already
        log = self.folder / f"{name}.{'.'.join(places)[:40]}.log"
        verdict = sessions.verdict(words, self.folder / "artifacts", log, [session], prepare)
        self.judged = sessions.decided(verdict)
        self.clauses = {test["clause"] for test in verdict["tests"]}
        return sessions.alarms(verdict)

    def _silent(self) -> Iterator[Alarm]:
        """Clauses of the places that judged nothing: what they say of a fault would mean nothing."""
        wanted = {f"training.{clause}" for place in self.places for clause in PLACES[place].clauses}
        for clause in sorted(wanted - self.clauses):
            yield Alarm(clause, "not run", "the clean twin was not judged by it")
