"""Scoring at its edges: sets, tables and figures of which one thing is off."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from plugins.checks import accuracy
from plugins.checks.accuracy import Accuracy, ImageSet
from plugins.failure import LabError
from tests.training_records import failing

IDS, CATEGORIES = (5, 6, 7), (3, 18)
FIELDS = ("id", "image_id", "category_id", "area")  # of an annotation, a number each


@pytest.fixture
def instances(tmp_path) -> Path:
    """Three images, the first two with an object each."""
    note = {"bbox": [10, 20, 30, 40], "area": 1200, "iscrowd": 0}
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg"} for i in (7, 5, 6)],
        "annotations": [
            {**note, "id": n, "image_id": i, "category_id": c}
            for n, i, c in ((1, 5, 3), (2, 6, 18))
        ],
        "categories": [{"id": 18}, {"id": 3}],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def images(instances) -> ImageSet:
    for i in IDS:
        (instances.parent / f"{i}.jpg").touch()
    return accuracy.image_set(instances, instances.parent)


def found() -> dict[str, np.ndarray]:
    """Exact finds on the first two images, the third without any."""
    boxes = np.zeros((3, 2, 4))
    boxes[:2, 0] = [10, 20, 40, 60]
    return {
        "boxes": boxes,
        "labels": np.array([[0, 9], [1, 9], [9, 9]]),
        "scores": np.array([[0.9, 0], [0.8, 0], [0, 0]]),
    }


def test_a_set_is_read_in_the_order_of_its_ids_and_may_be_cut(images, instances):
    assert list(images.images) == [5, 6, 7] and images.categories == [3, 18]
    assert images.images[6] == instances.parent / "6.jpg"
    assert list(accuracy.image_set(instances, instances.parent, 2).images) == [5, 6]
    assert ImageSet(instances, {}).categories == ()


@pytest.mark.parametrize(
    ("table", "index", "field", "value", "says"),
    [
        ("images", 2, "file_name", ..., "missing, not a text"),
        ("images", 0, "file_name", 7, "7, not a text"),
        ("images", 1, "id", "5", "'5', not a finite number"),
        ("categories", 1, "id", ..., "missing, not a finite number"),
        *(("annotations", 1, f, ..., "missing, not a finite number") for f in FIELDS),
        ("annotations", 0, "area", None, "None, not a finite number"),
        ("annotations", 1, "area", float("nan"), "nan, not a finite number"),
        ("annotations", 1, "area", "x" * 99, f"'{'x' * 59}, not a finite number"),
        ("annotations", 1, "bbox", ..., "missing, not 4 finite numbers"),
        ("annotations", 1, "bbox", [1, 2, 3], "[1, 2, 3], not 4 finite numbers"),
        ("annotations", 0, "bbox", [[1, 2], [3, 4]], "[[1, 2], [3, 4]], not 4 finite numbers"),
        ("annotations", 1, "bbox", [1, 2, 3, "4"], "[1, 2, 3, '4'], not 4 finite numbers"),
        ("annotations", 1, "bbox", [0, 0, 1, np.inf], "[0, 0, 1, inf], not 4 finite numbers"),
    ],
)
def test_a_row_that_cannot_be_scored_is_named_before_a_model_runs(
    instances, table, index, field, value, says
):
    document = json.loads(instances.read_text())
    row = document[table][index]
    row.update({field: value}) if value is not ... else row.pop(field)
    instances.write_text(json.dumps(document))
    sentence = re.escape(f"{instances}: {table}[{index}]: {field} is {says}; convert the set with")
    with pytest.raises(LabError, match=sentence):
        accuracy.image_set(instances, instances.parent)


def test_a_row_that_is_none_and_a_table_that_is_none_are_named(instances):
    document = json.loads(instances.read_text())
    for notes, sentence in (
        ([*document["annotations"], 7], r"annotations\[2\]: id is missing, not a finite number"),
        ({"0": {}}, "holds no images, annotations and categories"),
    ):
        instances.write_text(json.dumps({**document, "annotations": notes}))
        with pytest.raises(LabError, match=sentence):
            accuracy.image_set(instances, instances.parent)


def test_a_set_without_objects_is_a_set(images, instances):
    document = {**json.loads(instances.read_text()), "annotations": []}
    instances.write_text(json.dumps(document))
    assert accuracy.image_set(instances, instances.parent).images == images.images


def test_each_file_that_is_missing_is_named(instances):
    (instances.parent / "6.jpg").touch()
    failure = failing(accuracy.image_set, instances, instances.parent)
    assert (failure.worst, failure.actual) == (["5.jpg", "7.jpg"], "2 are not there")


def test_a_set_has_as_many_images_and_the_categories_of_the_contract(images):
    accuracy.check_coverage(images, expected=3)
    accuracy.check_coverage(images, expected=3, category_ids=[18, 3])
    accuracy.check_coverage(
        ImageSet(images.annotations, images.images), expected=3, category_ids=[1]
    )
    for expected in (2, 4):
        assert failing(accuracy.check_coverage, images, expected=expected).what == (
            "the set has another size"
        )
    failure = failing(accuracy.check_coverage, images, expected=3, category_ids=[3, 19])
    assert failure.what == "the annotations are of another set"


def test_a_table_holds_the_rows_that_have_a_score(images):
    table = accuracy.table_of(images, found(), CATEGORIES)
    assert table.tolist() == [[5, 10, 20, 30, 40, 0.9, 3], [6, 10, 20, 30, 40, 0.8, 18]]


@pytest.mark.parametrize("label", [-1, 2, 7])
def test_one_label_of_a_detection_that_is_no_class_is_named(images, label):
    detections = found()
    detections["labels"][1, 0] = label
    failure = failing(accuracy.table_of, images, detections, CATEGORIES)
    assert failure.what == "labels are no classes"
    assert failure.actual == f"{min(0, label)} .. {max(0, label)}"


@pytest.mark.parametrize("count", [2, 4])
def test_every_image_has_one_result(images, count):
    detections = {name: np.resize(a, (count, *a.shape[1:])) for name, a in found().items()}
    failure = failing(accuracy.table_of, images, detections, CATEGORIES)
    assert failure.what == "images are missing from the results"


def test_both_ways_to_score_see_the_same_matches(images):
    scored = accuracy.evaluate(images, found(), CATEGORIES)
    assert scored.ap == pytest.approx(100.0)
    (matches,) = accuracy.matched(images, [found()], CATEGORIES)
    assert matches.found.tolist() == scored.matches.found.tolist()
    assert scored.precision.shape == (10, 101, 2)
    assert scored.statistics["AR 1"] == pytest.approx(100.0)


def test_a_class_that_is_never_found_has_an_ap_of_0_and_one_without_objects_none():
    precision = np.zeros((2, 5, 3))
    precision[:, :, 1], precision[0, :, 2] = -1, 0.5
    found = Accuracy({}, precision, None).by_class
    np.testing.assert_array_equal(found, [0, np.nan, 25])


def test_precision_is_that_of_all_areas_and_of_a_hundred_detections(images):
    """Eleven false alarms stand before the one find of the first class."""
    late = np.tile([200.0, 200, 220, 220], (3, 12, 1))
    late[0, 11] = late[1, 0] = [10, 20, 40, 60]
    scores = np.zeros((3, 12))
    scores[0], scores[1, 0] = np.linspace(0.9, 0.5, 12), 0.5
    labels = np.repeat([[0], [1], [1]], 12, 1)
    detections = {"boxes": late, "labels": labels, "scores": scores}
    precision = accuracy.evaluate(images, detections, CATEGORIES).precision
    assert precision[0, 0] == pytest.approx([1 / 12, 1.0])


def test_nothing_and_strangers_are_not_scored(images, instances):
    failure = failing(accuracy.score, instances, IDS, np.zeros((0, 7)))
    assert failure.what == "there is nothing to score"
    strange = np.array([[i, 1, 2, 3, 4, 0.5, 3] for i in range(100, 108)], float)
    failure = failing(accuracy.score, instances, IDS, strange)
    assert failure.actual == "8 others"
    assert failure.worst == [f"image {i}" for i in range(100, 105)]


def scored_on(*ids: int) -> Accuracy:
    matches = SimpleNamespace(objects=SimpleNamespace(images=np.array(ids)))
    return Accuracy({"AP": 37.5, "AP50": 60.0}, np.zeros(0), matches)


def test_an_image_that_was_left_out_is_named(images):
    accuracy._check_all_scored(scored_on(5, 6, 7), images)
    accuracy._check_all_scored(scored_on(4, 5, 6, 7), images)
    failure = failing(accuracy._check_all_scored, scored_on(6), images)
    assert failure.actual == "2 are not among those scored"
    assert failure.worst == ["image 5", "image 7"]


def test_a_score_that_leaves_an_image_out_is_no_evaluation(images, monkeypatch):
    monkeypatch.setattr(accuracy, "score", lambda *_: scored_on(5, 7))
    failure = failing(accuracy.evaluate, images, found(), CATEGORIES)
    assert failure.worst == ["image 6"]


def test_of_many_images_that_were_left_out_five_are_named(instances):
    many = ImageSet(instances, {i: instances for i in range(9)})
    failure = failing(accuracy._check_all_scored, scored_on(8), many)
    assert failure.worst == [f"image {i}" for i in range(5)]


def test_two_engines_agree_to_the_last_bit_or_no_figure_is_valid():
    names = accuracy.NAMES
    ours = {name: 10.0 + k for k, name in enumerate(names)}
    accuracy.check_agreement(ours, dict(ours), Path("instances.json"))
    for name in names:
        other = {**ours, name: np.nextafter(ours[name], 0)}
        with pytest.raises(LabError, match=f"differ in 1 of 12 statistics .{name} "):
            accuracy.check_agreement(ours, other, Path("instances.json"))


def test_a_map_may_lie_on_its_floor():
    accuracy.check_floor(scored_on(), floor=37.5)
    failure = failing(accuracy.check_floor, scored_on(), floor=37.50001)
    assert failure.needed == "floor 37.5 %"
    assert failure.worst == ["AP 37.5 %", "AP50 60 %"]
    many = Accuracy({f"AP{k}" if k else "AP": 1.0 for k in range(9)}, np.zeros(0), None)
    assert len(failing(accuracy.check_floor, many, floor=2.0).worst) == 5
