"""Kinds of mistakes at their edges: each against a slow definition or by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from plugins.checks import detection_errors
from plugins.checks.average_precision import interpolated
from plugins.checks.detection_errors import KINDS, Mistakes, mistakes
from plugins.checks.matching import Matches, Objects, match, overlap
from tests.scenes import scene

RIGHT, CLASS, LOCATION, BOTH, DUPLICATE, BACKGROUND, MISSED = range(-1, 6)
BOX, NEAR, FAR, APART = [0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 1], [50, 0, 10, 10]
BELOW_NEAR, BELOW_FAR = [0, 0, 10, 4.99], [0, 0, 10, 0.99]


def set_of(*objects: tuple) -> Objects:
    """Objects (image, category, box, crowd) of images 0 to 2 and categories 1 to 3."""
    image, category, boxes, crowd = (list(part) for part in zip(*objects))
    boxes = np.array(boxes, float)
    return Objects(
        np.arange(3),
        np.array([1, 2, 3]),
        np.array(image),
        np.array(category) - 1,
        boxes,
        boxes[:, 2] * boxes[:, 3],
        np.array(crowd),
    )


def found(objects: Objects, *detections: tuple) -> Matches:
    """Detections (image, category, box, score)."""
    return match(objects, np.array([[i, *box, s, c] for i, c, box, s in detections], float))


ONE = set_of((0, 1, BOX, False))


@pytest.mark.parametrize(
    ("category", "box", "kind", "meant"),
    [
        (1, NEAR, RIGHT, -1),
        (1, BELOW_NEAR, LOCATION, 0),
        (1, FAR, LOCATION, 0),
        (1, BELOW_FAR, BACKGROUND, -1),
        (1, APART, BACKGROUND, -1),
        (2, BOX, CLASS, 0),
        (2, NEAR, CLASS, 0),
        (2, BELOW_NEAR, BOTH, -1),
        (2, FAR, BOTH, -1),
        (2, BELOW_FAR, BACKGROUND, -1),
    ],
)
def test_a_kind_is_told_by_the_overlap_with_its_own_class_and_with_others(
    category, box, kind, meant
):
    told = mistakes(found(ONE, (0, category, box, 0.5)))
    assert (told.kind.tolist(), told.meant.tolist()) == ([kind], [meant])
    assert told.unmet.tolist() == ([] if kind == RIGHT or meant == 0 else [0])


def test_an_image_is_searched_for_its_own_objects_alone():
    told = mistakes(found(ONE, (1, 1, BOX, 0.5), (1, 2, BOX, 0.5)))
    assert told.kind.tolist() == [BACKGROUND, BACKGROUND] and told.unmet.tolist() == [0]


def test_what_was_found_already_is_no_more_meant():
    told = mistakes(
        found(ONE, (0, 1, BOX, 0.9), (0, 1, NEAR, 0.8), (0, 1, FAR, 0.7), (0, 2, BOX, 0.6))
    )
    assert told.kind.tolist() == [RIGHT, DUPLICATE, LOCATION, CLASS]
    assert told.meant.tolist() == [-1] * 4 and told.unmet.tolist() == []


def test_a_crowd_is_never_meant_nor_missed():
    objects = set_of((0, 1, BOX, True), (0, 2, APART, False), (1, 2, BOX, False))
    told = mistakes(found(objects, (0, 1, NEAR, 0.9), (0, 2, BOX, 0.8), (0, 1, APART, 0.7)))
    assert told.kind.tolist() == [RIGHT, CLASS, BACKGROUND]
    assert told.meant.tolist() == [-1, 1, -1] and told.unmet.tolist() == [2]


def slow_best(matches: Matches, row: int, same: bool) -> tuple[float, int]:
    objects, best = matches.objects, (0.0, -1)
    for g in range(len(objects.area)):
        here = objects.image[g] == matches.image[row] and not objects.crowd[g]
        if here and (objects.category[g] == matches.category[row]) == same:
            box = matches.boxes[row : row + 1], objects.boxes[g : g + 1]
            best = max(best, (float(overlap(*box, np.array([False]))[0]), g))
    return best


def slow_mistakes(matches: Matches) -> tuple[list, list, list]:
    kinds, meant = [], []
    for row, what in enumerate(matches.what):
        own, other = slow_best(matches, row, True), slow_best(matches, row, False)
        kind, aim = BACKGROUND, -1
        if what >= 0 or matches.ignored[row, 0] & 1:
            kind = RIGHT
        elif own[0] >= 0.5:
            kind = DUPLICATE
        elif other[0] >= 0.5:
            kind, aim = CLASS, other[1]
        elif own[0] >= 0.1:
            kind, aim = LOCATION, own[1]
        elif other[0] >= 0.1:
            kind = BOTH
        kinds.append(kind)
        meant.append(-1 if aim in matches.what.tolist() else aim)
    met = {*matches.what.tolist(), *meant}
    crowd = matches.objects.crowd
    return kinds, meant, [g for g in range(len(crowd)) if g not in met and not crowd[g]]


def shaken(seed: int) -> Matches:
    """A scene with many mistakes of each kind: some classes changed, some boxes moved far."""
    objects, table = scene(seed, images=5)
    random = np.random.RandomState(seed)
    table[:, 1:3] += random.choice([0, 0, 4, 25, 90], (len(table), 2))
    table[:, 6] = np.where(random.rand(len(table)) < 0.3, 18, table[:, 6])
    return match(objects, table[random.rand(len(table)) < 0.6])


@pytest.mark.parametrize("seed", range(4))
def test_mistakes_are_those_of_the_slow_definition(seed):
    matches = shaken(seed)
    told, (kinds, meant, unmet) = mistakes(matches), slow_mistakes(matches)
    assert told.kind.tolist() == kinds and told.meant.tolist() == meant
    assert told.unmet.tolist() == unmet


def slow_ap50(matches: Matches, known: Mistakes, mended: int) -> float:
    """Mended one detection after another, the best first."""
    objects = matches.objects
    rows = [
        [c, -s, bool(w >= 0), bool(i)]
        for c, s, w, i in zip(
            matches.category, matches.scores, matches.what, matches.ignored[:, 0] & 1
        )
    ]
    done = set()
    for n in sorted(range(len(rows)), key=lambda n: rows[n][1]):
        if mended >= 0 and known.kind[n] == mended:
            aim = known.meant[n]
            mends = aim >= 0 and aim not in done
            rows[n][2:] = [mends, not mends]
            if mends:
                rows[n][0] = objects.category[aim]
                done.add(aim)
    values = []
    for k in range(len(objects.categories)):
        count = int(((objects.category == k) & ~objects.crowd).sum())
        count -= int((objects.category[known.unmet] == k).sum()) if mended == MISSED else 0
        mine = sorted((row for row in rows if row[0] == k), key=lambda row: row[1])
        hit, out = (np.array([row[i] for row in mine], bool) for i in (2, 3))
        values += [interpolated(hit, out, count).mean()] if count else []
    return 100 * float(np.mean(values)) if values else 0.0


@pytest.mark.parametrize("seed", range(4))
def test_what_a_kind_costs_is_what_ap50_gains_if_it_is_mended(seed):
    matches = shaken(seed)
    known = mistakes(matches)
    before = known.kind.copy(), matches.category.copy(), matches.ignored.copy()
    plain = slow_ap50(matches, known, RIGHT)
    assert detection_errors._ap50(matches, known, RIGHT) == pytest.approx(plain)
    expected = {name: slow_ap50(matches, known, kind) - plain for kind, name in enumerate(KINDS)}
    assert detection_errors.costs(matches) == pytest.approx(expected, abs=1e-9)
    assert sum(abs(cost) > 0.1 for cost in expected.values()) >= 4
    after = known.kind, matches.category, matches.ignored
    assert all(np.array_equal(a, b) for a, b in zip(before, after))


def test_the_best_of_those_that_mean_an_object_is_mended_and_the_others_are_excused():
    matches = found(
        ONE, (0, 2, BOX, 0.8), (0, 3, BOX, 0.9), (0, 1, APART, 0.85), (0, 2, APART, 0.7)
    )
    assert detection_errors.costs(matches) == pytest.approx(
        {"class": 100, "location": 0, "both": 0, "duplicate": 0, "background": 0, "missed": 0}
    )
    late = found(ONE, (0, 1, APART, 0.95), (0, 2, BOX, 0.9))
    assert detection_errors.costs(late)["class"] == pytest.approx(50.0)


def test_a_set_of_crowds_alone_costs_nothing():
    matches = found(set_of((0, 1, BOX, True)), (0, 2, APART, 0.5))
    assert set(detection_errors.costs(matches).values()) == {0.0}
    assert detection_errors._ap50(matches, mistakes(matches), RIGHT) == 0.0


def test_a_class_is_scored_by_its_own_detections_alone():
    objects = set_of((0, 1, BOX, False), (0, 1, APART, False), (0, 2, BOX, False))
    matches = found(objects, (0, 1, BOX, 0.9), (0, 2, BOX, 0.8))
    expected = (51 / 101 + 1) / 2 * 100
    assert detection_errors._ap50(matches, mistakes(matches), RIGHT) == pytest.approx(expected)


# --- where it is lost ---


def test_kinds_are_told_by_what_they_cost_more_the_greatest_first(monkeypatch):
    ours = dict(zip(KINDS, (1.0, 5.0, 0.0, 2.5, 0.25, 4.0)))
    theirs = dict(zip(KINDS, (2.0, 1.0, 0.0, 0.0, 0.0, 4.0)))
    monkeypatch.setattr(detection_errors, "costs", lambda one: one)
    monkeypatch.setattr(detection_errors, "_strata", lambda *both: iter(["a", "b"]))
    assert detection_errors.explain(ours, theirs) == [
        "points of AP50 lost by mistakes: location +4, duplicate +2.5, background +0.25, "
        "missed +0, both +0, class -1",
        "a",
        "b",
    ]


def test_only_losses_are_shown_the_greatest_first():
    nan = float("nan")
    lines = detection_errors._worst(
        ["a", "b", "c", "d", "e"], [1.0, 2.0, 30.0, nan, 5.0], [3.0, 2.0, 40.0, 1.0, 4.0]
    )
    assert lines == ["c: 10 points lost, 40 to 30 %", "a: 2 points lost, 3 to 1 %"]


@pytest.mark.parametrize(("most", "last"), [(5, 10), (10, 10), (14, 14)])
def test_images_are_grouped_by_how_many_objects_they_hold(most, last):
    counts = [0, 3, 4, most] + ([9, 10] if most > 9 else [])
    objects = SimpleNamespace(
        image=np.repeat(np.arange(len(counts)), counts), images=np.arange(len(counts))
    )
    names, weights = detection_errors._crowdedness(SimpleNamespace(objects=objects))
    assert names == [
        "images with 0 to 3 objects",
        "images with 4 to 9 objects",
        f"images with 10 to {last} objects",
    ]
    assert weights.dtype == np.uint8 and weights.flags["C_CONTIGUOUS"]
    expected = [[n <= 3, 4 <= n <= 9, n >= 10] for n in counts]
    assert weights.tolist() == np.array(expected, int).tolist()


SIDES = {"small": 20, "medium": 50, "large": 120}


@pytest.mark.parametrize("worst", SIDES)
def test_two_classes_the_worst_size_and_the_worst_crowdedness_are_shown(worst):
    """Of four objects of a class one is lost, two of the third; all that are lost are of one size."""
    rows = [
        (category % 3, category, [150 * k, 0, *[SIDES[worst if k < lost else name]] * 2], False)
        for category, lost, name in ((1, 1, "small"), (2, 1, "medium"), (3, 2, "large"))
        for k in range(4)
    ]
    objects = set_of(*rows, *[(0, 3, [k * 30, 500, 20, 20], False) for k in range(3)])
    exact = [(i, c, box, 0.9 - k / 64) for k, (i, c, box, _) in enumerate(rows)]
    reference = found(objects, *exact)
    device = found(objects, *exact[1:4], *exact[5:8], *exact[10:])
    lines = list(detection_errors._strata(device, reference))
    assert [line.partition(":")[0] for line in lines] == [
        "category 3",
        "category 1",
        f"{worst} objects",
        "images with 4 to 9 objects",
    ]
    assert lines[1] == "category 1: 24.8 points lost, 100 to 75.25 %"
    assert list(detection_errors._strata(reference, reference)) == []


def test_of_each_kind_of_place_no_more_are_shown_although_all_is_lost():
    rows = [
        (image, image + 1, [150 * k, 0, side, side], False)
        for image, (count, side) in enumerate(((1, 20), (4, 50), (10, 120)))
        for k in range(count)
    ]
    objects = set_of(*rows)
    reference = found(objects, *((i, c, box, 0.5) for i, c, box, _ in rows))
    device = found(objects, (0, 1, [900, 900, 9, 9], 0.5))
    lines = list(detection_errors._strata(device, reference))
    assert [line.partition(" ")[0] for line in lines[:2]] == ["category"] * 2
    assert lines[2].partition(" ")[0] in SIDES and lines[3].startswith("images with ")
    assert len(lines) == 4 and all(line.endswith("100 to 0 %") for line in lines)


def test_a_class_without_objects_of_a_size_has_no_average():
    matches = found(ONE, (0, 1, BOX, 0.5))
    for area, expected in (("all", 100.0), ("small", 100.0), ("large", np.nan)):
        obtained = detection_errors._by_class(matches, area)
        assert obtained == pytest.approx([expected, np.nan, np.nan], nan_ok=True)


def test_a_set_without_objects_of_a_size_is_explained_by_the_others():
    objects = set_of((0, 1, BOX, False))
    lines = detection_errors.explain(
        found(objects, (0, 1, [900, 900, 9, 9], 0.5)), found(objects, (0, 1, BOX, 0.5))
    )
    assert any(line.startswith("small objects: 100 points lost") for line in lines)
