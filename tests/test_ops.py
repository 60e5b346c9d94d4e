"""The operators of mmdet_ops against their references, in a worker: nothing here imports torch."""

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
from plugins.checks.ops import NmsOptions, NmsResult, RoiOptions
from plugins.checks.ops_corpus import nms_corpus
from plugins.drivers.ops_library import ensure_library
from plugins.drivers.process import Worker, WorkerRefused
from plugins.failure import CheckFailure

ROOT = Path(__file__).resolve().parents[1]
PYTHON = os.environ.get("OPS_TEST_PYTHON", sys.executable)
DTYPES = ("float16", "float32", "float64")
# Relative to the largest feature; derived in conformance/contracts/mmdet_ops.toml.
ROI_TOLERANCE = {"float16": 1e-3, "float32": 2e-5, "float64": 1e-12}
SHAPES = {"boxes": (2, 5, 3, 4), "scores": (2, 5, 3)}
thoroughly = settings(derandomize=True, max_examples=100, deadline=None, database=None)


@pytest.fixture(scope="module")
def library() -> Path:
    return ensure_library(PYTHON)


@pytest.fixture(scope="module")
def worker(library, tmp_path_factory):
    log = tmp_path_factory.mktemp("ops") / "worker.log"
    with Worker("ops", python=PYTHON, log=log, env={"OMP_NUM_THREADS": "1"}) as worker:
        worker.call("load", path=str(library))
        yield worker


def run_nms(worker, boxes, scores, options=NmsOptions(), **changes):
    arguments = {**dataclasses.asdict(options), **changes}
    return worker.call("batch_nms", arrays={"bbox": boxes, "scores": scores}, **arguments)


def run_roi(worker, feats, rois, options=RoiOptions((0.25,)), **changes):
    arrays = {f"feats{i}": feature for i, feature in enumerate(feats)}
    arguments = {**dataclasses.asdict(options), "pool_mode": "avg", **changes}
    return worker.call("roi_extractor", arrays={**arrays, "rois": rois}, **arguments)


# --- batch_nms -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", nms_corpus(), ids=lambda case: case.name)
def test_batch_nms_decides_every_corpus_case_as_the_reference_does(worker, case, dtype):
    boxes, scores = case.boxes.astype(dtype), case.scores.astype(dtype)
    actual = NmsResult(**run_nms(worker, boxes, scores, case.options).arrays)
    checks.check_nms_equal(actual, checks.batch_nms_reference(boxes, scores, case.options))


@pytest.mark.parametrize(
    "name, num",
    [
        ("score_on_a_representable_threshold", 1),
        ("score_on_0.05_rounded_to_half", 1),
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


SCORES = st.one_of(
    st.sampled_from([0.0, 0.04998779296875, 0.05, 0.050018310546875, 0.0625, 0.5, 0.5, 1.0]),
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
        draw(st.sampled_from([0.0, 0.05, 0.0625, 0.5, 1.0])),
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


@pytest.mark.parametrize("meta", [False, True], ids=["cpu", "meta"])
@pytest.mark.parametrize(
    "shapes, dtypes, changes, sentence",
    [
        ({"boxes": (5, 3, 4)}, {}, {}, "bbox: expected shape (B, N, C, 4) or (B, N, 1, 4), got [5, 3, 4]"),
        ({"boxes": (2, 5, 3, 5)}, {}, {}, "bbox: expected shape (B, N, C, 4) or (B, N, 1, 4), got [2, 5, 3, 5]"),
        ({"scores": (5, 3)}, {}, {}, "scores: expected shape (B, N, C), got [5, 3]"),
        ({"scores": (2, 5, 4)}, {}, {}, "scores: expected (B, N, C) to go with bbox [2, 5, 3, 4], got [2, 5, 4]"),
        ({"scores": (2, 6, 3)}, {}, {}, "scores: expected (B, N, C) to go with bbox [2, 5, 3, 4], got [2, 6, 3]"),
        ({}, {"boxes": "int64"}, {}, "bbox: expected dtype Half, Float or Double, got Long"),
        ({}, {"scores": "float16"}, {}, "scores: expected the dtype of bbox, Float, got Half"),
        ({}, {}, {"score_threshold": 1.5}, "score_threshold: expected a number in [0, 1], got 1.5"),
        ({}, {}, {"score_threshold": -0.5}, "score_threshold: expected a number in [0, 1], got -0.5"),
        ({}, {}, {"iou_threshold": float("nan")}, "iou_threshold: expected a number in [0, 1], got nan"),
        ({}, {}, {"max_size_per_class": 0}, "max_size_per_class: expected at least 1, got 0"),
        ({}, {}, {"max_total_size": -1}, "max_total_size: expected at least 1, got -1"),
    ],
)  # fmt: skip
def test_batch_nms_refuses_bad_input_in_words(worker, shapes, dtypes, changes, sentence, meta):
    arrays = {k: np.ones(shapes.get(k, SHAPES[k]), dtypes.get(k, "float32")) for k in SHAPES}
    with pytest.raises(WorkerRefused) as caught:
        run_nms(worker, arrays["boxes"], arrays["scores"], **changes, meta=meta)
    assert str(caught.value) == f"aie::batch_nms: {sentence}"


@pytest.mark.parametrize("field", ["boxes", "scores", "classes", "num"])
def test_a_single_altered_number_does_not_pass_the_comparison(field):
    case = next(case for case in nms_corpus() if case.name == "padding_rows")
    expected = checks.batch_nms_reference(case.boxes, case.scores, case.options)
    altered = getattr(expected, field).copy()
    altered.ravel()[-1] += 1
    with pytest.raises(CheckFailure, match=f"batch_nms: {field} differ from the reference"):
        checks.check_nms_equal(dataclasses.replace(expected, **{field: altered}), expected)


# --- roi_extractor -------------------------------------------------------------------------


@st.composite
def roi_inputs(draw):
    """Features of one to three levels, rois inside, across and beyond them, and options."""
    levels, images = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    dtype = draw(st.sampled_from(DTYPES))
    seed = draw(st.integers(0, 2**31))
    sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
    shapes = [(images, 2, *draw(sizes)) for _ in range(levels)]
    feats = [np.random.default_rng(seed).normal(size=shape).astype(dtype) for shape in shapes]
    corner = st.integers(-24, 96) | st.floats(-24, 96, width=16)
    rows = draw(st.lists(st.tuples(st.integers(0, images - 1), *[corner] * 4), max_size=4))
    options = RoiOptions(
        tuple(0.25 / 2**level for level in range(levels)),
        aligned=draw(st.booleans()),
        finest_scale=draw(st.sampled_from([8, 16])),
        ph=draw(st.integers(1, 3)),
        pw=draw(st.integers(1, 3)),
        roi_scale_factor=draw(st.integers(0, 2)),
        sample_num=draw(st.integers(0, 3)),
    )
    return feats, np.array(rows, dtype).reshape(-1, 5), options


@thoroughly
@given(inputs=roi_inputs())
def test_roi_extractor_agrees_with_the_reference_on_whatever_hypothesis_finds(worker, inputs):
    feats, rois, options = inputs
    actual = run_roi(worker, *inputs).arrays["features"]
    assert actual.dtype == rois.dtype
    expected = checks.roi_extractor_reference(feats, rois, options)
    checks.check_roi_close(actual, expected, relative=ROI_TOLERANCE[actual.dtype.name])


@settings(thoroughly, max_examples=30)
@given(inputs=roi_inputs())
def test_roi_extractor_on_meta_tensors_has_the_shape_and_dtype_of_the_real_one(worker, inputs):
    assert run_roi(worker, *inputs, meta=True).result == run_roi(worker, *inputs).result


@pytest.mark.parametrize("size, level", [(111.9, 0), (112, 1), (223.9, 1), (224, 2), (9999, 3), (0, 0)])
def test_a_roi_of_twice_the_finest_scale_belongs_to_the_next_level(worker, size, level):
    feats = [np.full((1, 1, 2, 2), value, np.float32) for value in range(4)]
    rois = np.array([[0, 0, 0, size, size]], np.float32)
    options = RoiOptions((0.25, 0.125, 0.0625, 0.03125), ph=1, pw=1, sample_num=1)
    centred = rois - [0, size / 2, size / 2, size / 2, size / 2]
    pooled = run_roi(worker, feats, centred.astype(np.float32), options).arrays["features"]
    assert pooled.ravel() == [level]


def roi(*corners, image=0):
    return np.array([[image, *corners]], np.float32)


FEATURE, ROIS = np.ones((1, 2, 4, 4), np.float32), roi(0, 0, 8, 8)


@pytest.mark.parametrize(
    "feats, rois, changes, sentence",
    [
        ([], ROIS, {}, "feats: expected at least one level, got none"),
        ([FEATURE[0]], ROIS, {}, "feats[0]: expected shape (B, C, H, W), got [2, 4, 4]"),
        ([FEATURE.astype("int64")], ROIS, {}, "feats[0]: expected dtype Half, Float or Double, got Long"),
        ([FEATURE, FEATURE[:, :1]], ROIS, {}, "feats[1]: expected B and C of feats[0], [1, 2, 4, 4], got [1, 1, 4, 4]"),
        ([FEATURE], ROIS[:, :4], {}, "rois: expected shape (K, 5), got [1, 4]"),
        ([FEATURE], ROIS.astype("float64"), {}, "rois: expected Float on cpu as feats, got Double on cpu"),
        ([FEATURE], ROIS, {"pool_mode": "max"}, 'pool_mode: expected "avg", got "max"'),
        ([FEATURE], ROIS, {"finest_scale": 0}, "finest_scale: expected at least 1, got 0"),
        ([FEATURE], ROIS, {"ph": 0}, "ph: expected at least 1, got 0"),
        ([FEATURE], ROIS, {"sample_num": -1}, "sample_num: expected at least 0, got -1"),
        ([FEATURE], ROIS, {"roi_scale_factor": -1}, "roi_scale_factor: expected at least 0, got -1"),
        ([FEATURE], ROIS, {"spatial_scale": [0.5, 0.25]}, "spatial_scale: expected one number for each of 1 levels, got 2"),
        ([FEATURE], ROIS, {"spatial_scale": [4.0]}, "spatial_scale: expected numbers in (0, 1], got 4"),
        ([FEATURE], roi(0, 0, 8, 8, image=1), {}, "rois[0]: expected an image index below 1, got 1"),
        ([FEATURE], roi(0, 0, 8e30, 8e30), {}, "rois: expected bins of at most 65536 feature pixels, got 2.85714e+29"),
        ([FEATURE], roi(0, 0, np.inf, 8), {}, "rois: expected bins of at most 65536 feature pixels, got inf"),
        ([FEATURE], roi(0, np.nan, 8, 8), {}, "rois: expected bins of at most 65536 feature pixels, got nan"),
    ],
)  # fmt: skip
def test_roi_extractor_refuses_bad_input_in_words(worker, feats, rois, changes, sentence):
    with pytest.raises(WorkerRefused) as caught:
        run_roi(worker, feats, rois, **changes)
    assert str(caught.value) == f"aie::roi_extractor: {sentence}"


def test_a_roi_pooled_with_a_wrong_weight_does_not_pass_the_comparison():
    expected = np.ones((1, 1, 2, 2))
    with pytest.raises(CheckFailure, match="smallest tolerance that would have passed: 0.001 of"):
        checks.check_roi_close(expected * [1, 1.001], expected, relative=2e-5)


# --- the library among others ---------------------------------------------------------------


def child(code: str, *args: object) -> subprocess.CompletedProcess:
    command = [PYTHON, "-c", code, *map(str, args)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


def test_both_operators_agree_with_torchvision_on_well_formed_input(library):
    run = child((ROOT / "tests" / "against_torchvision.py").read_text(), library)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["nms_survivors"] == 100 and found["nms_differences"] == 0
    assert found["roi_largest"] > 1 and found["roi_difference"] < 2e-5 * found["roi_largest"]
