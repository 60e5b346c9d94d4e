"""What kind of defect would explain detections that are no candidates: a guess, and its evidence.

A systematic defect is named by its cure: if reading the boxes, labels or scores otherwise turns
nearly all detections into candidates of the oracle, that reading is the mistake.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

import numpy as np

from plugins.checks.detections import Detections, box_allowance, iou, score_allowance

NEARLY_ALL = 0.8
ROUNDING = 20.0  # tolerances; what is further off was not rounded, it is something else


def _boxes(change) -> Callable[[Detections], Detections]:
    return lambda found: replace(found, boxes=change(found.boxes))


def _labels(shift: int) -> Callable[[Detections], Detections]:
    return lambda found: replace(found, labels=found.labels - shift)


def _scores(change) -> Callable[[Detections], Detections]:
    return lambda found: replace(found, scores=change(found.scores))


def _logit(scores: np.ndarray) -> np.ndarray:
    inside = np.clip(scores, 1e-12, 1 - 1e-12)
    return np.log(inside / (1 - inside))


def _from_sides(b: np.ndarray) -> np.ndarray:
    return np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1)


def _from_centre(b: np.ndarray) -> np.ndarray:
    return np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], axis=1)


# What is wrong if this cure works; the more common mistakes first.
CURES: dict[str, Callable[[Detections], Detections]] = {
    "boxes have x and y swapped": _boxes(lambda b: b[:, [1, 0, 3, 2]]),
    "boxes are x1 x2 y1 y2": _boxes(lambda b: b[:, [0, 2, 1, 3]]),
    "boxes are x y width height": _boxes(_from_sides),
    "boxes are centre x y, width height": _boxes(_from_centre),
    "labels are shifted by +1": _labels(1),
    "labels are shifted by -1": _labels(-1),
    "scores are logits: the sigmoid is missing": _scores(lambda s: 1 / (1 + np.exp(-s))),
    "scores went through the sigmoid twice": _scores(_logit),
    "scores are percentages": _scores(lambda s: s / 100),
}


def clipped(candidates: Detections, found: Detections) -> Detections:
    """The candidates, had they been clipped: to 0 and to the furthest coordinate that is found."""
    return replace(candidates, boxes=candidates.boxes.clip(0.0, found.boxes.max()))


def diagnose(found: Detections, candidates: Detections, reported: int, explain) -> str:
    """One line that names a systematic defect, or nothing.

    Args:
        reported: how many detections the oracle reports; only as many of the best are looked at.
        explain: (detections, candidates) -> index of the candidate that each can be, or -1.
    """
    best = found.take(np.argsort(-found.scores, kind="stable")[: max(reported, 1)])
    for name, cure in CURES.items():
        if (explain(cure(best), candidates) >= 0).mean() >= NEARLY_ALL:
            return name
    return ""


def beyond(furthest: float) -> str:
    """What is wrong where fewer than half of the detections are: they are off, or like nothing.

    Args:
        furthest: tolerances from the nearest candidate, of the one that is furthest off.
    """
    if furthest > ROUNDING:
        return "detections that nothing explains"
    return f"some detections are off by up to {furthest:.2g} times what rounding explains"


def differences(found: Detections, candidates: Detections, tolerance) -> str:
    """Which of boxes, scores and classes are right where no cure is known."""
    same = found.labels[:, None] == candidates.labels[None]
    scored = np.abs(found.scores[:, None] - candidates.scores[None])
    scored = same & (scored <= score_allowance(candidates.scores, tolerance)[None])
    boxed = np.abs(found.boxes[:, None] - candidates.boxes[None])
    boxed = (boxed <= box_allowance(candidates.boxes, tolerance)[None]).all(-1)
    if _nearly_all(boxed & same):
        return "scores are wrong, boxes and classes are right"
    if _nearly_all(boxed):
        return "classes are wrong, boxes are right"
    if _nearly_all(scored):
        off = _offset(found, candidates, scored)
        return f"boxes are wrong{off}, scores and classes are right"
    near = "near" if _nearly_all(iou(found.boxes, candidates.boxes) > 0.5) else "far from"
    return f"boxes and scores are {near} the recipe's: image, weights or network differ"


def _nearly_all(pairs: np.ndarray) -> bool:
    """Whether nearly every row has a partner among the columns."""
    return bool(pairs.any(1).mean() >= NEARLY_ALL)


def _offset(found: Detections, candidates: Detections, partners: np.ndarray) -> str:
    """How far the boxes are from the nearest candidate with the same class and score."""
    far = np.abs(found.boxes[:, None] - candidates.boxes[None]).max(-1)
    far = np.where(partners, far, np.inf).min(1)
    return f" by {np.median(far[np.isfinite(far)]):.2g} px in the median"
