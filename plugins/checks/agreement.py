"""Detections compared as sets: is what a backend found explained by what the oracle knows?

fp16 makes equal scores and borderline decisions the normal case, so no order and no rank is
compared. Three questions are asked instead, each with the tolerance of the contract:

1. explained: every detection is one of the oracle's candidates (same class, box and score).
2. complete: every detection of the oracle is found, unless rounding can have decided otherwise.
3. sound: every detection that the oracle suppressed or cut off is one that rounding can bring back.

What rounding decided is counted as borderline and has a budget.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plugins.checks.detections import (
    Detections,
    Oracle,
    box_allowance,
    iou,
    iou_range,
    score_allowance,
)
from plugins.checks.diagnosis import beyond, clipped, diagnose, differences
from plugins.failure import CheckFailure

# A cure also magnifies the rounding of what it cures: a sigmoid undone at 0.05 does by this much.
AFTER_A_CURE = 20.0


@dataclass(frozen=True)
class Agreement:
    """How a set of detections relates to the oracle's: counts, and the largest differences seen."""

    found: int
    expected: int
    matched: int
    borderline: int
    score_error: float
    box_error: float
    stress: float

    @property
    def share_matched(self) -> float:
        """In percent; 100 where the oracle reports nothing."""
        return 100.0 * self.matched / self.expected if self.expected else 100.0


def check_against_oracle(found: Detections, oracle: Oracle, tolerance) -> Agreement:
    """Judge detections by the three questions above; the agreement, or CheckFailure."""
    explained = explain(found, oracle.candidates, tolerance)
    _check_explained(found, oracle, explained, tolerance)
    missing = _missing(found, oracle, tolerance)
    _check_complete(found, oracle, missing, tolerance)
    extra = _extra(explained, oracle)
    _check_sound(found, oracle, explained, extra, tolerance)
    return _agreement(found, oracle, explained, missing, extra, tolerance)


def explain(
    found: Detections, candidates: Detections, tolerance, *, times: float = 1.0
) -> np.ndarray:
    """For each detection the candidate that it can be, within so many tolerances, or -1."""
    answer = np.full(len(found), -1)
    for label in np.unique(found.labels):
        rows = np.flatnonzero(found.labels == label)
        columns = np.flatnonzero(candidates.labels == label)
        if len(columns):
            distance = _stress(found.take(rows), candidates.take(columns), tolerance)
            best = distance.argmin(1)
            close = distance[np.arange(len(rows)), best] <= times
            answer[rows[close]] = columns[best[close]]
    return answer


def _stress(found: Detections, candidates: Detections, tolerance) -> np.ndarray:
    """(n, m): the largest of the five differences, each in units of what is allowed."""
    boxes = np.abs(found.boxes[:, None] - candidates.boxes[None])
    boxes = (boxes / box_allowance(candidates.boxes, tolerance)[None]).max(-1)
    scores = np.abs(found.scores[:, None] - candidates.scores[None])
    scores = scores / score_allowance(candidates.scores, tolerance)[None]
    return np.maximum(boxes, scores)


def _check_explained(found: Detections, oracle: Oracle, explained, tolerance) -> None:
    strays = np.flatnonzero(explained < 0)
    if not len(strays):
        return
    candidates = oracle.candidates
    nearest = [_nearest(found, index, candidates, tolerance) for index in strays]
    factors = [n[0] for n in nearest]
    raise CheckFailure(
        _diagnosis(found, oracle, tolerance, max(factors)),
        expected="each detection is a candidate of the recipe in float64: same class, box and score",
        actual=f"{len(strays)} of {len(found)} detections are not",
        worst=[
            f"{found.row(i)}; {n[1]}"
            for _, i, n in sorted(zip(factors, strays, nearest), reverse=True)
        ],
        needed=f"tolerances {max(factors):.3g} times as wide"
        if np.isfinite(factors).all()
        else None,
    )


def _nearest(found: Detections, index: int, candidates: Detections, tolerance) -> tuple[float, str]:
    """How far the nearest candidate of any class is, and what differs."""
    same = np.flatnonzero(candidates.labels == found.labels[index])
    one = found.take(np.array([index]))
    if not len(same):
        return np.inf, "no candidate of this class"
    stress = _stress(one, candidates.take(same), tolerance)[0]
    nearest = same[stress.argmin()]
    offset = np.abs(found.boxes[index] - candidates.boxes[nearest]).max()
    score = found.scores[index] - candidates.scores[nearest]
    return float(stress.min()), (
        f"nearest: {candidates.row(nearest)} (score off by {score:+.4f}, box by {offset:.2f} px)"
    )


def _diagnosis(found: Detections, oracle: Oracle, tolerance, furthest: float) -> str:
    """A guess at the kind of defect, from what the detections have in common with candidates."""

    def explained(some: Detections, candidates: Detections) -> np.ndarray:
        return explain(some, candidates, tolerance, times=AFTER_A_CURE)

    candidates = oracle.candidates
    if (explain(found, clipped(candidates, found), tolerance) >= 0).all():
        return "boxes are clipped to the input"
    strays = explain(found, candidates, tolerance) < 0
    if strays.mean() <= 0.5 or not len(candidates):
        return beyond(furthest)
    reported = int((oracle.kept >= 0).sum())
    named = diagnose(found, candidates, reported, explained)
    return named or differences(found, candidates, tolerance)


def _missing(found: Detections, oracle: Oracle, tolerance) -> np.ndarray:
    """Rows of the oracle's candidates that it reports and that were not found."""
    kept = np.flatnonzero(oracle.kept >= 0)
    if not len(found):
        return kept
    result = oracle.candidates.take(kept)
    stress = _stress(found, result, tolerance)
    stress[found.labels[:, None] != result.labels[None]] = np.inf
    return kept[stress.min(0) > 1.0]


def _check_complete(found: Detections, oracle: Oracle, missing: np.ndarray, tolerance) -> None:
    unexcused = [row for row in missing if not may_be_missing(row, found, oracle, tolerance)]
    if not unexcused:
        return
    rows = oracle.candidates
    raise CheckFailure(
        "detections are missing" if len(found) else "there are no detections",
        expected=f"the {int((oracle.kept >= 0).sum())} detections of the recipe in float64",
        actual=f"{len(found)} detections; {len(unexcused)} of the expected are not among them, "
        "and no rounding explains it",
        worst=[rows.row(i) for i in unexcused],
    )


def may_be_missing(row: int, found: Detections, oracle: Oracle, tolerance) -> bool:
    """A score at a cut-off, or another box of its class that rounding let suppress it."""
    if _at_cut(row, found, oracle, tolerance):
        return True
    score, box = oracle.candidates.scores[row], oracle.candidates.boxes[row : row + 1]
    slack = float(score_allowance(np.array([score]), tolerance)[0])
    rivals = np.flatnonzero(
        (found.labels == oracle.candidates.labels[row]) & (found.scores >= score - 2 * slack)
    )
    if not len(rivals):
        return False
    _, most = iou_range(found.boxes[rivals], box, tolerance)
    return bool((most > oracle.iou_threshold).any())


def _at_cut(row: int, found: Detections, oracle: Oracle, tolerance) -> bool:
    """Whether a score cannot be told from the threshold, or from the last of a full result."""
    score = oracle.candidates.scores[row]
    slack = float(score_allowance(np.array([score]), tolerance)[0])
    full = len(found) == oracle.limit
    return bool(
        score <= oracle.score_threshold + slack
        or (full and score <= found.scores.min() + 2 * slack)
    )


def _extra(explained: np.ndarray, oracle: Oracle) -> np.ndarray:
    """Detections whose candidate the oracle does not report."""
    return np.flatnonzero((explained >= 0) & (oracle.kept[explained] < 0))


def _check_sound(found: Detections, oracle: Oracle, explained, extra, tolerance) -> None:
    present = set(explained[explained >= 0].tolist())
    unexcused = [
        i for i in extra if not _may_be_extra(int(explained[i]), present, oracle, tolerance)
    ]
    doubles = _doubles(found, oracle, tolerance)
    if unexcused:
        raise CheckFailure(
            "detections that should have been suppressed or cut off",
            expected="only what NMS and the caps of the recipe leave",
            actual=f"{len(unexcused)} of {len(found)} detections are not left by the recipe in float64, "
            "and no rounding explains it",
            worst=[found.row(i) for i in unexcused],
        )
    if doubles:
        raise CheckFailure(
            "two detections of one class overlap beyond the NMS threshold",
            expected=f"IoU <= {oracle.iou_threshold:.4g} within a class",
            actual=f"{len(doubles)} pairs beyond it",
            worst=[
                f"IoU {value:.3f}: {found.row(i)} and {found.row(j)}" for value, i, j in doubles
            ],
        )


def _may_be_extra(candidate: int, present: set, oracle: Oracle, tolerance) -> bool:
    """Its suppressor is borderline, equal in score, or itself not there; or it stood at the cut."""
    rows, score = oracle.candidates, oracle.candidates.scores[candidate]
    slack = float(score_allowance(np.array([score]), tolerance)[0])
    result = np.flatnonzero(oracle.kept >= 0)
    rivals = result[
        (rows.labels[result] == rows.labels[candidate]) & (rows.scores[result] >= score)
    ]
    box = rows.boxes[candidate : candidate + 1]
    overlap = iou(rows.boxes[rivals], box)[:, 0]
    suppressors = rivals[overlap > oracle.iou_threshold]
    if not len(suppressors):
        full = len(result) == oracle.limit
        cut = rows.scores[result].min() if full and len(result) else oracle.score_threshold
        return bool(score >= cut - 2 * slack) or _lost_room(present, result, oracle)
    least, _ = iou_range(rows.boxes[suppressors], box, tolerance)
    borderline = least[:, 0] <= oracle.iou_threshold
    equal = rows.scores[suppressors] - score <= 2 * slack
    absent = np.array([s not in present for s in suppressors])
    return bool((borderline | equal | absent).all())


def _lost_room(present: set, result: np.ndarray, oracle: Oracle) -> bool:
    """Where an expected detection is (excusably) absent, the next best moves up."""
    return len(result) == oracle.limit and any(r not in present for r in result)


def _doubles(found: Detections, oracle: Oracle, tolerance) -> list[tuple[float, int, int]]:
    """Pairs of one class whose overlap no rounding brings below the threshold."""
    overlap, _ = iou_range(found.boxes, found.boxes, tolerance)
    same = found.labels[:, None] == found.labels[None]
    # The same box twice is one detection too many, however small and however far out it lies.
    real = (found.boxes[:, 2:] > found.boxes[:, :2]).all(1)
    twins = (found.boxes[:, None] == found.boxes[None]).all(-1) & real[:, None]
    pairs = np.argwhere(np.triu(((overlap > oracle.iou_threshold) | twins) & same, k=1))
    return sorted(((float(overlap[i, j]), int(i), int(j)) for i, j in pairs), reverse=True)


def _agreement(found, oracle: Oracle, explained, missing, extra, tolerance) -> Agreement:
    known = explained >= 0
    partner = oracle.candidates.take(explained[known])
    mine = found.take(np.flatnonzero(known))
    expected = int((oracle.kept >= 0).sum())
    agreement = Agreement(
        found=len(found),
        expected=expected,
        matched=expected - len(missing),
        borderline=_borderline(found, oracle, explained, missing, extra, tolerance),
        score_error=_largest(np.abs(mine.scores - partner.scores)),
        box_error=_largest(np.abs(mine.boxes - partner.boxes)),
        stress=_largest(np.diag(_stress(mine, partner, tolerance))) if len(mine) else 0.0,
    )
    budget = int(np.ceil(tolerance.borderline * max(expected, 1)))
    if agreement.borderline > budget:
        raise CheckFailure(
            "too many detections depend on rounding",
            expected=f"at most {budget} of {expected} detections (borderline {tolerance.borderline:.4g})",
            actual=f"{agreement.borderline} detections",
            worst=[oracle.candidates.row(i) for i in missing],
            needed=f"borderline {agreement.borderline / max(expected, 1):.4g}",
        )
    return agreement


def _borderline(found, oracle: Oracle, explained, missing, extra, tolerance) -> int:
    """Detections that NMS decided otherwise; who stands at the cut is chance and not counted.

    (An image of one colour has the same score a hundred times over: any of them may be the last.)
    """
    lost = sum(not _at_cut(row, found, oracle, tolerance) for row in missing)
    revived = sum(not _at_cut(int(explained[i]), found, oracle, tolerance) for i in extra)
    return max(lost, revived)


def _largest(values: np.ndarray) -> float:
    return float(values.max()) if values.size else 0.0
