"""Which detection found which object: COCO's greedy matching for a whole set at once.

It is our own engine beside pycocotools, and the one whose tables are resampled. pycocotools walks
image by image; here the r-th detections of all images are matched in one step, at every IoU threshold
and in every range of areas. IoU is computed as pycocotools does, in float64, bit by bit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from plugins.failure import CheckFailure, LabError

THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREAS = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
MOST = 100  # detections of one class on one image that count
AT_A_TIME = 1 << 16  # detections whose pairs with objects are in memory at once
IMAGE, SCORE, CATEGORY = 0, 5, 6  # columns of a table of detections


@dataclass(frozen=True)
class Objects:
    """What is annotated on the images of a set, in the order of the file.

    image and category are indices into `images` and `categories`, which ascend; boxes (n, 4) are x, y,
    width, height in px; area (n,) px^2; crowd (n,) marks regions that excuse any number of finds.
    """

    images: np.ndarray
    categories: np.ndarray
    image: np.ndarray
    category: np.ndarray
    boxes: np.ndarray
    area: np.ndarray
    crowd: np.ndarray

    @cached_property
    def ignored(self) -> np.ndarray:
        """(n, areas): whether an object only excuses what is found on it."""
        return self.crowd[:, None] | outside(self.area)


@dataclass(frozen=True)
class Matches:
    """Detections in the order that COCO counts them in: by class, then score, then image.

    image, category, rank (n,): indices into those of `objects`, and the place among the
    detections of the same class and image; found, ignored (n, areas, thresholds): a detection
    found an object, or counts neither for nor against. what (n,): the object that it found
    at the lowest threshold in all areas, or -1. boxes (n, 4), scores (n,).
    """

    objects: Objects
    image: np.ndarray
    category: np.ndarray
    rank: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    found: np.ndarray
    ignored: np.ndarray
    what: np.ndarray

    def of_category(self) -> list[slice]:
        """Where the detections of each category are."""
        edges = np.searchsorted(self.category, np.arange(len(self.objects.categories) + 1))
        return [slice(*edge) for edge in zip(edges, edges[1:])]


def read_objects(annotations: Path, ids: Sequence[int]) -> Objects:
    """The objects of the images `ids` in an instances file; a LabError where it misleads COCO's code."""
    document = json.loads(Path(annotations).read_text(encoding="utf-8"))
    images = np.unique(np.asarray(ids, np.int64))
    categories = np.unique([one["id"] for one in document["categories"]])
    rows = document["annotations"]
    place = np.array([(a["image_id"], a["category_id"]) for a in rows], np.int64).reshape(-1, 2)
    mine = np.isin(place[:, 0], images) & np.isin(place[:, 1], categories)
    rows = [rows[i] for i in np.flatnonzero(mine)]
    if any(not row["id"] for row in rows):
        raise LabError(f"{annotations}: annotation id 0 means 'no match' to COCO; number from 1")
    return Objects(
        images,
        categories,
        np.searchsorted(images, place[mine, 0]),
        np.searchsorted(categories, place[mine, 1]),
        np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4),
        np.array([row["area"] for row in rows], np.float64),
        np.array([row.get("iscrowd", 0) for row in rows], bool),
    )


def match(objects: Objects, table: np.ndarray) -> Matches:
    """Match a table of detections (n, 7): image id, x, y, width, height in px, score, category id."""
    if not np.isfinite(table).all():
        raise CheckFailure(
            "detections are not finite",
            expected="numbers",
            actual=f"{int((~np.isfinite(table).all(1)).sum())} of {len(table)} rows hold NaN or Inf",
        )
    known = np.isin(table[:, IMAGE], objects.images) & np.isin(
        table[:, CATEGORY], objects.categories
    )
    table = table[known]
    image = np.searchsorted(objects.images, table[:, IMAGE])
    category = np.searchsorted(objects.categories, table[:, CATEGORY])
    order = np.lexsort((image, -table[:, SCORE], category))
    rank = _ranks(image[order] * len(objects.categories) + category[order])
    order, rank = order[rank < MOST], rank[rank < MOST]
    image, category, boxes = image[order], category[order], table[order, 1:5]
    found, excused, what = _greedy(objects, image, category, boxes)
    # Where nothing was found, a detection of another size is no mistake in this range of areas.
    excused |= ~found & outside(boxes[:, 2] * boxes[:, 3])[:, :, None]
    return Matches(objects, image, category, rank, boxes, table[order, SCORE], found, excused, what)


def outside(area: np.ndarray) -> np.ndarray:
    """(n, areas): whether an area in px^2 is out of each range."""
    low, high = np.array(list(AREAS.values())).T
    return (area[:, None] < low) | (area[:, None] > high)


def overlap(boxes: np.ndarray, others: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """IoU of boxes (n, 4) with as many others; of a crowd, the share of the box that is inside."""
    low = np.maximum(boxes[:, :2], others[:, :2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:])
    side = high - low
    shared = np.where((side > 0).all(1), side[:, 0] * side[:, 1], 0.0)
    own = boxes[:, 2] * boxes[:, 3]
    union = np.where(crowd, own, own + others[:, 2] * others[:, 3] - shared)
    return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)


def places(keys: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `size` keys, from 0 on, is: its beginning in an order, and the order."""
    return np.r_[0, np.cumsum(np.bincount(keys, minlength=size))], np.argsort(keys, kind="stable")


def pairs(keys: np.ndarray, others: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Indices of all pairs of equal key, of some `keys` and of those whose `places` are given."""
    start, order = others
    first = start[keys]
    count = start[keys + 1] - first
    mine = np.repeat(np.arange(len(keys)), count)
    step = np.arange(len(mine)) - np.repeat(np.cumsum(count) - count, count)
    return mine, order[first[mine] + step]


def _ranks(keys: np.ndarray) -> np.ndarray:
    """The place of each element among those of the same key, in order."""
    order = np.argsort(keys, kind="stable")
    _, first, count = np.unique(keys[order], return_index=True, return_counts=True)
    ranks = np.empty(len(keys), np.int64)
    ranks[order] = np.arange(len(keys)) - np.repeat(first, count)
    return ranks


def _greedy(objects: Objects, image: np.ndarray, category: np.ndarray, boxes: np.ndarray) -> tuple:
    """found, ignored and what, of detections in descending order of score; see Matches."""
    shape = (len(boxes), len(AREAS), len(THRESHOLDS))
    found, excused = np.zeros(shape, bool), np.zeros(shape, bool)
    taken = np.zeros((len(objects.area), *shape[1:]), bool)
    what = np.full(len(boxes), -1)
    for one, mine, iou in _rounds(objects, image, category, boxes):
        starts = np.flatnonzero(np.diff(one, prepend=-1))
        free = ~taken[mine] | objects.crowd[mine][:, None, None]
        able = free & (iou[:, None] >= THRESHOLDS)[:, None, :]
        # Of the objects that are near enough one that counts goes first, then the nearest, then the
        # last: the pairs are sorted so, and the greatest place wins.
        place, past = np.arange(1, len(one) + 1), len(one) + 1
        value = place[:, None] + past * ~objects.ignored[mine]
        best = np.maximum.reduceat(np.where(able, value[:, :, None], 0), starts, axis=0)
        who, area, threshold = np.nonzero(best)
        won = best[who, area, threshold]
        who, which = one[starts][who], mine[won % past - 1]
        taken[which, area, threshold] = True
        found[who, area, threshold] = won > past
        excused[who, area, threshold] = won < past
        lowest = (area == 0) & (threshold == 0) & (won > past)
        what[who[lowest]] = which[lowest]
    return found, excused, what


def _rounds(objects: Objects, image: np.ndarray, category: np.ndarray, boxes: np.ndarray):
    """Yield (detections, objects, IoU) of overlapping pairs: the best detections of each image and
    class, then the second best, and so on; detections ascend, and their objects by IoU."""
    width = len(objects.categories)
    key, kept = image * width + category, []
    others = places(objects.image * width + objects.category, len(objects.images) * width)
    for start in range(0, len(boxes), AT_A_TIME):
        part = slice(start, start + AT_A_TIME)
        one, mine = pairs(key[part], others)
        iou = overlap(boxes[part][one], objects.boxes[mine], objects.crowd[mine])
        near = iou >= THRESHOLDS[0]
        kept.append((one[near] + start, mine[near], iou[near]))
    one, mine, iou = (np.concatenate(column) for column in zip(*kept)) if kept else ((),) * 3
    if not len(one):
        return
    able, which = np.unique(one, return_inverse=True)
    turn = _ranks(key[able])[which]
    order = np.lexsort((mine, iou, one, turn))
    one, mine, iou, turn = one[order], mine[order], iou[order], turn[order]
    edges = [*np.flatnonzero(np.diff(turn, prepend=-1)), len(turn)]
    for start, stop in zip(edges, edges[1:]):
        yield one[start:stop], mine[start:stop], iou[start:stop]
