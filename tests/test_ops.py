"""aie::batch_nms against its reference, in a worker: nothing here imports torch."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.checks import ops as checks
from plugins.checks.ops import NmsOptions, NmsResult
from plugins.checks.ops_corpus import nms_corpus
from plugins.contracts.operators import load_operators
from plugins.drivers.ops_library import ensure_library
from plugins.drivers.process import Worker, WorkerRefused
from plugins.failure import CheckFailure

PYTHON = os.environ.get("OPS_TEST_PYTHON", sys.executable)
DTYPES = ("float16", "float32", "float64")
DEFAULTS = NmsOptions()
thoroughly = settings(derandomize=True, max_examples=100, deadline=None, database=None)


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    log = tmp_path_factory.mktemp("ops") / "worker.log"
    with Worker("ops", python=PYTHON, log=log, env={"OMP_NUM_THREADS": "1"}) as worker:
        worker.call("load", path=str(ensure_library(PYTHON)))
        yield worker


def run_nms(worker, boxes, scores, options=DEFAULTS, **changes):
    arguments = {**dataclasses.asdict(options), **changes}
    return worker.call("batch_nms", arrays={"bbox": boxes, "scores": scores}, **arguments)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", nms_corpus(), ids=lambda case: case.name)
def test_batch_nms_decides_every_corpus_case_as_the_reference_does(worker, case, dtype):
    boxes, scores = case.boxes.astype(dtype), case.scores.astype(dtype)
    actual = NmsResult(**run_nms(worker, boxes, scores, case.options).arrays)
    checks.check_nms_equal(actual, checks.batch_nms_reference(boxes, scores, case.options))


@pytest.mark.parametrize(
    ("name", "num"),
    [
        ("score_on_a_representable_threshold", 1),
        ("score_on_0_05_rounded_to_half", 1),
        ("score_on_0_3_rounded_to_half", 2),
        ("iou_exactly_half", 2),
        ("iou_just_above_half", 1),
        ("no_plus_one", 2),
        ("suppressed_boxes_suppress_nothing", 2),
        ("cap_counts_survivors", 3),
        ("nan_boxes", 2),
        ("infinite_boxes", 4),
        ("huge_boxes", 2),
        ("degenerate_boxes", 7),
        ("4240_candidates", 100),
    ],
)
def test_the_reference_itself_keeps_what_was_counted_by_hand(name, num):
    case = next(case for case in nms_corpus() if case.name == name)
    assert checks.batch_nms_reference(case.boxes, case.scores, case.options).num == [num]


@pytest.mark.parametrize(("dtype", "num"), [("float16", 1), ("float32", 1), ("float64", 2)])
def test_the_iou_threshold_is_not_rounded_and_float64_stays_float64(worker, dtype, num):
    """10/100 is above 0.1 in float32, and equal to it in float64."""
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 1]], dtype).reshape(1, 2, 1, 4)
    scores = np.array([0.9, 0.8], dtype).reshape(1, 2, 1)
    assert run_nms(worker, boxes, scores, iou_threshold=0.1).arrays["num"] == [num]


SCORES = st.one_of(
    st.sampled_from([0.0, 0.04998779296875, 0.05, 0.050018310546875, 0.0625, 0.3, 0.5, 1.0]),
    st.floats(-1, 2, width=16),
    st.sampled_from([np.nan, np.inf, -np.inf]),
)
COORDINATES = st.one_of(
    st.integers(0, 8),
    st.floats(-20, 20, width=32),
    st.sampled_from([np.nan, np.inf, -np.inf, 65504.0, -65504.0, 1e-4]),
)


@st.composite
def nms_inputs(draw):
    """Boxes, scores and options of one small call, hostile numbers included."""
    batch, rows, classes = draw(st.integers(0, 2)), draw(st.integers(0, 9)), draw(st.integers(1, 3))
    dtype = draw(st.sampled_from(DTYPES))
    columns = draw(st.sampled_from([1, classes]))
    mild = draw(st.booleans())

    def array(shape, numbers):
        size = int(np.prod(shape))
        drawn = draw(st.lists(numbers, min_size=size, max_size=size))
        return np.array(drawn, np.float64).reshape(shape).astype(dtype)

    boxes = array((batch, rows, columns, 4), st.integers(0, 8) if mild else COORDINATES)
    if mild:
        boxes[..., 2:] += boxes[..., :2]
    options = NmsOptions(
        draw(st.sampled_from([0.0, 0.05, 0.0625, 0.3, 0.5, 1.0])),
        draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1)),
        draw(st.integers(1, 4)),
        draw(st.integers(1, 12)),
    )
    return boxes, array((batch, rows, classes), SCORES), options


@thoroughly
@given(inputs=nms_inputs())
def test_batch_nms_equals_the_reference_on_whatever_hypothesis_finds(worker, inputs):
    boxes, scores, options = inputs
    actual = NmsResult(**run_nms(worker, boxes, scores, options).arrays)
    checks.check_nms_equal(actual, checks.batch_nms_reference(boxes, scores, options))


@settings(thoroughly, max_examples=30)
@given(inputs=nms_inputs())
def test_batch_nms_on_meta_tensors_has_the_shapes_and_dtypes_of_the_real_one(worker, inputs):
    real = run_nms(worker, *inputs)
    assert run_nms(worker, *inputs, meta=True).result == real.result


BOXES = {"argument": "bbox", "expected": "shape (B, N, C, 4) or (B, N, 1, 4)"}
FITTING = {"argument": "scores", "expected": "(B, N, C) to go with bbox [2, 5, 3, 4]"}
UNIT = {"expected": "a number in [0, 1]"}
REFUSED = {
    "three_axes": dict(BOXES, boxes=(5, 3, 4), got="[5, 3, 4]"),
    "five_coordinates": dict(BOXES, boxes=(2, 5, 3, 5), got="[2, 5, 3, 5]"),
    "scores_of_two_axes": dict(
        argument="scores", scores=(5, 3), expected="shape (B, N, C)", got="[5, 3]"
    ),
    "other_classes": dict(FITTING, scores=(2, 5, 4), got="[2, 5, 4]"),
    "other_rows": dict(FITTING, scores=(2, 6, 3), got="[2, 6, 3]"),
    "whole_numbers": dict(
        argument="bbox", dtypes=("int64",) * 2, expected="dtype Half, Float or Double", got="Long"
    ),
    "two_dtypes": dict(
        argument="scores",
        dtypes=("float32", "float16"),
        expected="the dtype of bbox, Float,",
        got="Half",
    ),
    "score_threshold_above_1": dict(UNIT, argument="score_threshold", value=1.5, got="1.5"),
    "score_threshold_below_0": dict(UNIT, argument="score_threshold", value=-0.5, got="-0.5"),
    "iou_threshold_nan": dict(UNIT, argument="iou_threshold", value=np.nan, got="nan"),
    "no_row_per_class": dict(
        argument="max_size_per_class", value=0, expected="at least 1", got="0"
    ),
    "negative_total": dict(argument="max_total_size", value=-1, expected="at least 1", got="-1"),
}


@pytest.mark.parametrize("meta", [False, True], ids=["cpu", "meta"])
@pytest.mark.parametrize("bad", REFUSED.values(), ids=REFUSED)
def test_batch_nms_refuses_bad_input_in_words(worker, bad, meta):
    dtypes = bad.get("dtypes", ("float32", "float32"))
    boxes = np.ones(bad.get("boxes", (2, 5, 3, 4)), dtypes[0])
    scores = np.ones(bad.get("scores", (2, 5, 3)), dtypes[1])
    changes = {bad["argument"]: bad["value"]} if "value" in bad else {}
    with pytest.raises(WorkerRefused) as caught:
        run_nms(worker, boxes, scores, meta=meta, **changes)
    wanted = f"aie::batch_nms: {bad['argument']}: expected {bad['expected']}"
    assert str(caught.value) == f"{wanted.rstrip(',')}, got {bad['got']}"


@pytest.mark.parametrize("field", ["boxes", "scores", "classes", "num"])
def test_a_single_altered_number_does_not_pass_the_comparison(field):
    case = next(case for case in nms_corpus() if case.name == "padding_rows")
    expected = checks.batch_nms_reference(case.boxes, case.scores, case.options)
    altered = getattr(expected, field).copy()
    altered.ravel()[-1] += 1
    with pytest.raises(CheckFailure, match=f"batch_nms: {field} differ from the reference"):
        checks.check_nms_equal(dataclasses.replace(expected, **{field: altered}), expected)


def test_both_operators_agree_with_torchvision_on_well_formed_input():
    script = Path(__file__).resolve().parent / "against_torchvision.py"
    command = [PYTHON, str(script), str(ensure_library(PYTHON))]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    tolerance = load_operators().roi_extractor.tolerance.float32
    assert found["nms_survivors"] == 100
    assert found["nms_differences"] == 0
    assert found["roi_relative_difference"] < tolerance
