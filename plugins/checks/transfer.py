"""The same model in two pairs of torch versions: are its detections the same?

Both sides compute the same float32 arithmetic and cast to fp16 at the same places, so that a
difference is at most what the last digit of float32 can do to a cast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plugins.checks.detections import Detections, box_allowance, score_allowance


@dataclass(frozen=True)
class Difference:
    """How far one result lies from another: the largest differences, and what has no partner.

    `stress` is the largest difference in units of what is allowed.
    """

    box_px: float
    score: float
    stress: float
    unmatched: int

    @property
    def labels_equal(self) -> bool:
        """Whether each detection has a partner of its class."""
        return not self.unmatched

    @property
    def allowed(self) -> bool:
        """Whether all detections have partners, within the tolerance."""
        return not self.unmatched and self.stress <= 1.0

    def worse(self, other: Difference) -> Difference:
        """The worst of both in each respect."""
        return Difference(
            max(self.box_px, other.box_px),
            max(self.score, other.score),
            max(self.stress, other.stress),
            self.unmatched + other.unmatched,
        )


NONE = Difference(0.0, 0.0, 0.0, 0)


def difference(found: Detections, wanted: Detections, tolerance) -> Difference:
    """Partners are of one class, one to one, best scores first, each the nearest that is left.

    Equal scores may stand in any order, so ranks are not compared.
    """
    boxes = np.abs(found.boxes[:, None] - wanted.boxes[None])
    scores = np.abs(found.scores[:, None] - wanted.scores[None])
    stress = np.maximum(
        (boxes / box_allowance(wanted.boxes, tolerance)[None]).max(-1, initial=0.0),
        scores / score_allowance(wanted.scores, tolerance)[None],
    )
    stress[found.labels[:, None] != wanted.labels[None]] = np.inf
    pairs = list(_partners(stress))
    unmatched = len(found) + len(wanted) - 2 * len(pairs)
    worst = Difference(0.0, 0.0, 0.0, unmatched)
    for pair in pairs:
        one = Difference(float(boxes[pair].max()), float(scores[pair]), float(stress[pair]), 0)
        worst = worst.worse(one)
    return worst


def _partners(stress: np.ndarray):
    """(row, column) of each pair; a row and a column is used once."""
    left = stress.copy()
    for row in range(len(left)):
        column = int(left[row].argmin()) if left.shape[1] else 0
        if left.shape[1] and np.isfinite(left[row, column]):
            left[:, column] = np.inf
            yield row, column
