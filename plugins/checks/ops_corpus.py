"""Inputs of aie::batch_nms on which implementations differ, each with what it asks.

Boxes and scores are float16, as in the exported graph, and coordinates are dyadic: float16,
float32 and float64 hold them, their areas and the decisive IoUs exactly, so that a difference is
a decision and never rounding. Nothing is random.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from plugins.checks.ops import NmsOptions

HALF = np.float16


@dataclass(frozen=True)
class NmsCase:
    """One input: boxes (B, N, C or 1, 4) xyxy and scores (B, N, C), both float16."""

    name: str
    meaning: str
    boxes: np.ndarray
    scores: np.ndarray
    options: NmsOptions = field(default_factory=NmsOptions)


def nms_corpus() -> list[NmsCase]:
    """The fixed list, in a fixed order."""
    return [*_thresholds(), *_overlaps(), *_caps(), *_orders(), *_numbers(), *_sizes()]


def _case(name, meaning, boxes, scores, **options) -> NmsCase:
    """A case of one image from boxes (N, 4) or (N, C, 4) and scores (N,) or (N, C)."""
    scores = np.asarray(scores, HALF)
    scores = scores.reshape(1, len(scores), -1)
    boxes = np.asarray(boxes, HALF).reshape(1, scores.shape[1], -1, 4)
    return NmsCase(name, meaning, boxes, scores, NmsOptions(**options))


def _grid(count: int) -> np.ndarray:
    """`count` disjoint boxes (count, 4) of 8 x 8, 16 apart."""
    row, column = np.divmod(np.arange(count), 64)
    corner = 16.0 * np.stack([column, row], 1)
    return np.concatenate([corner, corner + 8], 1)


def _falling(count: int) -> np.ndarray:
    """`count` distinct scores above 0.05, best first: consecutive halves down from 1."""
    return (np.uint16(0x3C00) - np.arange(count, dtype=np.uint16)).view(HALF)


def _around(value: float) -> np.ndarray:
    """The half nearest to `value` between its two neighbours."""
    bits = int(np.array(value, HALF).view(np.uint16))
    return np.array([bits - 1, bits, bits + 1], np.uint16).view(HALF)


def _thresholds() -> list[NmsCase]:
    three = _grid(3)
    return [
        _case(
            "score_on_a_representable_threshold",
            "only the upper neighbour of 0.0625 is above it; equal is not above",
            three,
            _around(0.0625),
            score_threshold=0.0625,
        ),
        _case(
            "score_on_0_05_rounded_to_half",
            "half(0.05) is 0.04999 and not above 0.05; the next half is",
            three,
            _around(0.05),
        ),
        _case(
            "score_on_0_3_rounded_to_half",
            "half(0.3) is 0.30005 and above 0.3: the threshold itself is not rounded",
            three,
            _around(0.3),
            score_threshold=0.3,
        ),
        _case(
            "score_threshold_zero",
            "zeros of both signs are out, the smallest subnormal is in",
            three,
            [0.0, -0.0, 2.0**-24],
            score_threshold=0.0,
        ),
        _case("score_threshold_one", "nothing is above 1", three, [1, 0.5, 1], score_threshold=1.0),
        _case("all_below", "no candidate: every row is padding", three, [0.04, 0.01, 0.0]),
    ]


def _overlaps() -> list[NmsCase]:
    whole, half, more = [0, 0, 64, 64], [0, 0, 64, 32], [0, 0, 64, 33]
    return [
        _case("iou_exactly_half", "IoU 0.5 does not suppress at 0.5", [whole, half], [0.9, 0.8]),
        _case("iou_just_above_half", "IoU 33/64 suppresses at 0.5", [whole, more], [0.9, 0.8]),
        _case(
            "iou_threshold_zero",
            "boxes that touch stay, boxes that share a sliver do not",
            [[0, 0, 8, 8], [8, 0, 16, 8], [0, 7, 8, 15]],
            [0.9, 0.8, 0.7],
            iou_threshold=0.0,
        ),
        _case(
            "iou_threshold_one",
            "identical boxes stay",
            [whole] * 3,
            [0.9, 0.8, 0.7],
            iou_threshold=1.0,
        ),
        _case(
            "no_plus_one",
            "an extent is x2 - x1: with +1 the IoU of 2/4 would be 6/10",
            [[0, 0, 1, 4], [0, 0, 1, 2]],
            [0.9, 0.8],
        ),
        _case(
            "suppressed_boxes_suppress_nothing",
            "the first removes the second, which alone would have removed the third",
            [[0, 0, 64, 64], [16, 0, 80, 64], [32, 0, 96, 64]],
            [0.9, 0.8, 0.7],
        ),
        _case(
            "same_box_in_two_classes",
            "classes do not meet: both stay",
            [[whole, whole]],
            [[0.9, 0.8]],
        ),
    ]


def _caps() -> list[NmsCase]:
    doubled = np.concatenate([np.repeat(_grid(1), 5, 0), _grid(4)[1:]])
    return [
        _case("300_disjoint_boxes", "the best 100 of 300 survivors", _grid(300), _falling(300)),
        _case(
            "cap_per_class",
            "three of eight survivors of each class",
            np.repeat(_grid(8)[:, None], 2, 1),
            _falling(16).reshape(8, 2),
            max_size_per_class=3,
        ),
        _case(
            "cap_counts_survivors",
            "five copies of one box count once: the cap is on what is kept, not on candidates",
            doubled,
            _falling(8),
            max_size_per_class=3,
        ),
        _case(
            "cap_in_total",
            "the best five over all classes, not of the first class",
            np.repeat(_grid(8)[:, None], 3, 1),
            _falling(24).reshape(3, 8).T[:, ::-1],
            max_total_size=5,
        ),
        _case("one_row", "the smallest output", _grid(4), _falling(4), max_total_size=1),
    ]


def _orders() -> list[NmsCase]:
    return [
        _case(
            "ties_by_class_then_row",
            "equal scores: lower class first, then lower row",
            np.repeat(_grid(6)[:, None], 3, 1),
            np.full((6, 3), 0.5),
            max_total_size=10,
        ),
        _case(
            "tied_overlapping_boxes",
            "of equal scores the first row stays and removes the second",
            [[0, 0, 64, 64], [0, 0, 64, 60], [0, 0, 64, 56]],
            [0.5, 0.5, 0.5],
        ),
        _case("worst_first", "the order of the rows says nothing", _grid(20), _falling(20)[::-1]),
    ]


def _numbers() -> list[NmsCase]:
    nan, inf = np.nan, np.inf
    return [
        _case("nan_scores", "a score that is no number is no candidate", _grid(3), [nan, 0.9, nan]),
        _case(
            "nan_boxes",
            "a box with a NaN coordinate is no candidate, and does not count against a cap",
            [[nan, 0, 8, 8], [0, 0, nan, 8], [16, 0, 24, 8], [32, 0, 40, 8]],
            [0.9, 0.8, 0.7, 0.6],
            max_size_per_class=2,
        ),
        _case("infinite_score", "above every threshold, and first", _grid(2), [0.9, inf]),
        _case(
            "infinite_boxes",
            "inf/inf is no number and suppresses nothing",
            [[0, 0, inf, inf], [0, 0, inf, inf], [-inf, -inf, inf, inf], [0, 0, 8, 8]],
            [0.9, 0.8, 0.7, 0.6],
        ),
        _case(
            "huge_boxes",
            "areas beyond 65504 do not overflow: the copy goes",
            [[0, 0, 65504, 65504], [0, 0, 65504, 65504], [-65504, -65504, 0, 0]],
            [0.9, 0.8, 0.7],
        ),
        _case(
            "image_sized_boxes",
            "areas of a whole input and of quarters of it are told apart: copies go",
            [[0, 0, 1344, 1344]] * 2 + [[0, 0, 672, 672]] * 2 + [[672, 672, 1344, 1344]],
            _falling(5),
        ),
        _case(
            "degenerate_boxes",
            "copies of points, lines and inverted boxes stay: 0/0 suppresses nothing",
            [[8, 8, 8, 8]] * 2 + [[0, 8, 64, 8]] * 2 + [[64, 64, 0, 0]] * 2 + [[0, 0, 64, 64]],
            _falling(7),
        ),
        _case(
            "negative_coordinates",
            "a box beyond the image is a box like any other",
            [[-64, -64, 0, 0], [-64, -64, 0, -1], [-32, 0, 32, 64]],
            [0.9, 0.8, 0.7],
        ),
    ]


def _sizes() -> list[NmsCase]:
    empty = NmsCase(
        "no_rows",
        "N = 0: nothing but padding",
        np.zeros((1, 0, 3, 4), HALF),
        np.zeros((1, 0, 3), HALF),
    )
    copies = np.concatenate([np.repeat(_grid(60), 70, 0), _grid(100)[60:]])
    boxes = np.repeat(_grid(6)[None, :, None], 2, 0).astype(HALF)
    two = NmsCase(
        "two_images_with_shared_boxes",
        "boxes (B, N, 1, 4) serve all classes; each image fills and pads its own rows",
        boxes,
        np.stack([_falling(12).reshape(6, 2), np.pad(_falling(3), (0, 9)).reshape(6, 2)]),
        NmsOptions(max_total_size=8),
    )
    eighty = _case(
        "eighty_classes",
        "each class keeps its own box, whichever way classes are merged",
        np.repeat(_grid(2)[:, None], 80, 1),
        _falling(160).reshape(2, 80)[:, ::-1],
        max_total_size=160,
    )
    many = _case(
        "4240_candidates",
        "the last 40 survivors come after 4200 candidates: 4080 are not enough",
        copies,
        _falling(4240),
    )
    padding = _case("padding_rows", "two detections, 98 rows of zeros", _grid(2), _falling(2))
    return [empty, two, eighty, many, padding]
