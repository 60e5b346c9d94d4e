"""The operators' references, without a kernel: they decide what was counted by hand."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from plugins.checks import ops
from plugins.checks.ops import NmsResult, RoiOptions
from plugins.checks.ops_corpus import nms_corpus


@cache
def cases() -> dict:
    return {case.name: case for case in nms_corpus()}


# Survivors, counted by hand: rows of the first class in the order in which they are kept.
BY_HAND = {
    "score_on_a_representable_threshold": [2],
    "score_on_0_05_rounded_to_half": [2],
    "score_on_0_3_rounded_to_half": [2, 1],
    "score_threshold_zero": [2],
    "score_threshold_one": [],
    "all_below": [],
    "iou_exactly_half": [0, 1],
    "iou_just_above_half": [0],
    "iou_threshold_zero": [0, 1],
    "iou_threshold_one": [0, 1, 2],
    "no_plus_one": [0, 1],
    "suppressed_boxes_suppress_nothing": [0, 2],
    "300_disjoint_boxes": list(range(100)),
    "cap_counts_survivors": [0, 5, 6],
    "one_row": [0],
    "tied_overlapping_boxes": [0],
    "worst_first": list(range(19, -1, -1)),
    "nan_scores": [1],
    "nan_boxes": [2, 3],
    "infinite_score": [1, 0],
    "infinite_boxes": [0, 1, 2, 3],
    "huge_boxes": [0, 2],
    "image_sized_boxes": [0, 2, 4],
    "degenerate_boxes": [0, 1, 2, 3, 4, 5, 6],
    "negative_coordinates": [0, 2],
    "padding_rows": [0, 1],
}


def nms(case) -> NmsResult:
    return ops.batch_nms_reference(case.boxes, case.scores, case.options)


@pytest.mark.parametrize("name", BY_HAND)
def test_the_reference_keeps_what_was_counted_by_hand(name):
    case, rows = cases()[name], BY_HAND[name]
    found, room = nms(case), case.options.max_total_size
    assert found.num.tolist() == [len(rows)]
    pad = room - len(rows)
    expected = NmsResult(
        np.pad(case.boxes[:, rows, 0], ((0, 0), (0, pad), (0, 0))),
        np.pad(case.scores[:, rows, 0], ((0, 0), (0, pad))),
        np.zeros(room, np.int64),
        np.array([len(rows)], np.float32),
    )
    ops.check_nms_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("same_box_in_two_classes", [(0, 0), (1, 0)]),
        ("cap_per_class", [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]),
        ("cap_in_total", [(2, 0), (2, 1), (2, 2), (2, 3), (2, 4)]),
        ("ties_by_class_then_row", [(label, row) for label in (0, 1) for row in range(6)][:10]),
    ],
)
def test_classes_are_judged_apart_and_ranked_together(name, places):
    case, found = cases()[name], nms(cases()[name])
    count = len(places)
    assert found.num.tolist() == [count]
    assert found.classes.tolist()[:count] == [label for label, _ in places]
    every = np.broadcast_to(case.boxes, (*case.scores.shape, 4))
    assert found.boxes[0, :count].tolist() == [
        every[0, row, label].tolist() for label, row in places
    ]
    scores = [float(case.scores[0, row, label]) for label, row in places]
    assert found.scores[0, :count].astype(float).tolist() == scores
    assert not found.classes[count:].any() and not found.scores[0, count:].any()


def test_each_image_of_a_batch_fills_and_pads_its_own_rows():
    case = cases()["two_images_with_shared_boxes"]
    found = nms(case)
    assert found.num.tolist() == [8, 3]
    assert found.classes.tolist() == [0, 1] * 4 + [0, 1, 0] + [0] * 5
    assert (found.scores[1, 3:] == 0).all() and (found.scores[1, :3] > 0).all()
    assert found.boxes[0, :8, 0].tolist() == [0, 0, 16, 16, 32, 32, 48, 48]


def test_no_rows_give_nothing_but_padding():
    found = nms(cases()["no_rows"])
    assert (found.num.tolist(), found.boxes.any(), len(found.classes)) == ([0], False, 100)


def test_4240_candidates_are_100_boxes_and_every_class_of_80_keeps_its_own():
    assert nms(cases()["4240_candidates"]).num.tolist() == [100]
    found = nms(cases()["eighty_classes"])
    assert found.num.tolist() == [160]
    assert found.classes.tolist() == [*range(79, -1, -1)] * 2


# --- overlaps and regions of interest ---


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 4, 4), (0, 0, 4, 4), 1.0),
        ((0, 0, 4, 4), (2, 1, 6, 5), 6 / 26),
        ((2, 1, 6, 5), (0, 0, 4, 4), 6 / 26),
        ((0, 0, 4, 4), (4, 0, 8, 4), 0.0),
        ((0, 0, 4, 4), (9, 9, 12, 12), 0.0),
        ((0, 0, 4, 2), (1, 0, 2, 9), 2 / 15),
        ((4, 4, 0, 0), (0, 0, 4, 4), 0.0),
        ((0, 4, 4, 0), (0, 0, 4, 4), 0.0),
    ],
)
def test_an_overlap_is_shared_over_united_area(a, b, expected, dtype):
    found = ops.iou(np.array(a, dtype), np.array(b, dtype))
    assert found == dtype(expected) and found.dtype == dtype


def test_the_overlap_of_nothing_with_nothing_is_no_number():
    point = np.array([1, 1, 1, 1], np.float32)
    assert math.isnan(ops.iou(point, point))


FOUR = RoiOptions((0.25, 0.125, 0.0625, 0.03125))


@pytest.mark.parametrize(
    ("side", "level"),
    [(1, 0), (111, 0), (112, 1), (223, 1), (224, 2), (447, 2), (448, 3), (900, 3), (9000, 3)],
)
@pytest.mark.parametrize("corner", [0, -50])
def test_a_region_belongs_to_the_level_of_its_size(side, level, corner):
    corners = np.array([corner, corner, corner + side, corner + side], np.float32)
    assert ops.roi_level(corners, FOUR) == level


@pytest.mark.parametrize(
    "corners", [(9, 9, 9, 9), (9, 9, 0, 12), (9, 9, 12, 0), (448, 0, 0, 448), (0, 0, 0, 448)]
)
def test_an_inverted_or_empty_region_belongs_to_the_finest_level(corners):
    assert ops.roi_level(np.array(corners, np.float32), FOUR) == 0


def test_the_level_is_of_the_geometric_mean_of_the_sides():
    assert ops.roi_level(np.array([5, 7, 5 + 448, 7 + 112], np.float32), FOUR) == 2


def ramp(slope_y: float, slope_x: float, size: int = 32, offset: float = 0.0) -> np.ndarray:
    """Features (1, 1, size, size) that rise linearly: a bilinear sample is the value at its place."""
    y, x = np.mgrid[:size, :size]
    return (offset + slope_y * y + slope_x * x)[None, None].astype(np.float64)


def pooled(feats, roi, options: RoiOptions, dtype=np.float64) -> np.ndarray:
    return ops.roi_extractor_reference(feats, np.array([roi], dtype), options)[0, 0]


@pytest.mark.parametrize(("aligned", "shift"), [(True, 0.5), (False, 0.0)])
@pytest.mark.parametrize("sample_num", [0, 1, 3])
def test_of_a_ramp_each_bin_holds_the_value_at_its_centre(aligned, shift, sample_num):
    options = RoiOptions((0.5,), aligned=aligned, ph=2, pw=4, sample_num=sample_num)
    found = pooled([ramp(1.0, 100.0)], (0, 8, 12, 40, 36), options)
    ys = 12 * 0.5 - shift + 12 / 2 * (np.arange(2) + 0.5)
    xs = 8 * 0.5 - shift + 16 / 4 * (np.arange(4) + 0.5)
    assert found == pytest.approx(ys[:, None] + 100 * xs[None])


@pytest.mark.parametrize(("aligned", "width"), [(True, 0.25), (False, 1.0)])
def test_a_region_narrower_than_a_pixel_is_widened_only_where_it_is_not_aligned(aligned, width):
    options = RoiOptions((1.0,), aligned=aligned, ph=1, pw=1)
    start = 8 - (0.5 if aligned else 0)
    found = pooled([ramp(0.0, 1.0)], (0, 8, 8, 8.25, 8.25), options)
    assert found == pytest.approx(start + width / 2)


def test_a_region_is_enlarged_about_its_centre():
    options = RoiOptions((1.0,), aligned=False, ph=1, pw=2, roi_scale_factor=3)
    found = pooled([ramp(100.0, 1.0)], (0, 10, 12, 14, 14), options)
    assert found == pytest.approx(1300 + np.array([[9.0, 15.0]]))


def test_the_level_and_the_image_of_a_region_are_read_from_its_own_row():
    feats = [np.concatenate([np.full((1, 2, 64 >> i, 64 >> i), v) for v in (10 * i, 10 * i + 1)])
             for i in range(2)]  # fmt: skip
    rois = np.array([[0, 0, 0, 40, 40], [1, 0, 0, 40, 40], [1, 0, 0, 112, 112]], np.float32)
    options = RoiOptions((0.25, 0.125), ph=1, pw=1)
    found = ops.roi_extractor_reference(feats, rois, options)
    assert found.shape == (3, 2, 1, 1)
    assert found[:, :, 0, 0].tolist() == [[0, 0], [1, 1], [11, 11]]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((0, 0), 1.0),
        ((-1, 0), 1.0),  # within one pixel outside: the border's value
        ((0, -1), 1.0),
        ((3, 2), 1.0),
        ((2, 3), 1.0),
        ((-1.001, 0), 0.0),
        ((0, -1.001), 0.0),
        ((3.001, 0), 0.0),
        ((0, 3.001), 0.0),
    ],
)
def test_a_sample_beyond_one_pixel_outside_is_zero(place, expected):
    assert ops._bilinear(np.ones((2, 3, 3)), *place).tolist() == [expected] * 2


@pytest.mark.parametrize(
    ("y", "x", "expected"),
    [(0, 0, 1), (0, 1, 2), (1, 0, 4), (0.25, 0, 1.75), (0, 0.25, 1.25), (0.5, 0.5, 3.75)]
    + [(1.0, 0.75, 7.0), (1.5, 0.75, 7.0), (0.75, 1.5, 6.5), (-0.5, 0.5, 1.5), (0.5, -0.5, 2.5)],
)
def test_a_sample_is_weighted_by_its_distance_from_four_neighbours(y, x, expected):
    assert ops._bilinear(np.array([[[1.0, 2.0], [4.0, 8.0]]]), y, x) == pytest.approx(expected)
