"""COCO's 12 statistics from a table of matches, to the last bit as pycocotools has them."""

from __future__ import annotations

import numpy as np

from plugins.checks.matching import AREAS, MOST, THRESHOLDS, Matches

RECALLS = np.linspace(0, 1, 101)
ABSENT = -1.0  # a class without objects: no mean counts it
PRECISE = ("AP", "AP50", "AP75", "AP small", "AP medium", "AP large")
RECALLED = ("AR 1", "AR 10", "AR 100", "AR small", "AR medium", "AR large")
NAMES = PRECISE + RECALLED


def statistics(matches: Matches) -> dict[str, float]:
    """The 12 statistics in percent, by name."""
    of = {area: curves(matches, area) for area in AREAS}
    few = [curves(matches, "all", most) for most in (1, 10)]
    precision, recall = of["all"]
    parts = [precision, precision[:1], precision[5:6], *(of[area][0] for area in list(AREAS)[1:])]
    parts += [few[0][1], few[1][1], recall, *(of[area][1] for area in list(AREAS)[1:])]
    return {name: 100 * _mean(part) for name, part in zip(NAMES, parts)}


def curves(matches: Matches, area: str = "all", most: int = MOST) -> tuple[np.ndarray, np.ndarray]:
    """Precision (thresholds, recalls, classes) and final recall (thresholds, classes)."""
    column = list(AREAS).index(area)
    objects = matches.objects
    counted = np.bincount(
        objects.category[~objects.ignored[:, column]], minlength=len(objects.categories)
    )
    precision = np.full((len(THRESHOLDS), len(RECALLS), len(counted)), ABSENT)
    recall = np.full((len(THRESHOLDS), len(counted)), ABSENT)
    for k, mine in enumerate(matches.of_category()):
        if not counted[k]:
            continue
        kept = matches.rank[mine] < most
        found, ignored = (flags[kept] for flags in matches.judged(mine, column))
        for t in range(len(THRESHOLDS)):
            precision[t, :, k] = interpolated(found[:, t], ignored[:, t], counted[k])
            recall[t, k] = found[:, t].sum() / counted[k]
    return precision, recall


def interpolated(found: np.ndarray, ignored: np.ndarray, objects: int) -> np.ndarray:
    """Precision at the 101 recalls, of detections in descending order of score.

    The greatest precision from a recall on; only where something is found can it be so.
    """
    at = np.flatnonzero(found)
    so_far = np.arange(1.0, len(at) + 1)
    judged = at + 1.0 - np.cumsum(ignored)[at]
    precision = so_far / (judged + np.spacing(1))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(so_far / objects, RECALLS)
    values = np.zeros(len(RECALLS))
    reached = place < len(at)
    values[reached] = best[place[reached]]
    return values


def _mean(values: np.ndarray) -> float:
    present = values[values > ABSENT]
    return float(np.mean(present)) if present.size else ABSENT
