"""COCO's matching at its edges: small sets, each against a slow definition or by hand."""

from __future__ import annotations

import gc
import json

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from plugins.checks import grouping, matching
from plugins.checks.matching import AREAS, THRESHOLDS, Objects, match
from plugins.failure import LabError
from tests.scenes import scene
from tests.training_records import failing

# --- pairs of equal keys ---


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [0],
        [3, 1, 2, 1, 3],
        [1 << 16, 1, 65535, 0, (1 << 16) + 1, 65535],
        [(1 << 32) + 5, 5, (1 << 33) + 4, 1 << 32, (1 << 16) + 5],
    ],
)
def test_whole_numbers_of_any_size_are_sorted_and_equal_ones_stay_in_order(keys):
    keys = np.array(keys, np.int64)
    assert grouping.sorted_by(keys).tolist() == np.argsort(keys, kind="stable").tolist()


def test_pairs_are_all_of_equal_key_in_order():
    mine, others = np.array([2, 0, 2, 1, 4]), np.array([2, 0, 2, 3, 0, 2])
    start, order = grouping.places(others, 5)
    assert start.tolist() == [0, 2, 2, 5, 6, 6] and order.tolist() == [1, 4, 0, 2, 5, 3]
    left, right = grouping.pairs(mine, (start, order))
    slow = [(i, j) for i, a in enumerate(mine) for j, b in enumerate(others) if a == b]
    assert list(zip(left.tolist(), right.tolist())) == slow
    left, right = grouping.pairs(mine[:0], (start, order))
    assert (len(left), len(right)) == (0, 0)


def test_a_rank_is_the_place_among_neighbours_of_the_same_key():
    assert grouping.ranks(np.array([0, 0, 0, 2, 5, 5])).tolist() == [0, 1, 2, 0, 0, 1]
    assert grouping.ranks(np.array([], int)).tolist() == []


# --- objects ---


def note(number: int, image: int = 5, category: int = 3, box=(0, 0, 10, 10), **more) -> dict:
    made = {"id": number, "image_id": image, "category_id": category, "bbox": list(box)}
    return {**made, "area": box[2] * box[3], **more}


def read(tmp_path, notes, ids=(5, 7)) -> Objects:
    content = {"annotations": notes, "categories": [{"id": 18}, {"id": 3}]}
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return matching.read_objects(path, ids)


def test_objects_are_those_of_the_images_and_categories_that_are_asked_for(tmp_path):
    notes = [
        note(1, 7, 18, (1, 2, 3, 4)),
        note(2, 6),
        note(3, 5, 4),
        note(4, 5, 3, (5, 6, 7, 8), iscrowd=1, area=9.5),
    ]
    found = read(tmp_path, notes, (7, 5, 5))
    assert (found.images.tolist(), found.categories.tolist()) == ([5, 7], [3, 18])
    assert (found.image.tolist(), found.category.tolist()) == ([1, 0], [1, 0])
    assert found.boxes.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]] and found.boxes.dtype == float
    assert (found.area.tolist(), found.crowd.tolist()) == ([12, 9.5], [False, True])


def test_an_image_set_may_hold_no_object_at_all(tmp_path):
    found = read(tmp_path, [])
    assert found.boxes.shape == (0, 4) and found.ignored.shape == (0, 4)
    assert read(tmp_path, [note(1, 99)]).boxes.shape == (0, 4)


def test_only_an_object_that_is_scored_may_not_have_the_number_0(tmp_path):
    assert len(read(tmp_path, [note(0, 6), note(1)]).area) == 1
    with pytest.raises(LabError, match="annotation id 0 means 'no match' to COCO"):
        read(tmp_path, [note(1), note(0)])


@pytest.mark.parametrize("at_work", [True, False])
def test_reading_leaves_the_collector_as_it_was(tmp_path, at_work, monkeypatch):
    seen = []
    monkeypatch.setattr(matching, "_objects", lambda *_: seen.append(gc.isenabled()))
    was = gc.isenabled()
    try:
        (gc.enable if at_work else gc.disable)()
        read(tmp_path, [])
        assert gc.isenabled() == at_work and seen == [False]
    finally:
        (gc.enable if was else gc.disable)()


@pytest.mark.parametrize(
    ("area", "out"),
    [
        (-1.0, "all small medium large"),
        (0.0, "medium large"),
        (1023.0, "medium large"),
        (1024.0, "large"),
        (1025.0, "small large"),
        (9215.0, "small large"),
        (9216.0, "small"),
        (9217.0, "small medium"),
        (1e10, "small medium"),
        (2e10, "all small medium large"),
    ],
)
def test_an_area_on_a_border_is_of_both_ranges(area, out):
    assert AREAS.keys() == set("all small medium large".split())
    found = matching.outside(np.array([area]))[0]
    assert [name for name, is_out in zip(AREAS, found) if is_out] == out.split()


# --- matching, against the definition ---


def slow_overlap(a, b, crowd) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    own = a[2] * a[3]
    return width * height / (own if crowd else own + b[2] * b[3] - width * height)


BOXES = np.array(
    [
        [0, 0, 10, 10],
        [0, 0, 10, 5],
        [5, 5, 10, 10],
        [10, 0, 5, 5],
        [0, 10, 5, 5],
        [2, 3, 4, 5],
        [0, 0, 0, 10],
        [30, 0, 7, 9],
        [-5, -5, 10, 8],
        [12, 12, 3, 9],
    ],
    float,
)


@pytest.mark.parametrize("crowd", [False, True])
def test_overlap_is_what_one_counts(crowd):
    a, b = np.repeat(BOXES, len(BOXES), 0), np.tile(BOXES, (len(BOXES), 1))
    found = matching.overlap(a, b, np.full(len(a), crowd))
    expected = [slow_overlap(x, y, crowd) for x, y in zip(a, b)]
    assert found == pytest.approx(expected) and not np.isnan(found).any()


def slow_match(objects: Objects, table: np.ndarray) -> dict:
    """By (image, category, area, threshold): of each detection in order (score, found, ignored, what)."""
    answer = {}
    for i, image in enumerate(objects.images):
        for c, category in enumerate(objects.categories):
            mine = [r for r in table if r[0] == image and r[6] == category]
            mine.sort(key=lambda r: -r[5])
            here = np.flatnonzero((objects.image == i) & (objects.category == c))
            for a, (low, high) in enumerate(AREAS.values()):
                for t, threshold in enumerate(THRESHOLDS):
                    answer[i, c, a, t] = slow_turns(objects, mine[:100], here, low, high, threshold)
    return answer


def slow_turns(objects: Objects, rows, here, low, high, threshold) -> list[tuple]:
    """One image, one category, one range, one threshold: each takes the best that is left."""
    ignored = {g: objects.crowd[g] or not low <= objects.area[g] <= high for g in here}
    taken, answer = set(), []
    for row in rows:
        able = []
        for g in here:
            iou = slow_overlap(row[1:5], objects.boxes[g], objects.crowd[g])
            if iou >= threshold and (g not in taken or objects.crowd[g]):
                able.append((not ignored[g], iou, g))
        if not able:
            answer.append((row[5], False, not low <= row[3] * row[4] <= high, -1))
        else:
            counts, _, g = max(able)
            taken.add(g)
            answer.append((row[5], counts, not counts, g if counts else -1))
    return answer


@pytest.mark.parametrize("seed", range(6))
def test_each_detection_takes_the_best_object_that_is_left(seed):
    objects, table = scene(seed)
    found = match(objects, table)
    expected = slow_match(objects, table)
    assert (np.diff(found.category) >= 0).all()
    for k, mine in enumerate(found.of_category()):
        assert (found.category[mine] == k).all()
        assert (np.diff(found.scores[mine]) <= 0).all()
    for (i, c, a, t), rows in expected.items():
        mine = np.flatnonzero((found.image == i) & (found.category == c))
        assert found.rank[mine].tolist() == list(range(len(rows)))
        hit, ignored = (flags[:, t] for flags in found.judged(mine, a))
        told = zip(found.scores[mine], hit, ignored)
        assert list(told) == [row[:3] for row in rows]
        if a == t == 0:
            assert found.what[mine].tolist() == [row[3] for row in rows]


def equal(one, other) -> bool:
    names = "image category rank boxes scores found ignored what".split()
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_strangers_and_the_order_of_images_change_nothing():
    objects, table = scene(1)
    plain = match(objects, table[np.argsort(table[:, 0], kind="stable")])
    strange = np.array([[4, 0, 0, 9, 9, 0.9, 3], [5, 0, 0, 9, 9, 0.9, 4], [99, 0, 0, 9, 9, 1, 99]])
    assert equal(match(objects, table), plain)
    assert equal(match(objects, np.concatenate([strange, table, strange])), plain)


@pytest.mark.parametrize(("images", "rows"), [(1, 1), (2, 3), (3, 7), (500, 32768)])
def test_how_many_are_matched_together_changes_nothing(monkeypatch, images, rows):
    objects, table = scene(2, images=7)
    plain = match(objects, table)
    monkeypatch.setattr(matching, "IMAGES", images)
    monkeypatch.setattr(matching, "ROWS", rows)
    assert equal(match(objects, table), plain)


@pytest.mark.parametrize("category", [3, 18, 44])
def test_detections_of_one_class_alone_are_matched_as_among_others(category):
    objects, table = scene(3)
    some, every = match(objects, table[table[:, 6] == category]), match(objects, table)
    mine = every.of_category()[objects.categories.tolist().index(category)]
    assert some.scores.tolist() == every.scores[mine].tolist()
    assert some.found.tolist() == every.found[mine].tolist()
    assert some.what.tolist() == every.what[mine].tolist()


def test_ranges_of_areas_and_limits_are_those_of_coco():
    known = Params("bbox")
    assert [list(one) for one in AREAS.values()] == known.areaRng
    assert list(AREAS) == known.areaRngLbl and matching.MOST == known.maxDets[-1]
    assert THRESHOLDS.tolist() == known.iouThrs.tolist()


def test_no_detection_matches_nothing():
    objects, table = scene(3)
    found = match(objects, table[:0])
    assert len(found.what) == 0 and found.found.shape == (0, 4)
    assert [mine.stop - mine.start for mine in found.of_category()] == [0, 0, 0]
    assert len(match(objects, np.array([[99, 0, 0, 9, 9, 1.0, 3]])).what) == 0


def test_a_hundred_of_a_class_on_an_image_count():
    objects, _ = scene(4)
    row = [5, 0.0, 0, 9, 9, 0.5, 3]
    table = np.array([row[:5] + [1 - k / 256, 3] for k in range(101)] + [row[:6] + [18]])
    found = match(objects, table)
    assert len(found.what) == 101 and found.rank.max() == 99
    assert found.scores[:100].min() == 1 - 99 / 256 and found.scores[100] == 0.5


@pytest.mark.parametrize("category", [3, 18])
@pytest.mark.parametrize("image", [8, 11, 14])
def test_a_rank_begins_anew_on_each_image(image, category):
    objects, _ = scene(4)
    rows = [[5, 0, 0, 9, 9, 0.5, 18], [image, 0, 0, 9, 9, 0.5, category]]
    assert match(objects, np.array(rows, float)).rank.tolist() == [0, 0]


def test_rows_that_are_no_numbers_are_counted():
    objects, table = scene(5)
    table[[3, 3, 8], [1, 5, 2]] = np.nan, np.inf, -np.inf
    assert failing(match, objects, table).actual == f"2 of {len(table)} rows hold NaN or Inf"
