"""What aie::batch_nms and aie::roi_extractor must compute: slow references and comparisons.

The references are written from mmdet_ops/README.md, one decision after the other, and share
nothing with the C++ kernels. Loops are fine: they see small inputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plugins.failure import CheckFailure


@dataclass(frozen=True)
class NmsOptions:
    """The scalar arguments of aie::batch_nms; both thresholds are strict."""

    score_threshold: float = 0.05
    iou_threshold: float = 0.5
    max_size_per_class: int = 200
    max_total_size: int = 100


@dataclass(frozen=True)
class NmsResult:
    """boxes (B, M, 4) and scores (B, M) of the input's dtype, classes (B*M,) int64, num (B,) f32.

    Rows from num on are zero.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    num: np.ndarray


@dataclass(frozen=True)
class RoiOptions:
    """The scalar arguments of aie::roi_extractor; pool_mode is always "avg"."""

    spatial_scale: tuple[float, ...]
    aligned: bool = True
    finest_scale: int = 56
    ph: int = 7
    pw: int = 7
    roi_scale_factor: int = 0
    sample_num: int = 0


def batch_nms_reference(boxes: np.ndarray, scores: np.ndarray, options: NmsOptions) -> NmsResult:
    """Class-wise greedy NMS of boxes (B, N, C or 1, 4) xyxy with scores (B, N, C)."""
    batch, rows, classes = scores.shape
    m = options.max_total_size
    out = NmsResult(
        np.zeros((batch, m, 4), boxes.dtype),
        np.zeros((batch, m), scores.dtype),
        np.zeros(batch * m, np.int64),
        np.zeros(batch, np.float32),
    )
    every = np.broadcast_to(boxes, (batch, rows, classes, 4))
    for image in range(batch):
        kept = _best(every[image], scores[image], options)
        for slot, (label, row) in enumerate(kept):
            out.boxes[image, slot] = every[image, row, label]
            out.scores[image, slot] = scores[image, row, label]
            out.classes[image * m + slot] = label
        out.num[image] = len(kept)
    return out


def _best(boxes: np.ndarray, scores: np.ndarray, options: NmsOptions) -> list[tuple[int, int]]:
    """The survivors of one image as (class, row), best first."""
    kept = [
        (label, row)
        for label in range(scores.shape[1])
        for row in _survivors(boxes[:, label], scores[:, label], options)
    ]
    kept.sort(key=lambda place: (-float(scores[place[1], place[0]]), *place))
    return kept[: options.max_total_size]


def _survivors(boxes: np.ndarray, scores: np.ndarray, options: NmsOptions) -> list[int]:
    """The rows that one class keeps, best first."""
    wide = boxes.astype(np.float64 if boxes.dtype == np.float64 else np.float32)
    candidates = [
        row
        for row in range(len(scores))
        if float(scores[row]) > options.score_threshold and not np.isnan(wide[row]).any()
    ]
    candidates.sort(key=lambda row: (-float(scores[row]), row))
    kept: list[int] = []
    for row in candidates:
        if len(kept) == options.max_size_per_class:
            break
        overlaps = (float(iou(wide[row], wide[other])) for other in kept)
        if not any(overlap > options.iou_threshold for overlap in overlaps):
            kept.append(row)
    return kept


def iou(a: np.ndarray, b: np.ndarray) -> np.floating:
    """Intersection over union of two boxes (4,) xyxy in their own precision; 0/0 is NaN."""
    zero = a.dtype.type(0)

    def area(x1, y1, x2, y2):
        width, height = x2 - x1, y2 - y1
        return (width if width > 0 else zero) * (height if height > 0 else zero)

    with np.errstate(all="ignore"):
        inter = area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
        return inter / (area(*a) + area(*b) - inter)


def roi_extractor_reference(
    feats: Sequence[np.ndarray], rois: np.ndarray, options: RoiOptions
) -> np.ndarray:
    """Mean of bilinear samples: feats of (B, C, H, W), rois (K, 5) [image, xyxy] -> (K, C, ph, pw).

    Levels and sampling points are found in the operator's arithmetic (float32 for float16 and
    float32), values are summed in float64 and not rounded: the result is float64.
    """
    real = np.float64 if rois.dtype == np.float64 else np.float32
    out = np.zeros((len(rois), feats[0].shape[1], options.ph, options.pw))
    for k, row in enumerate(rois.astype(real)):
        corners = row[1:]
        level = roi_level(corners, options)
        if options.roi_scale_factor:
            corners = _rescaled(corners, real(options.roi_scale_factor))
        plane = feats[level][int(row[0])].astype(np.float64)
        ys, xs = _sampling_points(corners, real(options.spatial_scale[level]), options)
        for i, j in np.ndindex(options.ph, options.pw):
            values = [_bilinear(plane, float(y), float(x)) for y in ys[i] for x in xs[j]]
            if values:
                out[k, :, i, j] = np.mean(values, axis=0)
    return out


def roi_level(corners: np.ndarray, options: RoiOptions) -> int:
    """The level of a roi (4,) xyxy: floor(log2(sqrt(w*h) / finest_scale + 1e-6)), clamped."""
    real = corners.dtype.type
    area = (corners[2] - corners[0]) * (corners[3] - corners[1])
    size = np.sqrt(max(area, real(0))) / real(options.finest_scale) + real(1e-6)
    return min(max(math.floor(math.log2(size)), 0), len(options.spatial_scale) - 1)


def _rescaled(corners: np.ndarray, factor: np.floating) -> np.ndarray:
    x1, y1, x2, y2 = corners
    cx, cy, w, h = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) * factor / 2, (y2 - y1) * factor / 2
    return np.array([cx - w, cy - h, cx + w, cy + h], corners.dtype)


def _sampling_points(corners: np.ndarray, scale: np.floating, options: RoiOptions) -> list:
    """For the y and the x axis, one list of points per bin, in feature pixels."""
    real = corners.dtype.type
    shift = real(0.5) if options.aligned else real(0)
    x1, y1, x2, y2 = corners * scale - shift
    axes = []
    for start, extent, bins in ((y1, y2 - y1, options.ph), (x1, x2 - x1, options.pw)):
        size = (extent if options.aligned else max(extent, real(1))) / real(bins)
        count = options.sample_num or math.ceil(size)
        steps = [(real(s) + real(0.5)) * size / real(max(count, 1)) for s in range(count)]
        axes.append([[start + real(b) * size + step for step in steps] for b in range(bins)])
    return axes


def _bilinear(plane: np.ndarray, y: float, x: float) -> np.ndarray:
    """One sample of (C, H, W); zero beyond one pixel outside, the border's value within it."""
    height, width = plane.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(len(plane))
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    upper = plane[:, top, left] * (1 - dx) + plane[:, top, right] * dx
    lower = plane[:, bottom, left] * (1 - dx) + plane[:, bottom, right] * dx
    return upper * (1 - dy) + lower * dy


def check_nms_equal(actual: NmsResult, expected: NmsResult) -> None:
    """Both results are the same, bit for bit, padding rows included.

    Raises:
        CheckFailure: names the first output that differs, and its worst rows.
    """
    for name in ("num", "scores", "classes", "boxes"):
        got, wanted = getattr(actual, name), getattr(expected, name)
        if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
            raise CheckFailure(
                f"batch_nms: {name} have the wrong form",
                expected=f"{wanted.dtype} {wanted.shape}",
                actual=f"{got.dtype} {got.shape}",
            )
        got, wanted = got.ravel(), wanted.ravel()
        rows = np.flatnonzero(~((got == wanted) | (np.isnan(got) & np.isnan(wanted))))
        if len(rows):
            raise CheckFailure(
                f"batch_nms: {name} differ from the reference",
                expected=f"{wanted[rows[0]]:.6g} in place {rows[0]}, {len(wanted)} places in all",
                actual=f"{got[rows[0]]:.6g}, and {len(rows) - 1} other places differ",
                worst=[f"place {i}: {got[i]:.6g} instead of {wanted[i]:.6g}" for i in rows],
            )


def check_roi_close(actual: np.ndarray, expected: np.ndarray, *, relative: float) -> None:
    """Pooled features agree within `relative` times the largest expected magnitude.

    Raises:
        CheckFailure: names the worst place and the smallest tolerance that would have passed.
    """
    if actual.shape != expected.shape:
        raise CheckFailure(
            "roi_extractor: the features have the wrong shape",
            expected=str(expected.shape),
            actual=str(actual.shape),
        )
    if not expected.size:
        return
    error = np.abs(actual.astype(np.float64) - expected) / max(float(np.abs(expected).max()), 1e-30)
    place = tuple(int(i) for i in np.unravel_index(np.argmax(error), error.shape))
    if not error[place] <= relative:
        raise CheckFailure(
            "roi_extractor: the features differ from the reference",
            expected=f"{expected[place]:.6g} at (roi, channel, y, x) {place}, +-{relative:.3g}",
            actual=f"{float(actual[place]):.6g}",
            needed=f"smallest tolerance that would have passed: {error[place]:.3g} of the largest",
        )
