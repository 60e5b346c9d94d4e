"""What is asked of the operators' interface, and how results are compared."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from plugins.checks import ops, ops_calls
from plugins.checks.ops import NmsOptions, NmsResult, RoiOptions
from tests.training_records import failing

# Two detections in five rows.
RESULT = NmsResult(
    np.pad(np.full((1, 2, 4), 8.0), ((0, 0), (0, 3), (0, 0))).astype(np.float16),
    np.array([[0.9, 0.8, 0, 0, 0]], np.float16),
    np.array([3, 1, 0, 0, 0]),
    np.array([2], np.float32),
)


@pytest.mark.parametrize("field", ["boxes", "scores", "classes", "num"])
def test_one_altered_number_of_a_result_is_named_with_its_place(field):
    altered = getattr(RESULT, field).copy()
    altered.ravel()[-1] += 1
    found = dataclasses.replace(RESULT, **{field: altered})
    failure = failing(ops.check_nms_equal, found, RESULT)
    assert failure.what == f"batch_nms: {field} differ from the reference"
    assert f"in place {altered.size - 1}, {altered.size} places" in failure.expected
    assert failure.actual.endswith("and 0 other places differ")
    assert len(failure.worst) == 1 and failure.worst[0].startswith(f"place {altered.size - 1}: ")


@pytest.mark.parametrize("field", ["boxes", "scores", "classes", "num"])
def test_a_result_of_another_shape_or_dtype_is_refused_before_its_numbers(field):
    for altered in (getattr(RESULT, field)[:0], getattr(RESULT, field).astype(np.float64)):
        found = dataclasses.replace(RESULT, **{field: altered})
        failure = failing(ops.check_nms_equal, found, RESULT)
        assert failure.what == f"batch_nms: {field} have the wrong form"


def test_no_number_in_the_same_place_on_both_sides_is_no_difference():
    boxes = RESULT.boxes.copy()
    boxes[0, 0, 0] = np.nan
    lost = dataclasses.replace(RESULT, boxes=boxes)
    ops.check_nms_equal(lost, lost)
    failing(ops.check_nms_equal, lost, RESULT)
    failing(ops.check_nms_equal, RESULT, lost)


WANTED = np.array([[1.0, -4.0], [2.0, 0.0]])


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("sign", [1, -1])
def test_features_may_differ_by_a_share_of_the_largest_magnitude(place, sign):
    found = WANTED.copy()
    found[place] += sign * 0.5
    ops.check_roi_close(found, WANTED, relative=0.125)
    failure = failing(ops.check_roi_close, found, WANTED, relative=0.1249)
    assert f"at (roi, channel, y, x) {place}, " in failure.expected
    assert failure.needed == "smallest tolerance that would have passed: 0.125 of the largest"


def test_features_that_are_no_numbers_or_of_another_shape_fail_and_none_pass():
    failing(ops.check_roi_close, np.full((2, 2), np.nan), WANTED, relative=1.0)
    failure = failing(ops.check_roi_close, WANTED[:1], WANTED, relative=1.0)
    assert failure.what == "roi_extractor: the features have the wrong shape"
    ops.check_roi_close(WANTED[:0], WANTED[:0], relative=0.0)
    ops.check_roi_close(np.zeros(3), np.zeros(3), relative=0.0)
    failing(ops.check_roi_close, np.full(3, 1e-3), np.zeros(3), relative=1.0)


# --- the interface ---

SCHEMA = "aie::f(Tensor a, Tensor[] b, float c) -> (Tensor d, int e)"


@pytest.mark.parametrize(
    "other",
    [
        "aie::g(Tensor a, Tensor[] b, float c) -> (Tensor d, int e)",
        "aie::f(Tensor a, Tensor b, float c) -> (Tensor d, int e)",
        "aie::f(Tensor[] b, Tensor a, float c) -> (Tensor d, int e)",
        "aie::f(Tensor a, Tensor[] b) -> (Tensor d, int e)",
        "aie::f(Tensor a, Tensor[] b, float c) -> (Tensor d, float e)",
        "aie::f(Tensor a, Tensor[] b, float c) -> Tensor d",
    ],
)
def test_a_schema_is_its_name_and_its_types_in_their_order(other):
    ops_calls.check_schema("aie::f(Tensor x, Tensor[] y, float z) -> (Tensor, int)", SCHEMA)
    failure = failing(ops_calls.check_schema, other, SCHEMA)
    assert (failure.expected, failure.actual) == (SCHEMA, other)


def described() -> dict:
    fields = {name: getattr(RESULT, name) for name in ("boxes", "scores", "classes", "num")}
    return {name: {"shape": list(a.shape), "dtype": a.dtype.name} for name, a in fields.items()}


@pytest.mark.parametrize("name", ["boxes", "scores", "classes", "num"])
@pytest.mark.parametrize("wrong", [{"shape": [1, 1]}, {"dtype": "int8"}])
def test_what_the_meta_kernel_describes_is_what_is_computed(name, wrong):
    ops_calls.check_described(described(), RESULT)
    told = described()
    told[name].update(wrong)
    failure = failing(ops_calls.check_described, told, RESULT)
    assert failure.what == f"the Meta kernel describes another '{name}'"


NAMES = (
    *("boxes_without_batch", "five_coordinates", "other_classes", "integer_boxes"),
    *("mixed_dtypes", "threshold_above_one", "iou_nan", "no_room"),
)


def bad_call(name: str) -> ops_calls.BadCall:
    return next(bad for bad in ops_calls.bad_calls() if bad.name == name)


@pytest.mark.parametrize("name", NAMES)
def test_a_refusal_names_the_operator_the_argument_and_what_was_given(name):
    bad = bad_call(name)
    words = ["aie::batch_nms", "expected", *bad.says]
    ops_calls.check_refused(" ".join(words), bad)
    for missing in words:
        sentence = " ".join(word for word in words if word != missing)
        failure = failing(ops_calls.check_refused, sentence, bad)
        assert failure.what == "a refusal does not say what is wrong"
    failure = failing(ops_calls.check_refused, "", bad)
    assert (failure.what, failure.actual) == ("bad input is accepted", "the call returned")


GOOD = ((1, 5, 3, 4), (1, 5, 3), "float32", "float32", {})


@pytest.mark.parametrize(
    ("name", "says", "place", "value"),
    [
        ("boxes_without_batch", ("bbox", "[5, 3, 4]"), 0, (5, 3, 4)),
        ("five_coordinates", ("bbox", "[1, 5, 3, 5]"), 0, (1, 5, 3, 5)),
        ("other_classes", ("scores", "[1, 5, 4]"), 1, (1, 5, 4)),
        ("integer_boxes", ("bbox", "Long"), 2, "int64"),
        ("mixed_dtypes", ("scores", "Half"), 3, "float16"),
        ("threshold_above_one", ("score_threshold", "1.5"), 4, {"score_threshold": 1.5}),
        ("iou_nan", ("iou_threshold", "nan"), 4, {"iou_threshold": math.nan}),
        ("no_room", ("max_total_size", "0"), 4, {"max_total_size": 0}),
    ],
)
def test_each_bad_call_has_one_thing_wrong_and_the_words_for_it(name, says, place, value):
    bad = bad_call(name)
    arrays = bad.arrays()
    box, score = arrays["bbox"], arrays["scores"]
    found = (box.shape, score.shape, box.dtype.name, score.dtype.name, bad.arguments)
    expected = [*GOOD]
    expected[place] = value
    assert repr(found) == repr(tuple(expected)) and bad.says == says
    assert (box == 1).all() and (score == 1).all()


def test_the_defaults_are_those_of_the_published_operators():
    assert NmsOptions() == NmsOptions(0.05, 0.5, 200, 100)
    assert RoiOptions(()) == RoiOptions((), True, 56, 7, 7, 0, 0)
    assert [bad.name for bad in ops_calls.bad_calls()] == list(NAMES)
