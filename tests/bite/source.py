"""The bench of source: one piece of the inference lane's own text is another, and the suite runs on it.

The house is copied once. A fault changes the copy, real chapters of the suite judge it there, and
every session and every worker is a fork of one process that has torch in memory but no module of ours.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from tests.bite import sessions, source_forks, source_library
from tests.bite.fault import Alarm, Fault
from tests.bite.source_faults_boxes import BACK
from tests.bite.source_faults_clock import CLOCK
from tests.bite.source_faults_emulator import EMULATOR
from tests.bite.source_faults_evaluator import EVALUATOR
from tests.bite.source_faults_export import EXPORT
from tests.bite.source_faults_images import IMAGES
from tests.bite.source_faults_nms import NMS
from tests.bite.source_faults_operators import OPERATORS
from tests.bite.source_faults_results import RESULTS
from tests.bite.source_faults_runner import RUNNER
from tests.bite.source_house import Copy, Seed
from tests.bite.source_twins import GOOD

SMALL = "not r50 and not detectron2"
FEW = " and ".join(f"not {name}" for name in "black white wide tall grey cmyk exif crowd".split())
MAP = "map_on_the_synthetic or every_image_of_the_set"
# What judges a layer: always the same chapters and cases, of the subject that costs little. A fresh
# process where nothing is saved, and the paired accuracy, would take longer than all the rest.
LAYERS: dict[str, tuple[str, ...]] = {
    "emulator": (
        *("-k", f"{SMALL} and {FEW} and not reference and not 4240 and not batch_nms and not roi"),
        *("outputs", "numerics", "compile", "ops"),
    ),
    "operators": ("-k", "not 4240 and not device", "ops"),
    "export": ("-k", f"{SMALL} and {FEW} and not aie", "export", "outputs", "numerics"),
    "runner": ("-k", f"{SMALL} and {FEW}", "outputs", "numerics", "compile", "results", "pipeline"),
    "images": ("-k", f"{SMALL} and not aie", "pipeline", "results"),
    "result files": ("-k", SMALL, "results"),
    "evaluator": ("-k", MAP, "--override-ini=devices=0 1", "accuracy"),
    "clock": ("-k", SMALL, "--benchmark", "throughput"),
}
SEEDS: dict[str, list[Seed]] = {
    "emulator": [*NMS, *EMULATOR],
    "operators": OPERATORS,
    "export": EXPORT,
    "runner": RUNNER,
    "images": [*IMAGES, *BACK],
    "result files": RESULTS,
    "evaluator": EVALUATOR,
    "clock": CLOCK,
}
FAULTS = {layer: [one.fault for one in seeds] for layer, seeds in SEEDS.items()}
TWINS = [one.fault for some in GOOD.values() for one in some]
PLANTED = {
    one.fault.name: (layer, one.edits)
    for table in (SEEDS, GOOD)
    for layer, some in table.items()
    for one in some
}


class Bench:
    """Plants a fault in the copy and runs the chapters of its layer there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.copy = Path(folder).resolve(), Copy(Path(folder).resolve() / "house")
        self.library = source_library.Library(self.folder / "library", self.copy.root)
        self.judged, self.layers = 0, list(LAYERS)

    def prepare(self, faults: list[Fault]) -> None:
        """The clean twin is judged in the layers of these faults alone, or of all if there are none."""
        asked = {PLANTED[fault.name][0] for fault in faults}
        self.layers = [layer for layer in LAYERS if layer in asked] or list(LAYERS)

    def __enter__(self) -> Bench:
        shutil.rmtree(self.copy.root, ignore_errors=True)
        self.copy.make()
        source_forks.import_what_takes_long()
        return self

    def __exit__(self, *exc: object) -> None:
        shutil.rmtree(self.copy.root, ignore_errors=True)

    def judge(self, fault: Fault | None) -> list[Alarm]:
        """The alarms of one fault; the clean twin is the untouched copy, in the chapters of the layers."""
        self.judged = 0
        if fault is None:
            return [alarm for layer in self.layers for alarm in self._run(layer, f"clean-{layer}")]
        layer, edits = PLANTED[fault.name]
        self.copy.plant(edits)
        try:
            built = self.library.build(edits)
            return self._run(layer, fault.name, built)
        finally:
            self.copy.weed(edits)

    def _run(self, layer: str, name: str, library: Path | None = None) -> list[Alarm]:
        """One session in the copy; a session that leaves no verdict is an alarm too."""

        def prepare() -> None:
            self.copy.enter()
            source_forks.adopt_workers()
            if library:
                source_library.use(library)

        artifacts, log = self.folder / "artifacts", self.folder / f"{name}.log"
        try:
            verdict = sessions.verdict(words(layer), artifacts, log, prepare=prepare)
        except RuntimeError as error:
            return [Alarm("gate", "no verdict", str(error).splitlines()[-1])]
        finally:
            shutil.rmtree(artifacts / "runs", ignore_errors=True)
        self.judged += sessions.decided(verdict)
        return [self._plain(alarm) for alarm in sessions.alarms(verdict)]

    def _plain(self, alarm: Alarm) -> Alarm:
        """Without the place on this machine where the copy lies."""
        return replace(alarm, line=alarm.line.replace(f"{self.folder}/", ""))


def words(layer: str) -> list[str]:
    """pytest's arguments for a layer."""
    given = LAYERS[layer]
    plain = {"-k", given[given.index("-k") + 1]}
    return [
        word if word in plain or word.startswith("-") else f"conformance/test_{word}.py"
        for word in given
    ]
