"""What kind of defect would explain detections that are no candidates: a guess, and its evidence.

A systematic defect is named by its cure: if reading the boxes, labels or scores otherwise turns nearly
all detections into candidates of the oracle, that reading is the mistake.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

import numpy as np

from plugins.checks.detections import Detections, box_allowance, iou, score_allowance

NEARLY_ALL = 0.8


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
    "boxes are coordinate first": _boxes(lambda b: b.reshape(4, -1).T),
    "labels are shifted by +1": _labels(1),
    "labels are shifted by -1": _labels(-1),
    "scores are logits: the sigmoid is missing": _scores(lambda s: 1 / (1 + np.exp(-s))),
    "scores went through the sigmoid twice": _scores(_logit),
    "scores are percentages": _scores(lambda s: s / 100),
}


def diagnose(found: Detections, candidates: Detections, reported: int, explain) -> str:
    """One line that names the likely defect.

    Args:
        reported: how many detections the oracle reports; only as many of the best are looked at.
        explain: (detections, candidates) -> index of the candidate that each can be, or -1.
    """
    best = found.take(np.argsort(-found.scores, kind="stable")[: max(reported, 1)])
    if not len(candidates) or (explain(best, candidates) >= 0).mean() > 0.5:
        return "detections that nothing explains"
    for name, cure in CURES.items():
        if (explain(cure(best), candidates) >= 0).mean() >= NEARLY_ALL:
            return name
    return ""


def differences(found: Detections, candidates: Detections, tolerance) -> str:
    """Which of boxes, scores and classes are right, where no cure is known."""
    same = found.labels[:, None] == candidates.labels[None]
    scored = np.abs(found.scores[:, None] - candidates.scores[None])
    scored = same & (scored <= score_allowance(candidates.scores, tolerance)[None])
    boxed = np.abs(found.boxes[:, None] - candidates.boxes[None])
    boxed = (boxed <= box_allowance(candidates.boxes, tolerance)[None]).all(-1)
    if (boxed & same).any(1).mean() >= NEARLY_ALL:
        return "scores are wrong, boxes and classes are right"
    if boxed.any(1).mean() >= NEARLY_ALL:
        return "classes are wrong, boxes are right"
    if scored.any(1).mean() >= NEARLY_ALL:
        return f"boxes are wrong{_offset(found, candidates, scored)}, scores and classes are right"
    near = (iou(found.boxes, candidates.boxes) > 0.5).any(1).mean() >= NEARLY_ALL
    where = "near those of the recipe" if near else "elsewhere"
    return f"boxes and scores are wrong, boxes {where}: image, weights or network differ"


def _offset(found: Detections, candidates: Detections, partners: np.ndarray) -> str:
    """How far the boxes are from the nearest candidate with the same class and score."""
    far = np.abs(found.boxes[:, None] - candidates.boxes[None]).max(-1)
    far = np.where(partners, far, np.inf).min(1)
    return f" by {np.median(far[np.isfinite(far)]):.2g} px in the median"
