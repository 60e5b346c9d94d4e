"""The bench of exported files: each is built with one fault in it and judged through --model-ts.

Starting two torch processes for each file would take most of the time, so the workers are started
once, and each session of the suite is a fork that finds them running.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

from plugins import contracts
from plugins.drivers.ops_library import ensure_library
from plugins.drivers.process import Worker
from tests.bite import sessions
from tests.bite.fault import Alarm, Fault
from tests.bite.models_of_files import FILES
from tests.bite.models_of_formats import FORMATS
from tests.bite.models_of_networks import NETWORKS
from tests.bite.models_that_are_good import TWINS  # noqa: F401  (read by benches.py)
from tests.gate import Workers

FAULTS = [*FORMATS, *NETWORKS, *FILES]
HOUSE = Path(__file__).resolve().parents[2]
SUBJECT = "retinanet_shapes"
CHAPTERS = [f"conformance/test_{name}.py" for name in ("export", "outputs", "numerics", "compile")]
# A scene at each size decides. What needs detectron2 is not about a file, and a fresh process for
# each file would take longer than everything else.
SELECTION = (
    "not detectron2 and not fresh_process and (scene or heap or test_export or test_compile)"
)


class Bench:
    """Builds tests/faulty_models.py's file of a name and runs the chapters about a file on it."""

    judged = 0

    def __init__(self, folder: Path) -> None:
        self.folder, self.workers = folder, Workers(folder)
        path = str(HOUSE / "tests")
        self.builder = Worker("faulty_models", log=folder / "build.log", env={"PYTHONPATH": path})
        self.subject = _subject(folder)

    def __enter__(self) -> Bench:
        self.workers.attach()
        return self

    def __exit__(self, *exc: object) -> None:
        self.builder.close()
        self.workers.close()

    def judge(self, fault: Fault | None) -> list[Alarm]:
        """The alarms of one file; the clean twin is the suite's own export, without a fault."""
        name = fault.name if fault else "own"
        self.builder.call("build", names=[name], folder=str(self.folder), **self.subject)
        self.workers.wake()
        model = self.folder / f"{name}.ts"
        words = [*CHAPTERS, "-k", SELECTION, "--model-ts", str(model)]
        artifacts, log = self.folder / "artifacts", self.folder / f"{name}.log"
        try:
            verdict = sessions.verdict(words, artifacts, log, prepare=self.workers.inherit)
        except sessions.NoVerdict as error:
            if not error.sentence:
                raise
            return [Alarm("gate.usage", "refused", error.sentence)]
        finally:
            shutil.rmtree(model) if model.is_dir() else model.unlink(missing_ok=True)
            shutil.rmtree(artifacts / "runs", ignore_errors=True)
        self.judged = sessions.decided(verdict)
        return sessions.alarms(verdict)


def _subject(folder: Path) -> dict:
    """What faulty_models.build wants to know."""
    contract = contracts.load_all()[SUBJECT]
    library = ensure_library(sys.executable, log=folder / "ops.log", tell=lambda line: None)
    return {
        "spec": dataclasses.asdict(contract.architecture),
        "recipe": dataclasses.asdict(contract.recipe),
        "weights": {"kind": contract.weights.kind, "path": str(HOUSE / contract.weights.path)},
        "sizes": [size.side for size in contract.input.sizes],
        "library": str(library),
    }
