"""A subject at work: on the CPU or compiled for the NPU, on one image or on many."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np

from plugins.drivers.cache import arrays_digest, file_digest
from plugins.drivers.forwards import FROM_CACHE, kept
from plugins.drivers.process import Reply, WorkerFailed, WorkerRefused, WorkerUnfit

if TYPE_CHECKING:
    from plugins.drivers.subject import Picture, Subject

FOUND = ("boxes", "labels", "scores")
OPEN_LIMIT_S, RUN_LIMIT_S = 900.0, 600.0
IMAGE_LIMIT_S = 60.0  # of one image of many: ten times what the emulator takes on a slow machine


def set_name(subject: Subject, backend: str, paths: Sequence[Path]) -> str:
    """What the detections on some images are called among a run's hashes."""
    return f"detections of {subject.id} on {backend}, {len(paths)} images from {paths[0].name}"


class Runs:
    """What the infer worker does with a subject's file.

    Backends: `reference` is TorchScript on the CPU, `aie` the module that torch_aie compiled.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject, self.lab = subject, subject.lab
        self._told: set = set()

    def open(self, backend: str, side: int) -> dict:
        """Make a backend ready for one input side; compiles for the NPU.

        Asked before each use: the worker, which may be a new one, knows best what it holds.
        """
        if backend == "aie" and side not in self._told:
            self._told.add(side)
            self.lab.tell(f"compiling {self.subject.id} at {side}x{side}")
        return self._call(
            "open",
            side,
            timeout=OPEN_LIMIT_S,
            backend=backend,
            library=self.lab.library("infer"),
            options=self.subject.contract.compile.options(),
        ).result

    def outputs(self, backend: str, picture: Picture) -> list[np.ndarray]:
        """The outputs for one image, in the file's order; computed once in a session."""

        def run() -> list[np.ndarray]:
            found, known = self._kept(backend, picture)
            name = f"outputs of {self.subject.id} on {backend} for {picture.name}"
            self.lab.record(name + FROM_CACHE * known, arrays_digest(found))
            return found

        return self.subject.once(("run", backend, picture), run)

    def _kept(self, backend: str, picture: Picture) -> tuple[list[np.ndarray], bool]:
        """The outputs, and whether the cache had them."""

        def make() -> dict[str, np.ndarray]:
            return named(self.again(backend, picture))

        inputs = ["prepared", arrays_digest([self.subject.prepared(picture)[0]])]
        found, known = kept(self.subject, backend, picture.side, inputs, make)
        return ordered(found), known

    def again(
        self,
        backend: str,
        picture: Picture,
        image: Optional[np.ndarray] = None,
        *,
        strided: bool = False,
    ) -> list[np.ndarray]:
        """As `outputs`, really run; with another input, or with one of unusual strides."""
        self.open(backend, picture.side)
        image = self.subject.prepared(picture)[0] if image is None else image
        arrays = {"image": image}
        reply = self._call("run", picture.side, backend=backend, arrays=arrays, strided=strided)
        return ordered(reply.arrays)

    def refusal(self, backend: str, picture: Picture) -> str:
        """What an opened model says to an input of twice the size; empty if it does not mind.

        (One of half the size has too few anchors for topk, which would refuse it in any case.)
        """
        double = np.tile(self.subject.prepared(picture)[0], (1, 1, 2, 2))
        return attempt(lambda: self.again(backend, picture, double))[1]

    def held(self, picture: Picture) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """One image's device outputs, read late (other images ran meanwhile) and read at once."""
        self.open("aie", picture.side)
        arrays = {"image": self.subject.prepared(picture)[0]}
        found = self._call("hold_outputs", picture.side, arrays=arrays).arrays
        late, early = (
            [found[f"{when}_{i}"] for i in range(len(found) // 2)] for when in ("after", "before")
        )
        return late, early

    def saved(self, picture: Picture) -> list[np.ndarray]:
        """Save the compiled module, load it in a fresh process and run one image there."""
        self.open("aie", picture.side)
        path = self.lab.run / f"{self.subject.id}-{picture.side}.compiled.ts"
        self._call("save_compiled", picture.side, out=str(path))
        name = f"compiled model of {self.subject.id} at {picture.side}"
        self.lab.record(name, file_digest(path))
        try:
            with self.lab.fresh("infer", "saved") as worker:
                reply = worker.call(
                    "run_compiled",
                    timeout=OPEN_LIMIT_S,
                    path=str(path),
                    library=self.lab.library("infer"),
                    arrays={"image": self.subject.prepared(picture)[0]},
                )
        finally:
            path.unlink()
        return ordered(reply.arrays)

    def detect(self, backend: str, paths: list[Path], results: Optional[Path] = None) -> dict:
        """Detections for many image files, streamed; see workers/infer.py for the arrays.

        Args:
            results: an empty folder for the source's .bin triples.
        """
        side = self.subject.contract.input.sizes[0].side
        self.open(backend, side)
        found = self._call(
            "detect",
            side,
            timeout=OPEN_LIMIT_S + IMAGE_LIMIT_S * len(paths),
            backend=backend,
            paths=[str(path) for path in paths],
            preprocess=self.subject.contract.input.preprocess(side),
            results=str(results or ""),
        ).arrays
        if not results:
            name = set_name(self.subject, backend, paths)
            self.lab.record(name, arrays_digest(found[key] for key in FOUND))
        return found

    def read_results(self, folder: Path, stems: list[str]) -> dict[str, np.ndarray]:
        """A result folder as the source's post-processing reads it."""
        return self.lab.call("infer", "read_results", folder=str(folder), stems=stems).arrays

    def hold(self, picture_paths: list[Path]) -> None:
        """Prepare the images that timed steps take turns with."""
        side = self.subject.contract.input.sizes[0].side
        rule = self.subject.contract.input.preprocess(side)
        self.lab.call("infer", "hold", paths=[str(p) for p in picture_paths], preprocess=rule)

    def step(self, backend: str, turn: int) -> list[float]:
        """One step on a held image at batch 1: seconds of copy in, compute and copy out."""
        return self.timed(backend, turn)["seconds"]

    def timed(self, backend: str, turn: int) -> dict:
        """As `step`, with the image's number, its detections, and the seconds that passed here."""
        side = self.subject.contract.input.sizes[0].side
        began = time.monotonic()
        found = self._call("step", side, backend=backend, turn=turn).result
        return {**found, "passed": time.monotonic() - began}

    def refilled(self, backend: str, paths: list[Path], results: Path) -> str:
        """What a run says to a folder that holds results already; empty if it does not mind."""
        return attempt(lambda: self.detect(backend, paths, results=results))[1]

    def unread(self, folder: Path, stems: list[str]) -> str:
        """What reading a result folder says to it; empty if it is read."""
        return attempt(lambda: self.read_results(folder, stems))[1]

    def _call(self, op: str, side: int, timeout: float = RUN_LIMIT_S, **arguments) -> Reply:
        shape = self.subject.contract.input.shape(side)
        path = str(self.subject.model())
        return self.lab.call("infer", op, timeout=timeout, path=path, shape=shape, **arguments)


def ordered(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """output_0, output_1, ... as a list."""
    return [arrays[f"output_{i}"] for i in range(len(arrays))]


def named(outputs: list[np.ndarray]) -> dict[str, np.ndarray]:
    """A list as output_0, output_1, ..."""
    return {f"output_{i}": array for i, array in enumerate(outputs)}


def attempt(action) -> tuple:
    """(what `action` returns, "") or (None, why the product could not do it).

    A machine that cannot do the work is the lab's fault: that is raised, not returned.
    """
    try:
        return action(), ""
    except WorkerUnfit:
        raise
    except (WorkerFailed, WorkerRefused) as error:
        return None, str(error).splitlines()[0]
