"""Runs the gate on one model file after another: python gate.py JOB.json, which names everything.

Starting two torch processes for each file would take most of the time, so the workers are started
once, and each run of pytest is a fork that finds them running.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from plugins.drivers import lab
from plugins.drivers.process import Worker, WorkerRefused

CHAPTERS = [f"conformance/test_{name}.py" for name in ("export", "outputs", "numerics", "compile")]
# A scene at each size decides. What needs detectron2 is not about a file, and a fresh process for
# each file would take longer than everything else.
SELECTION = (
    "not detectron2 and not fresh_process and (scene or heap or test_export or test_compile)"
)
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


def main(job: dict) -> None:
    """Build the models, judge each, and write {name: verdict.json} to the file `job["out"]`."""
    folder = Path(job["folder"])
    with Worker("faulty_models", log=folder / "build.log", env=job["env"]) as builder:
        builder.call("build", names=job["names"], folder=job["folder"], **job["subject"])
    workers = Workers(folder)
    lab.Lab.worker = lambda self, role: workers.of(self, role)
    lab.Lab.close = lambda self: None
    verdicts = {}
    try:
        for name in job["names"]:
            workers.wake()
            verdicts[name] = judge(folder, name, workers)
    finally:
        workers.close()
    Path(job["out"]).write_text(json.dumps(verdicts))


def judge(folder: Path, name: str, workers: Workers) -> dict:
    """One run of the suite in a fork; its verdict.json."""
    artifacts = folder / "artifacts"
    process = os.fork()
    if not process:
        log = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        workers.inherit()
        model = str(folder / f"{name}.ts")
        words = ["-q", "-k", SELECTION, "--model-ts", model, "--artifacts", str(artifacts)]
        words += [word for name in SPARED for word in ("-p", f"no:{name}")]
        os._exit(int(pytest.main([*CHAPTERS, *words])))
    os.waitpid(process, 0)
    runs = sorted(
        (artifacts / "runs").glob("*/verdict.json"), key=lambda path: path.stat().st_mtime_ns
    )
    return json.loads(runs[-1].read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
