"""The operators' references: in which precision they decide, and what has no extent."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks import ops
from plugins.checks.ops import NmsOptions, RoiOptions


def kept(boxes, scores, dtype, **options) -> list[float]:
    """The scores that survive, of one class."""
    boxes, scores = np.array(boxes, dtype)[None, :, None], np.array(scores, dtype)[None, :, None]
    found = ops.batch_nms_reference(boxes, scores, NmsOptions(**options))
    return found.scores[0, : int(found.num[0])].astype(float).tolist()


@pytest.mark.parametrize(("dtype", "count"), [("float16", 1), ("float32", 1), ("float64", 2)])
def test_an_overlap_is_found_in_float32_and_only_float64_in_its_own(dtype, count):
    """10/100 is above 0.1 in float32, and equal to it in float64."""
    boxes = [[0, 0, 10, 10], [0, 0, 10, 1]]
    assert len(kept(boxes, [0.5, 0.25], dtype, iou_threshold=0.1)) == count


def test_of_two_boxes_that_overlap_the_better_one_stays_whichever_row_it_is():
    boxes = [[0, 0, 8, 8], [0, 0, 8, 7], [0, 0, 8, 8]]
    assert kept(boxes, [0.25, 0.5, 0.125], "float32") == [0.5]
    assert kept(boxes, [0.25, 0.25, 0.25], "float32") == [0.25]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((4, 0, 0, 4), (0, 0, 4, 4)),
        ((0, 0, 4, 4), (6, 0, 9, 4)),
        ((0, 0, 4, 4), (0, 6, 4, 9)),
        ((6, 0, 9, 4), (0, 0, 4, 4)),
    ],
)
def test_boxes_that_meet_along_one_axis_alone_do_not_overlap(a, b):
    assert ops.iou(np.array(a, np.float32), np.array(b, np.float32)) == 0


RAMP = np.mgrid[:32, :32][1][None, None].astype(np.float64)


def pooled(dtype, **options) -> np.ndarray:
    """Bins of a ramp along x, of a region that no dyadic number describes."""
    rois = np.array([[0, 30, 40, 130, 140]], dtype)
    return ops.roi_extractor_reference([RAMP], rois, RoiOptions((0.1,), **options))[0, 0]


def test_sampling_points_are_found_in_float32_and_only_those_of_float64_in_their_own():
    exact = 3 - 0.5 + 10 / 7 * (np.arange(7) + 0.5)
    wide, single, half = (pooled(dtype)[0] for dtype in ("float64", "float32", "float16"))
    assert np.abs(wide - exact).max() < 1e-13
    assert 1e-9 < np.abs(single - exact).max() < 1e-5
    assert np.array_equal(half, single)


def test_a_region_without_extent_has_no_samples():
    rois = np.array([[0, 8, 8, 8, 8], [0, 8, 8, 16, 8]], np.float32)
    found = ops.roi_extractor_reference([RAMP + 1], rois, RoiOptions((1.0,), ph=2, pw=2))
    assert not found.any()


def test_a_region_is_enlarged_along_both_axes():
    along_y = RAMP.transpose(0, 1, 3, 2)
    rois = np.array([[0, 10, 12, 14, 14]], np.float64)
    options = RoiOptions((1.0,), aligned=False, ph=2, pw=1, roi_scale_factor=3)
    found = ops.roi_extractor_reference([along_y], rois, options)[0, 0]
    assert found == pytest.approx(np.array([[11.5], [14.5]]))
