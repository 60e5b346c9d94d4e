"""Workers that are kept warm for one session of the suite after another, each of which is a fork.

Starting two torch processes for each model file would take most of the time of judging it.
"""

from __future__ import annotations

from pathlib import Path

from plugins.drivers import lab
from plugins.drivers.process import Worker, WorkerRefused

SPARED = ("cacheprovider", "hypothesispytest", "unraisableexception")  # no part in this, and slow


class Workers:
    """The workers of all runs, by role."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict = {}

    def of(self, some: lab.Lab, role: str) -> Worker:
        """Stands in for Lab.worker, which also makes the folder of the run."""
        some.run.mkdir(parents=True, exist_ok=True)
        return self[role]

    def __getitem__(self, role: str) -> Worker:
        return self.running.setdefault(role, Worker(role, log=self.folder / f"{role}.log"))

    def wake(self) -> None:
        """Start them, or start them again: the first question does it, and this one is harmless."""
        for role in ("export", "infer"):
            try:
                self[role].call("none")
            except WorkerRefused:
                pass

    def inherit(self) -> None:
        """In a fork: they are no children of this process, which therefore cannot ask after them."""
        for worker in self.running.values():
            worker._process.poll = lambda: None

    def close(self) -> None:
        for worker in self.running.values():
            worker.close()

    def attach(self) -> None:
        """Every Lab of this process, and of its forks, takes its workers from here."""
        lab.Lab.worker = lambda some, role: self.of(some, role)
        lab.Lab.close = lambda some: None
