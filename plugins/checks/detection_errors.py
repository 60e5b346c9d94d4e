"""Why mAP is lost: the kinds of mistakes and what each costs, and where the loss is greatest.

The kinds are those of TIDE (Bolya, Foley, Hays and Hoffman, ECCV 2020), at IoU 0.5 and 0.1: a detection
that found nothing has the wrong class, a bad location, both, is a duplicate, or is background; an
object that no detection found or meant is missed. What a kind costs is what AP50 gains if it is mended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from plugins.checks.average_precision import ABSENT, curves, interpolated
from plugins.checks.bootstrap import mean_average_precision
from plugins.checks.grouping import pairs, places
from plugins.checks.matching import AREAS, BITS, Matches, overlap

NEAR, FAR = 0.5, 0.1  # IoU of a find, and of a detection that meant an object at all
KINDS = ("class", "location", "both", "duplicate", "background", "missed")
CLASS, LOCATION, BOTH, DUPLICATE, BACKGROUND, MISSED = range(6)
RIGHT = -1
CROWDED = ((0, 3), (4, 9), (10, None))  # objects on an image
CLASSES_SHOWN = 2


@dataclass(frozen=True)
class Mistakes:
    """Of each detection: its kind of mistake, or RIGHT; and the unfound object that it meant, or -1.

    `unmet` are the objects that count and that no detection found or meant.
    """

    kind: np.ndarray
    meant: np.ndarray
    unmet: np.ndarray


def explain(device: Matches, reference: Matches) -> list[str]:
    """Lines: what kinds of mistakes cost the device more, and where it loses most."""
    ours, theirs = costs(device), costs(reference)
    more = sorted(((ours[kind] - theirs[kind], kind) for kind in KINDS), reverse=True)
    parts = [f"{kind} {more:+.3g}" for more, kind in more]
    return [f"points of AP50 lost by mistakes: {', '.join(parts)}", *_strata(device, reference)]


def mistakes(matches: Matches) -> Mistakes:
    """Sort the mistakes at IoU 0.5 into their kinds."""
    objects = matches.objects
    wrong = np.flatnonzero((matches.what < 0) & ~_ignored(matches))
    own, own_at = _nearest(matches, wrong, same_class=True)
    other, other_at = _nearest(matches, wrong, same_class=False)
    cases = [own >= NEAR, other >= NEAR, own >= FAR, other >= FAR]
    kinds = np.select(cases, [DUPLICATE, CLASS, LOCATION, BOTH], BACKGROUND)
    kind, meant = (np.full(len(matches.what), fill) for fill in (RIGHT, -1))
    kind[wrong] = kinds
    meant[wrong] = np.select([kinds == CLASS, kinds == LOCATION], [other_at, own_at], -1)
    met = np.zeros(len(objects.area), bool)
    met[matches.what[matches.what >= 0]] = True
    meant[met[meant] & (meant >= 0)] = -1  # to mend it would find an object twice
    met[meant[meant >= 0]] = True
    return Mistakes(kind, meant, np.flatnonzero(~met & ~objects.crowd))


def _ignored(matches: Matches) -> np.ndarray:
    """(n,): what counts neither for nor against at IoU 0.5, in all areas."""
    return (matches.ignored[:, 0] & BITS[0]) > 0


def _nearest(matches: Matches, rows: np.ndarray, *, same_class: bool) -> tuple:
    """Best IoU of each of the detections `rows` with an object of its class or of others, and which."""
    objects = matches.objects
    one, mine = pairs(matches.image[rows], places(objects.image, len(objects.images)))
    kept = (matches.category[rows[one]] == objects.category[mine]) == same_class
    kept &= ~objects.crowd[mine]
    one, mine = one[kept], mine[kept]
    iou = overlap(matches.boxes[rows[one]], objects.boxes[mine], objects.crowd[mine])
    best, at = np.zeros(len(rows)), np.full(len(rows), -1)
    order = np.argsort(iou, kind="stable")  # the last to be written is the best
    best[one[order]], at[one[order]] = iou[order], mine[order]
    return best, at


def costs(matches: Matches) -> dict[str, float]:
    """Points of AP50 that each kind of mistake costs."""
    known = mistakes(matches)
    plain = _ap50(matches, known, RIGHT)
    return {name: _ap50(matches, known, kind) - plain for kind, name in enumerate(KINDS)}


def _ap50(matches: Matches, known: Mistakes, mended: int) -> float:
    """AP50 in percent with one kind of mistake mended; RIGHT for none."""
    objects, found = matches.objects, matches.what >= 0
    ignored, category = _ignored(matches), matches.category.copy()
    counted = np.bincount(objects.category[~objects.crowd], minlength=len(objects.categories))
    if mended == MISSED:
        counted -= np.bincount(objects.category[known.unmet], minlength=len(counted))
    elif mended != RIGHT:
        mine = known.kind == mended
        able = np.flatnonzero(mine & (known.meant >= 0))
        able = able[np.argsort(-matches.scores[able], kind="stable")]
        able = able[np.unique(known.meant[able], return_index=True)[1]]  # the best of each object
        category[able] = objects.category[known.meant[able]]
        ignored[mine] = True
        ignored[able], found[able] = False, True
    order = np.lexsort((-matches.scores, category))
    edges = np.searchsorted(category[order], np.arange(len(counted) + 1))
    parts = (order[a:b] for a, b in zip(edges, edges[1:]))
    values = [interpolated(found[p], ignored[p], n).mean() for p, n in zip(parts, counted) if n]
    return 100 * float(np.mean(values)) if values else 0.0


def _strata(device: Matches, reference: Matches) -> Iterator[str]:
    """The classes, the range of areas and the crowdedness that lose most."""
    classes = [f"category {one}" for one in device.objects.categories]
    ours, theirs = (_by_class(one, "all") for one in (device, reference))
    yield from _worst(classes, ours, theirs)[:CLASSES_SHOWN]
    areas = [area for area in list(AREAS)[1:] if not np.isnan(_by_class(device, area)).all()]
    ours, theirs = (
        [np.nanmean(_by_class(one, area)) for area in areas] for one in (device, reference)
    )
    yield from _worst([f"{area} objects" for area in areas], ours, theirs)[:1]
    names, weights = _crowdedness(device)
    ours, theirs = (mean_average_precision(one, weights) for one in (device, reference))
    yield from _worst(names, ours, theirs)[:1]


def _by_class(matches: Matches, area: str) -> np.ndarray:
    """AP of each class in percent; NaN for a class without objects."""
    precision, _ = curves(matches, area)
    return 100 * np.where(precision > ABSENT, precision, np.nan).mean((0, 1))


def _crowdedness(matches: Matches) -> tuple[list[str], np.ndarray]:
    """Names, and the images of each as weights (images, strata)."""
    objects = np.bincount(matches.objects.image, minlength=len(matches.objects.images))
    sides = [(low, high or max(low, int(objects.max()))) for low, high in CROWDED]
    names = [f"images with {low} to {high} objects" for low, high in sides]
    inside = [(objects >= low) & (objects <= high) for low, high in sides]
    return names, np.array(inside, np.uint8).T.copy()


def _worst(names: list[str], ours, theirs) -> list[str]:
    """A line for each stratum where something is lost, the greatest loss first."""
    rows = sorted((a - b, name, b, a) for name, a, b in zip(names, ours, theirs) if a < b)
    return [f"{name}: {-loss:.3g} points lost, {b:.4g} to {a:.4g} %" for loss, name, b, a in rows]
