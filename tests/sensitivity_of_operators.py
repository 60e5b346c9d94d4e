"""The smallest change of the operators' results that their tolerances catch, on the corpus."""

from __future__ import annotations

import dataclasses

import numpy as np

from plugins.checks.device_nms import check_device_nms
from plugins.checks.ops import (
    NmsResult,
    batch_nms_reference,
    check_nms_equal,
    check_roi_close,
    roi_extractor_reference,
)
from plugins.checks.ops_calls import roi_cases
from plugins.checks.ops_corpus import NmsCase, nms_corpus
from plugins.contracts.operators import Operators
from tests.bisection import fails, smallest


def batch_nms(operators: Operators) -> dict[str, float]:
    """one_box_spacings: a coordinate of one box, in spacings of its dtype; anything is caught."""
    case = next(case for case in nms_corpus() if _kept(case))
    boxes, scores = case.boxes.astype(np.float32), case.scores.astype(np.float32)
    wanted = batch_nms_reference(boxes, scores, case.options)

    def caught(spacings: float) -> bool:
        found = wanted.boxes.copy()
        for _ in range(round(spacings)):
            found[0, 0, 2] = np.nextafter(found[0, 0, 2], np.float32(np.inf))
        return fails(check_nms_equal, dataclasses.replace(wanted, boxes=found), wanted)

    return {"one_box_spacings": next(float(n) for n in range(1, 64) if caught(n))}


def roi_extractor(operators: Operators) -> dict[str, float]:
    """rois_px of each dtype: regions so far to the right, in px of the image; the worst case."""
    return {
        f"rois_px_{dtype}": max(_roi(case, dtype, operators) for case in _telling(roi_cases()))
        for dtype in operators.dtypes
    }


def _telling(cases: list) -> list:
    """Cases whose features are not alike everywhere: on others no region can be misplaced."""
    return [case for case in cases if _slope(case) > 0]


def _slope(case) -> float:
    feats, rois = case.arrays("float64")
    right = rois + np.array([0, 0.5, 0, 0.5, 0])
    one, other = (roi_extractor_reference(feats, r, case.options) for r in (rois, right))
    return float(np.abs(one - other).max(initial=0))


def _roi(case, dtype: str, operators: Operators) -> float:
    feats, rois = case.arrays(dtype)
    wanted = roi_extractor_reference(feats, rois, case.options)
    exact, regions = case.arrays("float64")
    relative = getattr(operators.roi_extractor.tolerance, dtype)

    def caught(px: float) -> bool:
        moved = regions + np.array([0, px, 0, px, 0])
        found = roi_extractor_reference(exact, moved, case.options).astype(wanted.dtype)
        return fails(check_roi_close, found, wanted, relative=relative)

    return smallest(caught, 1e-9)


def device_nms(operators: Operators) -> dict[str, float]:
    """all_boxes_px: every box of a case, in px; of small and of large boxes, the worst case."""
    every = [
        _device(case, operators)
        for case in nms_corpus()
        if _kept(case) and case.name not in operators.device_nms.unlike
    ]
    return {"all_boxes_px_least": min(every), "all_boxes_px_most": max(every)}


def _device(case: NmsCase, operators: Operators) -> float:
    wanted = _wanted(case)

    def caught(px: float) -> bool:
        valid = (wanted.scores > 0)[..., None]
        boxes = wanted.boxes.astype(np.float64) + px * valid
        found = NmsResult(boxes, wanted.scores, wanted.classes, wanted.num)
        return fails(check_device_nms, found, wanted, case, operators.device_nms)

    return smallest(caught, 1e-3)


def _wanted(case: NmsCase) -> NmsResult:
    return batch_nms_reference(case.boxes.astype(np.float16), case.scores, case.options)


def _kept(case: NmsCase) -> bool:
    """A case with something left whose numbers can be moved: one image, all finite, not huge."""
    if case.scores.shape[0] != 1 or not case.scores.size:
        return False
    if not (np.isfinite(case.boxes).all() and np.abs(case.boxes).max() < 1e4):
        return False
    return bool(_wanted(case).num[0])
