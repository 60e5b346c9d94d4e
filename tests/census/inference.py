"""Judges one good model after another: python -m tests.census.inference JOB.json.

Models, images and weights are drawn by the number of the run: exports of unusual form, weights nudged by
a seed, scenes that no contract names. As in tests/gate.py each run is a fork that finds its workers
running. Where nothing can be on record, the float64 oracle is computed, as for weights of a user. In
the lane of accuracy the weights are the frozen ones, for which the contract has a floor of mAP.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import shutil
import sys
import time
from pathlib import Path

import cv2
from pycocotools import cocoeval  # noqa: F401  (imported once, before the forks)

from fixtures import shapes_set
from plugins import contracts
from plugins.drivers.ops_library import ensure_library
from plugins.drivers.process import Worker, WorkerRefused
from tests.bite import sessions
from tests.census import pages
from tests.census.conditions import ACCURACY, HOUSE, INFERENCE
from tests.census.noise import disturbed
from tests.gate import Workers

SUBJECT = "retinanet_shapes"
NAMES = "export outputs numerics compile results pipeline environment ops throughput".split()
CHAPTERS = [f"conformance/test_{name}.py" for name in NAMES]
IMPORTED = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # plugins, before the forks
ACCURACY_CHAPTER = "conformance/test_accuracy.py"
DROP_IN = 40  # runs of the lane of accuracy once: it looks at a thousand images more
LIVELY_OBJECTS = 3  # in a scene that must show something
FIRST_SCENE = 1000  # far behind the images of the accuracy set
ROLES = ("export", "infer", "ops", "device_nms")
GOOD = ("frozen", "own", "inlined", "float32_nms", "candidates_reordered", "labels_by_int32")


def model_of(number: int, lane: str) -> tuple[str, int]:
    """The kind of model of a run, and the seed of its weights."""
    if lane == ACCURACY:
        return GOOD[number % len(GOOD)], 0
    if number % 2:
        return ("fine_tuned", "head_fine_tuned")[number // 2 % 2], number
    known = GOOD if recorded(number) else GOOD[1:]  # frozen weights are nameless: no live oracle
    return known[number // 4 % len(known)], 0


def recorded(number: int) -> bool:
    """Whether a run judges images of the contract, against golden data."""
    return number % 4 == 0


def scenes(number: int, folder: Path) -> list[Path]:
    """Two images that nobody has judged anything on, with enough objects to be lively."""
    found, index = [], FIRST_SCENE + 20 * number
    while len(found) < 2:
        pixels, shapes = shapes_set.draw_image("val", index)
        if sum(not one.iscrowd for one in shapes) >= LIVELY_OBJECTS:
            path = folder / f"{index}.png"
            cv2.imwrite(str(path), pixels)
            found.append(path)
        index += 1
    return found


def varied(contract: contracts.Contract, number: int, folder: Path) -> contracts.Contract:
    """The contract with few cases, at both of its sizes: some of its own, or images that are drawn."""
    if recorded(number):
        draw = random.Random(number)
        kinds = [[c for c in contract.case if c.side == s.side] for s in contract.input.sizes]
        lively = [draw.choice([c for c in some if c.kind != "hostile"]) for some in kinds]
        hostile = draw.choice([c for c in contract.case if c.kind == "hostile"])
        return dataclasses.replace(contract, case=[*lively, hostile])
    cases = [
        contracts.Case(f"drawn-{k}", str(image), size.side, "photograph", 1, 1)
        for k, (image, size) in enumerate(zip(scenes(number, folder), contract.input.sizes))
    ]
    return dataclasses.replace(contract, case=cases)


class Awake(Workers):
    """All roles run before the first fork, so that none is started in every fork again."""

    def wake(self) -> None:
        for role in ROLES:
            with contextlib.suppress(WorkerRefused):
                self[role].call("none")


class Session:
    """A pytest plugin: oracles of images that are not on record."""

    def __init__(self, number: int) -> None:
        self.number = number

    def pytest_collection(self) -> None:
        from fixtures import exports
        from fixtures import recorded as records

        def live(case, golden):
            return case.subject.oracle(case.picture, records.SCORE_BAND)

        if not recorded(self.number):
            records.oracle_of = exports.oracle_of = live


def chapters(number: int, lane: str) -> list[str]:
    """What a run is judged by."""
    if lane == INFERENCE:
        return [*CHAPTERS, "--benchmark"]
    return [ACCURACY_CHAPTER, *([] if number % DROP_IN == 0 else ["-k", "not as_accurate"])]


def judge(job: dict, number: int, workers: Workers, model: Path) -> dict:
    """One session of the suite in a fork; its verdict.json."""
    folder = Path(job["folder"])
    # What was kept of an earlier run would be judged again, and nothing computed.
    shutil.rmtree(folder / "artifacts" / "cache" / "forward", ignore_errors=True)
    own = contracts.load_all()
    if job["lane"] == INFERENCE:
        own[SUBJECT] = varied(own[SUBJECT], number, folder)

    def prepare() -> None:
        workers.inherit()
        contracts.load_all = lambda: own

    words = [*chapters(number, job["lane"]), "--model-ts", str(model), *IMPORTED]
    places = folder / "artifacts", folder / "session.log"
    return sessions.verdict(words, *places, [Session(number)], prepare)


def main(job: dict) -> None:
    """Judge the runs `numbers` and append a row for each to `rows`."""
    folder = Path(job["folder"])
    contract = contracts.load_all()[SUBJECT]
    subject = {
        "spec": dataclasses.asdict(contract.architecture),
        "recipe": dataclasses.asdict(contract.recipe),
        "weights": {"kind": contract.weights.kind, "path": str(HOUSE / contract.weights.path)},
        "sizes": [size.side for size in contract.input.sizes],
        "library": str(ensure_library(sys.executable, log=folder / "ops.log", tell=print)),
    }
    workers = Awake(folder)
    workers.attach()
    limit = time.monotonic() + job["minutes"] * 60
    try:
        with Worker("census_models", log=folder / "build.log", env=job["env"]) as builder:
            for number in job["numbers"]:
                if time.monotonic() > limit:
                    break
                kind, seed = model_of(number, job["lane"])
                model = folder / f"{kind}-{seed}.ts"
                if not model.is_file():
                    builder.call("build_one", kind=kind, seed=seed, path=str(model), **subject)
                _row(job, number, workers, model)
                if seed:
                    model.unlink()
    finally:
        workers.close()


def _row(job: dict, number: int, workers: Workers, model: Path) -> None:
    workers.wake()
    began, spent = time.monotonic(), os.times()

    def victims() -> list[int]:
        return [one._process.pid for one in workers.running.values() if one._process]

    with disturbed(job["disturbance"], victims, number):
        verdict = judge(job, number, workers, model)
    if not pages.alarming(verdict):
        shutil.rmtree(verdict["artifacts"]["folder"])
    about = {"condition": job["condition"], "number": number, "model": model.stem}
    about["load"] = os.getloadavg()[0]
    about["seconds"] = round(time.monotonic() - began, 2)
    about["cpu_s"] = round(sum(os.times()[2:4]) - sum(spent[2:4]), 2)
    about["torch"] = verdict["environment"]["workers"].get("infer", {}).get("torch", "")
    pages.append(Path(job["rows"]), pages.row_of(verdict, **about))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
