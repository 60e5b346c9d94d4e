"""Spacings, allowances and overlaps: each by hand, and each against a slower definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.checks.detections import (
    box_allowance,
    detections_of,
    fp16_spacing,
    iou,
    iou_range,
    recipe_oracle,
    score_allowance,
    stock_detections,
)
from plugins.contracts import Recipe
from plugins.failure import CheckFailure
from tests.oracles import TOLERANCE, detections, oracles, overlap

quickly = settings(derandomize=True, max_examples=60, deadline=None, database=None)


@pytest.mark.parametrize(
    ("value", "spacing"),
    [(1.0, 2**-10), (0.9999, 2**-11), (1344.0, 1.0), (-1344.0, 1.0), (2048.0, 2.0),
     (0.05, 2**-15), (0.0, 2**-24), (1e-9, 2**-24)],
)  # fmt: skip
def test_the_spacing_of_fp16_is_known(value, spacing):
    assert fp16_spacing(np.array([value])) == [spacing]


def test_the_spacing_of_fp16_is_numpy_s_at_every_number():
    every = np.arange(0x7BFF, dtype=np.uint16).view(np.float16)  # up to the last but one
    assert np.array_equal(fp16_spacing(every), np.spacing(every).astype(np.float64))


def test_a_score_may_be_off_by_its_logit_s_error_and_a_spacing():
    allowed = score_allowance(np.array([0.5, 0.9, 1.0]), TOLERANCE)
    expected = [0.01 * 0.25 + 2**-11, 0.01 * 0.09 + 2**-11, 2**-10]
    assert allowed == pytest.approx(expected, rel=1e-12)


def test_a_corner_near_zero_is_as_uncertain_as_the_far_one():
    allowed = box_allowance(np.array([[0.0, 300.0, 1344.0, 310.0]]), TOLERANCE)
    wide, flat = 0.1 + 1.0 + 13.44, 0.1 + 0.25 + 0.1
    assert allowed[0] == pytest.approx([wide, flat, wide, flat], rel=1e-12)


def test_a_side_larger_than_both_ends_sets_the_spacing():
    allowed = box_allowance(np.array([[-600.0, 0.0, 600.0, 1.0]]), TOLERANCE)
    assert allowed[0, 0] == pytest.approx(0.1 + 1.0 + 12.0)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0, 0, 10, 10], [0, 0, 10, 10], 1.0),
        ([0, 0, 10, 10], [0, 0, 10, 5], 0.5),
        ([0, 0, 10, 10], [5, 5, 15, 15], 25 / 175),
        ([0, 0, 10, 10], [10, 0, 20, 10], 0.0),
        ([0, 0, 10, 10], [20, 20, 30, 30], 0.0),
        ([0, 0, 0, 10], [0, 0, 0, 10], 0.0),
        ([10, 10, 0, 0], [0, 0, 10, 10], 0.0),
    ],
)
def test_iou_is_what_one_counts(a, b, expected):
    assert iou(np.array([a]), np.array([b]))[0, 0] == pytest.approx(expected)
    assert iou(np.array([b]), np.array([a]))[0, 0] == pytest.approx(expected)


@quickly
@given(oracles())
def test_iou_is_that_of_the_slow_definition(oracle):
    boxes = oracle.candidates.boxes[:8]
    slow = np.array([[overlap(a, b) for b in boxes] for a in boxes]).reshape(len(boxes), len(boxes))
    assert iou(boxes, boxes) == pytest.approx(slow)


@quickly
@given(oracles(), st.integers(0, 2**32 - 1))
def test_no_rounding_within_the_allowance_moves_an_iou_further_than_said(oracle, seed):
    boxes = oracle.candidates.boxes[:12]
    sign = np.random.RandomState(seed).choice([-1.0, 0.0, 1.0], (2, *boxes.shape))
    a, b = boxes + sign * box_allowance(boxes, TOLERANCE)
    least, most = iou_range(boxes, boxes, TOLERANCE)
    assert (least - 1e-9 <= iou(a, b)).all() and (iou(a, b) <= most + 1e-9).all()


def test_rounding_brings_no_boxes_together_that_lie_apart():
    near, far = np.array([[0.0, 0, 32, 32]]), np.array([[40.0, 0, 72, 32]])
    assert iou_range(near, far, TOLERANCE)[1] == [[0.0]]
    beside = far - [8.0, 0, 8.0, 0]
    assert 0 < iou_range(near, beside, TOLERANCE)[1][0, 0] < 0.05


def test_the_range_of_an_iou_is_reached_and_not_larger():
    box, edge = np.array([[100.0, 100, 200, 200]]), 0.1 + 0.125 + 1.0
    least, most = iou_range(box, box + [20.0, 0, 20, 0], TOLERANCE)
    assert most[0, 0] == pytest.approx((80 + 2 * edge) / (120 - 2 * edge), rel=1e-3)
    wide, high = 80 - 2 * edge, 100 - 2 * edge
    assert least[0, 0] == pytest.approx(wide * high / (2 * 100 * 100 - wide * high), rel=0.01)


def test_small_boxes_may_turn_into_nearly_anything():
    small = np.array([[1000.0, 1000, 1002, 1002]])
    least, most = iou_range(small, small, TOLERANCE)
    assert least[0, 0] < 0.1 and most[0, 0] == 1.0


def test_padding_is_left_out_and_numbers_become_wide():
    outputs = [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.array([[5], [6], [7]], np.int32),
        np.array([0.5, 0.25, 0.0], np.float32),
    ]
    found = detections_of(outputs)
    assert (found.boxes.dtype, found.labels.dtype, found.scores.dtype) == (float, np.int64, float)
    assert found.boxes.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert (found.labels.tolist(), found.scores.tolist()) == ([5, 6], [0.5, 0.25])
    assert len(detections_of(outputs, minimum=0.3)) == 1


def test_outputs_of_unlike_length_are_no_detections():
    outputs = [np.zeros((3, 4)), np.zeros((2, 1)), np.zeros(3)]
    with pytest.raises(CheckFailure, match="the outputs are not n boxes, n labels and n scores"):
        detections_of(outputs)


def test_a_row_as_text_shows_class_score_and_box():
    row = detections((3, 0.98765, 1, 2, 3.25, 4)).row(0)
    assert row == "class 3 score 0.9877 box [1.0 2.0 3.2 4.0]"


def test_an_oracle_reports_what_it_kept():
    arrays = {
        "recipe_boxes": np.zeros((3, 4)),
        "recipe_labels": np.array([1, 2, 3]),
        "recipe_scores": np.array([0.9, 0.8, 0.7]),
        "recipe_kept": np.array([0, -1, 1]),
        "stock_boxes": np.ones((1, 4)),
        "stock_labels": np.array([4]),
        "stock_scores": np.array([0.6]),
    }
    oracle = recipe_oracle(arrays, Recipe(200, 0.05, 0.5, 200, 100))
    assert oracle.result.labels.tolist() == [1, 3]
    assert (oracle.limit, oracle.score_threshold, oracle.iou_threshold) == (100, 0.05, 0.5)
    assert stock_detections(arrays).labels.tolist() == [4]
