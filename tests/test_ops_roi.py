"""aie::roi_extractor against its reference, in a worker: nothing here imports torch."""

from __future__ import annotations

import dataclasses
import os
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.checks import ops as checks
from plugins.checks.ops import RoiOptions
from plugins.contracts.operators import load_operators
from plugins.drivers.ops_library import ensure_library
from plugins.drivers.process import Worker, WorkerRefused
from plugins.failure import CheckFailure

PYTHON = os.environ.get("OPS_TEST_PYTHON", sys.executable)
DTYPES = ("float16", "float32", "float64")
ONE_LEVEL = RoiOptions((0.25,))
TOLERANCE = load_operators().roi_extractor.tolerance
thoroughly = settings(derandomize=True, max_examples=100, deadline=None, database=None)


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    log = tmp_path_factory.mktemp("ops") / "worker.log"
    with Worker("ops", python=PYTHON, log=log, env={"OMP_NUM_THREADS": "1"}) as worker:
        worker.call("load", path=str(ensure_library(PYTHON)))
        yield worker


def run_roi(worker, feats, rois, options=ONE_LEVEL, **changes):
    arrays = {f"feats{i}": feature for i, feature in enumerate(feats)}
    arguments = {**dataclasses.asdict(options), "pool_mode": "avg", **changes}
    return worker.call("roi_extractor", arrays={**arrays, "rois": rois}, **arguments)


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
    checks.check_roi_close(actual, expected, relative=getattr(TOLERANCE, rois.dtype.name))


@settings(thoroughly, max_examples=30)
@given(inputs=roi_inputs())
def test_roi_extractor_on_meta_tensors_has_the_shape_and_dtype_of_the_real_one(worker, inputs):
    assert run_roi(worker, *inputs, meta=True).result == run_roi(worker, *inputs).result


@pytest.mark.parametrize(
    ("size", "level"), [(111.9, 0), (112, 1), (223.9, 1), (224, 2), (9999, 3), (0, 0)]
)
def test_a_roi_of_twice_the_finest_scale_belongs_to_the_next_level(worker, size, level):
    feats = [np.full((1, 1, 2, 2), value, np.float32) for value in range(4)]
    rois = np.array([[0, 0, 0, size, size]], np.float32)
    options = RoiOptions((0.25, 0.125, 0.0625, 0.03125), ph=1, pw=1, sample_num=1)
    centred = rois - [0, size / 2, size / 2, size / 2, size / 2]
    pooled = run_roi(worker, feats, centred.astype(np.float32), options).arrays["features"]
    assert pooled.ravel() == [level]


def roi(*corners, image=0):
    return np.array([[image, *corners]], np.float32)


FEATURE = np.ones((1, 2, 4, 4), np.float32)
LEAST = {name: dict(options={name: -1}) for name in ("roi_scale_factor", "sample_num")}
LEAST_ONE = {name: dict(options={name: 0}) for name in ("finest_scale", "ph", "pw")}
BIN = "rois: expected bins of at most 65536 feature pixels, got"
REFUSED = {
    "feats: expected at least one level, got none": dict(feats=[]),
    "feats[0]: expected shape (B, C, H, W), got [2, 4, 4]": dict(feats=[FEATURE[0]]),
    "feats[0]: expected dtype Half, Float or Double, got Long": dict(feats=[FEATURE.astype(int)]),
    "feats[1]: expected B and C of feats[0], [1, 2, 4, 4], got [1, 1, 4, 4]": dict(
        feats=[FEATURE, FEATURE[:, :1]]
    ),
    "feats[1]: expected Float on cpu as feats[0], got Half on cpu": dict(
        feats=[FEATURE, FEATURE.astype("float16")]
    ),
    "rois: expected shape (K, 5), got [1, 4]": dict(rois=roi(0, 0, 8)),
    "rois: expected Float on cpu as feats, got Double on cpu": dict(
        rois=roi(0, 0, 8, 8).astype("float64")
    ),
    'pool_mode: expected "avg", got "max"': dict(options={"pool_mode": "max"}),
    **{f"{name}: expected at least 0, got -1": bad for name, bad in LEAST.items()},
    **{f"{name}: expected at least 1, got 0": bad for name, bad in LEAST_ONE.items()},
    "spatial_scale: expected one number for each of 1 levels, got 2": dict(
        options={"spatial_scale": [0.5, 0.25]}
    ),
    "spatial_scale: expected numbers in (0, 1], got 4": dict(options={"spatial_scale": [4.0]}),
    "rois[0]: expected an image index below 1, got 1": dict(rois=roi(0, 0, 8, 8, image=1)),
    "rois[0]: expected an image index below 1, got 0.5": dict(rois=roi(0, 0, 8, 8, image=0.5)),
    f"{BIN} 2.85714e+29": dict(rois=roi(0, 0, 8e30, 8e30)),
    f"{BIN} inf": dict(rois=roi(0, 0, np.inf, 8)),
    f"{BIN} nan": dict(rois=roi(0, np.nan, 8, 8)),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_roi_extractor_refuses_bad_input_in_words(worker, sentence):
    bad = REFUSED[sentence]
    rois, feats = bad.get("rois", roi(0, 0, 8, 8)), bad.get("feats", [FEATURE])
    with pytest.raises(WorkerRefused) as caught:
        run_roi(worker, feats, rois, **bad.get("options", {}))
    assert str(caught.value) == f"aie::roi_extractor: {sentence}"


def test_a_roi_pooled_with_a_wrong_weight_does_not_pass_the_comparison():
    expected = np.ones((1, 1, 2, 2))
    with pytest.raises(CheckFailure, match="smallest tolerance that would have passed: 0.001 of"):
        checks.check_roi_close(expected * [1, 1.001], expected, relative=TOLERANCE.float32)
