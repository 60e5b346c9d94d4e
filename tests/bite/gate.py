"""The bench of the gate: small projects, certificates and CI pages with one thing wrong in each.

Each row is really seeded and judged by the real plugins in a session of its own. An alarm is whatever
turns it red; its clause is the rule: see `rules`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.bite import (
    gate_books,
    gate_certificate,
    gate_ci,
    gate_golden,
    gate_machine,
    gate_sessions,
    gate_timing,
    gate_waivers,
)
from tests.bite.fault import Alarm, Fault
from tests.bite.project import Project

PARTS = (
    gate_books,
    gate_sessions,
    gate_timing,
    gate_waivers,
    gate_golden,
    gate_certificate,
    gate_ci,
    gate_machine,
)
SEEDS = {fault.name: seed for part in PARTS for fault, seed in part.SEEDS.all}
FAULTS = [fault for part in PARTS for fault, _ in part.SEEDS.all if fault not in part.SEEDS.good]
TWINS = [fault for part in PARTS for fault in part.SEEDS.good]


class Bench:
    """Makes a project for each fault and lets the seed break it and run it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.judged = folder, 0

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def judge(self, fault: Fault | None) -> list[Alarm]:
        """The alarms of one seed; the clean twin is a gate with all that it needs, and nothing wrong."""
        name, seed = (fault.name, SEEDS[fault.name]) if fault else ("clean", gate_books.clean)
        root = self.folder / name
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        try:
            alarms = list(seed(Project(root)))
        finally:
            shutil.rmtree(root, ignore_errors=True)
        self.judged = 1
        return alarms
