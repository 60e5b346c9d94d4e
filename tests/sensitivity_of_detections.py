"""The smallest change of recorded detections that `numerics.recipe` catches, with each tolerance.

What is changed is the float64 oracle's own result: a real backend's carries rounding beside it, which
can only bring a deviation nearer to its limit. Deviations of all detections count from where the first
case fails; of one detection, the median over some of each case, best to worst.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from statistics import median
from typing import Callable

import numpy as np

from plugins.checks.agreement import check_against_oracle
from plugins.checks.detections import Detections, Oracle, iou, recipe_oracle
from plugins.contracts import Contract, Tolerance
from plugins.store import Store
from tests.bisection import fails, smallest

CHOSEN = 10  # detections of a case, evenly from best to worst
Change = Callable[[Detections, float], Detections]


def oracles(contract: Contract, golden: Store) -> list[Oracle]:
    """The recorded truths of a subject's lively cases."""
    lively = [case for case in contract.case if case.kind != "hostile"]
    names = [f"{contract.id}/{case.name}/oracle.npz" for case in lively]
    return [recipe_oracle(golden.arrays(name), contract.recipe) for name in names]


def moved(found: Detections, px: float) -> Detections:
    """Every box, to the right."""
    return dataclasses.replace(found, boxes=found.boxes + np.array([px, 0, px, 0]))


def grown(found: Detections, share: float) -> Detections:
    """Every box about its centre, by a share of its sides."""
    half = (found.boxes[:, 2:] - found.boxes[:, :2]) * share / 2
    return dataclasses.replace(found, boxes=found.boxes + np.hstack([-half, half]))


def raised(found: Detections, logits: float) -> Detections:
    """Every score, by an error of its logit."""
    scores = np.clip(found.scores, 1e-9, 1 - 1e-9)
    return dataclasses.replace(found, scores=1 / (1 + (1 / scores - 1) * np.exp(-logits)))


def lowered(found: Detections, amount: float) -> Detections:
    """Every score itself."""
    return dataclasses.replace(found, scores=found.scores - amount)


ALL = {"all_boxes_px": (moved, 0.01), "all_sides": (grown, 1e-4), "all_logits": (raised, 1e-4)}
ONE = {"one_box_px": (moved, 0.01), "one_side": (grown, 1e-4), "one_score": (lowered, 1e-5)}


def measure(contract: Contract, tolerance: Tolerance, golden: Store) -> dict[str, float]:
    """Deviation -> the smallest that is caught; units are in the names, shares and scores have none."""
    known = oracles(contract, golden)
    found = {name: of_all(known, tolerance, *how) for name, how in ALL.items()}
    found.update({name: median(of_one(known, tolerance, *how)) for name, how in ONE.items()})
    found["iou_threshold"] = _first(known, tolerance, suppressed_with, 1e-3)
    found["score_threshold"] = _first(known, tolerance, cut_with, 1e-4)
    return found


def of_all(known: Iterable[Oracle], tolerance: Tolerance, change: Change, start: float) -> float:
    """All detections of a case changed alike."""
    return _first(known, tolerance, lambda oracle, by: change(oracle.result, by), start)


def _first(known: Iterable[Oracle], tolerance: Tolerance, change: Callable, start: float) -> float:
    """Where the first of the cases fails."""
    return min(
        smallest(lambda by, o=o: fails(check_against_oracle, change(o, by), o, tolerance), start)
        for o in known
    )


def of_one(
    known: Iterable[Oracle], tolerance: Tolerance, change: Change, start: float
) -> list[float]:
    """One detection changed at a time."""
    found = []
    for oracle in known:
        whole = oracle.result
        for row in np.unique(np.linspace(0, len(whole) - 1, CHOSEN).astype(int)):
            rows = np.arange(len(whole)) == row

            def caught(by: float, whole=whole, rows=rows, oracle=oracle) -> bool:
                return fails(
                    check_against_oracle, _only(whole, change, by, rows), oracle, tolerance
                )

            found.append(smallest(caught, start))
    return found


def _only(whole: Detections, change: Change, by: float, rows: np.ndarray) -> Detections:
    """The change on some rows; the others as they were."""
    changed = change(whole, by)
    return Detections(
        np.where(rows[:, None], changed.boxes, whole.boxes),
        whole.labels,
        np.where(rows, changed.scores, whole.scores),
    )


def lost(known: Iterable[Oracle], tolerance: Tolerance) -> float:
    """Of the detections that can be lost alone, the share whose loss is noticed."""
    noticed = [
        fails(check_against_oracle, oracle.result.take(others), oracle, tolerance)
        for oracle in known
        for row in range(len(oracle.result))
        for others in [np.arange(len(oracle.result)) != row]
    ]
    return float(np.mean(noticed))


def suppressed_with(oracle: Oracle, by: float) -> Detections:
    """The recipe's candidates after an NMS with a threshold that is too high by so much."""
    rows, kept = oracle.candidates, []
    overlap = iou(rows.boxes, rows.boxes) > min(oracle.iou_threshold + by, 1.0)
    for row in np.flatnonzero(rows.scores > oracle.score_threshold):
        if not any(overlap[row, one] and rows.labels[row] == rows.labels[one] for one in kept):
            kept.append(row)
    return rows.take(np.array(kept[: oracle.limit], int))


def cut_with(oracle: Oracle, by: float) -> Detections:
    """The recipe's result with a score threshold that is too high by so much."""
    whole = oracle.result
    limit = oracle.score_threshold + by
    return whole.take(np.flatnonzero(whole.scores > (limit if by < 1 else math.inf)))
