"""Hand-made oracles for the self-tests of the numeric checks: a recipe small enough to read."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from plugins.checks.detections import Detections, Oracle
from plugins.contracts import Tolerance

THRESHOLD, IOU = 0.05, 0.5
# Round figures, so that what is allowed can be computed in one's head; no contract's figures.
TOLERANCE = Tolerance(
    score_logit=0.01,
    score_ulp=1.0,
    box_px=0.1,
    box_ulp=1.0,
    box_relative=0.01,
    borderline=0.2,
    derivation="chosen here",
)


def detections(*rows) -> Detections:
    """Rows of (label, score, x1, y1, x2, y2)."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(table[:, 2:], table[:, 0].astype(np.int64), table[:, 1])


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of two boxes, the slow way."""
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    union = areas[0] + areas[1] - width * height
    return width * height / union if union > 0 else 0.0


def suppressed(candidates: Detections, limit: int, threshold: float = THRESHOLD) -> np.ndarray:
    """Greedy NMS per class over candidates that are sorted by score: rank in the result, or -1."""
    kept: list = []
    for row in range(len(candidates)):
        rivals = [k for k in kept if candidates.labels[k] == candidates.labels[row]]
        box = candidates.boxes[row]
        free = all(overlap(candidates.boxes[k], box) <= IOU for k in rivals)
        if candidates.scores[row] > threshold and free and len(kept) < limit:
            kept.append(row)
    ranks = np.full(len(candidates), -1)
    ranks[kept] = np.arange(len(kept))
    return ranks


def oracle(candidates: Detections, limit: int = 100) -> Oracle:
    """What the recipe makes of the candidates; they may come in any order."""
    candidates = candidates.take(np.argsort(-candidates.scores, kind="stable"))
    return Oracle(candidates, suppressed(candidates, limit), limit, THRESHOLD, IOU)


@st.composite
def oracles(draw) -> Oracle:
    """Piles of boxes of few classes anywhere in and around an input of 1344 px."""
    count = draw(st.integers(0, 30))
    random = np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    piles = random.uniform(-60, 1300, (max(count // 3, 1), 2))
    corner = piles[random.randint(0, len(piles), count)] + random.uniform(-30, 30, (count, 2))
    side = random.uniform(8, 400, (count, 2))
    scores = random.uniform(0.04, 0.999, count)
    boxes = np.concatenate([corner, corner + side], axis=1)
    limit = draw(st.sampled_from([1, 5, 100]))
    return oracle(Detections(boxes, random.randint(0, 3, count), scores), limit)
