"""The gate bites: broken models fail by name, in the clause that is there for them; good ones do not.

A representative few of tests/faulty_models.py, each judged by the real suite in a child process.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from plugins import contracts
from plugins.drivers.ops_library import ensure_library

HOUSE = Path(__file__).resolve().parent.parent
SUBJECT = "retinanet_shapes"
# A fault of tests/faulty_models.py, the clause that is there for it, and what its first line says.
BAD = [
    ("all_ones", "outputs.order", "scores are all alike"),
    ("labels_scores_swapped", "outputs.order", "the outputs come as boxes, scores, labels"),
    ("transposed_in_shape", "outputs.layout", "coordinate first"),
    ("padding_garbage", "outputs.padding", "padding rows hold leftovers"),
    ("yxyx", "numerics.recipe", "boxes have x and y swapped"),
    ("rgb", "numerics.recipe", "image, weights or network differ"),
    ("iou_high", "export.recipe", "another iou_threshold"),
    ("clamp_missing", "export.recipe", "exponent of box sizes"),
    ("bias_lost", "export.weights", "head.cls_score.bias does not hold"),
    ("part_loaded", "export.weights", "only a part of the weights was loaded"),
    ("nan_weight", "export.constants", "tensors of the file are broken"),
    ("baked_anchors", "export.size", "depends on the size"),
    ("nhwc", "outputs.runs", "the model does not run"),
    ("little_noise", "compile.repeatable", "two runs of one input differ"),
    ("truncated", "export.loads", "the file does not load"),
]
GOOD = ["own", "frozen", "fine_tuned", "head_fine_tuned", "float32_nms"]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """verdict.json of each model, by name."""
    folder = tmp_path_factory.mktemp("gate")
    contract = contracts.load_all()[SUBJECT]
    subject = {
        "spec": dataclasses.asdict(contract.architecture),
        "recipe": dataclasses.asdict(contract.recipe),
        "weights": {"kind": contract.weights.kind, "path": str(HOUSE / contract.weights.path)},
        "sizes": [size.side for size in contract.input.sizes],
        "library": str(ensure_library(sys.executable, log=folder / "ops.log", tell=print)),
    }
    names = [name for name, *_ in BAD] + GOOD
    job = {"folder": str(folder), "names": names, "subject": subject, "out": str(folder / "out")}
    job["env"] = {"PYTHONPATH": str(HOUSE / "tests")}
    (folder / "job.json").write_text(json.dumps(job))
    run = subprocess.run(
        [sys.executable, str(HOUSE / "tests" / "gate.py"), str(folder / "job.json")],
        cwd=HOUSE,
        env={**os.environ, "PYTHONPATH": str(HOUSE), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads((folder / "out").read_text())


@pytest.mark.parametrize(("name", "clause", "words"), BAD, ids=[name for name, *_ in BAD])
def test_a_broken_model_is_not_conformant_and_the_cause_is_named(verdicts, name, clause, words):
    verdict = verdicts[name]
    assert verdict["word"] == "NOT CONFORMANT"
    tests = [test for test in verdict["tests"] if test["clause"] == clause]
    reasons = [test["reason"] for test in tests if test["outcome"] == "failed"]
    assert reasons
    assert words in reasons[0]


@pytest.mark.parametrize("name", GOOD)
def test_a_good_model_is_not_failed(verdicts, name):
    found = {t["outcome"]: t["reason"] for t in verdicts[name]["tests"]}
    assert "passed" in found
    assert not {"failed", "error", "not run"} & set(found), found


def test_weights_that_nobody_declared_are_inconclusive(verdicts):
    found = {t["clause"]: t["outcome"] for t in verdicts["fine_tuned"]["tests"]}
    assert found["export.weights"] == "inconclusive"
