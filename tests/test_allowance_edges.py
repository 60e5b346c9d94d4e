"""How far rounding may move a number, wherever a box lies and whatever it is given as."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks.detections import (
    box_allowance,
    detections_of,
    iou,
    iou_range,
    rows_of,
    score_allowance,
)
from tests.oracles import TOLERANCE, overlap
from tests.training_records import failing


def test_lists_are_judged_as_arrays():
    assert score_allowance([0.5], TOLERANCE) == pytest.approx([0.01 / 4 + 2**-11])
    assert box_allowance([[0, 0, 8, 8]], TOLERANCE)[0, 0] == pytest.approx(0.1 + 2**-7 + 0.08)
    assert iou([[0, 0, 8, 8]], [[0, 0, 8, 4]]) == [[0.5]]


@pytest.mark.parametrize("low", [511.0, -513.0])
def test_the_spacing_of_a_box_is_that_of_its_further_end(low):
    """Between 512 and 1024 px it is half a pixel."""
    for box in ([low, 0, low + 2, 8], [0, low, 8, low + 2]):
        allowed = box_allowance(np.array([box]), TOLERANCE)[0]
        narrow = 0.1 + 0.5 + 0.02
        wide = 0.1 + 2**-7 + 0.08
        expected = [narrow, wide] * 2 if box[0] == low else [wide, narrow] * 2
        assert allowed == pytest.approx(expected)


def test_an_inverted_box_is_as_uncertain_as_the_upright_one():
    upright, inverted = [[-600.0, -3, 600, 5]], [[600.0, 5, -600, -3]]
    same = box_allowance(np.array(upright), TOLERANCE)
    assert np.array_equal(box_allowance(np.array(inverted), TOLERANCE), same)


@pytest.mark.parametrize("score", [-0.5, 1.5])
def test_what_is_no_score_has_the_allowance_of_its_rounding(score):
    spacing = 2.0**-10 if abs(score) > 1 else 2.0**-11
    assert score_allowance(np.array([score]), TOLERANCE) == [spacing]


def test_an_inverted_box_of_negative_corners_has_the_spacing_of_the_further_one():
    allowed = box_allowance(np.array([[-3.0, 0, -513, 8]]), TOLERANCE)[0]
    assert allowed[0] == allowed[2] == pytest.approx(0.1 + 0.5 + 5.1)


def test_boxes_smaller_than_a_pixel_overlap_like_any_others():
    assert iou([[0, 0, 0.5, 0.5]], [[0, 0, 0.5, 0.25]]) == [[0.5]]
    assert iou([[0, 0, 0.5, 0.5]], [[0, 0, 0.5, 0.5]]) == [[1.0]]


# Of each pair the least IoU is reached another way: together in a direction, or each edge by itself.
PAIRS = {
    (1, -1): ([306, 322, 315, 330], [306, 322, 317, 328]),
    (-1, 1): ([322, 313, 330, 324], [321, 315, 330, 324]),
    (-1, -1): ([324, 306, 332, 311], [321, 306, 332, 308]),
    "each": ([304, 331, 309, 336], [305, 330, 309, 337]),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_least_overlap_is_that_of_the_way_that_parts_most(name):
    """An edge that both share parts as though the second box's lay further."""
    a, b = (np.array(box, float) for box in PAIRS[name])
    own, other = (box_allowance(box[None], TOLERANCE)[0] for box in (a, b))
    ways = {"each": np.where(b < a, -1, 1)}
    ways.update({(x, y): np.array([x, y, x, y]) for x in (1, -1) for y in (1, -1)})
    reached = {way: overlap(a - s * own, b + s * other) for way, s in ways.items()}
    assert min(reached, key=reached.get) == name
    least, _ = iou_range(a[None], b[None], TOLERANCE)
    assert least[0, 0] == pytest.approx(reached[name], rel=1e-12)


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_named_by_their_output(place, value):
    outputs = [np.ones((2, 4)), np.ones(2), np.ones(2)]
    detections_of(outputs)
    outputs[place].flat[1] = value
    failure = failing(detections_of, outputs)
    name = ("boxes", "labels", "scores")[place]
    assert failure.what == f"{name} hold NaN or infinity"
    assert failure.actual == f"{name} do not hold finite numbers only"


@pytest.mark.parametrize(
    "sizes", [(12, 2, 3), (12, 3, 2), (8, 3, 3), (8, 3, 2), (8, 2, 3), (12, 3)]
)
def test_rows_have_four_coordinates_a_label_and_a_score(sizes):
    rows_of([np.ones(12), np.ones(3), np.ones(3), np.ones(99)])
    failure = failing(rows_of, [np.ones(size) for size in sizes])
    assert failure.actual == ", ".join(map(str, sizes))
