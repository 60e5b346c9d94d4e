"""How far rounding may move a number, wherever a box lies and whatever it is given as."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks.detections import box_allowance, iou, score_allowance
from tests.oracles import TOLERANCE


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
