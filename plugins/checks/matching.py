"""Which detection found which object: COCO's greedy matching for a whole set at once.

It is our own engine beside pycocotools, and the one whose tables are resampled. pycocotools walks
image by image; here the r-th detections of many images are matched in one step, at every IoU threshold
and in every range of areas. IoU is computed as pycocotools does, in float64, bit by bit. So many images
at a time as a processor's cache holds, and whole numbers sorted by their digits: time and memory grow
with the detections and no faster.
"""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from plugins.checks.grouping import pairs, places, ranks, sorted_by
from plugins.failure import CheckFailure, LabError

THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREAS = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
BITS = 1 << np.arange(len(THRESHOLDS), dtype=np.uint16)  # a flag for each threshold in one number
MOST = 100  # detections of one class on one image that count
# So many at once take some megabytes, which a processor's cache can hold.
IMAGES, ROWS = 500, 1 << 15
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
    detections of the same class and image; found, ignored (n, areas) uint16, bit t for threshold t: a
    detection found an object, or counts neither for nor against. what (n,): the object that it found
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

    def judged(self, mine: slice, area: int) -> tuple[np.ndarray, np.ndarray]:
        """`found` and `ignored` of some detections in one range of areas, as (n, thresholds) bool."""
        found, ignored = self.found[mine, area, None], self.ignored[mine, area, None]
        return (found & BITS) > 0, (ignored & BITS) > 0

    def of_category(self) -> list[slice]:
        """Where the detections of each category are."""
        edges = np.searchsorted(self.category, np.arange(len(self.objects.categories) + 1))
        return [slice(*edge) for edge in zip(edges, edges[1:])]


def read_objects(annotations: Path, ids: Sequence[int]) -> Objects:
    """The objects of the images `ids` in an instances file; a LabError where it misleads COCO's code."""
    with _collector_at_rest():
        document = json.loads(Path(annotations).read_text(encoding="utf-8"))
        return _objects(annotations, document, ids)


@contextlib.contextmanager
def _collector_at_rest() -> Iterator[None]:
    """A document holds no cycles, and looking for some again and again costs more than reading it."""
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            gc.enable()


def _objects(annotations: Path, document: dict, ids: Sequence[int]) -> Objects:
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
    image, of_image = _found_in(objects.images, table[:, IMAGE])
    category, of_class = _found_in(objects.categories, table[:, CATEGORY])
    if not (of_image & of_class).all():
        return match(objects, table[of_image & of_class])
    if (np.diff(image) < 0).any():
        return match(objects, table[sorted_by(image)])
    order = _counted_order(category, table[:, SCORE])
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    groups = _groups(image, place)
    rank = np.empty_like(order)
    rank[groups] = ranks((image * len(objects.categories) + category)[groups])
    if len(rank) and rank.max() >= MOST:
        return match(objects, table[rank < MOST])
    found, excused, what = _greedy(objects, image, category, table[:, 1:5], groups, place)
    boxes, scores = table[order, 1:5], table[order, SCORE]
    _excuse_other_sizes(boxes, found, excused)
    image, category, rank = image[order], category[order], rank[order]
    return Matches(objects, image, category, rank, boxes, scores, found, excused, what)


def _found_in(known: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each value is among those that are known, ascending; and whether it is there at all."""
    place = np.searchsorted(known, values)
    return place, np.r_[known, np.nan][place] == values


def _excuse_other_sizes(boxes: np.ndarray, found: np.ndarray, excused: np.ndarray) -> None:
    """Where nothing was found, a detection of another size is no mistake in a range of areas."""
    for start in range(0, len(boxes), ROWS):
        part = slice(start, start + ROWS)
        other = outside(boxes[part, 2] * boxes[part, 3])
        excused[part] |= ~found[part] & (other * BITS.sum(dtype=np.uint16))


def _counted_order(category: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """By class, then descending score, then as they came."""
    order = sorted_by(category)
    edges = np.flatnonzero(np.diff(category[order], prepend=-1, append=-1))
    falling = -scores[order]
    parts = [a + np.argsort(falling[a:b], kind="stable") for a, b in zip(edges, edges[1:])]
    return order[np.concatenate(parts)] if parts else order


def _groups(image: np.ndarray, place: np.ndarray) -> np.ndarray:
    """By image, which ascends, then place, and so by class: sorted where they are, some images at a time."""
    groups = np.empty_like(place)
    for part in _some_images(image):
        order = sorted_by(place[part])
        groups[part] = part.start + order[sorted_by(image[part][order] - image[part.start])]
    return groups


def _some_images(image: np.ndarray) -> Iterator[slice]:
    """Where the detections of so many images after so many are, in ascending order of image."""
    ends = np.arange(0, image[-1] + IMAGES + 1, IMAGES) if len(image) else []
    edges = np.searchsorted(image, ends).tolist()
    yield from (slice(*edge) for edge in zip(edges, edges[1:]))


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


def _greedy(
    objects: Objects,
    image: np.ndarray,
    category: np.ndarray,
    boxes: np.ndarray,
    groups: np.ndarray,
    place: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """found, ignored and what, each detection at its `place`; see Matches.

    groups: the detections by image, class and descending score.
    """
    found, excused = (np.zeros((len(boxes), len(AREAS)), np.uint16) for _ in range(2))
    taken = np.zeros((len(objects.area), len(AREAS), len(THRESHOLDS)), bool)
    what = np.full(len(boxes), -1)
    for one, mine, iou in _rounds(objects, image, category, boxes, groups):
        who, which, matched, counts = _won(objects, taken, place[one], mine, iou)
        some, area, threshold = np.nonzero(matched)
        taken[which[some, area, threshold], area, threshold] = True
        found[who], excused[who] = counts @ BITS, (matched & ~counts) @ BITS
        lowest = counts[:, 0, 0]
        what[who[lowest]] = which[lowest, 0, 0]
    return found, excused, what


def _won(objects: Objects, taken: np.ndarray, one: np.ndarray, mine: np.ndarray, iou: np.ndarray):
    """What is matched in one round: detections (n,), and of each by area and threshold: with which
    object, whether at all, and whether it counts.

    Of the objects that are near enough one that counts goes first, then the nearest, then the last:
    the pairs are sorted so, and the greatest place wins.
    """
    starts = np.flatnonzero(np.diff(one, prepend=-1))
    free = ~taken[mine] | objects.crowd[mine][:, None, None]
    able = free & (iou[:, None] >= THRESHOLDS)[:, None, :]
    place, past = np.arange(1, len(one) + 1), len(one) + 1
    value = place[:, None] + past * ~objects.ignored[mine]
    best = np.maximum.reduceat(np.where(able, value[:, :, None], 0), starts, axis=0)
    return one[starts], mine[best % past - 1], best > 0, best > past


def _rounds(
    objects: Objects,
    image: np.ndarray,
    category: np.ndarray,
    boxes: np.ndarray,
    groups: np.ndarray,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (detections, objects, IoU) of overlapping pairs, some images at a time: the best
    detections of each image and class, then the second best, and so on; detections stay together,
    and their objects ascend by IoU."""
    width = len(objects.categories)
    others = places(objects.image * width + objects.category, len(objects.images) * width)
    for part in _some_images(image):
        some = groups[part]
        one, mine = pairs(image[some] * width + category[some], others)
        iou = overlap(boxes[some][one], objects.boxes[mine], objects.crowd[mine])
        near = iou >= THRESHOLDS[0]
        yield from _turns(objects, some[one[near]], mine[near], iou[near])


def _turns(
    objects: Objects, one: np.ndarray, mine: np.ndarray, iou: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The pairs in turns; those of one detection, and detections of one image and class, are neighbours."""
    new = np.diff(one, prepend=-1) != 0
    able, which = mine[new], np.cumsum(new) - 1
    group = objects.image[able] * len(objects.categories) + objects.category[able]
    turn = ranks(group)[which]
    order = np.lexsort((mine, iou, which, turn))
    one, mine, iou = one[order], mine[order], iou[order]
    edges = [*np.flatnonzero(np.diff(turn[order], prepend=-1)), len(order)]
    for start, stop in zip(edges, edges[1:]):
        yield one[start:stop], mine[start:stop], iou[start:stop]
