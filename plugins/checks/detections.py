"""Sets of detections, what the oracle knows of them, and how far rounding may move each number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plugins.failure import CheckFailure

FP16_SMALLEST_NORMAL = 2.0**-14
FP16_FRACTION_BITS = 10


@dataclass(frozen=True)
class Detections:
    """n boxes: (n, 4) xyxy in px of the input; labels (n,); scores (n,), padding left out."""

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: np.ndarray) -> Detections:
        """Some of the rows."""
        return Detections(self.boxes[rows], self.labels[rows], self.scores[rows])

    def row(self, index: int) -> str:
        """One detection as text."""
        box = " ".join(f"{v:.1f}" for v in self.boxes[index])
        return f"class {self.labels[index]} score {self.scores[index]:.4f} box [{box}]"


@dataclass(frozen=True)
class Oracle:
    """Every candidate near or above the cut, best first; `kept` is its rank in the result or -1."""

    candidates: Detections
    kept: np.ndarray
    limit: int
    score_threshold: float
    iou_threshold: float

    @property
    def result(self) -> Detections:
        """What the oracle itself reports."""
        return self.candidates.take(np.flatnonzero(self.kept >= 0))


def fp16_spacing(values: np.ndarray) -> np.ndarray:
    """The distance between neighbouring fp16 numbers at each value."""
    size = np.maximum(np.abs(np.asarray(values, np.float64)), FP16_SMALLEST_NORMAL)
    return 2.0 ** (np.floor(np.log2(size)) - FP16_FRACTION_BITS)


def score_allowance(scores: np.ndarray, tolerance) -> np.ndarray:
    """Allowed |difference| of each score.

    score_logit x s(1-s), which is what an error of the logit does to the score s, and score_ulp
    fp16 spacings at the score.
    """
    scores = np.asarray(scores, np.float64)
    slope = np.clip(scores * (1 - scores), 0.0, 0.25)
    return tolerance.score_logit * slope + tolerance.score_ulp * fp16_spacing(scores)


def box_allowance(boxes: np.ndarray, tolerance) -> np.ndarray:
    """Allowed |difference| of each coordinate (n, 4) in px.

    box_px + box_ulp fp16 spacings + box_relative x side. The spacing is taken at the largest number
    that the axis' arithmetic meets (either end, the centre, the side): a corner near zero of a large
    box is the difference of two large numbers.
    """
    boxes = np.asarray(boxes, np.float64)
    sides = np.abs(boxes[:, 2:] - boxes[:, :2])
    largest = np.maximum(np.maximum(np.abs(boxes[:, :2]), np.abs(boxes[:, 2:])), sides)
    each = (
        tolerance.box_px
        + tolerance.box_ulp * fp16_spacing(largest)
        + tolerance.box_relative * sides
    )
    return np.concatenate([each, each], axis=1)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union (n, m) of boxes (n, 4) and (m, 4), without +1."""
    return _iou(np.asarray(a, np.float64)[:, None], np.asarray(b, np.float64)[None])


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of boxes (..., 4) and (..., 4) that broadcast."""
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    inter = np.clip(sides, 0, None).prod(-1)
    union = _area(a) + _area(b) - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(-1)


def iou_range(a: np.ndarray, b: np.ndarray, tolerance) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest IoU (n, m) that rounding can make of boxes (n, 4) and (m, 4).

    Each edge may move by its allowance. The IoU is largest where edges of a kind come together, as far
    out as both may, and least where they part: each by itself, or all of a box in one direction.
    """
    (a, own), (b, other) = (
        (np.asarray(x, np.float64), box_allowance(x, tolerance)) for x in (a, b)
    )
    a, own, b, other = a[:, None], own[:, None], b[None], other[None]
    apart = np.where(b >= a, 1.0, -1.0)
    ways = [apart, *(np.array([x, y, x, y]) for x in (1.0, -1.0) for y in (1.0, -1.0))]
    least = np.min([_iou(a - way * own, b + way * other) for way in ways], axis=0)
    low, high = np.maximum(a - own, b - other), np.minimum(a + own, b + other)
    outward = np.concatenate([low[..., :2], high[..., 2:]], -1)
    meet = low <= high
    near = np.where(meet, outward, a + apart * own), np.where(meet, outward, b - apart * other)
    return least, _iou(*near)


def rows_of(outputs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first three outputs as rows, float64: boxes (n, 4), labels (n,) and scores (n,).

    Raises:
        CheckFailure: there are fewer, or their sizes do not belong together.
    """
    sizes = [np.size(o) for o in outputs[:3]]
    if len(sizes) < 3 or sizes != [4 * sizes[2], sizes[2], sizes[2]]:
        raise CheckFailure(
            "the outputs are not n boxes, n labels and n scores",
            expected="4 n, n and n numbers in the first three outputs",
            actual=", ".join(str(np.size(o)) for o in outputs) or "no output",
        )
    boxes, labels, scores = (np.asarray(o, np.float64).reshape(-1) for o in outputs[:3])
    return boxes.reshape(-1, 4), labels, scores


def detections_of(outputs: Sequence[np.ndarray], minimum: float = 0.0) -> Detections:
    """The valid rows of a model's outputs: score above minimum.

    Raises:
        CheckFailure: as `rows_of`; or numbers are not finite, which nothing can be compared with.
    """
    boxes, labels, scores = rows_of(outputs)
    check_finite(boxes, labels, scores)
    valid = scores > minimum
    return Detections(boxes[valid], labels[valid].astype(np.int64), scores[valid])


def check_finite(boxes: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> None:
    """No NaN and no infinity anywhere."""
    named = {"boxes": boxes, "labels": labels, "scores": scores}
    broken = [name for name, values in named.items() if not np.isfinite(values).all()]
    if broken:
        raise CheckFailure(
            f"{broken[0]} hold NaN or infinity",
            expected="finite numbers",
            actual=f"{', '.join(broken)} do not hold finite numbers only",
        )


def recipe_oracle(arrays: dict, recipe) -> Oracle:
    """The recipe in float64, from the arrays that the export worker's oracle returns."""
    candidates = Detections(
        arrays["recipe_boxes"], arrays["recipe_labels"], arrays["recipe_scores"]
    )
    return Oracle(
        candidates,
        arrays["recipe_kept"],
        recipe.max_total_size,
        recipe.score_threshold,
        recipe.iou_threshold,
    )


def stock_detections(arrays: dict) -> Detections:
    """What stock detectron2 reports, from the same arrays."""
    return Detections(arrays["stock_boxes"], arrays["stock_labels"], arrays["stock_scores"])
