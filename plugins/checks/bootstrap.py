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
CACHED = 1 << 17  # numbers that are worked on at once
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
        some, count = np.ascontiguousarray(weights[:, part]), objects[part]
        judged, drawn = _running(image, at, some), some.take(image[at], axis=0)
        for t in range(len(THRESHOLDS)):
            rows, out = np.flatnonzero(found[at, t]), np.flatnonzero(ignored[:, t])
            passed = judged.take(rows, axis=0)
            if len(out):
                passed -= _passed(image[out], out, at[rows], some)
            result[part] += _interpolated(drawn.take(rows, axis=0), passed, count)
    return result / (len(THRESHOLDS) * len(RECALLS))


def _running(image: np.ndarray, at: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(len(at), resamples) float32: weighted number of detections up to each place of `at`."""
    length = np.diff(at, prepend=-1)
    pieces = -(-length // TOGETHER)
    owner = np.repeat(np.arange(len(at)), pieces)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start = (at - length + 1)[owner] + step * TOGETHER
    size = np.minimum(TOGETHER, at[owner] + 1 - start)
    ends = np.diff(owner, append=len(at)) > 0
    running = np.empty((len(at), weights.shape[1]), np.float32)
    so_far, done = np.zeros(weights.shape[1], np.float32), 0
    for part in _blocks(len(owner), weights.shape[1]):
        totals = _pieces(image, start[part], size[part], weights)
        totals[0] += so_far
        so_far, here = _summed(totals)[-1], ends[part]
        running[done : done + here.sum()] = totals[here]
        done += here.sum()
    return running


def _pieces(image, start, size, weights) -> np.ndarray:
    """(n, resamples) float32: weighted number of the `size` detections from each `start` on."""
    order = np.argsort(-size, kind="stable")
    start, size = start[order], size[order]
    sums = np.zeros((len(order), weights.shape[1]), np.uint8)
    for i in range(size[0]):
        some = np.count_nonzero(size > i)
        sums[:some] += weights.take(image[start[:some] + i], axis=0)
    totals = np.empty(sums.shape, np.float32)
    totals[order] = sums
    return totals


def _blocks(rows: int, width: int) -> list[slice]:
    """Rows in order, so many at a time as stay in a processor's cache."""
    several = max(1, CACHED // width)
    return [slice(start, start + several) for start in range(0, rows, several)]


def _passed(image, out, at, weights) -> np.ndarray:
    """(len(at), resamples): weighted number of the ignored detections `out` up to each place."""
    running = np.zeros((len(out) + 1, weights.shape[1]), np.float32)
    running[1:] = _summed(weights.take(image, axis=0).astype(np.float32))
    return running.take(np.searchsorted(out, at, "right"), axis=0)


def _interpolated(drawn: np.ndarray, judged: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Sum over the 101 recalls of the greatest precision from there on.

    drawn: (n, resamples) uint8 weights of the finds; judged: weighted detections up to each find.
    """
    blocks = _blocks(len(drawn), len(objects))
    before = np.cumsum([drawn[part].sum(0, dtype=np.uint32) for part in blocks], 0, np.float32)
    share = np.float32(len(RECALLS) - 1) / np.maximum(objects, 1)
    value, best = np.zeros((2, len(objects)), np.float32)
    for part, total in reversed(list(zip(blocks, [np.float32(0), *before]))):
        so_far, following = drawn[part].astype(np.float32), best
        so_far[0] += total
        precision = np.maximum(judged[part], 1)  # 1 where nothing is drawn yet
        np.divide(_summed(so_far), precision, out=precision)
        for row in precision[::-1]:
            best = np.maximum(best, row, out=row)
        so_far *= share
        so_far += np.float32(1 + NEARLY)
        reached = np.floor(so_far, out=so_far)
        # Each find pays its precision for the recall points that it is the first to reach.
        value += np.einsum("ij,ij->j", reached, precision) - reached[-1] * following
        value -= np.einsum("ij,ij->j", reached[:-1], precision[1:])
    return np.where(objects > 0, value, 0)


def _summed(rows: np.ndarray) -> np.ndarray:
    """Running sums over the rows, in place: a row at a time is faster than NumPy's own."""
    add, sums = np.add, rows[0]
    for row in rows[1:]:
        sums = add(sums, row, out=row)
    return rows
