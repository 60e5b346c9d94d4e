"""Outputs at their edges: each limit itself passes, a step beyond fails."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks import outputs as checks
from tests.test_outputs_checks import BOXES, CLASSES, DECLARED, SIDE, changed, good, judge
from tests.training_records import failing

STEP = 2.0**-10  # of fp16, relative


def fails(name: str, outputs: list):
    return failing(judge, f"check_{name}", outputs)


@pytest.mark.parametrize("name", ["dtypes", "shapes"])
def test_outputs_are_counted_before_anything_is_said_of_them(name):
    for outputs in (good()[:2], []):
        assert fails(name, outputs).what == "the number of outputs is wrong"


def test_a_shape_is_said_with_its_axes():
    assert (
        fails("shapes", changed(0, lambda b: b[:4])).expected == "boxes (detection=5, coordinate=4)"
    )
    assert fails("shapes", changed(2, lambda s: s[:4])).what == "scores has another shape"


# --- order ---


def test_a_box_of_more_than_two_pixels_is_no_fraction():
    for largest, fraction in ((2.0, True), (2.001, False), (-2.0, True), (-2.5, False)):
        boxes = np.zeros((5, 4), np.float32)
        boxes[0, 0] = largest
        outputs = changed(0, lambda b, boxes=boxes: boxes)
        if fraction:
            assert "fractions" in fails("order", outputs).what
        else:
            judge("check_order", outputs)


def test_a_score_may_be_one_and_none_may_be_below_nothing():
    judge("check_order", changed(2, {0: 1.0}))
    assert fails("order", changed(2, {4: -0.5})).what == "scores are not in (0, 1]"


@pytest.mark.parametrize(
    ("scores", "alike"),
    [([0.9, 0, 0, 0, 0], False), ([0.9, 0.9, 0, 0, 0], True), ([0.9, 0.9, 0.8, 0, 0], False)],
)
def test_scores_are_alike_when_two_or_more_are_all_the_same(scores, alike):
    outputs = changed(2, lambda s: np.array(scores, np.float32))
    if alike:
        assert fails("order", outputs).what == "scores are all alike"
    else:
        judge("check_order", outputs)


@pytest.mark.parametrize("value", [-1.0, 0.5, np.nan, np.inf, CLASSES])
def test_one_number_that_is_no_class_makes_an_output_no_labels(value):
    outputs = changed(1, lambda x: np.where(x == 2, value, x))
    assert fails("order", outputs).what == f"labels are not integers 0..{CLASSES - 1}"


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_outputs_have_no_order(count):
    failure = fails("order", good()[:count])
    assert failure.what == "the outputs are not n boxes, n labels and n scores"


@pytest.mark.parametrize("index", [0, 1, 2])
def test_outputs_whose_sizes_do_not_belong_together_have_no_order(index):
    failure = fails("order", changed(index, lambda x: x[:-1]))
    assert failure.what == "the outputs are not n boxes, n labels and n scores"


def test_an_output_of_nothing_is_said_to_be_nothing():
    failure = fails("order", [np.zeros((0, 4)), good()[1], np.zeros(1)])
    assert failure.actual == "output 0: 0 of nothing; output 1: 5 of 0 .. 5; output 2: 1 of 0 .. 0"


# --- layout ---


def layout(rows) -> list:
    """A result of which all rows are valid."""
    count = len(rows)
    return [np.array(rows, float), np.zeros((count, 1), int), np.linspace(0.9, 0.5, count)]


def test_points_and_lines_are_boxes():
    judge("check_layout", layout([[3, 4, 3, 4], [1, 2, 1, 9], [5, 2, 9, 2]]))


def test_only_valid_rows_say_anything_of_the_layout():
    judge("check_layout", changed(0, {3: [9, 9, 1, 1], 4: [9, 9, 1, 1]}))


def test_where_all_readings_fit_it_is_the_right_one():
    judge("check_layout", layout([[1, 1, 1, 1]] * 4))


@pytest.mark.parametrize(
    "rows",
    [[[50, 90, 60, 95], [70, 3, 20, 30]], [[90, 5, 9, 60], [3, 70, 40, 30]]],
)
def test_sides_instead_of_far_corners_are_named_where_a_side_is_shorter_than_its_corner(rows):
    failure = fails("layout", layout(rows))
    assert failure.what == "boxes are laid out detection first, with width and height"
    assert "% of the rows are boxes read so, 100 % read " in failure.actual


def test_negative_sides_are_still_sides():
    failure = fails("layout", layout([[50, 90, -10, -10], [70, 80, -5, -6]]))
    assert failure.what.endswith("with width and height")


def test_columns_in_pairs_are_named_whatever_else_almost_fits():
    rows = [[10, 20, 3, 90], [5, 9, 1, 4], [100, 130, 40, 60]]
    assert fails("layout", layout(rows)).what.endswith("x1 x2 y1 y2")
    assert checks.READINGS["detection first, x1 x2 y1 y2"](np.arange(8.0)).tolist() == [
        [0, 2, 1, 3],
        [4, 6, 5, 7],
    ]
    corners = checks.READINGS["detection first, with width and height"]
    assert corners(np.array([5.0, 6, 2, 3])).tolist() == [[5, 6, 7, 9]]
    assert corners(np.array([5.0, 2, 4, 3])).tolist() == [[5, 2, 9, 5]]
    assert corners(np.array([5.0, 2, 4, 9])).tolist() == [[5, 2, 9, 11]]
    assert corners(np.array([2.0, 6, 5, 3])).tolist() == [[2, 6, 7, 9]]
    for right in ([2.0, 3, 5, 6], [2.0, 3, 2, 6], [2.0, 3, 5, 3]):
        assert np.isnan(corners(np.array(right))).all()


# --- values, padding, sameness ---


def test_a_score_may_lie_one_fp16_step_below_the_threshold_and_may_be_one():
    judge("check_values", changed(2, {0: 1.0}))
    least = 0.05 * (1 - STEP)
    for score, right in ((least, True), (np.nextafter(least, 0), False)):
        outputs = good()
        outputs[2] = np.array([0.9, 0.6, score, 0, 0])
        if right:
            judge("check_values", outputs)
        else:
            assert fails("values", outputs).what == "scores are out of range"


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("column", range(4))
def test_a_coordinate_may_be_64_sides_away(sign, column):
    outputs = good()
    outputs[0][0, column] = sign * 64 * SIDE
    judge("check_values", outputs)
    outputs[0][0, column] = sign * (64 * SIDE + 1)
    assert fails("values", outputs).what == "boxes are far outside the input"


def test_labels_that_are_no_whole_numbers_are_no_classes():
    assert fails("values", changed(1, lambda x: x + 0.5)).what == "labels are no classes"


@pytest.mark.parametrize("column", range(4))
def test_one_coordinate_in_a_padding_row_is_a_leftover(column):
    outputs = good()
    outputs[0][3, column] = 1
    failure = fails("padding", outputs)
    assert len(failure.worst) == 1 and failure.worst[0].startswith("row 3: ")


def test_a_result_without_a_detection_is_vacuous():
    failure = fails("not_vacuous", [o * 0 for o in good()])
    assert failure.actual == "0 distinct boxes of 0 classes, scores spread over 0"


def test_by_how_much_two_runs_differ_is_said():
    def same(outputs):
        checks.check_same(outputs, good(), what="runs differ")

    failure = failing(same, changed(0, {0: np.array(BOXES[0]) - 7}))
    assert failure.actual == "output 0: 1 rows differ, by up to 7"
    failure = failing(same, changed(1, {0: 4, 2: 5}))
    assert failure.actual == "output 1: 2 rows differ, by up to 3"
    failure = failing(same, good()[:3])
    assert failure.what == "runs differ" and failure.actual.count(",") < failure.expected.count(",")


def test_a_detection_of_class_0_that_one_run_lost_is_a_difference():
    lost = changed(2, {1: 0.0})
    for one, other in ((lost, good()), (good(), lost)):
        failure = failing(checks.check_same, one, other, what="runs differ")
        assert failure.actual == "output 2: 1 rows differ, by up to 0.6"


def test_a_fourth_output_is_not_compared_whatever_its_length():
    outputs = [*good()[:3], np.arange(7.0)]
    other = [*good()[:3], np.arange(7.0) + 1]
    checks.check_same(outputs, other, what="runs differ")
    assert len(DECLARED) == 4
