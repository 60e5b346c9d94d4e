"""mAP of many resamples of a set's images, without matching anything again.

A resample is a weight for each image: how often it was drawn. Weights replace copies: a detection
counts as often as its image. Only where something is found can precision have a maximum or recall a
step, so the detections between two finds are summed once for all thresholds.

Three liberties against COCO's code, none of them larger than a hundredth of a point: float32; equal
scores on two images keep their order, where copies would mix; and a recall that equals one of the 101
points reaches it, where COCO's float64 sometimes falls a bit short.
"""

from __future__ import annotations

import numpy as np

from plugins.checks.average_precision import RECALLS
from plugins.checks.matching import THRESHOLDS, Matches

# Detections are summed in bytes, so many at a time, and no image counts more than 15 times: of
# as many draws as there are images, once in 10^13 one would.
TOGETHER, MANY = 16, 15
BLOCK, WIDE = 1 << 23, 250  # numbers in memory at once; but rows shorter than this are slow
ROWS = 2048  # of weights that are added at once
ALL = 0  # the range of areas without bounds
NEARLY = 1e-4  # of a recall point: far above float32's rounding, far below a find of 3000 objects


def draw(images: int, resamples: int, seed: int) -> np.ndarray:
    """(images, resamples) uint8: how often each image is drawn, as many draws as there are images."""
    random = np.random.RandomState(seed)
    draws = (random.randint(0, images, images) for _ in range(resamples))
    counts = (np.bincount(drawn, minlength=images).clip(max=MANY) for drawn in draws)
    return np.array([count.astype(np.uint8) for count in counts]).T.copy()


def mean_average_precision(matches: Matches, weights: np.ndarray) -> np.ndarray:
    """(resamples,) mAP@[.5:.95] in percent, for weights (images, resamples) uint8 up to 15."""
    objects, resamples = matches.objects, weights.shape[1]
    total, classes = np.zeros(resamples), np.zeros(resamples)
    counts = _weighted_objects(objects, weights)
    for k, mine in enumerate(matches.of_category()):
        classes += counts[k] > 0
        found, ignored = matches.judged(mine, ALL)
        if found.any():
            total += _of_class(matches.image[mine], found, ignored, weights, counts[k])
    with np.errstate(invalid="ignore", divide="ignore"):
        return 100 * total / classes


def _weighted_objects(objects, weights: np.ndarray) -> np.ndarray:
    """(classes, resamples) float32: how many objects of each class a resample holds."""
    plain = ~objects.ignored[:, ALL]
    image, category = objects.image[plain], objects.category[plain]
    of_class = (weights[image[category == k]] for k in range(len(objects.categories)))
    return np.array([rows.sum(0, dtype=np.uint32) for rows in of_class], np.float32)


def _of_class(image, found, ignored, weights, objects) -> np.ndarray:
    """(resamples,) AP of one class, the mean over the thresholds."""
    at = np.flatnonzero(found.any(1))
    last = at[-1] + 1
    image, found, ignored = image[:last], found[:last], ignored[:last]
    width = max(WIDE, BLOCK // len(at))
    result = np.zeros(weights.shape[1], np.float32)
    for start in range(0, weights.shape[1], width):
        part = slice(start, start + width)
        some, count = weights[:, part], objects[part]
        judged, drawn = _running(image, at, some), some[image[at]]
        for t in range(len(THRESHOLDS)):
            rows = np.flatnonzero(found[at, t])
            if len(rows):
                out = np.flatnonzero(ignored[:, t])
                passed = judged[rows]
                if len(out):
                    passed -= _passed(image[out], out, at[rows], some)
                result[part] += _interpolated(drawn[rows], passed, count)
    return result / (len(THRESHOLDS) * len(RECALLS))


def _running(image: np.ndarray, at: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(len(at), resamples) float32: weighted number of detections up to each place of `at`."""
    length = np.diff(at, prepend=-1)
    pieces = -(-length // TOGETHER)
    owner = np.repeat(np.arange(len(at)), pieces)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start = (at - length + 1)[owner] + step * TOGETHER
    size = np.minimum(TOGETHER, at[owner] + 1 - start)
    order = np.argsort(-size, kind="stable")
    sums = np.zeros((len(owner), weights.shape[1]), np.uint8)
    for first in range(0, len(owner), ROWS):  # few enough to stay in the processor's cache
        mine = order[first : first + ROWS]
        for i in range(size[mine[0]]):
            some = mine[: np.count_nonzero(size[mine] > i)]
            sums[first : first + len(some)] += weights[image[start[some] + i]]
    totals = np.empty(sums.shape, np.float32)
    totals[order] = sums
    return _summed(totals)[np.cumsum(pieces) - 1]


def _passed(image, out, at, weights) -> np.ndarray:
    """(len(at), resamples): weighted number of the ignored detections `out` up to each place."""
    running = np.zeros((len(out) + 1, weights.shape[1]), np.float32)
    running[1:] = _summed(weights[image].astype(np.float32))
    return running[np.searchsorted(out, at, "right")]


def _interpolated(drawn: np.ndarray, judged: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Sum over the 101 recalls of the greatest precision from there on.

    drawn: (n, resamples) weights of the finds; judged: weighted detections up to each find.
    """
    so_far = _summed(drawn.astype(np.float32))
    np.maximum(judged, 1, out=judged)  # where nothing is drawn yet
    precision = np.divide(so_far, judged, out=judged)
    greatest, best = np.maximum, precision[-1]
    for row in precision[-2::-1]:
        best = greatest(best, row, out=row)
    with np.errstate(divide="ignore", invalid="ignore"):
        so_far *= np.float32(len(RECALLS) - 1) / objects
    so_far += np.float32(1 + NEARLY)
    reached = np.floor(so_far, out=so_far)
    # Each find pays its precision for the recall points that it is the first to reach.
    value = np.einsum("ij,ij->j", reached, precision)
    value -= np.einsum("ij,ij->j", reached[:-1], precision[1:])
    return np.where(objects > 0, value, 0)


def _summed(rows: np.ndarray) -> np.ndarray:
    """Running sums over the rows, in place: a row at a time is faster than NumPy's own."""
    add, sums = np.add, rows[0]
    for row in rows[1:]:
        sums = add(sums, row, out=row)
    return rows
