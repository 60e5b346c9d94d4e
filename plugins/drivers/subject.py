"""One subject under judgement: its file, its runs on each backend, and what its oracles say."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from plugins.contracts import Contract
from plugins.drivers.cache import arrays_digest, file_digest, sources
from plugins.drivers.lab import Lab
from plugins.drivers.process import WorkerError
from plugins.drivers.runs import Runs, attempt
from plugins.failure import LabError

ROOT = Path(__file__).resolve().parents[2]
EXPORT_LIMIT_S, ORACLE_LIMIT_S = 900.0, 1800.0
EXPORT_SOURCES = ("export", "model", "recipe", "seeded", "weights")
DETECTRON2_SOURCES = ("detectron2_model", "detectron2_install")
STAGE_SOURCES = (*EXPORT_SOURCES, *DETECTRON2_SOURCES, "oracle", "stages")
ORACLE_SOURCES = (*EXPORT_SOURCES, "oracle", "archive")


@dataclass(frozen=True)
class Picture:
    """An image file that a subject is judged on, at one of its input sides."""

    name: str
    path: Path
    side: int


class Subject:
    """A contract with the model that claims to fulfil it.

    Args:
        given: a model.ts to judge instead of one that we export.
        weights_file: weights to use instead of the declared ones.
    """

    def __init__(
        self,
        contract: Contract,
        lab: Lab,
        *,
        given: Optional[Path] = None,
        weights_file: Optional[Path] = None,
    ) -> None:
        self.contract, self.lab, self.given = contract, lab, given
        self.id, self.weights_file = contract.id, weights_file
        self.weights = self._declared(weights_file)
        self.spec = dataclasses.asdict(contract.architecture)
        self.recipe = dataclasses.asdict(contract.recipe)
        self._known: dict = {}
        self.runs = Runs(self)

    def _declared(self, weights_file: Optional[Path]) -> dict:
        declared = self.contract.weights
        if weights_file is not None:
            return {"kind": "file", "path": str(weights_file)}
        path = str(ROOT / declared.path)
        if declared.kind == "seeded":
            return {"kind": "seeded", "seed": declared.seed, "calibration": path}
        return {"kind": declared.kind, "path": path}

    def beside(self, place: str, npu: int, given: Optional[Path] = None) -> Subject:
        """The same subject in workers of its own on a card; with another file where one is given."""
        lab, given = self.lab.beside(place, npu), given or self.given
        return Subject(self.contract, lab, given=given, weights_file=self.weights_file)

    def model(self) -> Path:
        """The TorchScript file: the given one, or ours, exported once and kept."""
        return self.once("model", self._model)

    def _model(self) -> Path:
        path = self.given or self.export(self.contract.input.sizes[0].side, "zeros")
        self.lab.record(f"model of {self.id}", self.lab.digest_of(path))
        return path

    def export(self, side: int, trace_with: str, source: str = "rebuilt") -> Path:
        """Export at one input side, traced with an image of zeros, noise or NaN.

        Args:
            source: "rebuilt", or "detectron2" for its own classes where the worker has them.
        """
        key = [self.spec, self.recipe, self.weights_key(), side, trace_with]
        if source == "detectron2":
            key += [self.detectron2(), sources(*DETECTRON2_SOURCES)]
        key += [sources(*EXPORT_SOURCES), self.lab.python("export"), self.lab.library("export")]

        def make(path: Path) -> None:
            self.lab.tell(f"exporting {self.id} at {side}x{side}")
            self.lab.call(
                "export",
                "export",
                timeout=EXPORT_LIMIT_S,
                spec=self.spec,
                recipe=self.recipe,
                weights=self.weights,
                size=side,
                library=self.lab.library("export"),
                out=str(path),
                trace_with=trace_with,
                source=source,
            )

        return self.lab.cache.file("model", "model.ts", key, make)

    def weights_key(self) -> list:
        """What the declared weights are made from: kind, seed and the hashes of their files."""
        files = [v for k, v in self.weights.items() if k in ("path", "calibration")]
        missing = [f for f in files if not Path(f).is_file()]
        if missing:
            raise LabError(f"{missing[0]}: no such weights file; restore it from version control")
        digests = {Path(file).name: self.lab.digest_of(Path(file)) for file in files}
        for name, sha in digests.items():
            self.lab.record(f"weights of {self.id}: {name}", sha)
        return [self.weights["kind"], self.weights.get("seed"), *digests.values()]

    def describe(self, role: str = "infer") -> dict:
        """Census of the file's graph, taken by a role's torch."""
        return self.once(
            ("describe", role),
            lambda: (
                self.lab.call(
                    role, "describe", path=str(self.model()), library=self.lab.library(role)
                ).result
            ),
        )

    def compare_weights(self) -> dict:
        """How the file's weights relate to the declared ones; see checks/export.py."""
        return self.once("weights", self._compare_weights)

    def _compare_weights(self) -> dict:
        self.weights_key()  # the certificate names what was compared
        relation = self.lab.call(
            "export",
            "compare_weights",
            path=str(self.model()),
            spec=self.spec,
            library=self.lab.library("export"),
            weights=self.weights,
        ).result
        return {**relation, "explicit": self.weights["kind"] == "file"}

    def holds_declared_weights(self) -> bool:
        """Whether the file's weights are the declared ones, bit by bit."""
        return not self.given or not self.compare_weights()["differing"]

    def prepared(self, picture: Picture) -> tuple[np.ndarray, list[int]]:
        """The input (1, 3, S, S) for an image file and its geometry (w, h, resized w, h)."""

        def make() -> tuple[np.ndarray, list[int]]:
            reply = self.lab.call(
                "infer",
                "prepare",
                path=str(picture.path),
                preprocess=self.contract.input.preprocess(picture.side),
            )
            self.lab.record(f"image {picture.name} of {self.id}", file_digest(picture.path))
            return reply.arrays["image"], reply.result["geometry"]

        return self.once(("prepared", picture), make)

    def streamed(self, paths: list[Path]) -> np.ndarray:
        """The inputs (n, 3, S, S) of many image files at the first declared size, read in one go."""
        rule = self.contract.input.preprocess(self.contract.input.sizes[0].side)
        arguments = {"paths": [str(path) for path in paths], "preprocess": rule}
        return self.lab.call("infer", "stream", **arguments).arrays["images"]

    def stream_refusal(self, paths: list[Path]) -> str:
        """What the pipeline says to image files of which one is broken; empty if it takes them."""
        return attempt(lambda: self.streamed(paths))[1]

    def fingerprint(self, trace_with: str) -> dict:
        """Hashes of our own export at the smallest declared side, traced with some image."""
        path = self.export(self.contract.input.sizes[-1].side, trace_with)
        library = self.lab.library("export")
        return self.lab.call("export", "fingerprint", path=str(path), library=library).result

    def restore(self, boxes: np.ndarray, geometry: list[int]) -> np.ndarray:
        """Boxes (n, 4) in px of the input -> px of the image."""
        arguments = {"arrays": {"boxes": boxes}, "geometry": list(geometry)}
        return self.lab.call("infer", "restore", **arguments).arrays["boxes"]

    def categories(self, labels: np.ndarray) -> np.ndarray:
        """Contiguous labels -> category ids."""
        arguments = {"arrays": {"labels": labels}, "category_ids": self.contract.category_ids}
        return self.lab.call("infer", "categories", **arguments).arrays["categories"]

    def image_refusal(self, path: Path) -> str:
        """What the pipeline says to an image file; empty if it takes it."""
        rule = self.contract.input.preprocess(self.contract.input.sizes[0].side)
        return attempt(lambda: self.lab.call("infer", "prepare", path=str(path), preprocess=rule))[
            1
        ]

    def oracle(self, picture: Picture, band: float) -> dict[str, np.ndarray]:
        """What stock detectron2 and the recipe in float64 find, for the file's own weights."""
        declared = self.holds_declared_weights()
        weights = self.weights if declared else {"kind": "archive", "path": str(self.model())}
        weights_key = (
            self.weights_key() if declared else ["archive", self.lab.digest_of(self.model())]
        )
        key = [
            self.spec,
            self.recipe,
            weights_key,
            dataclasses.asdict(self.contract.stock),
            arrays_digest([self.prepared(picture)[0]]),
            band,
            sources(*ORACLE_SOURCES),
        ]

        def make() -> dict[str, np.ndarray]:
            self.lab.tell(f"float64 oracle of {self.id} for {picture.name} at {picture.side}")
            reply = self.lab.call(
                "export",
                "judge",
                timeout=ORACLE_LIMIT_S,
                spec=self.spec,
                recipe=self.recipe,
                stock=dataclasses.asdict(self.contract.stock),
                weights=weights,
                band=band,
                library=self.lab.library("export"),
                arrays={"image": self.prepared(picture)[0]},
            )
            return reply.arrays

        return self.lab.cache.arrays("oracle", key, make)[0]

    def detectron2(self) -> str:
        """Revision and version of the export interpreter's detectron2; empty without one."""
        return self.lab.call("export", "versions").result["detectron2"]

    def stages(self, picture: Picture, samples: int, source: str) -> dict[str, np.ndarray]:
        """Samples of what the network computes on its way; see workers/stages.py."""
        key = [self.spec, self.weights_key(), arrays_digest([self.prepared(picture)[0]]), samples]
        key += [dataclasses.asdict(self.contract.stock)]
        key += [source, self.detectron2(), self.lab.python("export")]
        key += [sources(*STAGE_SOURCES)]

        def make() -> dict[str, np.ndarray]:
            self.lab.tell(f"stages of {self.id} for {picture.name} at {picture.side}, {source}")
            reply = self.lab.call(
                "export",
                "stages",
                timeout=ORACLE_LIMIT_S,
                spec=self.spec,
                stock=dataclasses.asdict(self.contract.stock),
                weights=self.weights,
                samples=samples,
                source=source,
                library=self.lab.library("export"),
                arrays={"image": self.prepared(picture)[0]},
            )
            return reply.arrays

        return self.lab.cache.arrays("stages", key, make)[0]

    def once(self, key: object, make):
        """Compute once in a session; a failure is remembered too, as the same sentence."""
        if key not in self._known:
            try:
                self._known[key] = (make(), None)
            except WorkerError as error:
                self._known[key] = (None, error)
        value, error = self._known[key]
        if error is not None:
            raise error
        return value
